/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/random.h"
#include "tls/tls_key.h"
#include "tls/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { YEARS_10_S = 10 * 365 * 24 * 3600, HOUR_S = 3600 };

static bool add_extension(X509 *x509, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool added = extension && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool draw_serial(X509 *x509)
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof(bytes));
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool drawn = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
    BN_free(number);
    return drawn;
}

static bool fill(X509 *x509, EVP_PKEY *pkey, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(x509);
    return X509_set_version(x509, X509_VERSION_3) == 1 && draw_serial(x509) &&
           X509_gmtime_adj(X509_getm_notBefore(x509), -HOUR_S) &&
           X509_gmtime_adj(X509_getm_notAfter(x509), YEARS_10_S) &&
           X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Sluice", -1, -1,
                                      0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) ==
               1 &&
           X509_set_issuer_name(x509, subject) == 1 && X509_set_pubkey(x509, pkey) == 1 &&
           add_extension(x509, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x509, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x509, NID_ext_key_usage, "serverAuth") &&
           add_extension(x509, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
           X509_sign(x509, pkey, EVP_sha256()) > 0;
}

static struct slice text_of(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    return (struct slice){ data, (size_t)size };
}

struct tls_key *tls_key_make(const char *name, char *reason)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    BIO *chain = BIO_new(BIO_s_mem()), *private = BIO_new(BIO_s_secmem());
    struct tls_key *key = NULL;
    if (pkey && x509 && chain && private && fill(x509, pkey, name) && PEM_write_bio_X509(chain, x509) == 1 &&
        PEM_write_bio_PrivateKey(private, pkey, NULL, NULL, 0, NULL, NULL) == 1)
        key = tls_key_read(text_of(chain), text_of(private), reason);
    else
        tls_pem_reason("no pair could be made", reason);
    BIO_free(chain);
    BIO_free(private);
    X509_free(x509);
    EVP_PKEY_free(pkey);
    return key;
}
