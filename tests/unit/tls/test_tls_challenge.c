/* SPDX-License-Identifier: Apache-2.0 */
/* Who is taken for an ACME server by tls-alpn-01, what it is shown, and that nothing follows. */
#include "core/crypto/digest.h"
#include "tests/support/tls_ends.h"
#include "tls/tls_challenge.h"
#include "tls/tls_crypto.h"
#include "tls/tls_pem.h"

#include <criterion/criterion.h>
#include <openssl/x509v3.h>

static struct tls_ends ends;
static char reason[TLS_REASON_SIZE];

static void start(void)
{
    tls_ends_open(&ends);
}

static void end(void)
{
    tls_challenge_clear();
    tls_ends_close(&ends);
}

TestSuite(tls_challenge, .init = start, .fini = end, .timeout = 60);

static const struct {
    const char *name, *protocols;
    bool taken;
} hellos[] = {
    { "a.test", "\012acme-tls/1", true },        { "A.TEST", "\012acme-tls/1", true },
    { "b.test", "\012acme-tls/1", false },       { NULL, "\012acme-tls/1", false },
    { "a.test", "\012acme-tls/1\002h2", false }, { "a.test", "\002h2\012acme-tls/1", false },
    { "a.test", "\012acme-tls/2", false },       { "a.test", NULL, false },
};

Test(tls_challenge, only_who_asks_for_nothing_else)
{
    struct tls_hello first = { .name = SLICE("a.test"), .protocols = SLICE("\012acme-tls/1") };
    cr_assert_null(tls_challenge_take(&first), "nothing is being confirmed");
    cr_assert(tls_challenge_set(SLICE("b.test"), SLICE("t.x")));
    cr_assert(tls_challenge_set(SLICE("a.test"), SLICE("t.print")));
    for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
        struct tls_hello hello = { .name = slice_of(hellos[i].name),
                                   .protocols = slice_of(hellos[i].protocols) };
        struct tls_server *server = tls_challenge_take(&hello);
        cr_assert_eq(server != NULL, hellos[i].taken, "%zu", i);
        tls_server_release(server);
    }
    tls_challenge_clear();
    cr_assert_null(tls_challenge_take(&first));
}

/* As RFC 8737 section 3 has it, in full. */
Test(tls_challenge, the_certificate)
{
    unsigned char expected[34] = { 4, 32 };
    struct tls_key *key = tls_key_make_challenge(SLICE("a.test"), SLICE("t.print"), reason);
    cr_assert_not_null(key, "%s", reason);
    STACK_OF(X509) *chain = tls_pem_certificates(tls_key_chain_pem(key), reason);
    cr_assert_eq(sk_X509_num(chain), 1);
    X509 *x509 = sk_X509_value(chain, 0);
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    int at = X509_get_ext_by_OBJ(x509, object, -1);
    cr_assert_geq(at, 0);
    cr_assert_eq(X509_EXTENSION_get_critical(X509_get_ext(x509, at)), 1);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(x509, at));
    cr_assert(digest_of(DIGEST_SHA256, SLICE("t.print"), expected + 2));
    cr_assert_eq(ASN1_STRING_length(value), (int)sizeof(expected));
    cr_assert_eq(memcmp(ASN1_STRING_get0_data(value), expected, sizeof(expected)), 0);
    cr_assert_eq(X509_check_host(x509, "a.test", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL), 1);
    cr_assert_eq(X509_check_host(x509, "localhost", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL), 0);
    cr_assert_eq(X509_verify(x509, X509_get0_pubkey(x509)), 1, "signed by itself");
    ASN1_OBJECT_free(object);
    sk_X509_pop_free(chain, X509_free);
    tls_key_release(key);
    char endless[400];
    memset(endless, 'a', sizeof(endless));
    cr_assert_null(tls_key_make_challenge((struct slice){ endless, sizeof(endless) }, SLICE("x"), reason));
}

/* Handshakes of those that answer are tried from outside: our own client refuses such certificates. */
static struct tls_server *make_server(void)
{
    struct tls_site_options site = { .pairs = { { .key = tls_ends_key(ends.certs[0]) } } };
    struct tls_server_options options = { .sites = &site,
                                          .site_count = 1,
                                          .suites = tls_ends_suites(),
                                          .ticket_lifetime_s = 3600,
                                          .set_count = 1 };
    struct tls_server *server = tls_server_make(&options, reason);
    cr_assert_not_null(server, "%s", reason);
    tls_key_release(site.pairs[0].key);
    return server;
}

static struct tls_client *make_client(void)
{
    struct slice protocols[] = { SLICE("acme-tls/1") };
    struct tls_client_options options = { .suites = tls_ends_suites(),
                                          .protocols = { protocols, 1 },
                                          .set_count = 1 };
    struct tls_client *client = tls_client_make(&options, reason);
    cr_assert_not_null(client, "%s", reason);
    return client;
}

Test(tls_challenge, listeners_of_ones_own_take_none)
{
    cr_assert(tls_challenge_set(SLICE("a.test"), SLICE("t.print")));
    tls_ends_begin(&ends, make_server(), make_client());
    cr_assert(tls_ends_shake(&ends));
    cr_assert_not(ends.server.tls.confirms);
    cr_assert_str_empty(tls_stream_info(&ends.client.tls).protocol);
    tls_ends_part(&ends);
}
