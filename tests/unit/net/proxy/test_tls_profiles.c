/* SPDX-License-Identifier: Apache-2.0 */
/* What a model says about TLS: which certificate for which name, and which services share connections. */
#include "net/proxy/tls_profiles.h"
#include "tests/support/test_certs.h"
#include "tls/tls_crypto.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdio.h>

static struct arena arena;
static struct report report;
static struct model model;
static struct test_cert *authority, *own, *named, *other;
static struct certificate certificates[2], *certificate_items[2] = { &certificates[0], &certificates[1] };
static struct sni snis[3], *sni_items[3] = { &snis[0], &snis[1], &snis[2] };
static struct ca_certificate authorities[2], *authority_items[2] = { &authorities[0], &authorities[1] };
static struct upstream upstream;
static struct tls_profile_options options;
static struct tls_profiles profiles;

static struct tls_key *read_key(struct test_cert *cert)
{
    char reason[TLS_REASON_SIZE];
    struct tls_key *key = tls_key_read(test_cert_chain(cert), test_cert_key(cert), reason);
    cr_assert_not_null(key, "%s", reason);
    return key;
}

static void name_certificate(uint32_t index, struct test_cert *cert)
{
    certificates[index] = (struct certificate){ .entity.index = index,
                                                .cert = test_cert_chain(cert),
                                                .key = test_cert_key(cert) };
}

static void start(void)
{
    char reason[TLS_REASON_SIZE];
    cr_assert_eq(tls_crypto_start(), ERROR_OK);
    arena_init(&arena, NULL, 0, SIZE_MAX);
    report_init(&report);
    authority = test_cert_make(&(struct test_cert_options){ .name = "CA", .authority = true });
    own = test_cert_make(&(struct test_cert_options){ .name = "own.test" });
    named = test_cert_make(&(struct test_cert_options){ .name = "a.test", .issuer = authority });
    other = test_cert_make(&(struct test_cert_options){ .name = "b.test", .issuer = authority });
    name_certificate(0, named);
    name_certificate(1, other);
    snis[0] = (struct sni){ .entity.name = SLICE("a.test"), .certificate = &certificates[0] };
    snis[1] = (struct sni){ .entity.name = SLICE("*.a.test"), .certificate = &certificates[0] };
    snis[2] = (struct sni){ .entity.name = SLICE("b.test"), .certificate = &certificates[1] };
    for (int i = 0; i < 2; i++) {
        authorities[i].cert = test_cert_own(authority);
        snprintf(authorities[i].digest, sizeof(authorities[i].digest), "%064d", i);
    }
    model = (struct model){ .certificates = { certificate_items, 2, 2 }, .snis = { sni_items, 3, 3 } };
    struct tls_trust_options trust = { .depth = 3 };
    options = (struct tls_profile_options){ .defaults = { read_key(own) },
                                            .suites = { .preset = TLS_INTERMEDIATE,
                                                        .version_min = STREAM_TLS_1_2,
                                                        .version_max = STREAM_TLS_1_3 },
                                            .listens = true,
                                            .verifies = true,
                                            .trusted = tls_trust_make(&trust, reason),
                                            .trusted_depth = 3,
                                            .trusted_digest = "0123",
                                            .set_count = 2 };
}

static void end(void)
{
    arena_deinit(&arena);
    report_deinit(&report);
    tls_key_release(options.defaults[0]);
    tls_trust_release(options.trusted);
    struct test_cert *all[] = { own, named, other, authority };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        test_cert_free(all[i]);
    tls_crypto_leave_thread();
    tls_crypto_stop();
}

TestSuite(tls_profiles, .init = start, .fini = end);

static bool build(void)
{
    struct tls_profile_source source = { &arena, &model, &options, &report };
    return tls_profiles_build(&profiles, &source);
}

static bool shows(const char *name, struct test_cert *cert)
{
    struct tls_choice choice;
    struct tls_hello hello = { .name = slice_of(name), .tls_1_3 = true, .signs_p256 = true };
    struct tls_key *key = read_key(cert);
    bool chosen = tls_server_choose(profiles.server, &hello, 1, &choice) == TLS_ALERT_NONE &&
                  slice_equal(tls_key_chain_pem(choice.key), tls_key_chain_pem(key));
    tls_key_release(key);
    return chosen;
}

Test(tls_profiles, certificates_by_name)
{
    cr_assert(build());
    cr_assert(shows("a.test", named));
    cr_assert(shows("x.a.test", named));
    cr_assert(shows("b.test", other));
    cr_assert(shows("c.test", own));
}

Test(tls_profiles, a_secret_that_is_not_there_is_no_certificate)
{
    certificates[1].key = SLICE("");
    cr_assert(build());
    cr_assert(shows("b.test", own));
    cr_assert(shows("a.test", named));
}

Test(tls_profiles, a_pair_that_does_not_fit_is_reported_with_its_place)
{
    certificates[1].entity.position.line = 7;
    certificates[1].key = test_cert_key(named);
    cr_assert_not(build());
    cr_assert_eq(report.error_count, 1);
    cr_assert_str_eq(report.entries[0].path, "certificates[1]");
    cr_assert_str_eq(report.entries[0].reason, "certificate does not match key");
    cr_assert_eq(report.entries[0].line, 7);
}

Test(tls_profiles, nobody_listens)
{
    options.listens = false;
    certificates[1].key = test_cert_key(named); /* is not looked at */
    cr_assert(build());
    cr_assert_null(profiles.server);
}

static struct service service_with(int verify, int64_t depth)
{
    return (struct service){ .upstream = &upstream, .tls = { .verify = verify, .verify_depth = depth } };
}

static const struct tls_upstream *connect_by(const struct service *service)
{
    struct tls_profile_source source = { &arena, &model, &options, &report };
    return tls_profiles_upstream(&profiles, &source, service);
}

Test(tls_profiles, services_share_only_what_is_the_same)
{
    struct service all[8];
    const struct tls_upstream *found[8];
    for (size_t i = 0; i < COUNT_OF(all); i++)
        all[i] = service_with(-1, INTEGER_NULL);
    all[1] = service_with(0, INTEGER_NULL);
    all[2] = service_with(-1, 2);
    all[3].tls.authorities = authority_items, all[3].tls.authority_count = 1;
    all[4].tls.authorities = authority_items, all[4].tls.authority_count = 2;
    all[5].tls.client_certificate = &certificates[0];
    all[6].tls.client_certificate = &certificates[1];
    all[7] = service_with(0, 2);
    cr_assert(build());
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        found[i] = connect_by(&all[i]);
        cr_assert_not_null(found[i]);
        for (size_t j = 0; j < i; j++)
            cr_assert(memcmp(found[i]->id, found[j]->id, sizeof(found[i]->id)) != 0, "%zu and %zu", i, j);
        cr_assert_eq(connect_by(&all[i]), found[i]);
    }
    struct service same = service_with(1, 3);
    cr_assert_eq(connect_by(&same), found[0]);
    upstream.client_certificate = &certificates[0];
    cr_assert_eq(connect_by(&all[0]), found[5], "the upstream's certificate is shown");
    upstream.client_certificate = NULL;
    cr_assert(tls_client_checks_name(found[0]->client));
    cr_assert_not(tls_client_checks_name(found[1]->client));
}

Test(tls_profiles, ids_are_the_same_after_a_reload_unless_something_changes)
{
    struct service service = service_with(-1, INTEGER_NULL);
    cr_assert(build());
    struct tls_upstream first = *connect_by(&service);
    cr_assert(build());
    cr_assert_arr_eq(connect_by(&service)->id, first.id, sizeof(first.id));
    snprintf(options.trusted_digest, sizeof(options.trusted_digest), "other authorities");
    cr_assert(build());
    cr_assert(memcmp(connect_by(&service)->id, first.id, sizeof(first.id)) != 0);
}

Test(tls_profiles, a_certificate_for_upstreams_that_cannot_be_read)
{
    struct service service = service_with(-1, INTEGER_NULL);
    service.tls.client_certificate = &certificates[0];
    certificates[0].key = test_cert_key(other);
    options.listens = false;
    cr_assert(build());
    cr_assert_null(connect_by(&service));
    cr_assert_str_eq(report.entries[0].path, "services[0]");
}

Test(tls_profiles, the_pair_that_stands_in)
{
    char reason[TLS_REASON_SIZE];
    struct tls_key *key = tls_key_make("localhost", reason);
    cr_assert_not_null(key, "%s", reason);
    cr_assert_eq(tls_key_kind(key), TLS_KEY_EC_P256);
    cr_assert_eq(tls_key_chain_count(key), 1);
    cr_assert_gt(tls_key_not_after_s(key), 2000000000);
    tls_key_release(key);
}

static struct slice der_of(struct test_cert *cert)
{
    struct slice pem = test_cert_own(cert);
    unsigned char *der = NULL;
    BIO *text = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *x509 = PEM_read_bio_X509(text, NULL, NULL, NULL);
    int size = i2d_X509(x509, &der);
    cr_assert_gt(size, 0);
    struct slice copy = arena_copy(&arena, (struct slice){ (const char *)der, (size_t)size });
    OPENSSL_free(der);
    X509_free(x509);
    BIO_free(text);
    return copy;
}

Test(tls_profiles, trust_to_another_depth)
{
    char reason[TLS_REASON_SIZE];
    struct test_cert *between = test_cert_make(
        &(struct test_cert_options){ .name = "Between", .issuer = authority, .authority = true });
    struct test_cert *leaf =
        test_cert_make(&(struct test_cert_options){ .name = "l.test", .issuer = between });
    struct tls_trust_options from = { .authorities_pem = test_cert_own(authority), .depth = 1 };
    struct tls_trust *deep = tls_trust_make(&from, reason), *flat = tls_trust_at_depth(deep, 0);
    cr_assert(deep != NULL && flat != NULL);
    struct slice shown[] = { der_of(leaf), der_of(between) };
    struct tls_chain chain = { shown, 2, TLS_PEER_SERVER, "l.test" };
    cr_assert_null(tls_trust_refuses(deep, &chain));
    cr_assert_not_null(tls_trust_refuses(flat, &chain));
    tls_trust_release(deep);
    cr_assert_not_null(tls_trust_refuses(flat, &chain));
    tls_trust_release(flat);
    test_cert_free(leaf);
    test_cert_free(between);
}
