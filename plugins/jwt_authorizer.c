/* SPDX-License-Identifier: Apache-2.0 */
/* Lets in who holds a token of an identity provider, whose keys are fetched: Edge Stack's JWT Filter and
 * the JWT authorizer of AWS HTTP APIs, which the front-ends translate into it, and a plugin of its own
 * right. */
#include "core/base/query.h"
#include "plugins/authentication.h"
#include "plugins/jwks.h"
#include "plugins/jwt_claims.h"
#include "plugins/jwt_proof.h"
#include "plugins/plugins.h"

#include <time.h>

enum authorizer_style { STYLE_KONG, STYLE_ENVOY, STYLE_AWS };
enum scheme { SCHEME_REQUIRED, SCHEME_OPTIONAL };

struct authorizer_config {
    struct slice jwks_uri, realm, header_name, query_name;
    int bearer, style; /* enum scheme, enum authorizer_style */
    uint64_t algorithms; /* bits of the choices below */
    struct jwt_demands demands;
    bool require_kid, ssl_verify;
    int64_t timeout_ms, fresh_ms, stale_ms, unknown_kid_ms;
    struct jwks_source source; /* prepared from the above */
    struct slice scope_text; /* `scopes` with spaces between */
};

/* --- configuration -------------------------------------------------------------------------------------- */

static const char *const style_names[] = { "kong", "envoy", "aws", NULL };
static const char *const scheme_names[] = { "required", "optional", NULL };
#define AT(member) offsetof(struct authorizer_config, member)

static const struct field fields[] = {
    { "jwks_uri", FIELD_STRING, AT(jwks_uri),
      .help = "the key set; null: what the issuer's description says" },
    { "issuer", FIELD_STRING, AT(demands.issuer), .help = "what iss must be; null: any" },
    { "audience", FIELD_STRINGS, AT(demands.audience), .help = "one of them must be in aud; none: any" },
    { "scopes", FIELD_STRINGS, AT(demands.scopes), .help = "must be in scope or scp" },
    { "every_scope", FIELD_BOOLEAN, AT(demands.every_scope), .fallback = "true",
      .help = "false: one is enough" },
    { "algorithms", FIELD_CHOICES, AT(algorithms), .min = 1, .max = 10, .fallback = "RS256,RS384,RS512",
      .choices = jwt_proof_algorithms },
    { "header_name", FIELD_STRING, AT(header_name), .flags = FIELD_EMPTY, .fallback = "Authorization",
      .help = "where the token stands; empty: nowhere in the headers" },
    { "bearer", FIELD_CHOICE, AT(bearer), .fallback = "required", .choices = scheme_names,
      .help = "the word Bearer in front of it" },
    { "query_name", FIELD_STRING, AT(query_name), .help = "a query parameter that may carry it" },
    { "require_kid", FIELD_BOOLEAN, AT(require_kid), .fallback = "false",
      .help = "false: a token without kid is tried with every key" },
    { "require_issuer", FIELD_BOOLEAN, AT(demands.require_issuer), .fallback = "true" },
    { "require_audience", FIELD_BOOLEAN, AT(demands.require_audience), .fallback = "true",
      .help = "if audience is set" },
    { "client_id_is_audience", FIELD_BOOLEAN, AT(demands.client_id_is_audience), .fallback = "false",
      .help = "without aud the claim client_id counts" },
    { "require_expires", FIELD_BOOLEAN, AT(demands.require_expires), .fallback = "true" },
    { "require_not_before", FIELD_BOOLEAN, AT(demands.require_not_before), .fallback = "false" },
    { "require_issued_at", FIELD_BOOLEAN, AT(demands.require_issued_at), .fallback = "false" },
    { "leeway_expires", FIELD_INTEGER, AT(demands.leeway_expires_s), .max = 31536000, .fallback = "0",
      .help = "seconds; the other two likewise" },
    { "leeway_not_before", FIELD_INTEGER, AT(demands.leeway_not_before_s), .max = 31536000, .fallback = "0" },
    { "leeway_issued_at", FIELD_INTEGER, AT(demands.leeway_issued_at_s), .max = 31536000, .fallback = "0" },
    { "style", FIELD_CHOICE, AT(style), .fallback = "kong", .choices = style_names,
      .help = "whose error bodies are sent" },
    { "realm", FIELD_STRING, AT(realm), .check = authentication_check_realm, .help = "in WWW-Authenticate" },
    { "ssl_verify", FIELD_BOOLEAN, AT(ssl_verify), .fallback = "true",
      .help = "false: any certificate is taken for the provider's" },
    { "timeout", FIELD_INTEGER, AT(timeout_ms), .min = 1, .max = 60000, .fallback = "1500",
      .help = "milliseconds for fetching keys; a description as well" },
    { "jwks_fresh", FIELD_DURATION, AT(fresh_ms), .min = 1000, .max = 86400000, .fallback = "5m",
      .help = "age at which keys are fetched again" },
    { "jwks_stale", FIELD_DURATION, AT(stale_ms), .max = 604800000, .fallback = "1h",
      .help = "how much longer they serve while the provider does not answer" },
    { "jwks_unknown_kid", FIELD_DURATION, AT(unknown_kid_ms), .min = 100, .max = 3600000, .fallback = "10",
      .help = "at most one fetch for unknown keys in this time" },
};

static struct slice join_scopes(const struct slices *scopes, struct arena *arena)
{
    struct slice text = SLICE("");
    for (uint32_t i = 0; i < scopes->count; i++)
        text = arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(text), i ? " " : "",
                            SLICE_FORMAT(scopes->items[i]));
    return text;
}

static void check_url(struct slice text, const char *name, const struct node *node,
                      const struct config_place *place)
{
    struct fetch_url url;
    if (text.data == NULL)
        return;
    if (!fetch_url_parse(text, &url))
        schema_error(place, node, name,
                     "expected an http or https URL with a host, without user or fragment");
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct authorizer_config *config = value;
    if (config->jwks_uri.data == NULL && config->demands.issuer.data == NULL)
        schema_error(place, node, "", "at least one of these fields must be non-empty: 'jwks_uri', 'issuer'");
    if (config->header_name.size == 0 && config->query_name.data == NULL)
        schema_error(place, node, "",
                     "at least one of these fields must be non-empty: 'header_name', 'query_name'");
    check_url(config->jwks_uri, "jwks_uri", node, place);
    if (config->jwks_uri.data == NULL)
        check_url(config->demands.issuer, "issuer", node, place);
    config->demands.require_audience &= config->demands.audience.count > 0;
    config->demands.require_issuer &= config->demands.issuer.data != NULL;
    config->source = (struct jwks_source){
        .jwks_url = config->jwks_uri,
        .issuer = config->jwks_uri.data ? (struct slice){ NULL, 0 } : config->demands.issuer,
        .timeout_ms = config->timeout_ms,
        .fresh_ms = config->fresh_ms,
        .stale_ms = config->stale_ms,
        .unknown_kid_ms = config->unknown_kid_ms,
        .unverified = !config->ssl_verify,
    };
    config->scope_text = join_scopes(&config->demands.scopes, place->arena);
    if (config->scope_text.data == NULL)
        schema_error(place, node, "scopes", "out of memory");
}

static uint32_t hosts_of(const void *value, struct slice *hosts)
{
    const struct authorizer_config *config = value;
    struct fetch_url url;
    struct slice text = config->jwks_uri.data ? config->jwks_uri : config->demands.issuer;
    if (text.data == NULL || !fetch_url_parse(text, &url))
        return 0;
    hosts[0] = url.host;
    return 1;
}

/* --- answers -------------------------------------------------------------------------------------------- */

/* What is said of a token (RFC 6750 section 3.1); of a missing one no error is named. */
struct refusal {
    int status;
    const char *error, *description;
};

static const struct refusal no_token = { 401, NULL, "no token" };
static const struct refusal malformed = { 401, "invalid_token", "the token is malformed" };
static const struct refusal algorithm_refused = { 401, "invalid_token",
                                                  "the token's algorithm is not accepted" };
static const struct refusal unknown_key = { 401, "invalid_token",
                                            "the token was signed by a key that is not known" };
static const struct refusal bad_signature = { 401, "invalid_token", "the token's signature is wrong" };
static const struct refusal flaws[] = {
    [JWT_CLAIM_OBJECT] = { 401, "invalid_token", "the token holds no claims" },
    [JWT_CLAIM_ISSUER] = { 401, "invalid_token", "the token does not have a valid issuer" },
    [JWT_CLAIM_AUDIENCE] = { 401, "invalid_token", "the token does not have a valid audience" },
    [JWT_CLAIM_EXPIRED] = { 401, "invalid_token", "the token has expired" },
    [JWT_CLAIM_NOT_BEFORE] = { 401, "invalid_token", "the token is not valid yet" },
    [JWT_CLAIM_ISSUED_AT] = { 401, "invalid_token", "the token was issued in the future" },
    [JWT_CLAIM_SCOPE] = { 403, "insufficient_scope", "the token does not have the needed scope" },
};

/* AWS puts spaces between the parameters, and the scopes into every challenge but that of a missing token. */
static struct slice challenge_of(const struct authorizer_config *config, struct arena *arena,
                                 const struct refusal *refusal)
{
    bool aws = config->style == STYLE_AWS;
    const char *between = aws ? " " : ", ";
    struct slice text = authentication_challenge(arena, "Bearer", config->realm);
    bool first = config->realm.data == NULL;
    if (text.data && config->scope_text.size > 0 && refusal->error && (aws || refusal->status == 403)) {
        text = arena_format(arena, "%.*s%sscope=\"%.*s\"", SLICE_FORMAT(text), first ? " " : between,
                            SLICE_FORMAT(config->scope_text));
        first = false;
    }
    if (text.data && refusal->error)
        text = arena_format(arena, "%.*s%serror=\"%s\"%serror_description=\"%s\"", SLICE_FORMAT(text),
                            first ? " " : between, refusal->error, between, refusal->description);
    return text;
}

static enum verdict answer(const struct authorizer_config *config, struct exchange *exchange, int status,
                           const char *message)
{
    static const char *const aws[] = { "{\"message\":\"Unauthorized\"}", "{\"message\":\"Forbidden\"}",
                                       "{\"message\":\"Internal Server Error\"}" };
    if (config->style == STYLE_KONG)
        return exchange_respond_error(exchange, status, slice_of(message));
    if (config->style == STYLE_AWS)
        return exchange_respond_body(exchange, status, SLICE("application/json"),
                                     slice_of(aws[status == 401   ? 0
                                                  : status == 403 ? 1
                                                                  : 2]));
    struct slice id = exchange_request_id(exchange);
    struct slice body =
        status < 500 ? arena_format(exchange_arena(exchange), "{\"message\":\"%s\",\"status_code\":%d}\n",
                                    message, status)
                     : arena_format(exchange_arena(exchange),
                                    "{\"message\":\"%s\",\"request_id\":\"%.*s\",\"status_code\":%d}\n",
                                    message, SLICE_FORMAT(id), status);
    if (body.data == NULL)
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, status, SLICE("application/json"), body);
}

static enum verdict refuse(const struct authorizer_config *config, struct exchange *exchange,
                           const struct refusal *refusal)
{
    struct slice challenge = challenge_of(config, exchange_arena(exchange), refusal);
    if (challenge.data == NULL ||
        !exchange_set_response_header(exchange, SLICE("WWW-Authenticate"), challenge))
        return exchange_respond_failure(exchange);
    return answer(config, exchange, refusal->status, refusal->error ? refusal->description : "Unauthorized");
}

/* --- requests ------------------------------------------------------------------------------------------- */

struct authorizer_shard {
    struct shard *shard;
    struct jwks_pool pool;
};

/* A request that waits for keys, in the exchange's arena. */
struct authorizer_wait {
    struct jwks_waiter waiter;
    struct exchange *exchange;
    const struct authorizer_config *config;
    struct jwks *jwks;
    struct slice text; /* of the token */
    bool asked_again;
};

/* Behind the scheme, or all of it; absent when the scheme is missing and required. */
static struct slice without_scheme(struct slice value, int bearer)
{
    struct slice scheme = SLICE("Bearer ");
    value = slice_trim(value);
    if (value.size > scheme.size && slice_equal_nocase((struct slice){ value.data, scheme.size }, scheme))
        return slice_trim(slice_from(value, scheme.size));
    return bearer == SCHEME_OPTIONAL ? value : (struct slice){ NULL, 0 };
}

static struct slice find_token(const struct authorizer_config *config, struct exchange *exchange)
{
    struct slice token = { NULL, 0 };
    if (config->header_name.size > 0)
        token = without_scheme(message_find_name(exchange_request(exchange), config->header_name),
                               config->bearer);
    if (token.size == 0 && config->query_name.data)
        token = query_find(exchange_arena(exchange), exchange_query(exchange), config->query_name);
    return token;
}

static enum verdict judge(struct authorizer_wait *wait)
{
    const struct authorizer_config *config = wait->config;
    struct exchange *exchange = wait->exchange;
    const struct jwk_set *set;
    struct jwt_token token; /* not cleared: jwt_token_read fills what is used */
    enum signature_algorithm signature;
    if (jwt_token_read(wait->text, (struct slice){ NULL, 0 }, &token) != JWT_GOOD)
        return refuse(config, exchange, &malformed);
    if (!jwt_proof_accepts(config->algorithms, token.algorithm, &signature))
        return refuse(config, exchange, &algorithm_refused);
    struct slice kid = jwt_claims_kid(&token);
    if (kid.data == NULL && config->require_kid)
        return refuse(config, exchange, &unknown_key);
    enum jwks_answer keys = jwks_ask(wait->jwks, &wait->waiter, &set);
    if (keys == JWKS_WAIT)
        return VERDICT_WAIT;
    if (keys == JWKS_UNAVAILABLE)
        return answer(config, exchange, config->style == STYLE_KONG ? 503 : 500,
                      "identity provider unavailable");
    enum jwt_proof proof = jwt_prove(set, &token, kid, signature);
    if (proof == JWT_KEY_UNKNOWN && !wait->asked_again) {
        wait->asked_again = true;
        if (jwks_ask_again(wait->jwks, &wait->waiter) == JWKS_WAIT)
            return VERDICT_WAIT;
    }
    if (proof != JWT_PROVEN)
        return refuse(config, exchange, proof == JWT_DISPROVEN ? &bad_signature : &unknown_key);
    enum jwt_claim_flaw flaw = jwt_claims_check(&token, &config->demands, (int64_t)time(NULL));
    return flaw == JWT_CLAIMS_GOOD ? VERDICT_CONTINUE : refuse(config, exchange, &flaws[flaw]);
}

static void keys_came(struct jwks_waiter *waiter)
{
    struct authorizer_wait *wait = CONTAINER_OF(waiter, struct authorizer_wait, waiter);
    enum verdict verdict = judge(wait);
    if (verdict != VERDICT_WAIT)
        exchange_resume(wait->exchange, verdict);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct authorizer_config *config = call->config;
    struct authorizer_shard *shard = call->shard_state;
    struct authorizer_wait *wait = call->exchange_state;
    *wait = (struct authorizer_wait){ .waiter.done = keys_came,
                                      .exchange = call->exchange,
                                      .config = config,
                                      .text = find_token(config, call->exchange) };
    list_init(&wait->waiter.node);
    if (wait->text.size == 0)
        return refuse(config, call->exchange, &no_token);
    wait->jwks = jwks_pool_find(&shard->pool, shard->shard, &config->source);
    return wait->jwks ? judge(wait) : exchange_respond_failure(call->exchange);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static enum error shard_open_state(struct shard *shard, void *process_state, void *shard_state)
{
    (void)process_state;
    *(struct authorizer_shard *)shard_state = (struct authorizer_shard){ .shard = shard };
    return ERROR_OK;
}

static void shard_close_state(void *shard_state)
{
    jwks_pool_close(&((struct authorizer_shard *)shard_state)->pool);
}

const struct plugin jwt_authorizer_plugin = {
    .kind = { .name = "jwt-authorizer",
              .priority = 1440,
              .config = { .name = "jwt-authorizer",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct authorizer_config),
                          .check = check_config },
              .forbids_consumer = true,
              .hosts_of = hosts_of },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct authorizer_shard),
    .exchange_state_size = sizeof(struct authorizer_wait),
    .shard_open = shard_open_state,
    .shard_close = shard_close_state,
};
