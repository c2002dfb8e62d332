/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON Web Token taken apart (RFC 7519, RFC 7515 compact form): strict, without allocation, and before
 * anything in it is trusted. Whether its signature is good is for the plugin to ask. Any thread. */
#pragma once

#include "core/base/json_scan.h"

/* Longer tokens are refused unread. */
enum { JWT_TOKEN_MAX = 8 * 1024 };

/* In the order of Kong's documentation, which is the order in error texts. */
enum jwt_algorithm {
    JWT_HS256,
    JWT_HS384,
    JWT_HS512,
    JWT_RS256,
    JWT_RS384,
    JWT_RS512,
    JWT_ES256,
    JWT_ES384,
    JWT_ES512,
    JWT_PS256,
    JWT_PS384,
    JWT_PS512,
    JWT_EDDSA
};

extern const char *const jwt_algorithm_names[]; /* ends with NULL */

struct jwt_token {
    enum jwt_algorithm algorithm; /* what the token says of itself */
    struct slice signed_text; /* the part that is signed, as sent */
    struct slice signature; /* decoded */
    struct json_value key; /* the claim that names the credential, unescaped if it is a string */
    struct json_value expires, not_before;
    struct slice header, payload; /* as JSON; the payload may be something else than an object */
    char memory[JWT_TOKEN_MAX]; /* what the slices above view, but for signed_text */
};

enum jwt_flaw {
    JWT_GOOD,
    JWT_TOO_LARGE,
    JWT_BAD_JSON, /* also: no three parts, or a part that is not base64url */
    JWT_BAD_ALGORITHM,
    JWT_UNKNOWN_EXTENSION, /* RFC 7515 section 4.1.11: "crit" names what must be understood; we know none */
    JWT_BAD_SIGNATURE_ENCODING
};

/* The claim `key_claim` is looked for in the payload, then in the header; without one (absent) header and
 * payload stay as they were sent. `out` is filled with JWT_GOOD only. */
enum jwt_flaw jwt_token_read(struct slice text, struct slice key_claim, struct jwt_token *out) MUST_CHECK;

/* What is wrong with the times of a token: expires must be after now, not_before may not be. Each is a JSON
 * number, and fractions count. JWT_TIME_FINE also when the claim is not to be checked. */
enum jwt_time { JWT_TIME_FINE, JWT_TIME_NO_NUMBER, JWT_TIME_REFUSED };

enum jwt_time jwt_token_expires(const struct jwt_token *token, int64_t now_seconds);
enum jwt_time jwt_token_not_before(const struct jwt_token *token, int64_t now_seconds);

/* Does it expire within `seconds` from now? False without a usable "exp". */
bool jwt_token_lives_at_most(const struct jwt_token *token, int64_t now_seconds, double seconds);
