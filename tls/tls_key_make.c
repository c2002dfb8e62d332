/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/digest.h"
#include "core/crypto/random.h"
#include "tls/tls_key.h"
#include "tls/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { YEARS_10_S = 10 * 365 * 24 * 3600, HOUR_S = 3600, DIGEST_BYTES = 32, DOMAIN_MAX = 255 };

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

/* All but what it is for; signed by itself afterwards. */
static bool begin(X509 *x509, EVP_PKEY *pkey, const char *name)
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
           add_extension(x509, NID_ext_key_usage, "serverAuth");
}

/* acmeIdentifier (RFC 8737 section 3), which libcrypto has no name for: critical, an OCTET STRING. */
static bool add_identifier(X509 *x509, const unsigned char digest[DIGEST_BYTES])
{
    unsigned char der[2 + DIGEST_BYTES] = { V_ASN1_OCTET_STRING, DIGEST_BYTES };
    ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    memcpy(der + 2, digest, DIGEST_BYTES);
    if (object && value && ASN1_OCTET_STRING_set(value, der, sizeof(der)) == 1)
        extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
    bool added = extension && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
    return added;
}

static struct slice text_of(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    return (struct slice){ data, (size_t)size };
}

static struct tls_key *finish(X509 *x509, EVP_PKEY *pkey, char *reason)
{
    BIO *chain = BIO_new(BIO_s_mem()), *private = BIO_new(BIO_s_secmem());
    struct tls_key *key = NULL;
    if (chain && private && X509_sign(x509, pkey, EVP_sha256()) > 0 && PEM_write_bio_X509(chain, x509) == 1 &&
        PEM_write_bio_PrivateKey(private, pkey, NULL, NULL, 0, NULL, NULL) == 1)
        key = tls_key_read(text_of(chain), text_of(private), reason);
    else
        tls_pem_reason("no pair could be made", reason);
    BIO_free(chain);
    BIO_free(private);
    return key;
}

/* A fresh pair for `name`; `digest`, when there is one, becomes the identifier of an ACME challenge. */
static struct tls_key *make(const char *name, const char *alternative, const unsigned char *digest,
                            char *reason)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    struct tls_key *key = NULL;
    if (pkey && x509 && begin(x509, pkey, name) && add_extension(x509, NID_subject_alt_name, alternative) &&
        (digest == NULL || add_identifier(x509, digest)))
        key = finish(x509, pkey, reason);
    else
        tls_pem_reason("no pair could be made", reason);
    X509_free(x509);
    EVP_PKEY_free(pkey);
    return key;
}

struct tls_key *tls_key_make(const char *name, char *reason)
{
    return make(name, "DNS:localhost,IP:127.0.0.1,IP:::1", NULL, reason);
}

struct tls_key *tls_key_make_challenge(struct slice domain, struct slice authorization, char *reason)
{
    char alternative[DOMAIN_MAX + 8];
    unsigned char digest[DIGEST_BYTES];
    if (domain.size > DOMAIN_MAX || !digest_of(DIGEST_SHA256, authorization, digest)) {
        snprintf(reason, TLS_REASON_SIZE, "no pair could be made");
        return NULL;
    }
    snprintf(alternative, sizeof(alternative), "DNS:%.*s", SLICE_FORMAT(domain));
    return make("ACME challenge", alternative, digest, reason);
}
