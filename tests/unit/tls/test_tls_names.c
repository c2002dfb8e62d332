/* SPDX-License-Identifier: Apache-2.0 */
/* Which certificate, protocol and alert a ClientHello gets; suites and keys that cannot be. */
#include "tests/support/tls_ends.h"
#include "tls/tls_crypto.h"

#include <criterion/criterion.h>

enum { SITES = 5 };

static struct test_cert *certs[SITES], *rsa;
static struct tls_key *keys[SITES], *rsa_key;
static char reason[TLS_REASON_SIZE];

static void start(void)
{
    cr_assert_eq(tls_crypto_start(), ERROR_OK);
    for (unsigned i = 0; i < SITES; i++) {
        certs[i] = test_cert_make(&(struct test_cert_options){ .name = "a.test" });
        keys[i] = tls_ends_key(certs[i]);
    }
    rsa = test_cert_make(&(struct test_cert_options){ .name = "a.test", .type = "RSA" });
    rsa_key = tls_ends_key(rsa);
}

static void end(void)
{
    for (unsigned i = 0; i < SITES; i++) {
        tls_key_release(keys[i]);
        test_cert_free(certs[i]);
    }
    tls_key_release(rsa_key);
    test_cert_free(rsa);
    tls_crypto_stop();
}

TestSuite(tls_names, .init = start, .fini = end, .timeout = 60);

static const char *const texts[SITES][2] = { { "a.test", "API.example.com" },
                                             { "*.a.test", "*.Example.com" },
                                             { "a.*", "www.example.*" },
                                             { "*" },
                                             { "other.test" } };
static struct slice names[SITES][2];

static struct tls_server_options options_of(struct tls_site_options *sites)
{
    for (unsigned i = 0; i < SITES * 2; i++)
        names[i / 2][i % 2] = slice_of(texts[i / 2][i % 2]);
    for (unsigned i = 0; i < SITES; i++)
        sites[i] = (struct tls_site_options){ .names = { names[i], names[i][1].data ? 2 : 1 },
                                              .pairs = { { .key = keys[i] } } };
    return (struct tls_server_options){
        .sites = sites, .site_count = SITES, .suites = tls_ends_suites(), .set_count = 1
    };
}

static struct tls_hello hello_for(const char *name)
{
    return (
        struct tls_hello){ .name = slice_of(name), .tls_1_3 = true, .signs_p256 = true, .signs_rsa = true };
}

static int site_of(const struct tls_server *server, const char *name)
{
    struct tls_choice choice;
    struct tls_hello hello = hello_for(name);
    if (tls_server_choose(server, &hello, 0, &choice) != TLS_ALERT_NONE)
        return -1;
    for (int i = 0; i < SITES; i++)
        if (choice.key == keys[i])
            return i;
    return -2;
}

Test(tls_names, exact_then_left_then_right_then_any)
{
    struct tls_site_options sites[SITES];
    struct tls_server_options options = options_of(sites);
    struct tls_server *server = tls_server_make(&options, reason);
    cr_assert_not_null(server, "%s", reason);
    cr_assert_eq(site_of(server, "a.test"), 0);
    cr_assert_eq(site_of(server, "A.TEST"), 0);
    cr_assert_eq(site_of(server, "a.test."), 0);
    cr_assert_eq(site_of(server, "api.example.com"), 0);
    cr_assert_eq(site_of(server, "x.a.test"), 1);
    cr_assert_eq(site_of(server, "www.example.com"), 1, "the left wildcard is tried first");
    cr_assert_eq(site_of(server, "a.org"), 2);
    cr_assert_eq(site_of(server, "www.example.org"), 2);
    cr_assert_eq(site_of(server, "y.x.a.test"), 3, "a wildcard stands for one label");
    cr_assert_eq(site_of(server, "nowhere"), 3);
    cr_assert_eq(site_of(server, NULL), 3);
    cr_assert_eq(site_of(server, "."), 3);
    cr_assert_eq(site_of(server, "other.test"), 4);
    tls_server_release(server);
}

Test(tls_names, without_any_the_first_site_or_none)
{
    struct tls_site_options sites[SITES];
    struct tls_server_options options = options_of(sites);
    options.site_count = 3;
    struct tls_server *server = tls_server_make(&options, reason);
    cr_assert_eq(site_of(server, "nowhere.at.all"), 0);
    cr_assert_eq(site_of(server, NULL), 0);
    tls_server_release(server);
    options.refuses_unknown = true;
    server = tls_server_make(&options, reason);
    cr_assert_eq(site_of(server, "nowhere.at.all"), -1);
    cr_assert_eq(site_of(server, NULL), 0);
    struct tls_choice choice;
    struct tls_hello hello = hello_for("nowhere.at.all");
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_UNRECOGNIZED_NAME);
    tls_server_release(server);
}

static struct tls_server *pair_of_keys(void)
{
    struct slice protocols[] = { SLICE("h2"), SLICE("http/1.1") };
    struct tls_site_options site = { .pairs = { { .key = rsa_key }, { .key = keys[0] } } };
    struct tls_server_options options = { .sites = &site,
                                          .site_count = 1,
                                          .suites = tls_ends_suites(),
                                          .protocols = { protocols, 2 },
                                          .set_count = 2 };
    struct tls_server *server = tls_server_make(&options, reason);
    cr_assert_not_null(server, "%s", reason);
    return server;
}

Test(tls_names, ecdsa_for_who_takes_it)
{
    struct tls_server *server = pair_of_keys();
    struct tls_choice choice;
    struct tls_hello hello = hello_for("a.test");
    cr_assert_eq(tls_server_choose(server, &hello, 1, &choice), TLS_ALERT_NONE);
    cr_assert_eq(choice.key, keys[0]);
    hello.signs_p256 = false;
    cr_assert_eq(tls_server_choose(server, &hello, 1, &choice), TLS_ALERT_NONE);
    cr_assert_eq(choice.key, rsa_key);
    hello = (struct tls_hello){ .tls_1_2 = true, .suites_rsa = true, .signs_p256 = true };
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_ALERT_NONE);
    cr_assert_eq(choice.key, rsa_key, "TLS 1.2 has suites for each");
    hello = (struct tls_hello){ .tls_1_2 = true };
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_HANDSHAKE_FAILURE);
    hello = (struct tls_hello){ .suites_rsa = true };
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_PROTOCOL_VERSION);
    tls_server_release(server);
}

Test(tls_names, protocols)
{
    struct tls_server *server = pair_of_keys();
    struct tls_choice choice;
    struct tls_hello hello = hello_for("a.test");
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_ALERT_NONE);
    cr_assert_null(choice.protocol.data);
    hello.protocols = SLICE("\x08http/1.1\x02h2");
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_ALERT_NONE);
    cr_assert(slice_equal(choice.protocol, SLICE("h2")), "the server's order");
    hello.protocols = SLICE("\x08http/1.1");
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_ALERT_NONE);
    cr_assert(slice_equal(choice.protocol, SLICE("http/1.1")));
    hello.protocols = SLICE("\x06spdy/9");
    cr_assert_eq(tls_server_choose(server, &hello, 0, &choice), TLS_NO_APPLICATION_PROTOCOL);
    tls_server_release(server);
}

Test(tls_names, what_cannot_be_is_refused)
{
    struct tls_site_options sites[SITES];
    struct tls_server_options options = options_of(sites);
    sites[1].names = sites[0].names;
    cr_assert_null(tls_server_make(&options, reason));
    cr_assert_str_eq(reason, "name 'a.test' belongs to two sites");
    options = options_of(sites);
    options.suites = (struct tls_suite_choice){ TLS_CUSTOM, SLICE("ECDHE-RSA-AES128-GCM-SHA256:RC4-MD5"),
                                                STREAM_TLS_1_2, STREAM_TLS_1_3 };
    cr_assert_null(tls_server_make(&options, reason));
    cr_assert_str_eq(reason, "cipher suite 'RC4-MD5' is not supported");
    options.suites = (struct tls_suite_choice){ TLS_MODERN, { NULL, 0 }, STREAM_TLS_1_2, STREAM_TLS_1_2 };
    cr_assert_null(tls_server_make(&options, reason));
    cr_assert_str_eq(reason, "no cipher suite is left for these versions");
    options.suites = (struct tls_suite_choice){ TLS_MODERN, { NULL, 0 }, 0x0301, STREAM_TLS_1_2 };
    cr_assert_null(tls_server_make(&options, reason));
    cr_assert_null(tls_key_read(test_cert_chain(certs[0]), test_cert_key(certs[1]), reason));
    cr_assert_str_eq(reason, "certificate does not match key");
    cr_assert_null(tls_key_read(SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                                test_cert_key(certs[1]), reason));
    cr_assert_null(tls_key_read(test_cert_chain(certs[0]), SLICE("nothing"), reason));
    cr_assert_null(tls_key_read(SLICE(""), SLICE(""), reason));
}

Test(tls_names, ticket_keys_of_a_file)
{
    const char *why = NULL;
    const char *line = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\n";
    struct tls_tickets *tickets = tls_tickets_read(slice_of(line), &why);
    cr_assert_not_null(tickets, "%s", why);
    tls_tickets_release(tickets);
    cr_assert_null(tls_tickets_read(SLICE(" \n\n"), &why));
    cr_assert_str_eq(why, "no key");
    cr_assert_null(tls_tickets_read(SLICE("AAAA\n"), &why));
    cr_assert_str_eq(why, "a line must be the base64 of 48 bytes");
}
