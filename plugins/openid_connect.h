/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the openid-connect plugin, for its own files only: openid_connect.c decides what a request
 * is, _login.c sends people to the provider and takes them back, _calls.c asks the provider's endpoints,
 * _claims.c judges what is known of somebody, _cache.c remembers answers, _config.c has the options. One
 * shard. */
#pragma once

#include "plugins/authentication.h"
#include "plugins/jwt_claims.h"
#include "plugins/openid_connect_config.h"

struct oidc_tokens {
    struct slice access, id, refresh; /* absent: none */
    int64_t expires_s; /* of the access token, wall clock; 0: not known */
};

struct oidc_cache;

struct oidc_shard {
    struct shard *shard;
    struct jwks_pool providers;
    struct oidc_cache *cache;
};

/* What is asked of the token endpoint for somebody: without one, or with the user's, the gateway shows
 * itself. */
enum oidc_grant { OIDC_GRANT_NONE, OIDC_GRANT_PASSWORD, OIDC_GRANT_CLIENT };

struct oidc;
typedef enum verdict oidc_step(struct oidc *oidc);

/* A request under way; the exchange's state. */
struct oidc {
    struct exchange *exchange;
    const struct oidc_config *config;
    struct oidc_shard *shard;
    struct jwks_waiter waiter;
    oidc_step *next; /* what goes on when keys or an answer have come */
    struct fetch fetch;
    struct header headers[3]; /* of the fetch */
    enum error error; /* of the fetch, for `next` */
    bool fetching; /* it was begun once: to be closed */
    bool asked_again; /* for keys */
    struct oidc_tokens tokens;
    struct cookie_session session;
    enum oidc_grant grant;
    struct slice user, password; /* of Basic */
    struct slice cache_name; /* of the answer that is asked for; absent: it is not kept */
    struct slice nonce, verifier, origin; /* of a login; where it began, as path and query */
    struct slice flaw; /* of the token that was judged last, for the access log */
};

/* --- openid_connect.c ----------------------------------------------------------------------------------- */
/* The provider's keys and description. WAIT: `oidc->next` is called again. */
enum jwks_answer oidc_ask_keys(struct oidc *oidc, oidc_step *next, const struct jwk_set **set,
                               const struct jwks_description **description);
enum verdict oidc_unavailable(struct oidc *oidc);
/* 401, or the anonymous consumer. reason: for the access log. */
enum oidc_refusal { OIDC_NOBODY, OIDC_BAD_TOKEN };
enum verdict oidc_refuse(struct oidc *oidc, enum oidc_refusal why, struct slice reason);
int64_t oidc_now_s(const struct oidc *oidc);
/* The ways that are left to somebody without a session. */
enum verdict oidc_without_session(struct oidc *oidc);

/* --- openid_connect_claims.c ---------------------------------------------------------------------------- */
enum oidc_check { OIDC_GOOD, OIDC_BAD, OIDC_WAIT, OIDC_DOWN };
/* Signature and registered claims; the payload is copied into the exchange's arena. */
enum oidc_check oidc_check_token(struct oidc *oidc, struct slice token, const struct jwt_demands *demands,
                                 struct slice *payload);
/* The payload of a token that the gateway has sealed itself; absent: it is none with readable claims. */
struct slice oidc_payload(struct oidc *oidc, struct slice token);
struct slice oidc_claim(struct oidc *oidc, struct slice payload, struct slice name);
/* What a client says in the fields in which the upstream is told of claims and tokens. */
void oidc_forget_forged(struct oidc *oidc);
/* Somebody with these claims: demands, consumer and headers; the request goes on or is refused. */
enum verdict oidc_accept(struct oidc *oidc, struct slice payload);

/* --- openid_connect_calls.c ----------------------------------------------------------------------------- */
/* A POST of a form; WAIT, `next` has fetch and error. */
enum verdict oidc_post(struct oidc *oidc, struct slice url, struct slice form, oidc_step *next);
/* name=value, escaped, behind `form` (absent: the first). Absent: out of memory. */
struct slice oidc_form_add(struct oidc *oidc, struct slice form, struct slice name, struct slice value);
/* The tokens of the answer of a token endpoint; copies. */
bool oidc_take_tokens(struct oidc *oidc);
/* What is known of somebody whose tokens came from the provider itself or out of a sealed cookie: the claims
 * of the access token when it is readable, else of the id token. */
enum verdict oidc_accept_tokens(struct oidc *oidc);
enum verdict oidc_introspect(struct oidc *oidc);
enum verdict oidc_grant_for_basic(struct oidc *oidc);
enum verdict oidc_refresh(struct oidc *oidc);

/* Where to ask: `own` if it is configured, else what the description says at that offset. False: the verdict
 * is what to return; with WAIT `again` will be called. */
struct oidc_endpoint {
    struct slice url;
    enum verdict verdict;
};
bool oidc_find_endpoint(struct oidc *oidc, struct slice own, oidc_step *again, size_t offset,
                        struct oidc_endpoint *found);

/* --- openid_connect_login.c ----------------------------------------------------------------------------- */
/* Texts, each behind its size, so that no two lists of them look the same. Absent: out of memory. */
struct slice oidc_pack(struct oidc *oidc, const struct slice *texts, unsigned count);
bool oidc_is_callback(struct oidc *oidc);
enum verdict oidc_callback(struct oidc *oidc);
enum verdict oidc_login(struct oidc *oidc);
bool oidc_is_logout(struct oidc *oidc);
enum verdict oidc_logout(struct oidc *oidc);
bool oidc_save_session(struct oidc *oidc);
/* Tokens from the payload of a session, or none. */
bool oidc_read_session(struct oidc *oidc, struct slice payload);

/* --- openid_connect_cache.c ----------------------------------------------------------------------------- */
/* What is kept under that name until it is too old; a copy in the arena, absent when there is none. */
struct slice oidc_cache_find(struct oidc_shard *shard, struct arena *arena, struct slice name);
void oidc_cache_keep(struct oidc_shard *shard, struct slice name, struct slice text, int64_t until_s,
                     int64_t entries_max);
void oidc_cache_close(struct oidc_shard *shard);
