/* SPDX-License-Identifier: Apache-2.0 */
/* Key sets of identity providers, as one shard knows them: fetched when first asked for, kept, renewed
 * before they are too old, fetched again when a token names an unknown key, and served stale for a while
 * when the provider is away. Only the very first request of a set, and one with a new key, ever wait. A
 * source that nobody has asked for so long that its keys are of no use any more is freed.
 * Shared by the plugins that check tokens. One shard. */
#pragma once

#include "core/base/list.h"
#include "core/crypto/jwk.h"
#include "net/fetch/fetch.h"

/* Where keys come from: jwks_url, or what the issuer's description says (OpenID Connect Discovery 1.0). */
struct jwks_source {
    struct slice jwks_url, issuer; /* one of them */
    int64_t timeout_ms; /* of each fetch */
    int64_t fresh_ms; /* a set younger than this is used as it is */
    int64_t stale_ms; /* an older one for so long while the provider does not answer */
    int64_t unknown_kid_ms; /* at most one fetch for unknown keys in this time */
    bool loose_issuer; /* a slash at its end makes no difference: it may come from the description's URL */
    bool unverified; /* any certificate is taken for the provider's */
};

struct jwks;

struct jwks_pool {
    struct jwks *first;
};

struct jwks_waiter {
    struct list_node node;
    void (*done)(struct jwks_waiter *waiter); /* ask again: it does not wait now */
};

enum jwks_answer {
    JWKS_READY, /* *set is there; it lives until the loop turns */
    JWKS_WAIT, /* the waiter will be told, exactly once */
    JWKS_UNAVAILABLE /* the provider has not answered, or with no key set */
};

/* The set of that source, opened on first use; the texts are copied. To be asked in the same turn; it stays
 * as long as somebody waits. NULL: out of memory. */
struct jwks *jwks_pool_find(struct jwks_pool *pool, struct shard *shard, const struct jwks_source *source);

/* After the shard's last turn; who waits is told nothing. */
void jwks_pool_close(struct jwks_pool *pool);

/* The keys as they are. */
enum jwks_answer jwks_ask(struct jwks *jwks, struct jwks_waiter *waiter, const struct jwk_set **set);

/* What the issuer's description says (OpenID Connect Discovery 1.0 section 3); absent: it does not. */
struct jwks_description {
    struct slice issuer, jwks_uri, authorization_endpoint, token_endpoint, introspection_endpoint,
        end_session_endpoint;
};

/* Of a source with an issuer, when jwks_ask has said JWKS_READY; it lives until the loop turns. */
const struct jwks_description *jwks_describe(const struct jwks *jwks);

/* The set has no key of that name: JWKS_WAIT when that is worth a fetch, else JWKS_READY (there is none). */
enum jwks_answer jwks_ask_again(struct jwks *jwks, struct jwks_waiter *waiter);
