/* SPDX-License-Identifier: Apache-2.0 */
/* Where tokens are given out. A login page of the application asks /oauth2/authorize for a user who has
 * logged in there, and applications ask /oauth2/token. */
#include "core/base/json_scan.h"
#include "core/crypto/base64.h"
#include "core/crypto/digest.h"
#include "core/io/shard.h"
#include "plugins/authentication.h"
#include "plugins/oauth2.h"

static const struct slice absent = { NULL, 0 };

#define CLIENT_INVALID "Invalid client authentication"
#define REDIRECT_INVALID \
    "Invalid redirect_uri that does not match with any redirect_uri created with the application"

/* --- what is answered ----------------------------------------------------------------------------------- */

enum { PAIRS_MAX = 8, PAIRS_AROUND = 8 };

struct pair {
    const char *name;
    struct slice value;
    bool is_number;
};

/* An error, or what was given out; and the state, which clients get back as it came. */
struct outcome {
    bool failed; /* memory */
    bool is_error;
    bool asks_for_basic; /* 401 */
    struct pair pairs[PAIRS_MAX];
    unsigned count;
};

static void add(struct outcome *outcome, const char *name, struct slice value)
{
    outcome->failed |= value.data == NULL;
    CHECK(outcome->count < PAIRS_MAX);
    outcome->pairs[outcome->count++] = (struct pair){ .name = name, .value = value };
}

/* The last error counts, as in Kong. */
static void fail(struct outcome *outcome, const char *error, struct slice description)
{
    outcome->count = 0;
    outcome->is_error = true;
    add(outcome, "error", slice_of(error));
    add(outcome, "error_description", description);
}

static size_t write_json_pair(char *out, const struct pair *pair)
{
    char *to = out;
    size_t size = strlen(pair->name);
    *to++ = '"';
    memcpy(to, pair->name, size);
    to += size;
    *to++ = '"';
    *to++ = ':';
    if (!pair->is_number)
        *to++ = '"';
    to += json_escape(pair->value, to);
    if (!pair->is_number)
        *to++ = '"';
    return (size_t)(to - out);
}

/* As a query's values are escaped. */
static size_t write_query_pair(char *out, const struct pair *pair)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = strlen(pair->name);
    char *to = out + size;
    memcpy(out, pair->name, size);
    *to++ = '=';
    for (size_t i = 0; i < pair->value.size; i++) {
        char c = pair->value.data[i], lower = slice_lower(c);
        if ((lower >= 'a' && lower <= 'z') || slice_is_digit(c) || (c && strchr("-._~", c))) {
            *to++ = c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)c >> 4];
        *to++ = digits[c & 15];
    }
    return (size_t)(to - out);
}

typedef size_t write_pair_fn(char *out, const struct pair *pair);

/* Room for a character on both sides; absent: out of memory. */
static struct slice write_pairs(struct arena *arena, const struct outcome *outcome, char separator,
                                write_pair_fn *write)
{
    size_t bound = 2;
    for (unsigned i = 0; i < outcome->count; i++)
        bound +=
            strlen(outcome->pairs[i].name) + JSON_ESCAPED_MAX * outcome->pairs[i].value.size + PAIRS_AROUND;
    char *text = arena_alloc(arena, bound);
    size_t size = 1;
    for (unsigned i = 0; text && i < outcome->count; i++) {
        if (i > 0)
            text[size++] = separator;
        size += write(text + size, &outcome->pairs[i]);
    }
    return (struct slice){ text ? text + 1 : NULL, size - 1 };
}

static struct slice write_json(struct arena *arena, const struct outcome *outcome)
{
    struct slice inside = write_pairs(arena, outcome, ',', write_json_pair);
    if (inside.data == NULL)
        return absent;
    char *text = (char *)(uintptr_t)inside.data - 1;
    text[0] = '{';
    text[inside.size + 1] = '}';
    return (struct slice){ text, inside.size + 2 };
}

static enum verdict respond(struct exchange *exchange, const struct outcome *outcome, struct slice json)
{
    int status = !outcome->is_error ? 200 : outcome->asks_for_basic ? 401 : 400;
    if (outcome->failed || json.data == NULL ||
        !exchange_set_response_header(exchange, SLICE("Cache-Control"), SLICE("no-store")) ||
        !exchange_set_response_header(exchange, SLICE("Pragma"), SLICE("no-cache")) ||
        (status == 401 && !exchange_set_response_header(exchange, SLICE("WWW-Authenticate"),
                                                        SLICE("Basic realm=\"OAuth2.0\""))))
        return exchange_respond_failure(exchange);
    return exchange_respond_json(exchange, status, json);
}

/* --- what both endpoints ask ---------------------------------------------------------------------------- */

static bool is_https(const struct oauth2_config *config, struct exchange *exchange)
{
    return exchange_arrival(exchange).tls ||
           (config->accept_http_if_already_terminated && exchange_is_https(exchange));
}

static bool is_provisioned(const struct oauth2_config *config, struct oauth2_parameters *parameters)
{
    struct slice key = oauth2_parameter(parameters, "provision_key");
    return config->provision_key.data && key.data && slice_equal_constant_time(key, config->provision_key);
}

/* Not only spaces; a line's end or another control has no place in a header. */
static bool is_userid(struct slice userid)
{
    for (size_t i = 0; i < userid.size; i++)
        if ((unsigned char)userid.data[i] < ' ' || userid.data[i] == 0x7f)
            return false;
    return slice_trim(userid).size > 0;
}

static const struct oauth2_credential *find_client(const struct exchange *exchange, struct slice client_id)
{
    if (client_id.size == 0)
        return NULL;
    return (const struct oauth2_credential *)model_credential(exchange_model(exchange),
                                                              &oauth2_credential_kind, client_id);
}

/* The scopes that were asked for, with single spaces; the empty text: none. An error goes to the outcome. */
static struct slice read_scope(const struct oauth2_config *config, struct oauth2_parameters *parameters,
                               struct outcome *outcome)
{
    struct arena *arena = exchange_arena(parameters->exchange);
    struct slice rest = oauth2_parameter(parameters, "scope");
    char *text = arena_alloc(arena, rest.size + 1);
    size_t size = 0;
    outcome->failed |= text == NULL;
    if (rest.data == NULL && config->mandatory_scope)
        fail(outcome, "invalid_scope", SLICE("You must specify a scope"));
    if (config->scopes.count == 0)
        return SLICE("");
    while (text && rest.data) {
        struct slice scope = slice_split(rest, ' ', &rest);
        if (scope.size == 0)
            continue;
        if (!slices_hold(config->scopes, scope)) {
            fail(outcome, "invalid_scope",
                 arena_format(arena, "\"%.*s\" is an invalid scope", SLICE_FORMAT(scope)));
            return SLICE("");
        }
        if (size > 0)
            text[size++] = ' ';
        memcpy(text + size, scope.data, scope.size);
        size += scope.size;
    }
    return (struct slice){ text ? text : "", size };
}

/* One of the client's: the one asked for, or its first. An error goes to the outcome, and the first is
 * given. */
static struct slice read_redirect_uri(struct oauth2_parameters *parameters,
                                      const struct oauth2_credential *client, struct outcome *outcome)
{
    struct slice uri = oauth2_parameter(parameters, "redirect_uri");
    if (uri.data && !slices_hold(client->redirect_uris, uri)) {
        fail(outcome, "invalid_request", SLICE(REDIRECT_INVALID));
        uri = absent;
    }
    return uri.data ? uri : client->redirect_uris.items[0];
}

/* --- tokens --------------------------------------------------------------------------------------------- */

/* Whom tokens are given out to. */
struct grant {
    const struct oauth2_config *config;
    struct oauth2_parameters *parameters;
    const struct oauth2_credential *client;
    struct slice scope, userid;
    struct slice refresh_token; /* the one to keep; absent: another */
    bool refreshable;
};

static int64_t now_s(const struct exchange *exchange)
{
    return (int64_t)(exchange_shard(exchange)->wall_ms / 1000);
}

static struct oauth2_token make_token(const struct grant *grant, enum oauth2_token_kind kind, int64_t ttl_s)
{
    const struct exchange *exchange = grant->parameters->exchange;
    const struct service *service = exchange_service(exchange);
    return (struct oauth2_token){
        .kind = kind,
        .expires_s = ttl_s > 0 ? now_s(exchange) + ttl_s : 0,
        .service = grant->config->global_credentials || !service ? SLICE("") : slice_of(service->entity.id),
        .client_id = grant->client->client_id,
        .credential = slice_of(grant->client->credential.entity.id),
        .scope = grant->scope,
        .userid = grant->userid,
        .code_challenge = SLICE(""),
    };
}

static void give_tokens(const struct grant *grant, struct outcome *outcome)
{
    struct exchange *exchange = grant->parameters->exchange;
    int64_t ttl_s = grant->config->token_expiration_s;
    struct oauth2_token access = make_token(grant, OAUTH2_ACCESS, ttl_s);
    add(outcome, "token_type", SLICE("bearer"));
    add(outcome, "access_token", oauth2_token_write(grant->config, exchange, &access));
    if (ttl_s > 0) {
        add(outcome, "expires_in", arena_format(exchange_arena(exchange), "%lld", (long long)ttl_s));
        outcome->pairs[outcome->count - 1].is_number = true;
    }
    if (!grant->refreshable || ttl_s == 0)
        return;
    struct oauth2_token refresh = make_token(grant, OAUTH2_REFRESH, grant->config->refresh_token_ttl_s);
    add(outcome, "refresh_token",
        grant->refresh_token.data ? grant->refresh_token
                                  : oauth2_token_write(grant->config, exchange, &refresh));
}

/* Was it given out here, or where all tokens are good? */
static bool belongs_here(const struct oauth2_config *config, const struct exchange *exchange,
                         const struct oauth2_token *token)
{
    const struct service *service = exchange_service(exchange);
    if (config->global_credentials)
        return token->service.size == 0;
    return service && slice_equal(token->service, slice_of(service->entity.id));
}

/* --- the authorisation endpoint ------------------------------------------------------------------------- */

/* The challenge in base64url without padding (RFC 7636 section 4.2); the empty text: none. */
static struct slice read_challenge(const struct oauth2_config *config, struct oauth2_parameters *parameters,
                                   const struct oauth2_credential *client, struct outcome *outcome)
{
    struct slice challenge = oauth2_parameter(parameters, "code_challenge"), ignored;
    struct slice method = oauth2_parameter(parameters, "code_challenge_method");
    bool public = client && client->client_type == CLIENT_PUBLIC;
    if (challenge.data == NULL && method.data) {
        fail(outcome, "invalid_request", SLICE("code_challenge is required when code_method is present"));
        return SLICE("");
    }
    if (challenge.data && method.data && !slice_equal_nocase(method, SLICE("S256"))) {
        fail(outcome, "invalid_request", SLICE("code_challenge_method is not supported, must be S256"));
        return SLICE("");
    }
    if (challenge.data == NULL && client &&
        (config->pkce == PKCE_STRICT || (public && config->pkce == PKCE_LAX)))
        fail(outcome, "invalid_request",
             public ? SLICE("code_challenge is required for public clients")
                    : SLICE("code_challenge is required for confidential clients"));
    challenge = slice_split(challenge, '=', &ignored);
    char *text = challenge.size ? arena_alloc(exchange_arena(parameters->exchange), challenge.size) : NULL;
    for (size_t i = 0; text && i < challenge.size; i++) {
        char c = challenge.data[i];
        text[i] = c == '+' ? '-' : c == '/' ? '_' : c == '\n' ? '!' : c;
    }
    outcome->failed |= challenge.size > 0 && text == NULL;
    return text ? (struct slice){ text, challenge.size } : SLICE("");
}

static void give_code(const struct grant *grant, struct slice challenge, struct outcome *outcome)
{
    struct oauth2_token code = make_token(grant, OAUTH2_CODE, OAUTH2_CODE_TTL_S);
    code.code_challenge = challenge;
    add(outcome, "code", oauth2_token_write(grant->config, grant->parameters->exchange, &code));
}

/* Where the user is sent; absent: the client is not known, so nowhere. */
static struct slice authorize(struct grant *grant, struct outcome *outcome, bool *implicit)
{
    const struct oauth2_config *config = grant->config;
    struct oauth2_parameters *parameters = grant->parameters;
    struct slice type = oauth2_parameter(parameters, "response_type"), uri = absent;
    bool code = config->enable_authorization_code && slice_equal(type, SLICE("code"));
    bool token = config->enable_implicit_grant && slice_equal(type, SLICE("token"));
    if (!code && !token)
        fail(outcome, "unsupported_response_type", SLICE("Invalid response_type"));
    grant->scope = read_scope(config, parameters, outcome);
    grant->client = find_client(parameters->exchange, oauth2_parameter(parameters, "client_id"));
    if (grant->client && grant->client->redirect_uris.count > 0)
        uri = read_redirect_uri(parameters, grant->client, outcome);
    else
        fail(outcome, "invalid_client", SLICE(CLIENT_INVALID));
    struct slice challenge = read_challenge(config, parameters, uri.data ? grant->client : NULL, outcome);
    if (outcome->is_error)
        return uri;
    if (code)
        give_code(grant, challenge, outcome);
    else
        give_tokens(grant, outcome);
    *implicit = token;
    return uri;
}

/* The outcome as parameters of the URI, or as its fragment. */
static struct slice redirect_to(struct arena *arena, struct slice uri, const struct outcome *outcome,
                                bool implicit)
{
    struct outcome redirect = { .count = 0 };
    struct slice pairs = write_pairs(arena, outcome, '&', write_query_pair);
    const char *mark = implicit ? "#" : memchr(uri.data, '?', uri.size) ? "&" : "?";
    if (pairs.data == NULL)
        return absent;
    add(&redirect, "redirect_uri",
        arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(uri), mark, SLICE_FORMAT(pairs)));
    return redirect.failed ? absent : write_json(arena, &redirect);
}

enum verdict oauth2_authorize(const struct oauth2_config *config, struct oauth2_parameters *parameters)
{
    struct exchange *exchange = parameters->exchange;
    struct outcome outcome = { .count = 0 };
    struct grant grant = { .config = config,
                           .parameters = parameters,
                           .userid = oauth2_parameter(parameters, "authenticated_userid") };
    struct slice state = oauth2_parameter(parameters, "state"), uri = absent;
    bool implicit = false;
    if (!is_https(config, exchange))
        fail(&outcome, "access_denied", SLICE("You must use HTTPS"));
    else if (!is_provisioned(config, parameters))
        fail(&outcome, "invalid_provision_key", SLICE("Invalid provision_key"));
    else if (!is_userid(grant.userid))
        fail(&outcome, "invalid_authenticated_userid", SLICE("Missing authenticated_userid parameter"));
    else
        uri = authorize(&grant, &outcome, &implicit);
    if (state.data)
        add(&outcome, "state", state);
    struct arena *arena = exchange_arena(exchange);
    struct slice json = uri.data ? redirect_to(arena, uri, &outcome, implicit) : write_json(arena, &outcome);
    return respond(exchange, &outcome, json);
}

/* --- the token endpoint --------------------------------------------------------------------------------- */

enum grant_type { GRANT_NONE, GRANT_CODE, GRANT_CLIENT, GRANT_PASSWORD, GRANT_REFRESH };

static enum grant_type grant_type_of(const struct oauth2_config *config, struct slice name)
{
    if (slice_equal(name, SLICE("authorization_code")))
        return GRANT_CODE;
    if (slice_equal(name, SLICE("refresh_token")))
        return GRANT_REFRESH;
    if (config->enable_client_credentials && slice_equal(name, SLICE("client_credentials")))
        return GRANT_CLIENT;
    return config->enable_password_grant && slice_equal(name, SLICE("password")) ? GRANT_PASSWORD
                                                                                 : GRANT_NONE;
}

struct client_login {
    struct slice id, secret;
    bool in_header;
};

static struct client_login read_client(const struct oauth2_config *config,
                                       struct oauth2_parameters *parameters)
{
    struct exchange *exchange = parameters->exchange;
    struct client_login login = { .id = oauth2_parameter(parameters, "client_id"),
                                  .secret = oauth2_parameter(parameters, "client_secret") };
    struct slice value = message_find_name(exchange_request(exchange), config->auth_header_name);
    if ((login.id.data && login.secret.data) || value.data == NULL)
        return login;
    struct login shown;
    struct slice encoded = authentication_after_scheme(value, SLICE("Basic"));
    login = (struct client_login){ .in_header = true };
    if (!authentication_read_login(exchange_arena(exchange), encoded, &shown))
        return login;
    login.id = shown.username;
    login.secret = shown.password;
    return login;
}

static void fail_client(const struct client_login *login, struct outcome *outcome)
{
    fail(outcome, "invalid_client", SLICE(CLIENT_INVALID));
    outcome->asks_for_basic = login->in_header;
}

/* Finds the client and has it prove itself; errors go to the outcome. */
static void check_client(struct grant *grant, enum grant_type type, struct outcome *outcome)
{
    struct client_login login = read_client(grant->config, grant->parameters);
    const struct oauth2_credential *client = find_client(grant->parameters->exchange, login.id);
    grant->client = client;
    if (client == NULL || (client->redirect_uris.count == 0 && type != GRANT_CLIENT))
        fail_client(&login, outcome);
    else if (client->redirect_uris.count > 0)
        read_redirect_uri(grant->parameters, client, outcome);
    if (client == NULL)
        return;
    if (client->client_type == CLIENT_PUBLIC && slice_trim(login.secret).size > 0)
        fail(outcome, "invalid_request", SLICE("client_secret is disallowed for public clients"));
    else if (client->client_type == CLIENT_CONFIDENTIAL &&
             (login.secret.data == NULL || !slice_equal_constant_time(login.secret, client->client_secret)))
        fail_client(&login, outcome);
}

/* RFC 7636 section 4.6. */
static void check_verifier(struct oauth2_parameters *parameters, struct slice challenge,
                           struct outcome *outcome)
{
    enum { VERIFIER_MIN = 43, VERIFIER_MAX = 128, SHA256_BYTES = 32 };
    unsigned char digest[SHA256_BYTES];
    char encoded[(SHA256_BYTES + 2) / 3 * 4];
    struct slice verifier = oauth2_parameter(parameters, "code_verifier");
    if (verifier.data == NULL) {
        fail(outcome, "invalid_request", SLICE("code_verifier is required for PKCE authorization requests"));
        return;
    }
    if (verifier.size < VERIFIER_MIN || verifier.size > VERIFIER_MAX) {
        fail(outcome, "invalid_request", SLICE("code_verifier must be between 43 and 128 characters"));
        return;
    }
    if (!digest_of(DIGEST_SHA256, verifier, digest)) {
        outcome->failed = true;
        return;
    }
    size_t size = base64_encode(BASE64_URL, (struct slice){ (char *)digest, sizeof(digest) }, encoded);
    if (!slice_equal_constant_time(challenge, (struct slice){ encoded, size }))
        fail(outcome, "invalid_grant", SLICE("The given grant is invalid"));
}

static bool needs_verifier(const struct grant *grant, const struct oauth2_token *code)
{
    bool public = grant->client->client_type == CLIENT_PUBLIC;
    return code->code_challenge.size > 0 || grant->config->pkce == PKCE_STRICT ||
           (public && grant->config->pkce == PKCE_LAX);
}

/* A code or a refresh token of this client; false: it is in the outcome why not. */
static bool read_own(struct grant *grant, const char *parameter, enum oauth2_token_kind kind,
                     struct oauth2_token *token, struct outcome *outcome)
{
    struct exchange *exchange = grant->parameters->exchange;
    struct slice text = oauth2_parameter(grant->parameters, parameter);
    enum oauth2_reading reading = OAUTH2_TOKEN_BAD;
    if (text.size > 0)
        reading = oauth2_token_read(grant->config, exchange, text, kind, token);
    outcome->failed |= reading == OAUTH2_TOKEN_FAILED;
    if (reading == OAUTH2_TOKEN_GOOD && belongs_here(grant->config, exchange, token)) {
        if (oauth2_token_owner(exchange, token) == grant->client)
            return true;
        if (kind == OAUTH2_REFRESH) {
            fail(outcome, "invalid_client", SLICE(CLIENT_INVALID));
            return false;
        }
    }
    fail(outcome, "invalid_request",
         kind == OAUTH2_CODE ? SLICE("Invalid code") : SLICE("Invalid refresh_token"));
    return false;
}

static void exchange_code(struct grant *grant, struct oauth2_spent *spent, struct outcome *outcome)
{
    struct oauth2_token code;
    if (!read_own(grant, "code", OAUTH2_CODE, &code, outcome))
        return;
    if (needs_verifier(grant, &code))
        check_verifier(grant->parameters, code.code_challenge, outcome);
    if (outcome->is_error || outcome->failed)
        return;
    if (!oauth2_spend(spent, &code)) {
        fail(outcome, "invalid_request", SLICE("Invalid code"));
        return;
    }
    grant->scope = code.scope;
    grant->userid = code.userid;
    grant->refreshable = true;
    give_tokens(grant, outcome);
}

static void refresh(struct grant *grant, struct oauth2_spent *spent, struct outcome *outcome)
{
    struct oauth2_token token;
    if (!read_own(grant, "refresh_token", OAUTH2_REFRESH, &token, outcome))
        return;
    if (grant->config->reuse_refresh_token) {
        grant->refresh_token = oauth2_parameter(grant->parameters, "refresh_token");
    } else if (!oauth2_spend(spent, &token)) {
        fail(outcome, "invalid_request", SLICE("Invalid refresh_token"));
        return;
    }
    grant->scope = token.scope;
    grant->userid = token.userid;
    grant->refreshable = true;
    give_tokens(grant, outcome);
}

/* Both vouch for the user themselves: the application that logs users in, or a client that names one. */
static void give_directly(struct grant *grant, enum grant_type type, struct outcome *outcome)
{
    bool named = grant->userid.data != NULL;
    if ((type == GRANT_PASSWORD || named) && !is_provisioned(grant->config, grant->parameters))
        fail(outcome, "invalid_provision_key", SLICE("Invalid provision_key"));
    else if ((type == GRANT_PASSWORD || named) && !is_userid(grant->userid))
        fail(outcome, "invalid_authenticated_userid", SLICE("Missing authenticated_userid parameter"));
    else
        grant->scope = read_scope(grant->config, grant->parameters, outcome);
    grant->refreshable = type == GRANT_PASSWORD;
    if (!outcome->is_error)
        give_tokens(grant, outcome);
}

static void issue(struct grant *grant, struct oauth2_spent *spent, struct outcome *outcome)
{
    enum grant_type type = grant_type_of(grant->config, oauth2_parameter(grant->parameters, "grant_type"));
    if (type == GRANT_NONE)
        fail(outcome, "unsupported_grant_type", SLICE("Invalid grant_type"));
    check_client(grant, type, outcome);
    if (outcome->is_error)
        return;
    switch (type) {
    case GRANT_CODE: exchange_code(grant, spent, outcome); break;
    case GRANT_REFRESH: refresh(grant, spent, outcome); break;
    case GRANT_CLIENT:
    case GRANT_PASSWORD: give_directly(grant, type, outcome); break;
    case GRANT_NONE: break;
    }
}

enum verdict oauth2_issue(const struct oauth2_config *config, struct oauth2_parameters *parameters,
                          struct oauth2_spent *spent)
{
    struct exchange *exchange = parameters->exchange;
    struct outcome outcome = { .count = 0 };
    struct grant grant = { .config = config,
                           .parameters = parameters,
                           .userid = oauth2_parameter(parameters, "authenticated_userid") };
    struct slice state = oauth2_parameter(parameters, "state");
    if (!is_https(config, exchange))
        fail(&outcome, "access_denied", SLICE("You must use HTTPS"));
    else
        issue(&grant, spent, &outcome);
    if (state.data)
        add(&outcome, "state", state);
    return respond(exchange, &outcome, write_json(exchange_arena(exchange), &outcome));
}
