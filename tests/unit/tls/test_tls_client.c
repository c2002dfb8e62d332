/* SPDX-License-Identifier: Apache-2.0 */
/* Our client with OpenSSL's server: whom it believes, what it shows and asks for. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"
#include "tests/support/tls_openssl.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>

static struct tls_ends ends;
static struct tls_openssl server;
static SSL_CTX *ctx;
static char reason[TLS_REASON_SIZE];

static void start(void)
{
    tls_ends_open(&ends);
    ctx = SSL_CTX_new(TLS_server_method());
}

static void end(void)
{
    SSL_CTX_free(ctx);
    tls_ends_close(&ends);
}

TestSuite(tls_client, .init = start, .fini = end, .timeout = 120);

static void use(struct test_cert *cert)
{
    struct slice chain = test_cert_chain(cert), key_pem = test_cert_key(cert);
    BIO *text = BIO_new_mem_buf(chain.data, (int)chain.size);
    BIO *key_text = BIO_new_mem_buf(key_pem.data, (int)key_pem.size);
    X509 *own = PEM_read_bio_X509(text, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_text, NULL, NULL, NULL);
    cr_assert(SSL_CTX_use_certificate(ctx, own) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
    X509_free(own);
    EVP_PKEY_free(key);
    BIO_free(text);
    BIO_free(key_text);
}

static bool is_settled(void *unused)
{
    (void)unused;
    return ends.client.opened > 0 || ends.client.failed > 0;
}

static bool connects(struct tls_client *client, const char *name, int version)
{
    server = (struct tls_openssl){ .echoes = true };
    ends.client = (struct tls_end){ .error = ERROR_OK };
    pipe_stream_open(&ends.shard, &ends.client.pipe, &server.pipe);
    tls_openssl_open(&server, SSL_new(ctx));
    SSL_set_accept_state(server.ssl);
    SSL_set_max_proto_version(server.ssl, version);
    tls_ends_connect(&ends, client, name);
    cr_assert(tls_ends_until(&ends.shard, is_settled, NULL));
    shard_setup_turn_for(&ends.shard, 1);
    return ends.client.error == ERROR_OK;
}

static void part(void)
{
    stream_close(&ends.client.tls.stream);
    stream_close(&server.pipe.stream);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.closed, 1));
    cr_assert(tls_ends_until_count(&ends.shard, &server.closed, 1));
    tls_openssl_free(&server);
}

static void echo(void)
{
    tls_ends_send_text(&ends.client, "hello");
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 5));
    cr_assert_str_eq(ends.client.text, "hello");
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void expect_refused(struct tls_client *client, const char *name, int version, const char *why)
{
    cr_assert_not(connects(client, name, version));
    cr_assert_eq(ends.client.error, ERROR_TLS);
    cr_assert_str_eq(tls_stream_failure(&ends.client.tls).reason, why);
    part();
}

Test(tls_client, believes_a_good_certificate)
{
    for (unsigned cert = 0; cert < 2; cert++) {
        for (unsigned i = 0; i < 2; i++) {
            use(ends.certs[cert]);
            cr_assert(connects(tls_ends_client(&ends), "a.test", versions[i]), "%s",
                      tls_stream_failure(&ends.client.tls).reason);
            cr_assert_str_eq(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), "a.test");
            echo();
            part();
        }
    }
}

Test(tls_client, refuses_bad_certificates)
{
    struct test_cert *expired = test_cert_make(
        &(struct test_cert_options){ .name = "a.test", .issuer = ends.authority, .ends_s = -3600 });
    struct test_cert *stranger = test_cert_make(&(struct test_cert_options){ .name = "a.test" });
    for (unsigned i = 0; i < 2; i++) {
        use(ends.certs[0]);
        expect_refused(tls_ends_client(&ends), "b.test", versions[i], "hostname mismatch");
        expect_refused(tls_ends_client(&ends), "127.0.0.1", versions[i], "IP address mismatch");
        use(expired);
        expect_refused(tls_ends_client(&ends), "a.test", versions[i], "certificate has expired");
        use(stranger);
        expect_refused(tls_ends_client(&ends), "a.test", versions[i], "self-signed certificate");
    }
    test_cert_free(expired);
    test_cert_free(stranger);
}

static struct tls_client *client_with(struct tls_client_options options)
{
    options.suites = tls_ends_suites();
    options.set_count = 1;
    struct tls_client *client = tls_client_make(&options, reason);
    cr_assert_not_null(client, "%s", reason);
    return client;
}

Test(tls_client, believes_anybody_when_told_to)
{
    for (unsigned i = 0; i < 2; i++) {
        use(ends.certs[0]);
        cr_assert(connects(client_with((struct tls_client_options){ .trust = NULL }), "b.test", versions[i]));
        echo();
        part();
        struct tls_trust *trust =
            tls_ends_trust(test_cert_own(ends.authority), (struct slice){ NULL, 0 }, -1);
        cr_assert(connects(client_with((struct tls_client_options){ .trust = trust, .any_name = true }),
                           "b.test", versions[i]));
        tls_trust_release(trust);
        echo();
        part();
    }
}

static int accept_any(int good, X509_STORE_CTX *store)
{
    (void)good, (void)store;
    return 1;
}

Test(tls_client, shows_its_certificate)
{
    for (unsigned i = 0; i < 4; i++) {
        struct tls_key *key = tls_ends_key(ends.certs[i / 2]);
        use(ends.certs[0]);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
        cr_assert(connects(client_with((struct tls_client_options){ .key = key }), "a.test", versions[i % 2]),
                  "%s", tls_stream_failure(&ends.client.tls).reason);
        echo();
        X509 *shown = SSL_get0_peer_certificate(server.ssl);
        cr_assert_not_null(shown);
        part();
        tls_key_release(key);
    }
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
                           unsigned in_size, void *unused)
{
    (void)ssl, (void)unused;
    unsigned char *chosen = NULL;
    int result = SSL_select_next_proto(&chosen, size, (const unsigned char *)"\x08http/1.1", 9, in, in_size);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

Test(tls_client, asks_for_protocols)
{
    struct slice protocols[] = { SLICE("h2"), SLICE("http/1.1") };
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    for (unsigned i = 0; i < 2; i++) {
        use(ends.certs[0]);
        cr_assert(connects(client_with((struct tls_client_options){ .protocols = { protocols, 2 } }),
                           "a.test", versions[i]));
        cr_assert_str_eq(tls_stream_info(&ends.client.tls).protocol, "http/1.1");
        echo();
        part();
    }
}

Test(tls_client, key_updates_of_the_server)
{
    use(ends.certs[0]);
    cr_assert(connects(tls_ends_client(&ends), "a.test", TLS1_3_VERSION));
    cr_assert_eq(SSL_key_update(server.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    tls_openssl_send(&server, "x", 1);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 1));
    tls_ends_send_text(&ends.client, "hello");
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 6));
    cr_assert_str_eq(ends.client.text, "xhello");
    part();
}
