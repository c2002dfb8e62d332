/* SPDX-License-Identifier: Apache-2.0 */
/* Our server with OpenSSL's client: versions, suites, names, protocols, certificates of clients, tickets. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"
#include "tests/support/tls_openssl.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static struct tls_ends ends;
static struct tls_openssl client;
static SSL_CTX *ctx;
static struct tls_tickets *tickets;

static void start(void)
{
    tls_ends_open(&ends);
    tickets = tls_tickets_rotate(NULL);
    tls_loop_use_tickets(&ends.loop, tickets);
    ctx = SSL_CTX_new(TLS_client_method());
}

static void end(void)
{
    tls_tickets_release(tickets);
    SSL_CTX_free(ctx);
    tls_ends_close(&ends);
}

TestSuite(tls_server, .init = start, .fini = end, .timeout = 120);

static bool is_settled(void *unused)
{
    (void)unused;
    return (ends.server.opened > 0 || ends.server.failed > 0) && (client.done || client.broken);
}

/* Takes the profile over; the client may want more than the context says. */
static SSL *begin_with(struct tls_server *server)
{
    client = (struct tls_openssl){ .done = false };
    ends.server = (struct tls_end){ .echoes = true };
    pipe_stream_open(&ends.shard, &client.pipe, &ends.server.pipe);
    tls_openssl_open(&client, SSL_new(ctx));
    SSL_set_connect_state(client.ssl);
    tls_ends_accept(&ends, server);
    return client.ssl;
}

static bool settle(void)
{
    cr_assert(tls_ends_until(&ends.shard, is_settled, NULL));
    shard_setup_turn_for(&ends.shard, 1);
    return client.done && !client.broken && ends.server.opened == 1 && ends.server.error == ERROR_OK;
}

static void part(void)
{
    if (!ends.server.tls.closing)
        stream_close(&ends.server.tls.stream);
    stream_close(&client.pipe.stream);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.closed, 1));
    cr_assert(tls_ends_until_count(&ends.shard, &client.closed, 1));
    tls_openssl_free(&client);
}

static void echo(void)
{
    uint64_t before = client.received;
    tls_openssl_send(&client, "hello", 5);
    cr_assert(tls_ends_until_count(&ends.shard, &client.received, before + 5));
    cr_assert_eq(memcmp(client.text + before, "hello", 5), 0);
}

static void expect_good(struct tls_server *server)
{
    begin_with(server);
    cr_assert(settle(), "%s (%s)", ERR_reason_error_string(client.error),
              tls_stream_failure(&ends.server.tls).reason);
    echo();
    part();
}

Test(tls_server, speaks_every_suite)
{
    static const char *const names_1_3[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                             "TLS_CHACHA20_POLY1305_SHA256" };
    static const char *const names_1_2[] = { "AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305" };
    for (unsigned cert = 0; cert < 2; cert++) {
        for (unsigned i = 0; i < 3; i++) {
            SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
            cr_assert_eq(SSL_CTX_set_ciphersuites(ctx, names_1_3[i]), 1);
            begin_with(tls_ends_server(&ends, ends.certs[cert]));
            cr_assert(settle());
            cr_assert_str_eq(tls_stream_info(&ends.server.tls).suite->name, names_1_3[i]);
            echo();
            part();
            char name[64];
            snprintf(name, sizeof(name), "ECDHE-%s-%s", cert ? "RSA" : "ECDSA", names_1_2[i]);
            SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
            cr_assert_eq(SSL_CTX_set_cipher_list(ctx, name), 1);
            begin_with(tls_ends_server(&ends, ends.certs[cert]));
            cr_assert(settle(), "%s: %s", name, tls_stream_failure(&ends.server.tls).reason);
            cr_assert_str_eq(tls_stream_info(&ends.server.tls).suite->name, name);
            echo();
            part();
        }
    }
}

Test(tls_server, takes_other_groups_and_retries)
{
    static const char *const groups[] = { "X25519:P-256", "P-256", "P-384", "P-521:P-384", "X448:X25519" };
    for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        cr_assert_eq(SSL_CTX_set1_groups_list(ctx, groups[i]), 1, "%s", groups[i]);
        expect_good(tls_ends_server(&ends, ends.certs[0]));
    }
}

Test(tls_server, old_versions_are_refused)
{
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    begin_with(tls_ends_server(&ends, ends.certs[0]));
    cr_assert_not(settle());
    cr_assert_eq(tls_stream_failure(&ends.server.tls).alert_sent, TLS_PROTOCOL_VERSION);
    cr_assert_eq(ERR_GET_REASON(client.error), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    part();
}

/* --- client certificates -------------------------------------------------------------------------------- */

static struct tls_server *asking(enum tls_client_policy policy, struct slice revocations, int depth)
{
    char reason[TLS_REASON_SIZE];
    struct tls_site_options site = { .pairs = { { .key = tls_ends_key(ends.certs[0]) } },
                                     .policy = policy,
                                     .trust =
                                         tls_ends_trust(test_cert_own(ends.authority), revocations, depth) };
    struct tls_server_options options = { .sites = &site,
                                          .site_count = 1,
                                          .suites = tls_ends_suites(),
                                          .ticket_lifetime_s = 3600,
                                          .set_count = 1 };
    struct tls_server *server = tls_server_make(&options, reason);
    cr_assert(server != NULL, "%s", reason);
    tls_key_release(site.pairs[0].key);
    tls_trust_release(site.trust);
    return server;
}

static void show(SSL *ssl, struct test_cert *cert)
{
    struct slice chain = test_cert_chain(cert), key_pem = test_cert_key(cert);
    BIO *text = BIO_new_mem_buf(chain.data, (int)chain.size);
    BIO *key_text = BIO_new_mem_buf(key_pem.data, (int)key_pem.size);
    X509 *own = PEM_read_bio_X509(text, NULL, NULL, NULL), *more = NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_text, NULL, NULL, NULL);
    cr_assert(SSL_use_certificate(ssl, own) == 1 && SSL_use_PrivateKey(ssl, key) == 1);
    while ((more = PEM_read_bio_X509(text, NULL, NULL, NULL)) != NULL)
        cr_assert_eq(SSL_add0_chain_cert(ssl, more), 1);
    X509_free(own);
    EVP_PKEY_free(key);
    BIO_free(text);
    BIO_free(key_text);
    ERR_clear_error();
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static bool shows(struct tls_server *server, struct test_cert *cert, int version)
{
    SSL *ssl = begin_with(server);
    SSL_set_min_proto_version(ssl, version);
    SSL_set_max_proto_version(ssl, version);
    if (cert)
        show(ssl, cert);
    return settle();
}

static const struct slice no_list = { NULL, 0 };

Test(tls_server, a_good_client_certificate)
{
    char memory[16384];
    struct arena arena;
    for (unsigned i = 0; i < 2; i++) {
        struct test_cert *good = test_cert_make(&(struct test_cert_options){
            .name = "client.test", .type = i ? "RSA" : NULL, .issuer = ends.authority });
        cr_assert(shows(asking(TLS_CLIENT_REQUIRED, no_list, -1), good, versions[i]), "%s",
                  tls_stream_failure(&ends.server.tls).reason);
        echo();
        struct tls_peer_facts facts;
        const struct tls_peer *peer = tls_stream_info(&ends.server.tls).peer;
        cr_assert(peer != NULL);
        arena_init(&arena, memory, sizeof(memory), 0);
        cr_assert(tls_peer_read(peer, &arena, &facts));
        cr_assert(slice_equal(facts.subject, SLICE("CN=client.test")));
        cr_assert(slice_equal(facts.issuer, SLICE("CN=Test CA")));
        cr_assert(slice_equal(facts.dns_names, SLICE("client.test")));
        cr_assert_eq(facts.sha256.size, 64);
        cr_assert(slice_equal(tls_peer_pem(peer, &arena, TLS_PEER_CERTIFICATE), test_cert_own(good)));
        arena_deinit(&arena);
        part();
        test_cert_free(good);
    }
}

Test(tls_server, no_client_certificate)
{
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(shows(asking(TLS_CLIENT_OPTIONAL, no_list, -1), NULL, versions[i]), "%s",
                  tls_stream_failure(&ends.server.tls).reason);
        cr_assert_null(tls_stream_info(&ends.server.tls).peer);
        echo();
        part();
        cr_assert_not(shows(asking(TLS_CLIENT_REQUIRED, no_list, -1), NULL, versions[i]));
        cr_assert_eq(ends.server.error, ERROR_TLS);
        part();
    }
}

static void expect_refused(struct tls_server *server, struct test_cert *cert, int version, const char *reason)
{
    cr_assert_not(shows(server, cert, version));
    cr_assert_eq(ends.server.error, ERROR_TLS);
    cr_assert_str_eq(tls_stream_failure(&ends.server.tls).reason, reason);
    cr_assert(client.broken);
    part();
}

Test(tls_server, bad_client_certificates)
{
    struct test_cert_options options = { .name = "Other CA", .authority = true };
    struct test_cert *other_authority = test_cert_make(&options);
    options = (struct test_cert_options){ .name = "client.test", .issuer = other_authority };
    struct test_cert *stranger = test_cert_make(&options);
    options = (struct test_cert_options){ .name = "client.test", .issuer = ends.authority, .ends_s = -3600 };
    struct test_cert *expired = test_cert_make(&options);
    options = (struct test_cert_options){ .name = "client.test", .issuer = ends.authority };
    struct test_cert *revoked = test_cert_make(&options), *good = test_cert_make(&options);
    for (unsigned i = 0; i < 2; i++) {
        expect_refused(asking(TLS_CLIENT_OPTIONAL, no_list, -1), stranger, versions[i],
                       "unable to get local issuer certificate");
        expect_refused(asking(TLS_CLIENT_REQUIRED, no_list, -1), expired, versions[i],
                       "certificate has expired");
        struct slice list = test_cert_revocations(ends.authority, revoked);
        expect_refused(asking(TLS_CLIENT_REQUIRED, list, -1), revoked, versions[i], "certificate revoked");
        cr_assert(shows(asking(TLS_CLIENT_REQUIRED, list, -1), good, versions[i]));
        echo();
        part();
    }
    test_cert_free(stranger);
    test_cert_free(expired);
    test_cert_free(revoked);
    test_cert_free(good);
    test_cert_free(other_authority);
}

Test(tls_server, chains_of_clients_and_their_depth)
{
    struct test_cert_options options = { .name = "Middle CA", .authority = true, .issuer = ends.authority };
    struct test_cert *middle = test_cert_make(&options);
    options = (struct test_cert_options){ .name = "client.test", .issuer = middle };
    struct test_cert *leaf = test_cert_make(&options);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(shows(asking(TLS_CLIENT_REQUIRED, no_list, 1), leaf, versions[i]), "%s",
                  tls_stream_failure(&ends.server.tls).reason);
        cr_assert_eq(tls_stream_info(&ends.server.tls).peer->count, 2);
        echo();
        part();
        expect_refused(asking(TLS_CLIENT_REQUIRED, no_list, 0), leaf, versions[i],
                       "certificate chain too long");
    }
    test_cert_free(leaf);
    test_cert_free(middle);
}

/* --- tickets -------------------------------------------------------------------------------------------- */

static SSL_SESSION *session;

static int keep_session(SSL *ssl, SSL_SESSION *given)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = given;
    return 1;
}

/* Connects with the session that the last connection has left; was it resumed? */
static bool resumes(const char *name, int version)
{
    SSL *ssl = begin_with(tls_ends_server(&ends, ends.certs[0]));
    SSL_set_max_proto_version(ssl, version);
    SSL_set_tlsext_host_name(ssl, name);
    if (session)
        SSL_set_session(ssl, session);
    cr_assert(settle(), "%s", tls_stream_failure(&ends.server.tls).reason);
    echo();
    bool resumed = SSL_session_reused(ssl) == 1;
    cr_assert_eq(tls_stream_info(&ends.server.tls).resumed, resumed);
    SSL_shutdown(ssl); /* or OpenSSL forgets the session */
    part();
    return resumed;
}

static void rotate(void)
{
    struct tls_tickets *next = tls_tickets_rotate(tickets);
    tls_tickets_release(tickets);
    tickets = next;
    tls_loop_use_tickets(&ends.loop, tickets);
}

Test(tls_server, resumes_by_tickets)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    for (unsigned i = 0; i < 2; i++) {
        session = NULL;
        cr_assert_not(resumes("a.test", versions[i]));
        cr_assert_not_null(session);
        cr_assert(resumes("a.test", versions[i]), "another context, the same keys");
        cr_assert_not(resumes("b.test", versions[i]), "a ticket is good for one name");
        if (versions[i] == TLS1_2_VERSION) /* wolfSSL gives no new one to whom it has refused one */
            cr_assert(resumes("a.test", versions[i]), "the ticket is still good for its name");
        else
            cr_assert_not(resumes("a.test", versions[i]), "the last one was for b.test");
        rotate();
        cr_assert(resumes("a.test", versions[i]), "by a previous key");
        cr_assert(resumes("a.test", versions[i]), "and again");
        for (unsigned j = 0; j < TLS_TICKET_KEYS_MAX; j++)
            rotate();
        cr_assert_not(resumes("a.test", versions[i]), "no key is left");
        SSL_SESSION_free(session);
    }
    session = NULL;
}

Test(tls_server, without_keys_there_are_no_tickets)
{
    tls_loop_use_tickets(&ends.loop, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_not(resumes("a.test", versions[i]));
        cr_assert_not(resumes("a.test", versions[i]));
    }
    SSL_SESSION_free(session);
    session = NULL;
}

/* --- behind the handshake ------------------------------------------------------------------------------- */

Test(tls_server, key_updates_of_the_client)
{
    SSL *ssl = begin_with(tls_ends_server(&ends, ends.certs[0]));
    cr_assert(settle());
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(SSL_key_update(ssl, i & 1 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        echo();
    }
    part();
}

Test(tls_server, close_notify_and_truncation)
{
    for (unsigned i = 0; i < 2; i++) {
        SSL *ssl = begin_with(tls_ends_server(&ends, ends.certs[0]));
        SSL_set_max_proto_version(ssl, versions[i]);
        cr_assert(settle());
        SSL_shutdown(ssl);
        tls_openssl_run(&client);
        cr_assert(tls_ends_until_count(&ends.shard, &ends.server.ended, 1));
        shard_setup_turn_for(&ends.shard, 1);
        cr_assert(client.ended); /* the echo finishes, too */
        part();
        ssl = begin_with(tls_ends_server(&ends, ends.certs[0]));
        SSL_set_max_proto_version(ssl, versions[i]);
        cr_assert(settle());
        stream_finish(&client.pipe.stream);
        cr_assert(tls_ends_until_count(&ends.shard, &ends.server.failed, 1));
        cr_assert_eq(ends.server.error, ERROR_TRUNCATED);
        part();
    }
}

Test(tls_server, chooses_a_protocol)
{
    char reason[TLS_REASON_SIZE];
    struct slice protocols[] = { SLICE("h2"), SLICE("http/1.1") };
    struct tls_site_options site = { .pairs = { { .key = tls_ends_key(ends.certs[0]) } } };
    struct tls_server_options options = { .sites = &site,
                                          .site_count = 1,
                                          .suites = tls_ends_suites(),
                                          .protocols = { protocols, 2 },
                                          .set_count = 1 };
    struct tls_server *server = tls_server_make(&options, reason);
    cr_assert_not_null(server, "%s", reason);
    tls_key_release(site.pairs[0].key);
    for (unsigned i = 0; i < 2; i++) {
        const unsigned char *protocol = NULL;
        unsigned size = 0;
        tls_server_take(server);
        SSL *ssl = begin_with(server);
        SSL_set_max_proto_version(ssl, versions[i]);
        SSL_set_alpn_protos(ssl, (const unsigned char *)"\x08http/1.1\x02h2", 12);
        cr_assert(settle(), "%s", tls_stream_failure(&ends.server.tls).reason);
        echo();
        SSL_get0_alpn_selected(ssl, &protocol, &size);
        cr_assert(size == 2 && memcmp(protocol, "h2", 2) == 0);
        cr_assert_str_eq(tls_stream_info(&ends.server.tls).protocol, "h2");
        part();
    }
    tls_server_release(server);
}
