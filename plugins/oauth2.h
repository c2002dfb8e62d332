/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the oauth2 plugin: its configuration, the tokens (oauth2_token.c), the two endpoints where
 * they are given out (oauth2_endpoints.c), and the checks of requests (oauth2.c). Runs on the exchange's
 * shard. */
#pragma once

#include "core/crypto/seal.h"
#include "net/proxy/exchange.h"
#include "plugins/body_arguments.h"

/* --- configuration -------------------------------------------------------------------------------------- */

enum oauth2_pkce { PKCE_LAX, PKCE_NONE, PKCE_STRICT };
enum oauth2_client_type { CLIENT_CONFIDENTIAL, CLIENT_PUBLIC };

struct oauth2_credential {
    struct credential credential;
    struct slice name, client_id, client_secret;
    bool hash_secret;
    struct slices redirect_uris;
    int client_type; /* enum oauth2_client_type */
};

extern const struct credential_kind oauth2_credential_kind;
extern const char *const oauth2_client_types[];

struct oauth2_config {
    struct slices scopes;
    bool mandatory_scope;
    struct slice provision_key; /* absent: no request has it */
    int64_t token_expiration_s; /* 0: tokens do not expire */
    bool enable_authorization_code, enable_implicit_grant, enable_client_credentials, enable_password_grant;
    bool hide_credentials, accept_http_if_already_terminated, global_credentials, reuse_refresh_token;
    struct slice anonymous, auth_header_name;
    int64_t refresh_token_ttl_s; /* 0: refresh tokens do not expire */
    int pkce; /* enum oauth2_pkce */
    struct slice realm;
    /* Prepared. */
    struct slice challenge, challenge_invalid;
    struct seal_key key; /* of tokens */
};

/* --- tokens --------------------------------------------------------------------------------------------- */

/* What a token or an authorization code says. It is sealed, so that every shard can read it and nobody
 * else. */
enum oauth2_token_kind { OAUTH2_ACCESS = 'a', OAUTH2_REFRESH = 'r', OAUTH2_CODE = 'c' };

struct oauth2_token {
    enum oauth2_token_kind kind;
    int64_t expires_s; /* wall clock; 0: never */
    struct slice service; /* its id; empty: of all */
    struct slice client_id, credential; /* whose it is, the latter as an id */
    struct slice scope, userid; /* empty: none */
    struct slice code_challenge; /* CODE; empty: none */
    struct slice id; /* random: a code and a refresh token are used once */
};

enum { OAUTH2_CODE_TTL_S = 300, OAUTH2_TOKEN_TEXT_MAX = 4096 };

/* The token as base64url; a fresh id is drawn when it has none. Absent: out of memory, or texts that are
 * too long. */
struct slice oauth2_token_write(const struct oauth2_config *config, struct exchange *exchange,
                                const struct oauth2_token *token) MUST_CHECK;

enum oauth2_reading { OAUTH2_TOKEN_GOOD, OAUTH2_TOKEN_BAD /* or over */, OAUTH2_TOKEN_FAILED /* memory */ };

/* Views into the exchange's arena. */
enum oauth2_reading oauth2_token_read(const struct oauth2_config *config, struct exchange *exchange,
                                      struct slice text, enum oauth2_token_kind kind,
                                      struct oauth2_token *token) MUST_CHECK;

/* Whose token it is; NULL: not in the configuration any more. */
const struct oauth2_credential *oauth2_token_owner(const struct exchange *exchange,
                                                   const struct oauth2_token *token);

/* Codes and refresh tokens that were used: of the process, for all shards, under a lock that only the token
 * endpoint takes. Bounded: the ones that are the first to expire are forgotten when it is full. */
enum { OAUTH2_SPENT_MAX = 65536 };
struct oauth2_spent;
struct oauth2_spent *oauth2_spent_open(void); /* NULL: out of memory */
void oauth2_spent_close(struct oauth2_spent *spent);

/* True once per id. */
bool oauth2_spend(struct oauth2_spent *spent, const struct oauth2_token *token) MUST_CHECK;

/* --- requests ------------------------------------------------------------------------------------------- */

struct oauth2_shard {
    struct oauth2_spent *spent;
};

/* Parameters of query and body; of a name that stands in both, the body's counts. */
struct oauth2_parameters {
    struct exchange *exchange;
    bool has_body; /* `body` is to be closed */
    struct body_arguments body;
};

enum oauth2_opening { OAUTH2_OPEN, OAUTH2_LATER, OAUTH2_FAILED };
enum oauth2_opening oauth2_parameters_open(struct oauth2_parameters *parameters, struct exchange *exchange);
void oauth2_parameters_close(struct oauth2_parameters *parameters);

/* Absent: not there, or no text, or no memory. */
struct slice oauth2_parameter(struct oauth2_parameters *parameters, const char *name);

enum oauth2_endpoint { ENDPOINT_NONE, ENDPOINT_TOKEN, ENDPOINT_AUTHORIZE };

enum verdict oauth2_authorize(const struct oauth2_config *config, struct oauth2_parameters *parameters);
enum verdict oauth2_issue(const struct oauth2_config *config, struct oauth2_parameters *parameters,
                          struct oauth2_spent *spent);
