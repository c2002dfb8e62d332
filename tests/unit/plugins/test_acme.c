/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and their signatures, the store, the answer to a challenge; orders are tried with a real
 * server. */
#include "core/crypto/base64.h"
#include "core/crypto/signature.h"
#include "plugins/acme.h"
#include "plugins/acme_message.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/test_certs.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>

static struct arena arena;

static void start(void)
{
    arena_init(&arena, NULL, 0, SIZE_MAX);
}

static void stop(void)
{
    arena_deinit(&arena);
}

TestSuite(acme, .init = start, .fini = stop);

/* What stands between `name":"` and the next quote. */
static struct slice member(struct slice json, const char *name)
{
    char start_text[64];
    snprintf(start_text, sizeof(start_text), "\"%s\":\"", name);
    const char *at = memmem(json.data, json.size, start_text, strlen(start_text));
    cr_assert_not_null(at, "%s", name);
    at += strlen(start_text);
    return (struct slice){ at, (size_t)((const char *)memchr(at, '"', 10000) - at) };
}

static struct slice decode(struct slice text)
{
    char *out = arena_alloc(&arena, text.size + 1);
    struct slice decoded = { out, 0 };
    cr_assert(base64_decode(BASE64_URL, text, out, &decoded.size));
    return decoded;
}

Test(acme, messages_are_signed)
{
    struct evp_pkey_st *key = tls_acme_key_make();
    struct public_key *public = NULL;
    struct acme_message message = { .key = key,
                                    .account = SLICE("https://a.test/1"),
                                    .nonce = SLICE("n-1"),
                                    .url = SLICE("https://a.test/new"),
                                    .payload = SLICE("{\"a\":1}") };
    struct slice body = acme_message_sign(&message, &arena);
    struct slice head = member(body, "protected"), payload = member(body, "payload");
    cr_assert(slice_equal(decode(payload), message.payload));
    cr_assert(
        slice_equal(decode(head), SLICE("{\"alg\":\"ES256\",\"kid\":\"https://a.test/1\",\"nonce\":\"n-1\","
                                        "\"url\":\"https://a.test/new\"}")));
    struct slice text = arena_format(&arena, "%.*s.%.*s", SLICE_FORMAT(head), SLICE_FORMAT(payload));
    cr_assert_eq(EVP_PKEY_up_ref(key), 1);
    cr_assert_eq(public_key_adopt(key, SIGNATURE_ES256, &arena, &public), PUBLIC_KEY_OK);
    cr_assert(public_key_verify(public, text, decode(member(body, "signature"))));
    message.account = (struct slice){ NULL, 0 };
    head = decode(member(acme_message_sign(&message, &arena), "protected"));
    cr_assert_not_null(
        memmem(head.data, head.size, "\"jwk\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"", 37));
    tls_acme_key_free(key);
}

Test(acme, account_keys_are_written_and_read)
{
    struct evp_pkey_st *key = tls_acme_key_make();
    struct slice pem = tls_acme_key_pem(key, &arena);
    struct evp_pkey_st *again = tls_acme_key_read(pem);
    cr_assert_not_null(again);
    cr_assert(slice_equal(tls_acme_key_jwk(key, &arena), tls_acme_key_jwk(again, &arena)));
    struct slice one = acme_message_authorize(key, SLICE("t"), &arena);
    cr_assert(slice_equal(one, acme_message_authorize(again, SLICE("t"), &arena)));
    cr_assert_eq(one.size, 2 + 43);
    cr_assert_null(tls_acme_key_read(SLICE("nonsense")));
    struct test_cert *rsa = test_cert_make(&(struct test_cert_options){ .name = "a", .type = "RSA" });
    cr_assert_null(tls_acme_key_read(test_cert_key(rsa)));
    test_cert_free(rsa);
    tls_acme_key_free(key);
    tls_acme_key_free(again);
}

Test(acme, requests_for_certificates)
{
    const int bits[] = { 0, 2048 };
    for (size_t i = 0; i < COUNT_OF(bits); i++) {
        struct tls_acme_request request;
        cr_assert(tls_acme_request_make(SLICE("a.test"), bits[i], &arena, &request));
        cr_assert_not_null(memmem(request.der.data, request.der.size, "a.test", 6));
        cr_assert_not_null(memmem(request.key_pem.data, request.key_pem.size, "PRIVATE KEY", 11));
    }
}

Test(acme, the_store)
{
    struct test_cert *cert = test_cert_make(&(struct test_cert_options){ .name = "a.test" });
    struct acme_pair pair = { test_cert_chain(cert), test_cert_key(cert) }, found;
    struct acme_pair broken = { SLICE("nonsense"), test_cert_key(cert) };
    cr_assert(acme_store_find(SLICE("a.test"), &arena, &found) && found.chain.data == NULL);
    cr_assert_eq(acme_store_not_after_s(SLICE("a.test")), 0);
    cr_assert_not(acme_store_put(SLICE("a.test"), &broken));
    cr_assert(acme_store_put(SLICE("a.test"), &pair));
    cr_assert(acme_store_find(SLICE("A.test"), &arena, &found));
    cr_assert(slice_equal(found.chain, pair.chain) && slice_equal(found.key, pair.key));
    cr_assert_gt(acme_store_not_after_s(SLICE("a.test")), 0);
    cr_assert(acme_store_put(SLICE("a.test"), &pair)); /* in its place */
    test_cert_free(cert);
}

static const struct {
    const char *target, *answer; /* NULL: not answered here */
} challenges[] = {
    { "/.well-known/acme-challenge/token-1", "token-1.print" },
    { "/.well-known/acme-challenge/token-2", NULL },
    { "/.well-known/acme-challenge/", NULL },
    { "/.well-known/acme-challeng", NULL },
    { "/token-1", NULL },
};

Test(acme, challenges_are_answered)
{
    cr_assert(acme_store_set_answer(SLICE("old"), SLICE("old.print")));
    cr_assert(acme_store_set_answer(SLICE("token-1"), SLICE("token-1.print")));
    cr_assert_null(acme_store_answer(SLICE("old"), &arena).data);
    for (size_t i = 0; i < COUNT_OF(challenges); i++) {
        struct exchange *exchange = fake_exchange_open("GET", challenges[i].target);
        enum verdict verdict = fake_exchange_run(exchange, &acme_plugin, PHASE_REWRITE, NULL, NULL);
        cr_assert_eq(verdict, challenges[i].answer ? VERDICT_RESPOND : VERDICT_CONTINUE, "%zu", i);
        cr_assert(slice_equal(exchange->body, slice_of(challenges[i].answer)), "%zu", i);
        fake_exchange_close(exchange);
    }
}

Test(acme, certificates_become_the_models)
{
    struct plugin_setup setup;
    struct test_cert *cert = test_cert_make(&(struct test_cert_options){ .name = "a.test" });
    struct acme_pair pair = { test_cert_chain(cert), test_cert_key(cert) };
    cr_assert(acme_store_put(SLICE("a.test"), &pair));
    plugin_setup_init(&setup);
    const void *config = plugin_setup_config(
        &setup, &acme_plugin, "{account_email: a@b, tos_accepted: true, domains: [a.test, b.test]}");
    struct plugin_instance instance = { .config = (void *)(uintptr_t)config };
    cr_assert_not_null(config);
    for (int i = 0; i < 2; i++) { /* the second time the name has one */
        cr_assert(acme_plugin.kind.link(setup.model, &instance, &setup.report));
        cr_assert_eq(setup.model->certificates.count, 1);
        cr_assert_eq(setup.model->snis.count, 1);
        cr_assert(slice_equal(setup.model->snis.items[0]->entity.name, SLICE("a.test")));
        cr_assert(slice_equal(setup.model->snis.items[0]->certificate->cert, pair.chain));
    }
    struct route route = { .protocols = 0 };
    instance.route = &route;
    cr_assert(acme_plugin.kind.link(setup.model, &instance, &setup.report));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "plugins", "for the whole gateway"));
    plugin_setup_deinit(&setup);
    test_cert_free(cert);
}

static const struct {
    const char *list, *url, *token; /* url NULL: there is none that can be used */
} lists[] = {
    { "[{\"type\":\"http-01\",\"url\":\"u\",\"token\":\"t\"},"
      "{\"type\":\"tls-alpn-01\",\"url\":\"v\",\"token\":\"w\"}]",
      "v", "w" },
    { "[{\"type\":\"http-01\",\"url\":\"u\",\"token\":\"t\"}]", NULL, NULL },
    { "[7,{\"type\":\"tls-alpn-01\",\"url\":3,\"token\":\"w\"}]", NULL, NULL },
    { "[{\"type\":\"tls-alpn-01\",\"url\":\"v\",\"token\":\"\\u0041\"}]", NULL, NULL },
    { "[{\"type\":\"tls-alpn-01\"}]", NULL, NULL },
    { "[]", NULL, NULL },
};

Test(acme, challenges_are_found_by_their_type)
{
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct acme_challenge found;
        bool there = acme_message_challenge(slice_of(lists[i].list), SLICE("tls-alpn-01"), &found);
        cr_assert_eq(there, lists[i].url != NULL, "%zu", i);
        cr_assert(!there || slice_equal(found.url, slice_of(lists[i].url)), "%zu", i);
        cr_assert(!there || slice_equal(found.token, slice_of(lists[i].token)), "%zu", i);
    }
}
