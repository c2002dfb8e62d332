/* SPDX-License-Identifier: Apache-2.0 */
/* What a verified token must say of itself to be let in: who issued it, for whom, when, and for what.
 * Claims are read as RFC 7519 and RFC 9068 write them, once, by whatever shard. */
#pragma once

#include "config/schema.h"
#include "plugins/jwt_token.h"

struct jwt_demands {
    struct slice issuer; /* absent: any */
    struct slices audience, scopes;
    bool require_issuer, require_audience, require_expires, require_not_before, require_issued_at;
    bool client_id_is_audience; /* without "aud" the claim "client_id" counts */
    bool every_scope; /* all of `scopes`; else one of them is enough */
    int64_t leeway_expires_s, leeway_not_before_s, leeway_issued_at_s;
};

enum jwt_claim_flaw {
    JWT_CLAIMS_GOOD,
    JWT_CLAIM_OBJECT, /* the payload is no object */
    JWT_CLAIM_ISSUER,
    JWT_CLAIM_AUDIENCE,
    JWT_CLAIM_EXPIRED,
    JWT_CLAIM_NOT_BEFORE,
    JWT_CLAIM_ISSUED_AT,
    JWT_CLAIM_SCOPE
};

/* The first thing that is wrong, scopes last. */
enum jwt_claim_flaw jwt_claims_check(const struct jwt_token *token, const struct jwt_demands *demands,
                                     int64_t now_seconds);

/* "kid" of the header, unescaped in the token's memory; absent when there is none or it is no string. */
struct slice jwt_claims_kid(struct jwt_token *token);
