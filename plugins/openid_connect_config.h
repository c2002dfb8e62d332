/* SPDX-License-Identifier: Apache-2.0 */
/* The options of the openid-connect plugin, and what is prepared from them. Owned by the snapshot, read by
 * all shards. */
#pragma once

#include "plugins/cookie_session.h"
#include "plugins/jwks.h"

enum oidc_method {
    OIDC_PASSWORD = 1,
    OIDC_CLIENT_CREDENTIALS = 2,
    OIDC_AUTHORIZATION_CODE = 4,
    OIDC_BEARER = 8,
    OIDC_INTROSPECTION = 16,
    OIDC_REFRESH_TOKEN = 32,
    OIDC_SESSION = 64
};
enum oidc_client_auth { OIDC_CLIENT_BASIC, OIDC_CLIENT_POST, OIDC_CLIENT_NONE };
enum oidc_login_action { OIDC_LOGIN_UPSTREAM, OIDC_LOGIN_REDIRECT, OIDC_LOGIN_RESPONSE };
enum oidc_token_place { OIDC_TOKEN_HEADER = 1, OIDC_TOKEN_QUERY = 2, OIDC_TOKEN_COOKIE = 4 };
enum oidc_consumer_by { OIDC_BY_USERNAME = 1, OIDC_BY_CUSTOM_ID = 2, OIDC_BY_ID = 4 };

/* A claim, and what it must hold: the claim's name or a way down through objects; one of the entries, each of
 * which may name several words that must all be there. */
struct oidc_demand {
    struct slices claim, wanted;
};

struct oidc_config {
    struct slice issuer;
    uint64_t auth_methods, token_places, consumer_by, algorithms; /* bits of the enums above */
    struct slices client_id, client_secret, redirect_uri, issuers_allowed;
    int client_auth, login_action;
    bool pkce;
    struct slices scopes, audience;
    struct oidc_demand scopes_demand, audience_demand, groups_demand, roles_demand;
    struct slice authorization_endpoint, token_endpoint, introspection_endpoint, end_session_endpoint;
    struct slices query_names, query_values; /* added to the authorization request */
    struct slices consumer_claim, credential_claim;
    bool consumer_optional, hide_credentials, run_on_preflight, ssl_verify;
    bool cache_tokens, cache_introspection;
    struct slice anonymous, token_cookie;
    int64_t leeway_s, timeout_ms, cache_ttl_s, cache_entries, keys_fresh_ms;
    struct slices upstream_claims, upstream_names, downstream_claims, downstream_names;
    struct slice access_token_header, id_token_header;
    struct slice login_redirect_uri, logout_query_arg, logout_uri_suffix, logout_redirect_uri;
    uint64_t logout_methods;
    struct slice unauthorized_message, forbidden_message;
    struct cookie_session_config session, login; /* somebody who is in; somebody who is on the way */
    /* Prepared: */
    struct jwks_source source;
    struct slice challenge, token_challenge, forbidden_challenge, scope_text;
    struct slice client_basic; /* "Basic ..." */
};

enum { OIDC_FIELD_COUNT = 78 };
extern const struct field oidc_fields[];
void oidc_check_config(void *value, const struct node *node, const struct config_place *place);
