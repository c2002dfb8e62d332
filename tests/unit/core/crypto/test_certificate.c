/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/certificate.h"

#include "tests/support/test_certificates.h"

#include <criterion/criterion.h>

/* A text with its line ends, which are written as \n. */
static struct slice text_of(const char *escaped, char *out)
{
    char *end = out;
    for (const char *in = escaped; *in; in++)
        if (in[0] == '\\' && in[1] == 'n') {
            *end++ = '\n';
            in++;
        } else {
            *end++ = *in;
        }
    *end = '\0';
    return slice_of(out);
}

static char page[2][8192];
static char reason[CERTIFICATE_REASON_SIZE];

Test(certificate, pairs)
{
    struct certificate_facts ec, rsa;
    struct key_facts key, other, public_key;
    cr_assert(certificate_read(text_of(TEST_CERT_EC, page[0]), &ec, reason), "%s", reason);
    cr_assert(certificate_read(text_of(TEST_CERT_RSA, page[0]), &rsa, reason));
    cr_assert(certificate_read_private_key(text_of(TEST_KEY_EC, page[0]), &key, reason), "%s", reason);
    cr_assert(certificate_read_private_key(text_of(TEST_KEY_OTHER, page[0]), &other, reason));
    cr_assert(certificate_read_public_key(text_of(TEST_PUBLIC_EC, page[0]), &public_key, reason));
    cr_assert_arr_eq(ec.public_key, key.public_key, CERTIFICATE_DIGEST_SIZE);
    cr_assert_arr_eq(ec.public_key, public_key.public_key, CERTIFICATE_DIGEST_SIZE);
    cr_assert_arr_neq(ec.public_key, other.public_key, CERTIFICATE_DIGEST_SIZE);
    cr_assert(ec.key == CERTIFICATE_KEY_EC && rsa.key == CERTIFICATE_KEY_RSA &&
              key.key == CERTIFICATE_KEY_EC);
    cr_assert(ec.count == 1 && !ec.is_authority && ec.not_after_s > 2000000000);
    cr_assert_eq(strlen(ec.digest), 64);
}

Test(certificate, chains_and_authorities)
{
    struct certificate_facts facts;
    cr_assert(certificate_read(text_of(TEST_CERT_EC TEST_CA, page[0]), &facts, reason));
    cr_assert(facts.count == 2 && !facts.is_authority);
    cr_assert(certificate_read(text_of(TEST_CA, page[0]), &facts, reason));
    cr_assert(facts.is_authority);
    cr_assert(certificate_read(text_of(TEST_CA_EXPIRED, page[0]), &facts, reason));
    cr_assert_eq(facts.not_after_s, 1293840000); /* the start of 2011 */
}

Test(certificate, broken)
{
    struct certificate_facts facts;
    struct key_facts key;
    cr_assert_not(certificate_read(SLICE("x"), &facts, reason));
    /* Which error of ASN.1 it is depends on OpenSSL's version. */
    cr_assert_not_null(strstr(reason, "x509.new: error:68000"), "%s", reason);
    cr_assert_not_null(strstr(reason, ":asn1 encoding routines:"), "%s", reason);
    cr_assert_not(certificate_read(SLICE(""), &facts, reason));
    cr_assert_not(certificate_read(text_of(TEST_KEY_EC, page[0]), &facts, reason));
    struct slice cut = text_of(TEST_CERT_EC, page[0]);
    cut.size /= 2;
    cr_assert_not(certificate_read(cut, &facts, reason));
    cr_assert_not(certificate_read_private_key(text_of(TEST_CERT_EC, page[0]), &key, reason));
    cr_assert_not_null(strstr(reason, "pkey.new: error:"), "%s", reason);
    cr_assert_not(certificate_read_public_key(text_of(TEST_KEY_EC, page[0]), &key, reason));
    /* The second one of a chain is judged, too. */
    struct slice chain = text_of(TEST_CERT_EC "-----BEGIN CERTIFICATE-----\\nAAAA\\n"
                                              "-----END CERTIFICATE-----\\n",
                                 page[1]);
    cr_assert_not(certificate_read(chain, &facts, reason));
}
