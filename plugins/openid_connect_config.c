/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/checks.h"
#include "core/base/query.h"
#include "core/crypto/base64.h"
#include "plugins/jwt_proof.h"
#include "plugins/openid_connect.h"

static const char *const methods[] = { "password",
                                       "client_credentials",
                                       "authorization_code",
                                       "bearer",
                                       "introspection",
                                       "refresh_token",
                                       "session",
                                       NULL };
static const char *const client_auths[] = { "client_secret_basic", "client_secret_post", "none", NULL };
static const char *const login_actions[] = { "upstream", "redirect", "response", NULL };
static const char *const token_places[] = { "header", "query", "cookie", NULL };
static const char *const consumer_bys[] = { "username", "custom_id", "id", NULL };
static const char *const logout_methods[] = { "POST", "GET", "DELETE", NULL };

#define AT(member) offsetof(struct oidc_config, member)

const struct field oidc_fields[] = {
    { "issuer", FIELD_STRING, AT(issuer), FIELD_REQUIRED,
      .help = "the provider's issuer, or the URL of its description (/.well-known/openid-configuration)" },
    { "auth_methods", FIELD_CHOICES, AT(auth_methods), .min = 1, .max = 7, .choices = methods,
      .fallback = "password,client_credentials,authorization_code,bearer,introspection,refresh_token,session",
      .help = "how somebody may show who they are" },
    { "client_id", FIELD_STRINGS, AT(client_id), FIELD_VAULT, .max = 1,
      .help = "of the gateway at the provider" },
    { "client_secret", FIELD_STRINGS, AT(client_secret), FIELD_SECRET | FIELD_VAULT, .max = 1 },
    { "client_auth", FIELD_CHOICE, AT(client_auth), .fallback = "client_secret_basic",
      .choices = client_auths, .help = "how the gateway shows itself to the provider" },
    { "redirect_uri", FIELD_STRINGS, AT(redirect_uri), .max = 1,
      .help = "where the provider sends people back to; null: the URL they came for" },
    { "issuers_allowed", FIELD_STRINGS, AT(issuers_allowed), .help = "in iss, besides the provider's own" },
    { "algorithms", FIELD_CHOICES, AT(algorithms), .min = 1, .max = 10, .choices = jwt_proof_algorithms,
      .fallback = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA",
      .help = "signatures of tokens" },
    { "scopes", FIELD_STRINGS, AT(scopes), .fallback = "openid", .help = "asked of the provider" },
    { "audience", FIELD_STRINGS, AT(audience), .help = "asked of the provider" },
    { "scopes_required", FIELD_STRINGS, AT(scopes_demand.wanted),
      .help = "one of the entries must be in the scopes; an entry of several words: all of them" },
    { "scopes_claim", FIELD_STRINGS, AT(scopes_demand.claim), .fallback = "scope" },
    { "audience_required", FIELD_STRINGS, AT(audience_demand.wanted) },
    { "audience_claim", FIELD_STRINGS, AT(audience_demand.claim), .fallback = "aud" },
    { "groups_required", FIELD_STRINGS, AT(groups_demand.wanted) },
    { "groups_claim", FIELD_STRINGS, AT(groups_demand.claim), .fallback = "groups" },
    { "roles_required", FIELD_STRINGS, AT(roles_demand.wanted) },
    { "roles_claim", FIELD_STRINGS, AT(roles_demand.claim), .fallback = "roles" },
    { "authorization_endpoint", FIELD_STRING, AT(authorization_endpoint),
      .help = "instead of what the provider's description says; the next three likewise" },
    { "token_endpoint", FIELD_STRING, AT(token_endpoint) },
    { "introspection_endpoint", FIELD_STRING, AT(introspection_endpoint) },
    { "end_session_endpoint", FIELD_STRING, AT(end_session_endpoint) },
    { "authorization_query_args_names", FIELD_STRINGS, AT(query_names) },
    { "authorization_query_args_values", FIELD_STRINGS, AT(query_values) },
    { "require_proof_key_for_code_exchange", FIELD_BOOLEAN, AT(pkce), .fallback = "true",
      .help = "PKCE with S256 (RFC 7636)" },
    { "bearer_token_param_type", FIELD_CHOICES, AT(token_places), .min = 1, .max = 3, .choices = token_places,
      .fallback = "header,query", .help = "where a token may stand" },
    { "bearer_token_cookie_name", FIELD_STRING, AT(token_cookie), .fallback = "access_token" },
    { "consumer_claim", FIELD_STRINGS, AT(consumer_claim),
      .help = "the claim that names the consumer; several names lead down through objects" },
    { "consumer_by", FIELD_CHOICES, AT(consumer_by), .min = 1, .max = 3, .choices = consumer_bys,
      .fallback = "username,custom_id" },
    { "consumer_optional", FIELD_BOOLEAN, AT(consumer_optional), .fallback = "false",
      .help = "go on without one" },
    { "credential_claim", FIELD_STRINGS, AT(credential_claim), .fallback = "sub",
      .help = "what X-Credential-Identifier says" },
    { "anonymous", FIELD_STRING, AT(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { "leeway", FIELD_INTEGER, AT(leeway_s), .max = 31536000, .fallback = "0",
      .help = "seconds that clocks may differ" },
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .min = 1, .max = 600000, .fallback = "10000",
      .help = "milliseconds for each call of the provider" },
    { "ssl_verify", FIELD_BOOLEAN, AT(ssl_verify), .fallback = "true",
      .help = "check the provider's certificate" },
    { "cache_ttl", FIELD_INTEGER, AT(cache_ttl_s), .max = 31536000, .fallback = "3600",
      .help = "seconds that answers of the provider are kept when they say nothing shorter" },
    { "cache_entries", FIELD_INTEGER, AT(cache_entries), .max = 1000000, .fallback = "1000",
      .help = "answers kept per core" },
    { "cache_tokens", FIELD_BOOLEAN, AT(cache_tokens), .fallback = "true",
      .help = "keep tokens that were got for a password or a client's secret" },
    { "cache_introspection", FIELD_BOOLEAN, AT(cache_introspection), .fallback = "true" },
    { "rediscovery_lifetime", FIELD_DURATION, AT(keys_fresh_ms), .min = 1000, .max = 86400000,
      .fallback = "5m", .help = "age at which keys and description are fetched again" },
    { "hide_credentials", FIELD_BOOLEAN, AT(hide_credentials), .fallback = "false",
      .help = "the upstream does not see what the client has sent to be let in" },
    { "run_on_preflight", FIELD_BOOLEAN, AT(run_on_preflight), .fallback = "true" },
    { "upstream_headers_claims", FIELD_STRINGS, AT(upstream_claims), .help = "claims told to the upstream" },
    { "upstream_headers_names", FIELD_STRINGS, AT(upstream_names), .check = kong_check_header_name,
      .help = "... and in which fields" },
    { "downstream_headers_claims", FIELD_STRINGS, AT(downstream_claims) },
    { "downstream_headers_names", FIELD_STRINGS, AT(downstream_names), .check = kong_check_header_name },
    { "upstream_access_token_header", FIELD_STRING, AT(access_token_header), .flags = FIELD_EMPTY,
      .fallback = "authorization:bearer", .help = "empty: not told" },
    { "upstream_id_token_header", FIELD_STRING, AT(id_token_header) },
    { "login_action", FIELD_CHOICE, AT(login_action), .fallback = "upstream", .choices = login_actions,
      .help = "what follows a login" },
    { "login_redirect_uri", FIELD_STRING, AT(login_redirect_uri),
      .help = "with redirect; null: where the login began" },
    { "logout_methods", FIELD_CHOICES, AT(logout_methods), .max = 3, .choices = logout_methods,
      .fallback = "POST,DELETE" },
    { "logout_query_arg", FIELD_STRING, AT(logout_query_arg), .help = "a parameter that asks for a logout" },
    { "logout_uri_suffix", FIELD_STRING, AT(logout_uri_suffix), .help = "an end of the path that does" },
    { "logout_redirect_uri", FIELD_STRING, AT(logout_redirect_uri), .help = "where a logout leads to" },
    { "unauthorized_error_message", FIELD_STRING, AT(unauthorized_message), .fallback = "Unauthorized" },
    { "forbidden_error_message", FIELD_STRING, AT(forbidden_message), .fallback = "Forbidden" },
    { "authorization_cookie_name", FIELD_STRING, AT(login.cookie_name), .fallback = "authorization",
      .check = cookie_session_check_name, .help = "of the cookie of somebody who is on the way" },
    { "authorization_cookie_path", FIELD_STRING, AT(login.cookie_path), .fallback = "/",
      .check = cookie_session_check_attribute },
    { "authorization_cookie_domain", FIELD_STRING, AT(login.cookie_domain),
      .check = cookie_session_check_attribute },
    { "authorization_cookie_same_site", FIELD_CHOICE, AT(login.same_site), .fallback = "Default",
      .choices = cookie_session_same_sites },
    { "authorization_cookie_http_only", FIELD_BOOLEAN, AT(login.http_only), .fallback = "true" },
    { "authorization_cookie_secure", FIELD_BOOLEAN, AT(login.secure), .fallback = "true" },
    { "authorization_rolling_timeout", FIELD_INTEGER, AT(login.rolling_s), .min = 1, .max = 86400,
      .fallback = "600", .help = "seconds that a login may take" },
    COOKIE_SESSION_FIELDS("session_", struct oidc_config, session, "Lax"),
};

static void check_url(struct slice text, const char *name, const struct node *node,
                      const struct config_place *place)
{
    struct fetch_url url;
    if (text.data && !fetch_url_parse(text, &url))
        schema_error(place, node, name,
                     "expected an http or https URL with a host, without user or fragment");
}

static struct slice join(const struct slices *words, struct arena *arena)
{
    struct slice text = SLICE("");
    for (uint32_t i = 0; i < words->count; i++)
        text = arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(text), i ? " " : "",
                            SLICE_FORMAT(words->items[i]));
    return text;
}

/* RFC 6749 section 2.3.1: both are escaped as a form has it. */
static struct slice basic_of(const struct oidc_config *config, struct arena *arena)
{
    struct slice none = { NULL, 0 };
    if (config->client_id.count == 0 || config->client_secret.count == 0)
        return none;
    struct slice id = query_escape(arena, config->client_id.items[0]);
    struct slice secret = query_escape(arena, config->client_secret.items[0]);
    struct slice pair = arena_format(arena, "%.*s:%.*s", SLICE_FORMAT(id), SLICE_FORMAT(secret));
    char *text = arena_alloc(arena, base64_encoded_size(BASE64_STANDARD, pair.size) + 1);
    if (id.data == NULL || secret.data == NULL || pair.data == NULL || text == NULL)
        return none;
    struct slice encoded = { text, base64_encode(BASE64_STANDARD, pair, text) };
    return arena_format(arena, "Basic %.*s", SLICE_FORMAT(encoded));
}

/* Sessions of another provider or client are none here, though the secret be the same, and somebody who is on
 * the way is not in yet. Each text behind its size: no two lists look the same. Absent: out of memory. */
static struct slice audience_of(const struct oidc_config *config, const char *what, struct slice own,
                                struct arena *arena)
{
    struct slice client = config->client_id.count ? config->client_id.items[0] : SLICE("");
    return arena_format(arena, "%s %zu:%.*s %zu:%.*s %.*s", what, own.size, SLICE_FORMAT(own),
                        config->issuer.size, SLICE_FORMAT(config->issuer), SLICE_FORMAT(client));
}

static void prepare(struct oidc_config *config, const struct node *node, const struct config_place *place)
{
    static const char suffix[] = "/.well-known/openid-configuration";
    struct fetch_url url;
    if (slice_ends_with(config->issuer, slice_of(suffix)))
        config->issuer.size -= sizeof(suffix) - 1;
    struct slice host = fetch_url_parse(config->issuer, &url) ? url.host : (struct slice){ NULL, 0 };
    config->source = (struct jwks_source){
        .issuer = config->issuer,
        .loose_issuer = true,
        .timeout_ms = config->timeout_ms,
        .fresh_ms = config->keys_fresh_ms,
        .stale_ms = 3600000,
        .unknown_kid_ms = 10000,
        .unverified = !config->ssl_verify,
    };
    config->login.secret = config->session.secret;
    config->login.audience = audience_of(config, "login", config->session.audience, place->arena);
    config->session.audience = audience_of(config, "session", config->session.audience, place->arena);
    cookie_session_prepare(&config->session);
    cookie_session_prepare(&config->login);
    config->challenge = authentication_challenge(place->arena, "Bearer", host);
    config->token_challenge =
        arena_format(place->arena, "%.*s, error=\"invalid_token\"", SLICE_FORMAT(config->challenge));
    config->forbidden_challenge =
        arena_format(place->arena, "%.*s, error=\"insufficient_scope\"", SLICE_FORMAT(config->challenge));
    config->scope_text = join(&config->scopes, place->arena);
    config->client_basic = basic_of(config, place->arena);
    if (!config->challenge.data || !config->token_challenge.data || !config->forbidden_challenge.data ||
        !config->scope_text.data || !config->login.audience.data || !config->session.audience.data)
        schema_error(place, node, "issuer", "out of memory");
}

/* "name" or "name:bearer". */
static void check_token_header(struct slice text, const char *name, const struct node *node,
                               const struct config_place *place)
{
    struct slice scheme, field = slice_split(text, ':', &scheme);
    if (text.size > 0 &&
        (!action_is_field_name(field) || (scheme.data && !slice_equal_nocase(scheme, SLICE("bearer")))))
        schema_error(place, node, name, "expected the name of a header, with :bearer behind it or not");
}

static void check_location(struct slice text, const char *name, const struct node *node,
                           const struct config_place *place)
{
    if (text.data && (text.size == 0 || !action_is_field_value(text)))
        schema_error(place, node, name, "expected a URL");
}

static void check_pairs(const struct slices *names, const struct slices *values, const char *name,
                        const struct node *node, const struct config_place *place)
{
    if (names->count != values->count)
        schema_error(place, node, name, "there must be as many names as values");
}

void oidc_check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct oidc_config *config = value;
    uint64_t clients = OIDC_PASSWORD | OIDC_CLIENT_CREDENTIALS | OIDC_AUTHORIZATION_CODE;
    check_url(config->issuer, "issuer", node, place);
    check_url(config->authorization_endpoint, "authorization_endpoint", node, place);
    check_url(config->token_endpoint, "token_endpoint", node, place);
    check_url(config->introspection_endpoint, "introspection_endpoint", node, place);
    check_url(config->end_session_endpoint, "end_session_endpoint", node, place);
    if (config->redirect_uri.count)
        check_url(config->redirect_uri.items[0], "redirect_uri", node, place);
    if (config->client_id.count == 0 && (config->auth_methods & OIDC_AUTHORIZATION_CODE))
        schema_error(place, node, "client_id", "required by the method authorization_code");
    if (config->client_id.count > 0 && config->client_auth != OIDC_CLIENT_NONE &&
        config->client_secret.count == 0 && (config->auth_methods & clients))
        schema_error(place, node, "client_secret", "required unless client_auth is none");
    check_token_header(config->access_token_header, "upstream_access_token_header", node, place);
    check_token_header(config->id_token_header, "upstream_id_token_header", node, place);
    check_location(config->login_redirect_uri, "login_redirect_uri", node, place);
    check_location(config->logout_redirect_uri, "logout_redirect_uri", node, place);
    check_pairs(&config->query_names, &config->query_values, "authorization_query_args_values", node, place);
    check_pairs(&config->upstream_claims, &config->upstream_names, "upstream_headers_names", node, place);
    check_pairs(&config->downstream_claims, &config->downstream_names, "downstream_headers_names", node,
                place);
    prepare(config, node, place);
}

_Static_assert(COUNT_OF(oidc_fields) == OIDC_FIELD_COUNT, "count the fields");
