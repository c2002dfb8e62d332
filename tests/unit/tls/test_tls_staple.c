/* SPDX-License-Identifier: Apache-2.0 */
/* Which OCSP responses are kept to be stapled, when another is due, and that reloads share them. */
#include "tests/support/test_certs.h"
#include "tls/tls_pem.h"
#include "tls/tls_staple.h"

#include <criterion/criterion.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <time.h>

enum { HOUR_S = 3600 };

static struct test_cert *root, *issuer, *leaf, *other;
static struct tls_key *key;
static struct tls_staple *staple;
static char reason[TLS_REASON_SIZE];

static struct tls_key *read_key(struct test_cert *cert)
{
    struct tls_key *read = tls_key_read(test_cert_chain(cert), test_cert_key(cert), reason);
    cr_assert_not_null(read, "%s", reason);
    return read;
}

static void start(void)
{
    root = test_cert_make(&(struct test_cert_options){ .name = "Root", .authority = true });
    issuer = test_cert_make(&(struct test_cert_options){ .name = "CA", .issuer = root, .authority = true });
    leaf = test_cert_make(&(struct test_cert_options){ .name = "a.test", .issuer = issuer });
    other = test_cert_make(&(struct test_cert_options){ .name = "b.test", .issuer = issuer });
    key = read_key(leaf);
    staple = tls_staple_open(key);
    cr_assert_not_null(staple);
}

static void end(void)
{
    tls_staple_release(staple);
    tls_key_release(key);
    test_cert_free(leaf);
    test_cert_free(other);
    test_cert_free(issuer);
    test_cert_free(root);
}

TestSuite(tls_staple, .init = start, .fini = end, .timeout = 60);

struct says {
    struct test_cert *about, *signer;
    int status;
    long from_s, until_s; /* from now; until 0: not said */
};

static X509 *first_of(struct test_cert *cert)
{
    STACK_OF(X509) *all = tls_pem_certificates(test_cert_own(cert), reason);
    X509 *first = sk_X509_shift(all);
    sk_X509_pop_free(all, X509_free);
    return first;
}

static OCSP_BASICRESP *sign(const struct says *says)
{
    X509 *about = first_of(says->about), *by = first_of(says->signer), *ca = first_of(issuer);
    EVP_PKEY *pkey = tls_pem_private_key(test_cert_key(says->signer), reason);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), about, ca);
    ASN1_TIME *from = X509_gmtime_adj(NULL, says->from_s), *revoked = X509_gmtime_adj(NULL, -HOUR_S);
    ASN1_TIME *until = says->until_s ? X509_gmtime_adj(NULL, says->until_s) : NULL;
    bool is_revoked = says->status == V_OCSP_CERTSTATUS_REVOKED;
    cr_assert_not_null(
        OCSP_basic_add1_status(basic, id, says->status, 0, is_revoked ? revoked : NULL, from, until));
    cr_assert_eq(OCSP_basic_sign(basic, by, pkey, EVP_sha256(), NULL, 0), 1);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    ASN1_TIME_free(revoked);
    OCSP_CERTID_free(id);
    EVP_PKEY_free(pkey);
    X509_free(about);
    X509_free(by);
    X509_free(ca);
    return basic;
}

static const char *offer(const struct says *says)
{
    unsigned char *der = NULL;
    OCSP_BASICRESP *basic = sign(says);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int size = i2d_OCSP_RESPONSE(response, &der);
    const char *why = tls_staple_offer(staple, (struct slice){ (const char *)der, (size_t)size }, HOUR_S);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    return why;
}

static size_t shown(void)
{
    struct slice copy = tls_staple_copy(staple, malloc);
    free((void *)(uintptr_t)copy.data);
    return copy.size;
}

/* Times from now on: half of its life, but no later than the refresh. */
static int64_t due_in(void)
{
    int64_t now_s = time(NULL);
    for (int64_t in_s = 0; in_s <= 2 * HOUR_S; in_s++) {
        struct tls_staple *due = tls_staple_due(now_s + in_s, -in_s); /* due again from now on */
        tls_staple_release(due);
        if (due)
            return in_s;
    }
    return -1;
}

Test(tls_staple, good_ones_are_shown)
{
    cr_assert_eq(tls_staple_version(staple), 0);
    cr_assert_eq(shown(), 0);
    cr_assert_null(offer(&(struct says){ leaf, issuer, V_OCSP_CERTSTATUS_GOOD, -60, 1000 }));
    uint64_t first = tls_staple_version(staple);
    cr_assert_gt(first, 0);
    cr_assert_gt(shown(), 0);
    int64_t half_s = due_in();
    cr_assert(half_s >= 495 && half_s <= 501, "%lld", (long long)half_s);
    cr_assert_null(offer(&(struct says){ leaf, issuer, V_OCSP_CERTSTATUS_GOOD, -60, 100 * HOUR_S }));
    cr_assert_neq(tls_staple_version(staple), first);
    half_s = due_in();
    cr_assert(half_s >= HOUR_S - 5 && half_s <= HOUR_S, "%lld", (long long)half_s);
    cr_assert_null(offer(&(struct says){ leaf, issuer, V_OCSP_CERTSTATUS_GOOD, -60, 0 }));
    cr_assert_gt(shown(), 0);
}

Test(tls_staple, others_are_not_and_leave_what_was)
{
    const struct says wrong[] = {
        { other, issuer, V_OCSP_CERTSTATUS_GOOD, -60, HOUR_S },
        { leaf, other, V_OCSP_CERTSTATUS_GOOD, -60, HOUR_S },
        { leaf, root, V_OCSP_CERTSTATUS_GOOD, -60, HOUR_S },
        { leaf, issuer, V_OCSP_CERTSTATUS_UNKNOWN, -60, HOUR_S },
        { leaf, issuer, V_OCSP_CERTSTATUS_GOOD, -2 * HOUR_S, -HOUR_S },
        { leaf, issuer, V_OCSP_CERTSTATUS_GOOD, -2 * HOUR_S, -60 }, /* no clock is that wrong here */
        { leaf, issuer, V_OCSP_CERTSTATUS_GOOD, HOUR_S, 2 * HOUR_S },
    };
    cr_assert_null(offer(&(struct says){ leaf, issuer, V_OCSP_CERTSTATUS_GOOD, -60, HOUR_S }));
    uint64_t first = tls_staple_version(staple);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not_null(offer(&wrong[i]), "%zu", i);
    cr_assert_not_null(tls_staple_offer(staple, SLICE("nonsense"), HOUR_S));
    cr_assert_not_null(tls_staple_offer(staple, SLICE(""), HOUR_S));
    cr_assert_not_null(tls_staple_offer(staple, SLICE("\x30\x03\x0a\x01\x03"), HOUR_S));
    cr_assert_eq(tls_staple_version(staple), first);
    cr_assert_not_null(offer(&(struct says){ leaf, issuer, V_OCSP_CERTSTATUS_REVOKED, -60, HOUR_S }));
    cr_assert_eq(tls_staple_version(staple), 0);
    cr_assert_eq(shown(), 0);
}

Test(tls_staple, one_for_each_certificate)
{
    struct tls_key *again = read_key(leaf), *second = read_key(other), *alone = read_key(issuer);
    struct tls_staple *same = tls_staple_open(again), *different = tls_staple_open(second);
    cr_assert_eq(same, staple);
    cr_assert_neq(different, staple);
    cr_assert_null(tls_staple_open(alone), "its issuer is not in the chain");
    cr_assert_str_eq(tls_staple_name(different), "b.test");
    cr_assert_null(tls_staple_url(different).data);
    tls_staple_release(different);
    tls_staple_release(same);
    tls_key_release(again);
    tls_key_release(second);
    tls_key_release(alone);
}
