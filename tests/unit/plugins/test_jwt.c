/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorded cases (test_jwt_recorded.c) do not show: configuration errors, anonymous access beside
 * other plugins, attacks on the choice of algorithm, and lack of memory. */
#include "core/crypto/base64.h"
#include "core/crypto/hmac.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/test_keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TOKEN_MAX = 4096 };

static struct plugin_setup setup;
static struct consumer *alice;
static char bearer[TOKEN_MAX] = "Bearer ";

static void start(void)
{
    plugin_setup_init(&setup);
    alice = plugin_setup_consumer(&setup, "alice", NULL, NULL);
}

static void stop(void)
{
    plugin_setup_deinit(&setup);
}

TestSuite(jwt, .init = start, .fini = stop);

/* --- tokens --------------------------------------------------------------------------------------------- */

/* Behind "Bearer ": header and payload; returns the size of the signed text. */
static size_t begin_token(const char *alg, const char *payload)
{
    char header[64], *to = bearer + 7;
    snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
    size_t size = base64_encode(BASE64_URL, slice_of(header), to);
    to[size++] = '.';
    return size + base64_encode(BASE64_URL, slice_of(payload), to + size);
}

static void end_token(size_t size, const unsigned char *signature, size_t signature_size)
{
    char *to = bearer + 7;
    to[size++] = '.';
    size += base64_encode(BASE64_URL, (struct slice){ (const char *)signature, signature_size }, to + size);
    to[size] = '\0';
}

static void hmac_token(const char *alg, enum hmac_kind kind, struct slice secret, const char *payload)
{
    struct hmac_key key;
    unsigned char mac[HMAC_MAX];
    size_t size = begin_token(alg, payload);
    hmac_key_init(&key, kind, secret);
    hmac_sign(&key, (struct slice){ bearer + 7, size }, mac);
    end_token(size, mac, hmac_size(kind));
}

static const void *config(const char *text)
{
    const void *read = plugin_setup_config(&setup, &jwt_plugin, text);
    cr_assert_not_null(read, "%s", text);
    return read;
}

static struct credential *credential(const char *text)
{
    return plugin_setup_credential(&setup, &jwt_plugin, alice, text);
}

static struct exchange *request(void)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    fake_exchange_header(exchange, "Authorization", slice_of(bearer));
    return exchange;
}

static enum verdict run(struct exchange *exchange, const void *read)
{
    return fake_exchange_run(exchange, &jwt_plugin, PHASE_ACCESS, read, NULL);
}

/* Sends what stands in `bearer`: status, and the body when it is not 200. */
static void expect(const void *read, int status, const char *body)
{
    struct exchange *exchange = request();
    enum verdict verdict = run(exchange, read);
    cr_assert_eq(verdict == VERDICT_CONTINUE ? 200 : exchange->status, status, "%s: %.*s", bearer,
                 SLICE_FORMAT(exchange->body));
    cr_assert(body == NULL || slice_equal(exchange->body, slice_of(body)), "%.*s",
              SLICE_FORMAT(exchange->body));
    fake_exchange_close(exchange);
}

/* --- configuration -------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *field, *reason;
} wrong_configs[] = {
    { "{claims_to_verify: [exp, iat]}", "claims_to_verify[1]", "expected one of: exp, nbf" },
    { "{uri_param_names: jwt}", "uri_param_names", "expected" },
    { "{maximum_expiration: 31536001}", "maximum_expiration", "value should be between 0 and 31536000" },
    { "{maximum_expiration: -1}", "maximum_expiration", "value should be between 0 and 31536000" },
    { "{run_on_preflight: maybe}", "run_on_preflight", "expected a boolean" },
    { "{realm: \"a\\nb\"}", "realm", "control characters" },
    { "{key_claim_name: ''}", "key_claim_name", "" },
    { "{secret_is_base65: true}", "secret_is_base65", "unknown field" },
};

Test(jwt, wrong_configurations)
{
    for (size_t i = 0; i < COUNT_OF(wrong_configs); i++) {
        cr_assert_null(plugin_setup_config(&setup, &jwt_plugin, wrong_configs[i].text));
        cr_assert(
            plugin_setup_reported(&setup, REPORT_ERROR, wrong_configs[i].field, wrong_configs[i].reason),
            "%zu", i);
    }
}

Test(jwt, maximum_expiration_wants_exp)
{
    config("{maximum_expiration: 10, claims_to_verify: [exp]}");
    cr_assert_eq(setup.report.count, 0);
    config("{maximum_expiration: 10}");
    cr_assert(plugin_setup_reported(&setup, REPORT_WARNING, "maximum_expiration", "exp"));
    cr_assert_eq(setup.report.error_count, 0);
}

static const struct {
    const char *text, *field, *reason;
} wrong_secrets[] = {
    { "{key: k, algorithm: XX}", "algorithm",
      "expected one of: HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, "
      "EdDSA" },
    { "{key: k, algorithm: RS256}", "rsa_public_key", "required field missing" },
    { "{key: k, algorithm: PS256}", "rsa_public_key", "required field missing" },
    { "{key: k, algorithm: EdDSA}", "rsa_public_key", "required field missing" },
    { "{key: k, algorithm: RS256, rsa_public_key: not a key}", "rsa_public_key", "invalid key" },
    { "{key: k, secret: s, rsa_public_key: not a key}", "rsa_public_key", "invalid key" },
    { "{key: k, secret: ''}", "secret", "" },
};

Test(jwt, wrong_credentials)
{
    for (size_t i = 0; i < COUNT_OF(wrong_secrets); i++) {
        cr_assert_null(credential(wrong_secrets[i].text));
        cr_assert(
            plugin_setup_reported(&setup, REPORT_ERROR, wrong_secrets[i].field, wrong_secrets[i].reason),
            "%zu", i);
    }
}

/* A credential with the public half of the key. */
static struct credential *key_credential(const struct test_key *key, const char *algorithm)
{
    char text[4096];
    size_t size =
        (size_t)snprintf(text, sizeof(text), "{\"key\":\"%s\",\"algorithm\":\"%s\",\"rsa_public_key\":\"",
                         algorithm, algorithm);
    struct slice pem = test_key_pem(key);
    for (size_t i = 0; i < pem.size; i++) {
        if (pem.data[i] == '\n')
            text[size++] = '\\';
        text[size++] = pem.data[i] == '\n' ? 'n' : pem.data[i];
    }
    snprintf(text + size, sizeof(text) - size, "\"}");
    return credential(text);
}

Test(jwt, a_key_must_fit_the_algorithm)
{
    struct test_key *rsa = test_key_make("RSA1024"), *tiny = test_key_make("RSA768");
    cr_assert_null(key_credential(rsa, "ES256"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "rsa_public_key", "type or curve"));
    cr_assert_null(key_credential(tiny, "RS256"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "rsa_public_key", "1024 bits"));
    cr_assert_not_null(key_credential(rsa, "RS256"));
    cr_assert(plugin_setup_reported(&setup, REPORT_WARNING, "rsa_public_key", "2048 bits"));
    test_key_free(rsa);
    test_key_free(tiny);
}

/* --- verification --------------------------------------------------------------------------------------- */

static const struct {
    const char *algorithm, *type;
    enum signature_algorithm signature;
} signers[] = {
    { "RS256", "RSA2048", SIGNATURE_RS256 }, { "RS384", "RSA2048", SIGNATURE_RS384 },
    { "RS512", "RSA2048", SIGNATURE_RS512 }, { "PS256", "RSA2048", SIGNATURE_PS256 },
    { "PS384", "RSA2048", SIGNATURE_PS384 }, { "PS512", "RSA2048", SIGNATURE_PS512 },
    { "ES256", "P-256", SIGNATURE_ES256 },   { "ES384", "P-384", SIGNATURE_ES384 },
    { "ES512", "P-521", SIGNATURE_ES512 },   { "EdDSA", "ED25519", SIGNATURE_EDDSA },
};

Test(jwt, each_public_key_algorithm)
{
    const void *read = config("{}");
    for (size_t i = 0; i < COUNT_OF(signers); i++) {
        unsigned char signature[TEST_SIGNATURE_MAX];
        char payload[64];
        struct test_key *key = test_key_make(signers[i].type);
        cr_assert_not_null(key_credential(key, signers[i].algorithm));
        snprintf(payload, sizeof(payload), "{\"iss\":\"%s\"}", signers[i].algorithm);
        size_t size = begin_token(signers[i].algorithm, payload);
        size_t signature_size =
            test_key_sign(key, signers[i].signature, (struct slice){ bearer + 7, size }, signature);
        end_token(size, signature, signature_size);
        expect(read, 200, NULL);
        signature[signature_size / 2] ^= 1;
        end_token(size, signature, signature_size);
        expect(read, 401, "{\"message\":\"Invalid signature\"}");
        test_key_free(key);
    }
}

Test(jwt, a_public_key_is_no_secret)
{
    struct test_key *key = test_key_make("RSA2048");
    const void *read = config("{}");
    cr_assert_not_null(key_credential(key, "RS256"));
    hmac_token("HS256", HMAC_SHA256, test_key_pem(key), "{\"iss\":\"RS256\"}");
    expect(read, 401, "{\"message\":\"Invalid algorithm\"}");
    hmac_token("RS256", HMAC_SHA256, test_key_pem(key), "{\"iss\":\"RS256\"}");
    expect(read, 401, "{\"message\":\"Invalid signature\"}");
    test_key_free(key);
}

Test(jwt, es_without_key_loads_and_refuses)
{
    cr_assert_not_null(credential("{key: k, algorithm: ES256}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_WARNING, "rsa_public_key", "missing"));
    size_t size = begin_token("ES256", "{\"iss\":\"k\"}");
    end_token(size, (const unsigned char *)"0123456789012345678901234567890123456789012345678901234567890123",
              64);
    expect(config("{}"), 401, "{\"message\":\"Invalid key/secret\"}");
}

Test(jwt, secrets_in_base64)
{
    const void *read = config("{secret_is_base64: true}");
    cr_assert_not_null(credential("{key: standard, secret: '+/+/AA=='}"));
    cr_assert_not_null(credential("{key: url, secret: -_-_AA}"));
    cr_assert_not_null(credential("{key: none, secret: 'not base64!'}"));
    hmac_token("HS256", HMAC_SHA256, SLICE("\xfb\xff\xbf\0"), "{\"iss\":\"standard\"}");
    expect(read, 200, NULL);
    hmac_token("HS256", HMAC_SHA256, SLICE("\xfb\xff\xbf\0"), "{\"iss\":\"url\"}");
    expect(read, 200, NULL);
    hmac_token("HS256", HMAC_SHA256, SLICE("not base64!"), "{\"iss\":\"none\"}");
    expect(read, 401, "{\"message\":\"Invalid key/secret\"}");
    expect(config("{}"), 200, NULL);
}

Test(jwt, generated_secrets_are_not_empty)
{
    const void *read = config("{}");
    cr_assert_not_null(credential("{key: k}"));
    hmac_token("HS256", HMAC_SHA256, SLICE(""), "{\"iss\":\"k\"}");
    expect(read, 401, "{\"message\":\"Invalid signature\"}");
}

Test(jwt, lifetime_is_limited)
{
    const void *read = config("{claims_to_verify: [exp], maximum_expiration: 100}");
    char payload[128];
    long long now = (long long)time(NULL);
    cr_assert_not_null(credential("{key: k, secret: s}"));
    snprintf(payload, sizeof(payload), "{\"iss\":\"k\",\"exp\":%lld}", now + 90);
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), payload);
    expect(read, 200, NULL);
    snprintf(payload, sizeof(payload), "{\"iss\":\"k\",\"exp\":%lld}", now + 200);
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), payload);
    expect(read, 401, "{\"exp\":\"exceeds maximum allowed expiration\"}");
}

/* --- answers -------------------------------------------------------------------------------------------- */

Test(jwt, names_of_claims_are_escaped)
{
    const void *read = config("{key_claim_name: \"http://x/\\\"k\\u0001\\\"\", realm: 'a\"b\\c'}");
    struct exchange *exchange;
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), "{}");
    expect(read, 401, "{\"message\":\"No mandatory 'http:\\/\\/x\\/\\\"k\\u0001\\\"' in claims\"}");
    exchange = request();
    cr_assert_eq(run(exchange, read), VERDICT_RESPOND);
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "www-authenticate"),
                          SLICE("Bearer realm=\"a\\\"b\\\\c\" error=\"invalid_token\"")));
    fake_exchange_close(exchange);
}

Test(jwt, too_large)
{
    static char large[8 * 1024 + 16];
    memset(large, 'A', sizeof(large) - 1);
    memcpy(large, "Bearer ", 7);
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    fake_exchange_header(exchange, "Authorization", slice_of(large));
    cr_assert_eq(run(exchange, config("{}")), VERDICT_RESPOND);
    cr_assert(slice_equal(exchange->body, SLICE("{\"message\":\"Bad token; too large\"}")));
    fake_exchange_close(exchange);
}

/* --- anonymous access ----------------------------------------------------------------------------------- */

Test(jwt, anonymous_by_id_or_name)
{
    struct consumer *guest =
        plugin_setup_consumer(&setup, "guest", NULL, "11111111-2222-4333-8444-555555555555");
    const char *const texts[] = { "{anonymous: guest}", "{anonymous: 11111111-2222-4333-8444-555555555555}" };
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), "{\"iss\":\"nobody\"}");
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct exchange *exchange = request();
        cr_assert_eq(run(exchange, config(texts[i])), VERDICT_CONTINUE);
        cr_assert(exchange->consumer == guest && exchange->credential == NULL);
        cr_assert_null(exchange->identifier.data);
        cr_assert_null(fake_exchange_response_header(exchange, "WWW-Authenticate").data);
        fake_exchange_close(exchange);
    }
}

Test(jwt, anonymous_that_does_not_exist)
{
    struct exchange *exchange = request();
    cr_assert_eq(run(exchange, config("{anonymous: nobody}")), VERDICT_RESPOND);
    cr_assert(exchange->status == 500 && exchange->body_kind == FAKE_BODY_FAILURE);
    fake_exchange_close(exchange);
}

Test(jwt, whoever_came_before_stays_with_anonymous_only)
{
    struct consumer *bob = plugin_setup_consumer(&setup, "bob", NULL, NULL);
    struct credential other = { .consumer = bob };
    cr_assert_not_null(credential("{key: k, secret: s}"));
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), "{\"iss\":\"k\"}");
    const void *configs[] = { config("{anonymous: bob}"), config("{}") };
    for (int i = 0; i < 2; i++) {
        struct exchange *exchange = request();
        exchange->consumer = bob;
        exchange->credential = &other;
        cr_assert_eq(run(exchange, configs[i]), VERDICT_CONTINUE);
        cr_assert_eq(exchange->consumer, i == 0 ? bob : alice);
        cr_assert_eq(exchange->authenticate_count, i == 0 ? 0 : 1);
        fake_exchange_close(exchange);
    }
}

Test(jwt, an_anonymous_consumer_before_does_not_count)
{
    struct consumer *guest = plugin_setup_consumer(&setup, "guest", NULL, NULL);
    cr_assert_not_null(credential("{key: k, secret: s}"));
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), "{\"iss\":\"k\"}");
    struct exchange *exchange = request();
    exchange->consumer = guest;
    cr_assert_eq(run(exchange, config("{anonymous: guest}")), VERDICT_CONTINUE);
    cr_assert_eq(exchange->consumer, alice);
    fake_exchange_close(exchange);
}

/* --- lack of memory ------------------------------------------------------------------------------------- */

Test(jwt, never_lets_pass_without_memory)
{
    const void *read = config("{}");
    cr_assert_not_null(credential("{key: k, secret: s}"));
    const char *const payloads[] = { "{\"iss\":\"k\"}", "{\"iss\":\"other\"}" };
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        hmac_token("HS256", HMAC_SHA256, SLICE("s"), payloads[i]);
        struct exchange *exchange = request();
        exchange->grants_left = 0;
        cr_assert_eq(run(exchange, read), VERDICT_RESPOND);
        cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
        cr_assert_null(exchange->consumer);
        fake_exchange_close(exchange);
    }
}

Test(jwt, an_hmac_token_allocates_nothing)
{
    const void *read = config("{}");
    cr_assert_not_null(credential("{key: k, secret: s}"));
    hmac_token("HS256", HMAC_SHA256, SLICE("s"), "{\"iss\":\"k\"}");
    struct exchange *exchange = request();
    char *next = exchange->arena.next;
    size_t used_bytes = exchange->arena.used_bytes;
    cr_assert_eq(run(exchange, read), VERDICT_CONTINUE);
    cr_assert(exchange->arena.next == next && exchange->arena.used_bytes == used_bytes);
    fake_exchange_close(exchange);
}
