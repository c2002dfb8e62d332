/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's jwt plugin: a request needs a JSON Web Token that a consumer's credential can verify. Everything
 * that depends on the configuration alone (keys, answers) is prepared when it is loaded. */
#include "core/base/error.h"
#include "core/crypto/base64.h"
#include "core/crypto/hmac.h"
#include "core/crypto/signature.h"
#include "plugins/authentication.h"
#include "plugins/jwt_find.h"
#include "plugins/jwt_token.h"
#include "plugins/plugins.h"

#include <time.h>

/* --- credentials ---------------------------------------------------------------------------------------- */

struct jwt_secret {
    struct credential credential;
    struct slice key, secret, rsa_public_key;
    int algorithm; /* enum jwt_algorithm */
    /* Prepared from the above; what the algorithm does not use is NULL. */
    struct public_key *public_key;
    struct hmac_key *hmac; /* keyed with the secret as it is */
    struct hmac_key *hmac_decoded; /* with the bytes that it is the base64 of; NULL when it is none */
};

static const struct field secret_fields[] = {
    { .name = "key",
      .type = FIELD_STRING,
      .offset = offsetof(struct jwt_secret, key),
      .help = "what the token's key claim says; unique; drawn at random when absent" },
    { .name = "secret",
      .type = FIELD_STRING,
      .offset = offsetof(struct jwt_secret, secret),
      .flags = FIELD_SECRET | FIELD_VAULT,
      .help = "shared secret of the HS algorithms; drawn at random when absent" },
    { .name = "rsa_public_key",
      .type = FIELD_STRING,
      .offset = offsetof(struct jwt_secret, rsa_public_key),
      .flags = FIELD_VAULT,
      .help = "public key (PEM) of the other algorithms, whatever its type" },
    { .name = "algorithm",
      .type = FIELD_CHOICE,
      .offset = offsetof(struct jwt_secret, algorithm),
      .fallback = "HS256",
      .choices = jwt_algorithm_names,
      .help = "the only algorithm a token for this credential may use" },
};

static bool is_symmetric(int algorithm)
{
    return algorithm <= JWT_HS512;
}

static enum signature_algorithm signature_of(int algorithm)
{
    static const enum signature_algorithm by_algorithm[] = {
        [JWT_RS256] = SIGNATURE_RS256, [JWT_RS384] = SIGNATURE_RS384, [JWT_RS512] = SIGNATURE_RS512,
        [JWT_ES256] = SIGNATURE_ES256, [JWT_ES384] = SIGNATURE_ES384, [JWT_ES512] = SIGNATURE_ES512,
        [JWT_PS256] = SIGNATURE_PS256, [JWT_PS384] = SIGNATURE_PS384, [JWT_PS512] = SIGNATURE_PS512,
        [JWT_EDDSA] = SIGNATURE_EDDSA,
    };
    return by_algorithm[algorithm];
}

/* Either alphabet, padded or not, as Kong reads it: brought to one form first. */
static bool decode_secret(struct arena *arena, struct slice secret, struct slice *out)
{
    char *text = arena_alloc(arena, secret.size);
    if (text == NULL)
        return false;
    for (int padding = 0; padding < 2 && secret.size > 0 && secret.data[secret.size - 1] == '='; padding++)
        secret.size--;
    for (size_t i = 0; i < secret.size; i++) {
        char c = secret.data[i];
        text[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    out->data = text;
    return base64_decode(BASE64_URL, (struct slice){ text, secret.size }, text, &out->size);
}

static struct hmac_key *new_hmac(struct arena *arena, int algorithm, struct slice secret)
{
    static const enum hmac_kind kinds[] = {
        [JWT_HS256] = HMAC_SHA256,
        [JWT_HS384] = HMAC_SHA384,
        [JWT_HS512] = HMAC_SHA512,
    };
    struct hmac_key *key = arena_alloc(arena, sizeof(*key));
    if (key != NULL)
        hmac_key_init(key, kinds[algorithm], secret);
    return key;
}

static bool prepare_secret(struct jwt_secret *secret, struct arena *arena)
{
    struct slice decoded;
    if (!authentication_draw_secret(arena, &secret->secret))
        return false;
    secret->hmac = new_hmac(arena, secret->algorithm, secret->secret);
    if (decode_secret(arena, secret->secret, &decoded))
        secret->hmac_decoded = new_hmac(arena, secret->algorithm, decoded);
    return secret->hmac != NULL;
}

static const char *key_problem(enum public_key_result result)
{
    switch (result) {
    case PUBLIC_KEY_OK: return NULL;
    case PUBLIC_KEY_MEMORY: return "out of memory";
    case PUBLIC_KEY_INVALID: return "invalid key";
    case PUBLIC_KEY_TYPE: return "invalid key: its type or curve is not that of the algorithm";
    case PUBLIC_KEY_SMALL: return "invalid key: RSA keys need at least 1024 bits";
    }
    return NULL;
}

static void warn(const struct config_place *place, const struct node *node, const char *name,
                 const char *reason)
{
    const struct node *value = node ? node_find(node, name) : NULL;
    const struct node_position *position = value  ? &value->position
                                           : node ? &node->position
                                                  : place->position;
    struct config_place deeper = schema_place(place, name);
    report_add(place->report, REPORT_WARNING, position, deeper.path, "%s", reason);
}

/* Kong says so beside what is wrong with the key. */
static void refuse_algorithm(const struct node *node, const struct config_place *place)
{
    schema_error(place, node, "", "failed conditional validation given value of field 'algorithm'");
}

static void prepare_public_key(struct jwt_secret *secret, const struct node *node,
                               const struct config_place *place)
{
    enum { ADVISED_RSA_BITS = 2048 }; /* RFC 7518 section 3.3; Kong takes less */
    bool elliptic = secret->algorithm >= JWT_ES256 && secret->algorithm <= JWT_ES512;
    if (secret->rsa_public_key.data == NULL) {
        /* Kong loads an ES credential without a key, and refuses all its tokens. */
        if (elliptic)
            warn(place, node, "rsa_public_key", "missing: no token of this credential can be verified");
        else
            schema_error(place, node, "rsa_public_key", "required field missing");
        if (!elliptic)
            refuse_algorithm(node, place);
        return;
    }
    const char *problem = key_problem(public_key_read(secret->rsa_public_key, signature_of(secret->algorithm),
                                                      place->arena, &secret->public_key));
    if (problem)
        schema_error(place, node, "rsa_public_key", "%s", problem);
    if (problem && !elliptic)
        refuse_algorithm(node, place);
    if (!problem && !elliptic && secret->algorithm != JWT_EDDSA &&
        public_key_bits(secret->public_key) < ADVISED_RSA_BITS)
        warn(place, node, "rsa_public_key", "RSA keys should have at least 2048 bits");
}

/* A public key that is not used must be one all the same, as in Kong; of which type is its owner's affair. */
static void check_unused_key(const struct jwt_secret *secret, const struct node *node,
                             const struct config_place *place)
{
    struct public_key *unused;
    if (secret->rsa_public_key.data != NULL &&
        public_key_read(secret->rsa_public_key, SIGNATURE_EDDSA, place->arena, &unused) == PUBLIC_KEY_INVALID)
        schema_error(place, node, "rsa_public_key", "%s", key_problem(PUBLIC_KEY_INVALID));
}

static void check_secret(void *value, const struct node *node, const struct config_place *place)
{
    struct jwt_secret *secret = value;
    secret->public_key = NULL;
    secret->hmac = secret->hmac_decoded = NULL;
    if (!is_symmetric(secret->algorithm)) {
        prepare_public_key(secret, node, place);
        return;
    }
    check_unused_key(secret, node, place);
    if (!prepare_secret(secret, place->arena))
        schema_error(place, node, "secret", "out of memory");
}

static const struct schema secret_schema = {
    .name = "jwt_secrets",
    .fields = secret_fields,
    .field_count = COUNT_OF(secret_fields),
    .struct_size = sizeof(struct jwt_secret),
    .check = check_secret,
};

static const char *const secret_aliases[] = { "jwt", NULL };

static const struct credential_kind secret_kind = {
    .name = "jwt_secrets",
    .schema = &secret_schema,
    .key_offset = offsetof(struct jwt_secret, key),
    .key_name = "key",
    .generate_key = true,
    .aliases = secret_aliases,
};

/* --- configuration -------------------------------------------------------------------------------------- */

enum claim { CLAIM_EXP, CLAIM_NBF };

struct jwt_config {
    struct slices uri_param_names, cookie_names, header_names;
    struct slice key_claim_name;
    bool secret_is_base64;
    uint64_t claims_to_verify; /* bits of enum claim */
    double maximum_expiration; /* seconds; 0: any */
    struct slice anonymous;
    bool run_on_preflight;
    struct slice realm;
    /* Prepared: WWW-Authenticate without and with a token in the request, and bodies that name the claim. */
    struct slice challenge, challenge_invalid;
    struct slice claim_missing, claim_empty, key_unknown;
};

static const char *const claim_names[] = { [CLAIM_EXP] = "exp", [CLAIM_NBF] = "nbf", NULL };

static const struct field config_fields[] = {
    { .name = "uri_param_names",
      .type = FIELD_STRINGS,
      .offset = offsetof(struct jwt_config, uri_param_names),
      .fallback = "jwt",
      .help = "query parameters that may carry a token" },
    { .name = "cookie_names",
      .type = FIELD_STRINGS,
      .offset = offsetof(struct jwt_config, cookie_names),
      .shown = "",
      .help = "cookies that may carry a token" },
    { .name = "header_names",
      .type = FIELD_STRINGS,
      .offset = offsetof(struct jwt_config, header_names),
      .fallback = "authorization",
      .help = "headers that may carry a token, behind \"Bearer\"" },
    { .name = "key_claim_name",
      .type = FIELD_STRING,
      .offset = offsetof(struct jwt_config, key_claim_name),
      .fallback = "iss",
      .help = "the claim, or header member, that names the credential" },
    { .name = "secret_is_base64",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct jwt_config, secret_is_base64),
      .fallback = "false",
      .help = "secrets are the base64 of the bytes to use" },
    { .name = "claims_to_verify",
      .type = FIELD_CHOICES,
      .offset = offsetof(struct jwt_config, claims_to_verify),
      .choices = claim_names,
      .help = "times that a token must hold, and keep" },
    { .name = "maximum_expiration",
      .type = FIELD_NUMBER,
      .offset = offsetof(struct jwt_config, maximum_expiration),
      .min = 0,
      .max = 31536000,
      .fallback = "0",
      .help = "how far in the future exp may lie, in seconds; 0: any" },
    { .name = "anonymous",
      .type = FIELD_STRING,
      .offset = offsetof(struct jwt_config, anonymous),
      .help = "id or username of the consumer that stands for failed authentication" },
    { .name = "run_on_preflight",
      .type = FIELD_BOOLEAN,
      .offset = offsetof(struct jwt_config, run_on_preflight),
      .fallback = "true",
      .help = "false: OPTIONS requests pass without a token" },
    { .name = "realm",
      .type = FIELD_STRING,
      .offset = offsetof(struct jwt_config, realm),
      .check = authentication_check_realm,
      .help = "the realm in WWW-Authenticate" },
};

/* The text as the inside of a JSON string as Kong writes it, which escapes slashes too. Absent when memory is
 * exhausted. */
static struct slice quote(struct arena *arena, struct slice text)
{
    enum { LONGEST_ESCAPE = 6 };
    static const char digits[] = "0123456789abcdef";
    size_t bytes;
    char *out = __builtin_mul_overflow(text.size, (size_t)LONGEST_ESCAPE, &bytes)
                    ? NULL
                    : arena_alloc(arena, bytes + 1);
    char *to = out;
    for (size_t i = 0; out != NULL && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\' || c == '/')
            *to++ = '\\';
        if (c < 0x20 || c == 0x7f) {
            memcpy(to, "\\u00", 4);
            to[4] = digits[c >> 4];
            to[5] = digits[c & 15];
            to += LONGEST_ESCAPE;
        } else
            *to++ = (char)c;
    }
    return (struct slice){ out, out ? (size_t)(to - out) : 0 };
}

static bool prepare_answers(struct jwt_config *config, struct arena *arena)
{
    struct slice claim = quote(arena, config->key_claim_name);
    config->challenge = authentication_challenge(arena, "Bearer", config->realm);
    if (claim.data == NULL || config->challenge.data == NULL)
        return false;
    config->challenge_invalid =
        arena_format(arena, "%.*s error=\"invalid_token\"", SLICE_FORMAT(config->challenge));
    config->claim_missing =
        arena_format(arena, "{\"message\":\"No mandatory '%.*s' in claims\"}", SLICE_FORMAT(claim));
    config->claim_empty =
        arena_format(arena, "{\"message\":\"Invalid '%.*s' in claims\"}", SLICE_FORMAT(claim));
    config->key_unknown =
        arena_format(arena, "{\"message\":\"No credentials found for given '%.*s'\"}", SLICE_FORMAT(claim));
    return config->challenge_invalid.data && config->claim_missing.data && config->claim_empty.data &&
           config->key_unknown.data;
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct jwt_config *config = value;
    if (config->maximum_expiration > 0 && !(config->claims_to_verify >> CLAIM_EXP & 1))
        warn(place, node, "maximum_expiration", "claims_to_verify should name exp, which this limits");
    if (!prepare_answers(config, place->arena))
        schema_error(place, node, "key_claim_name", "out of memory");
}

/* --- requests ------------------------------------------------------------------------------------------- */

enum result { RESULT_VERIFIED, RESULT_REFUSED, RESULT_FAILED };

/* How a request fared; of a refusal: what to say. */
struct outcome {
    enum result result;
    struct slice challenge, body;
    const struct jwt_secret *secret;
};

static struct outcome refuse(const struct jwt_config *config, struct slice body)
{
    return (struct outcome){ RESULT_REFUSED, config->challenge_invalid, body, NULL };
}

static struct slice flaw_body(enum jwt_flaw flaw)
{
    switch (flaw) {
    case JWT_GOOD: break;
    case JWT_TOO_LARGE: return SLICE("{\"message\":\"Bad token; too large\"}");
    case JWT_BAD_JSON: return SLICE("{\"message\":\"Bad token; invalid JSON\"}");
    case JWT_BAD_ALGORITHM: return SLICE("{\"message\":\"Bad token; invalid alg\"}");
    case JWT_UNKNOWN_EXTENSION: return SLICE("{\"message\":\"Bad token; invalid crit\"}");
    case JWT_BAD_SIGNATURE_ENCODING: return SLICE("{\"message\":\"Bad token; invalid signature\"}");
    }
    CHECK(false);
}

static bool has_key(const struct jwt_config *config, const struct jwt_secret *secret)
{
    if (!is_symmetric(secret->algorithm))
        return secret->public_key != NULL;
    return !config->secret_is_base64 || secret->hmac_decoded != NULL;
}

static bool is_signed(const struct jwt_config *config, const struct jwt_secret *secret,
                      const struct jwt_token *token)
{
    if (!is_symmetric(secret->algorithm))
        return public_key_verify(secret->public_key, token->signed_text, token->signature);
    const struct hmac_key *key = config->secret_is_base64 ? secret->hmac_decoded : secret->hmac;
    return hmac_verify(key, token->signed_text, token->signature);
}

/* Both times are judged before anything is said, so that one answer names all that is wrong. */
static struct slice time_body(const struct jwt_config *config, const struct jwt_token *token, int64_t now)
{
    static const char *const bodies[3][3] = {
        { NULL, "{\"nbf\":\"must be a number\"}", "{\"nbf\":\"token not valid yet\"}" },
        { "{\"exp\":\"must be a number\"}", "{\"exp\":\"must be a number\",\"nbf\":\"must be a number\"}",
          "{\"exp\":\"must be a number\",\"nbf\":\"token not valid yet\"}" },
        { "{\"exp\":\"token expired\"}", "{\"exp\":\"token expired\",\"nbf\":\"must be a number\"}",
          "{\"exp\":\"token expired\",\"nbf\":\"token not valid yet\"}" },
    };
    enum jwt_time expires = JWT_TIME_FINE, not_before = JWT_TIME_FINE;
    if (config->claims_to_verify >> CLAIM_EXP & 1)
        expires = jwt_token_expires(token, now);
    if (config->claims_to_verify >> CLAIM_NBF & 1)
        not_before = jwt_token_not_before(token, now);
    if (expires != JWT_TIME_FINE || not_before != JWT_TIME_FINE)
        return slice_of(bodies[expires][not_before]);
    if (config->maximum_expiration > 0 && !jwt_token_lives_at_most(token, now, config->maximum_expiration))
        return SLICE("{\"exp\":\"exceeds maximum allowed expiration\"}");
    return (struct slice){ NULL, 0 };
}

static struct outcome verify(const struct jwt_config *config, const struct model *model,
                             const struct jwt_token *token)
{
    const struct jwt_secret *secret =
        (const struct jwt_secret *)model_credential(model, &secret_kind, token->key.text);
    if (secret == NULL)
        return refuse(config, config->key_unknown);
    if ((int)token->algorithm != secret->algorithm)
        return refuse(config, SLICE("{\"message\":\"Invalid algorithm\"}"));
    if (!has_key(config, secret))
        return refuse(config, SLICE("{\"message\":\"Invalid key/secret\"}"));
    if (!is_signed(config, secret, token))
        return refuse(config, SLICE("{\"message\":\"Invalid signature\"}"));
    struct slice body = time_body(config, token, (int64_t)time(NULL));
    if (body.data != NULL)
        return refuse(config, body);
    return (struct outcome){ .result = RESULT_VERIFIED, .secret = secret };
}

static struct outcome judge_token(const struct jwt_config *config, const struct model *model,
                                  struct slice text)
{
    struct jwt_token token; /* not cleared: jwt_token_read fills what is used */
    enum jwt_flaw flaw = jwt_token_read(text, config->key_claim_name, &token);
    if (flaw != JWT_GOOD)
        return refuse(config, flaw_body(flaw));
    if (token.key.kind == JSON_ABSENT)
        return refuse(config, config->claim_missing);
    if (token.key.kind != JSON_STRING) /* Kong fails on it too */
        return (struct outcome){ .result = RESULT_FAILED };
    if (token.key.text.size == 0)
        return refuse(config, config->claim_empty);
    return verify(config, model, &token);
}

static struct outcome judge_request(const struct jwt_config *config, struct exchange *exchange)
{
    const struct jwt_places places = { &config->uri_param_names, &config->cookie_names,
                                       &config->header_names };
    struct slice token;
    switch (jwt_find(exchange, &places, &token)) {
    case JWT_NONE:
        return (struct outcome){ RESULT_REFUSED, config->challenge, SLICE("{\"message\":\"Unauthorized\"}"),
                                 NULL };
    case JWT_ONE: return judge_token(config, exchange_model(exchange), token);
    case JWT_SEVERAL: return refuse(config, SLICE("{\"message\":\"Multiple tokens provided\"}"));
    case JWT_VALUELESS: return refuse(config, SLICE("{\"message\":\"Unrecognizable token\"}"));
    case JWT_OUT_OF_MEMORY: break;
    }
    return (struct outcome){ .result = RESULT_FAILED };
}

static enum verdict answer(struct exchange *exchange, const struct outcome *outcome)
{
    if (!exchange_set_response_header(exchange, SLICE("WWW-Authenticate"), outcome->challenge))
        return exchange_respond_failure(exchange);
    return exchange_respond_json(exchange, 401, outcome->body);
}

static enum verdict jwt_access(const struct plugin_call *call)
{
    const struct jwt_config *config = call->config;
    struct exchange *exchange = call->exchange;
    if (!config->run_on_preflight && slice_equal(exchange_request(exchange)->method, SLICE("OPTIONS")))
        return VERDICT_CONTINUE;
    if (authentication_is_done(exchange, config->anonymous))
        return VERDICT_CONTINUE;
    struct outcome outcome = judge_request(config, exchange);
    switch (outcome.result) {
    case RESULT_VERIFIED:
        return authentication_pass(exchange, &outcome.secret->credential, outcome.secret->key);
    case RESULT_REFUSED:
        return config->anonymous.data ? authentication_pass_anonymous(exchange, config->anonymous)
                                      : answer(exchange, &outcome);
    case RESULT_FAILED: break;
    }
    return exchange_respond_failure(exchange);
}

const struct plugin jwt_plugin = {
    .kind = { .name = "jwt",
              .priority = 1450,
              .config = { .name = "jwt",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct jwt_config),
                          .check = check_config },
              .credentials = &secret_kind,
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = jwt_access },
};
