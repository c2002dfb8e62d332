/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's oauth2 plugin (RFC 6749, RFC 6750, RFC 7636): gives out tokens at two endpoints and lets requests
 * pass that bring one. */
#include "plugins/oauth2.h"

#include "config/kong/checks.h"
#include "core/base/query.h"
#include "core/base/url.h"
#include "core/crypto/random.h"
#include "net/proxy/exchange_body.h"
#include "plugins/authentication.h"
#include "plugins/plugins.h"

/* --- credentials ---------------------------------------------------------------------------------------- */

const char *const oauth2_client_types[] = { "confidential", "public", NULL };

/* For the URIs that clients are sent back to. */
static const char *check_redirect_uri(struct slice text)
{
    struct url url;
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f || text.data[i] == '"')
            return "cannot parse '{}'";
    if (!url_split(text, &url) || url.scheme.size == 0)
        return "must be absolute: '{}'";
    return url.fragment.data ? "fragment not allowed in '{}'" : NULL;
}

static const struct field credential_fields[] = {
    { "name", FIELD_STRING, offsetof(struct oauth2_credential, name), FIELD_REQUIRED,
      .help = "of the application" },
    { "client_id", FIELD_STRING, offsetof(struct oauth2_credential, client_id),
      .help = "unique; drawn at random when absent" },
    { "client_secret", FIELD_STRING, offsetof(struct oauth2_credential, client_secret),
      FIELD_SECRET | FIELD_VAULT, .help = "drawn at random when absent" },
    { "hash_secret", FIELD_BOOLEAN, offsetof(struct oauth2_credential, hash_secret), .fallback = "false",
      .help = "how a database keeps the secret: without effect" },
    { "redirect_uris", FIELD_STRINGS, offsetof(struct oauth2_credential, redirect_uris),
      .check = check_redirect_uri,
      .help = "where users are sent back to; the first one unless one is asked for" },
    { "client_type", FIELD_CHOICE, offsetof(struct oauth2_credential, client_type),
      .fallback = "confidential", .choices = oauth2_client_types,
      .help = "public: an application that cannot keep a secret, and uses PKCE" },
};

/* In the form in which a database keeps it, which cannot be compared. */
static bool is_hashed(struct slice secret)
{
    return slice_starts_with(secret, SLICE("$pbkdf2-")) || slice_starts_with(secret, SLICE("$argon2")) ||
           slice_starts_with(secret, SLICE("$2"));
}

static void check_credential(void *value, const struct node *node, const struct config_place *place)
{
    struct oauth2_credential *credential = value;
    if (credential->hash_secret && is_hashed(credential->client_secret))
        schema_error(place, node, "client_secret", "is hashed already, and cannot be compared");
    if (!authentication_draw_secret(place->arena, &credential->client_secret))
        schema_error(place, node, "client_secret", "out of memory");
}

static const struct schema credential_schema = {
    .name = "oauth2_credentials",
    .fields = credential_fields,
    .field_count = COUNT_OF(credential_fields),
    .struct_size = sizeof(struct oauth2_credential),
    .check = check_credential,
};

static const char *const credential_aliases[] = { "oauth2", NULL };

const struct credential_kind oauth2_credential_kind = {
    .name = "oauth2_credentials",
    .schema = &credential_schema,
    .key_offset = offsetof(struct oauth2_credential, client_id),
    .key_name = "client_id",
    .generate_key = true,
    .aliases = credential_aliases,
};

/* --- configuration -------------------------------------------------------------------------------------- */

#define OFFSET(member) offsetof(struct oauth2_config, member)
#define SECONDS_MAX 3153600000.0

static const char *const pkce_names[] = { "lax", "none", "strict", NULL };

static const struct field config_fields[] = {
    { "scopes", FIELD_STRINGS, OFFSET(scopes), .help = "what a token may be asked for; others are refused" },
    { "mandatory_scope", FIELD_BOOLEAN, OFFSET(mandatory_scope), .fallback = "false",
      .help = "a token must be asked for some scope" },
    { "provision_key", FIELD_STRING, OFFSET(provision_key), FIELD_SECRET | FIELD_VAULT,
      .help = "what the application that logs users in proves itself with; tokens are sealed with it, too" },
    { "token_expiration", FIELD_INTEGER, OFFSET(token_expiration_s), .max = SECONDS_MAX, .fallback = "7200",
      .help = "seconds for which a token is good; 0: for ever" },
    { "enable_authorization_code", FIELD_BOOLEAN, OFFSET(enable_authorization_code), .fallback = "false",
      .help = "let users get a code, and applications a token for it" },
    { "enable_implicit_grant", FIELD_BOOLEAN, OFFSET(enable_implicit_grant), .fallback = "false",
      .help = "let users get a token at once" },
    { "enable_client_credentials", FIELD_BOOLEAN, OFFSET(enable_client_credentials), .fallback = "false",
      .help = "let applications get a token for themselves" },
    { "enable_password_grant", FIELD_BOOLEAN, OFFSET(enable_password_grant), .fallback = "false",
      .help = "let the application that logs users in get a token" },
    { "hide_credentials", FIELD_BOOLEAN, OFFSET(hide_credentials), .fallback = "false",
      .help = "do not send the token upstream" },
    { "accept_http_if_already_terminated", FIELD_BOOLEAN, OFFSET(accept_http_if_already_terminated),
      .fallback = "false", .help = "believe a trusted proxy that says X-Forwarded-Proto: https" },
    { "anonymous", FIELD_STRING, OFFSET(anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { "global_credentials", FIELD_BOOLEAN, OFFSET(global_credentials), .fallback = "false",
      .help = "tokens are good for all services of this option, not for the one they were given out by" },
    { "auth_header_name", FIELD_STRING, OFFSET(auth_header_name), .fallback = "authorization",
      .check = kong_check_header_text, .help = "the header that carries tokens" },
    { "refresh_token_ttl", FIELD_INTEGER, OFFSET(refresh_token_ttl_s), .max = 100000000,
      .fallback = "1209600", .help = "seconds for which a refresh token is good; 0: for ever" },
    { "reuse_refresh_token", FIELD_BOOLEAN, OFFSET(reuse_refresh_token), .fallback = "false",
      .help = "a refresh token can be used again and again" },
    { "pkce", FIELD_CHOICE, OFFSET(pkce), .fallback = "lax", .choices = pkce_names,
      .help = "who must use PKCE: lax: public clients; strict: all; none: who has begun so" },
    { "realm", FIELD_STRING, OFFSET(realm), .check = authentication_check_realm,
      .help = "the realm in WWW-Authenticate" },
};

#define TOKEN_INVALID "The access token is invalid or has expired"

static void prepare(struct oauth2_config *config, const struct config_place *place)
{
    static const char invalid[] = "error=\"invalid_token\", error_description=\"" TOKEN_INVALID "\"";
    config->challenge = authentication_challenge(place->arena, "Bearer", config->realm);
    config->challenge_invalid = arena_format(place->arena, "%.*s%s %s", SLICE_FORMAT(config->challenge),
                                             config->realm.data ? "," : "", invalid);
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct oauth2_config *config = value;
    if (!config->enable_authorization_code && !config->enable_implicit_grant &&
        !config->enable_client_credentials && !config->enable_password_grant)
        schema_error(place, node, "",
                     "at least one of these fields must be true: enable_authorization_code, "
                     "enable_implicit_grant, enable_client_credentials, enable_password_grant");
    if (config->mandatory_scope && config->scopes.count == 0)
        schema_error(place, node, "scopes", "required field missing");
    prepare(config, place);
    if (config->challenge.data == NULL || config->challenge_invalid.data == NULL)
        schema_error(place, node, "", "out of memory");
    /* Without a key of the configuration tokens die with the process. */
    static char drawn[65];
    if (drawn[0] == '\0')
        random_alphanumeric(drawn, sizeof(drawn) - 1);
    seal_key_init(&config->key, config->provision_key.data ? config->provision_key : slice_of(drawn),
                  SLICE("sluice oauth2 tokens"));
}

/* --- parameters ----------------------------------------------------------------------------------------- */

static bool may_have_body(const struct message *request)
{
    return slice_equal(request->method, SLICE("POST")) || slice_equal(request->method, SLICE("PUT")) ||
           slice_equal(request->method, SLICE("PATCH"));
}

enum oauth2_opening oauth2_parameters_open(struct oauth2_parameters *parameters, struct exchange *exchange)
{
    struct slice body;
    *parameters = (struct oauth2_parameters){ .exchange = exchange };
    if (!may_have_body(exchange_request(exchange)))
        return OAUTH2_OPEN;
    switch (exchange_read_body(exchange, UINT64_MAX, &body)) {
    case BODY_LATER: return OAUTH2_LATER;
    case BODY_FAILED: return OAUTH2_FAILED;
    case BODY_TOO_LONG: return OAUTH2_OPEN;
    case BODY_READ: break;
    }
    body_arguments_open(&parameters->body, exchange_request(exchange), body);
    parameters->has_body = true;
    return parameters->body.failed ? OAUTH2_FAILED : OAUTH2_OPEN;
}

void oauth2_parameters_close(struct oauth2_parameters *parameters)
{
    if (parameters->has_body)
        body_arguments_close(&parameters->body);
    parameters->has_body = false;
}

struct slice oauth2_parameter(struct oauth2_parameters *parameters, const char *name)
{
    uint32_t from = 0;
    struct exchange *exchange = parameters->exchange;
    const struct body_argument *argument = NULL;
    if (parameters->has_body && parameters->body.kind != BODY_ARGUMENTS_NONE)
        argument = body_arguments_next(&parameters->body, slice_of(name), &from);
    if (argument)
        return argument->type == BODY_VALUE_TEXT ? argument->value : (struct slice){ NULL, 0 };
    return query_find(exchange_arena(exchange), exchange_query(exchange), slice_of(name));
}

/* --- endpoints ------------------------------------------------------------------------------------------ */

static enum oauth2_endpoint endpoint_of(struct slice path)
{
    if (path.size > 0 && path.data[path.size - 1] == '/')
        path.size--;
    if (slice_ends_with(path, SLICE("/oauth2/token")))
        return ENDPOINT_TOKEN;
    return slice_ends_with(path, SLICE("/oauth2/authorize")) ? ENDPOINT_AUTHORIZE : ENDPOINT_NONE;
}

static enum verdict refuse_method(const struct oauth2_config *config, struct exchange *exchange,
                                  const char *endpoint)
{
    struct arena *arena = exchange_arena(exchange);
    struct slice text = arena_format(arena, "The HTTP method %.*s is invalid for the %s endpoint",
                                     SLICE_FORMAT(exchange_request(exchange)->method), endpoint);
    struct slice json = arena_format(arena, "{\"error\":\"invalid_method\",\"error_description\":\"%.*s\"}",
                                     SLICE_FORMAT(text));
    struct slice challenge =
        arena_format(arena, "%.*s%s error=\"invalid_method\", error_description=\"%.*s\"",
                     SLICE_FORMAT(config->challenge), config->realm.data ? "," : "", SLICE_FORMAT(text));
    if (text.data == NULL || json.data == NULL || challenge.data == NULL ||
        !exchange_set_response_header(exchange, SLICE("WWW-Authenticate"), challenge))
        return exchange_respond_failure(exchange);
    return exchange_respond_json(exchange, 405, json);
}

static enum verdict serve_endpoint(const struct plugin_call *call, enum oauth2_endpoint endpoint)
{
    const struct oauth2_config *config = call->config;
    const struct oauth2_shard *state = call->shard_state;
    struct oauth2_parameters parameters;
    bool token = endpoint == ENDPOINT_TOKEN;
    enum verdict verdict = VERDICT_READ_BODY;
    if (!slice_equal(exchange_request(call->exchange)->method, SLICE("POST")))
        return refuse_method(config, call->exchange, token ? "token" : "authorization");
    switch (oauth2_parameters_open(&parameters, call->exchange)) {
    case OAUTH2_LATER: break;
    case OAUTH2_FAILED: verdict = exchange_respond_failure(call->exchange); break;
    case OAUTH2_OPEN:
        verdict =
            token ? oauth2_issue(config, &parameters, state->spent) : oauth2_authorize(config, &parameters);
        break;
    }
    oauth2_parameters_close(&parameters);
    return verdict;
}

/* --- requests with a token ------------------------------------------------------------------------------ */

struct found {
    struct slice text; /* absent: there is none */
    bool in_header;
};

/* "Bearer t" or "token t", in any case; any other text is taken for the token, and is none of ours. */
static struct slice token_of_header(struct slice value)
{
    struct slice token, scheme = slice_split(slice_trim(value), ' ', &token);
    bool known = slice_equal_nocase(scheme, SLICE("bearer")) || slice_equal_nocase(scheme, SLICE("token"));
    return known && token.data ? slice_trim(token) : value;
}

static struct found find_token(const struct oauth2_config *config, struct oauth2_parameters *parameters)
{
    struct slice value = message_find_name(exchange_request(parameters->exchange), config->auth_header_name);
    if (value.data)
        return (struct found){ token_of_header(value), true };
    return (struct found){ oauth2_parameter(parameters, "access_token"), false };
}

static bool hide(const struct oauth2_config *config, struct oauth2_parameters *parameters,
                 const struct found *found)
{
    struct exchange *exchange = parameters->exchange;
    if (!config->hide_credentials || found->text.data == NULL)
        return true;
    if (found->in_header) {
        exchange_remove_upstream_header(exchange, config->auth_header_name);
        return true;
    }
    if (parameters->has_body && parameters->body.kind == BODY_ARGUMENTS_FORM &&
        body_arguments_remove(&parameters->body, SLICE("access_token")) > 0) {
        struct slice left = body_arguments_write(&parameters->body);
        if (left.data == NULL || !exchange_set_body(exchange, left))
            return false;
    }
    if (exchange_query(exchange).data == NULL)
        return true;
    struct slice query =
        query_without(exchange_arena(exchange), exchange_query(exchange), SLICE("access_token"));
    if (query.data)
        exchange_set_upstream_query(exchange, query);
    return query.data != NULL;
}

static enum verdict refuse(const struct oauth2_config *config, struct exchange *exchange,
                           struct slice challenge, struct slice json)
{
    if (config->anonymous.data)
        return authentication_pass_anonymous(exchange, config->anonymous);
    if (!exchange_set_response_header(exchange, SLICE("WWW-Authenticate"), challenge))
        return exchange_respond_failure(exchange);
    return exchange_respond_json(exchange, 401, json);
}

static enum verdict refuse_token(const struct oauth2_config *config, struct exchange *exchange)
{
    return refuse(config, exchange, config->challenge_invalid,
                  SLICE("{\"error\":\"invalid_token\",\"error_description\":\"" TOKEN_INVALID "\"}"));
}

static bool is_for_service(struct slice id, const struct service *service)
{
    return service && slice_equal(id, slice_of(service->entity.id));
}

static bool set_text(struct exchange *exchange, struct slice name, struct slice text)
{
    exchange_remove_upstream_header(exchange, name);
    return text.size == 0 || exchange_set_upstream_header(exchange, name, text);
}

static enum verdict pass(struct exchange *exchange, const struct oauth2_credential *owner,
                         const struct oauth2_token *token)
{
    if (!set_text(exchange, SLICE("X-Authenticated-Scope"), token->scope) ||
        !set_text(exchange, SLICE("X-Authenticated-UserId"), token->userid))
        return exchange_respond_failure(exchange);
    return authentication_pass(exchange, &owner->credential, owner->client_id);
}

static enum verdict judge(const struct oauth2_config *config, struct exchange *exchange, struct slice text)
{
    struct oauth2_token token;
    if (text.size == 0)
        return refuse(config, exchange, config->challenge,
                      SLICE("{\"error\":\"invalid_request\",\"error_description\":"
                            "\"The access token is missing\"}"));
    switch (oauth2_token_read(config, exchange, text, OAUTH2_ACCESS, &token)) {
    case OAUTH2_TOKEN_GOOD: break;
    case OAUTH2_TOKEN_BAD: return refuse_token(config, exchange);
    case OAUTH2_TOKEN_FAILED: return exchange_respond_failure(exchange);
    }
    if (token.service.size == 0 && !config->global_credentials)
        return refuse(config, exchange, config->challenge_invalid,
                      SLICE("{\"error\":\"invalid_token\",\"error_description\":"
                            "\"The access token is global, but the current plugin is configured without "
                            "'global_credentials'\"}"));
    const struct oauth2_credential *owner = oauth2_token_owner(exchange, &token);
    if (owner == NULL ||
        (token.service.size > 0 && !is_for_service(token.service, exchange_service(exchange))))
        return refuse_token(config, exchange);
    return pass(exchange, owner, &token);
}

static enum verdict check_request(const struct oauth2_config *config, struct exchange *exchange)
{
    struct oauth2_parameters parameters = { .exchange = exchange };
    enum verdict verdict = VERDICT_READ_BODY;
    struct found found = find_token(config, &parameters);
    enum oauth2_opening opening = OAUTH2_OPEN;
    if (found.text.data == NULL) {
        opening = oauth2_parameters_open(&parameters, exchange);
        found = opening == OAUTH2_OPEN ? find_token(config, &parameters) : found;
    }
    if (opening == OAUTH2_FAILED || (opening == OAUTH2_OPEN && !hide(config, &parameters, &found)))
        verdict = exchange_respond_failure(exchange);
    else if (opening == OAUTH2_OPEN)
        verdict = judge(config, exchange, found.text);
    oauth2_parameters_close(&parameters);
    return verdict;
}

static enum verdict oauth2_access(const struct plugin_call *call)
{
    const struct oauth2_config *config = call->config;
    enum oauth2_endpoint endpoint = endpoint_of(exchange_path(call->exchange));
    if (endpoint != ENDPOINT_NONE)
        return serve_endpoint(call, endpoint);
    if (authentication_is_done(call->exchange, config->anonymous))
        return VERDICT_CONTINUE;
    return check_request(config, call->exchange);
}

/* --- states --------------------------------------------------------------------------------------------- */

static void *process_open(unsigned shard_count)
{
    (void)shard_count;
    return oauth2_spent_open();
}

static void process_close(void *process_state)
{
    oauth2_spent_close(process_state);
}

static enum error open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)shard;
    ((struct oauth2_shard *)shard_state)->spent = process_state;
    return ERROR_OK;
}

const struct plugin oauth2_plugin = {
    .kind = { .name = "oauth2",
              .priority = 1400,
              .config = { .name = "oauth2",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct oauth2_config),
                          .check = check_config },
              .credentials = &oauth2_credential_kind,
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = oauth2_access },
    .shard_state_size = sizeof(struct oauth2_shard),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = open_state,
};
