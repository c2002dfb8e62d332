/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test_certs.h"

#include "core/crypto/random.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { DAY_S = 24 * 3600 };

struct test_cert {
    X509 *x509;
    EVP_PKEY *key;
    struct test_cert *issuer;
    BIO *own, *chain, *private_key, *revocations;
};

static EVP_PKEY *make_key(const char *type)
{
    if (type == NULL || strcmp(type, "P-256") == 0)
        return EVP_EC_gen("P-256");
    if (strcmp(type, "P-384") == 0)
        return EVP_EC_gen("P-384");
    if (strcmp(type, "RSA") == 0)
        return EVP_RSA_gen(2048);
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_extensions(struct test_cert *cert, const struct test_cert_options *options)
{
    X509 *issuer = options->issuer ? options->issuer->x509 : cert->x509;
    char names[300];
    struct in_addr address;
    bool is_address = inet_pton(AF_INET, options->name, &address) == 1;
    add_extension(cert->x509, issuer, NID_subject_key_identifier, "hash");
    if (options->authority) {
        add_extension(cert->x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(cert->x509, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
        return;
    }
    snprintf(names, sizeof(names), "%s:%s", is_address ? "IP" : "DNS", options->name);
    add_extension(cert->x509, issuer, NID_subject_alt_name, names);
    add_extension(cert->x509, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
}

static const EVP_MD *digest_for(EVP_PKEY *key)
{
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
}

static void fill(struct test_cert *cert, const struct test_cert_options *options)
{
    X509 *x509 = cert->x509;
    struct test_cert *signer = options->issuer ? options->issuer : cert;
    long ends_s = options->ends_s ? options->ends_s : DAY_S;
    unsigned char serial[8];
    random_bytes(serial, sizeof(serial));
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 1);
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
    BN_free(number);
    X509_set_version(x509, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x509), -2L * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(x509), ends_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)options->name, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(signer->x509));
    X509_set_pubkey(x509, cert->key);
    add_extensions(cert, options);
    CHECK(X509_sign(x509, signer->key, digest_for(signer->key)) > 0);
}

struct test_cert *test_cert_make(const struct test_cert_options *options)
{
    struct test_cert *cert = calloc(1, sizeof(*cert));
    CHECK(cert != NULL);
    cert->key = make_key(options->type);
    cert->x509 = X509_new();
    cert->issuer = options->issuer;
    CHECK(cert->key != NULL && cert->x509 != NULL);
    fill(cert, options);
    return cert;
}

void test_cert_free(struct test_cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
    BIO_free(cert->own);
    BIO_free(cert->chain);
    BIO_free(cert->private_key);
    BIO_free(cert->revocations);
    free(cert);
}

static struct slice text_of(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    return (struct slice){ data, (size_t)size };
}

struct slice test_cert_own(struct test_cert *cert)
{
    if (cert->own == NULL) {
        cert->own = BIO_new(BIO_s_mem());
        CHECK(PEM_write_bio_X509(cert->own, cert->x509) == 1);
    }
    return text_of(cert->own);
}

struct slice test_cert_chain(struct test_cert *cert)
{
    if (cert->chain == NULL) {
        cert->chain = BIO_new(BIO_s_mem());
        CHECK(PEM_write_bio_X509(cert->chain, cert->x509) == 1);
        for (struct test_cert *next = cert->issuer; next && next->issuer; next = next->issuer)
            CHECK(PEM_write_bio_X509(cert->chain, next->x509) == 1);
    }
    return text_of(cert->chain);
}

struct slice test_cert_key(struct test_cert *cert)
{
    if (cert->private_key == NULL) {
        cert->private_key = BIO_new(BIO_s_mem());
        CHECK(PEM_write_bio_PrivateKey(cert->private_key, cert->key, NULL, NULL, 0, NULL, NULL) == 1);
    }
    return text_of(cert->private_key);
}

static void add_revoked(X509_CRL *list, const struct test_cert *revoked, const ASN1_TIME *when)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    CHECK(entry != NULL);
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509));
    X509_REVOKED_set_revocationDate(entry, (ASN1_TIME *)(uintptr_t)when);
    CHECK(X509_CRL_add0_revoked(list, entry) == 1);
}

struct slice test_cert_revocations(struct test_cert *authority, const struct test_cert *revoked)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *before = X509_gmtime_adj(NULL, -DAY_S), *after = X509_gmtime_adj(NULL, DAY_S);
    CHECK(list != NULL && before != NULL && after != NULL);
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->x509));
    X509_CRL_set1_lastUpdate(list, before);
    X509_CRL_set1_nextUpdate(list, after);
    if (revoked)
        add_revoked(list, revoked, before);
    CHECK(X509_CRL_sign(list, authority->key, digest_for(authority->key)) > 0);
    BIO_free(authority->revocations);
    authority->revocations = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_X509_CRL(authority->revocations, list) == 1);
    ASN1_TIME_free(before);
    ASN1_TIME_free(after);
    X509_CRL_free(list);
    return text_of(authority->revocations);
}
