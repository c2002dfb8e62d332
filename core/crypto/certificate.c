/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/certificate.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

/* Without it a PEM that claims to be encrypted would ask for a password on the terminal. */
static int no_password(char *buffer, int size, int writing, void *unused)
{
    (void)buffer, (void)size, (void)writing, (void)unused;
    return -1;
}

/* In the form that Kong's log and answers have. */
static bool fail(const char *call, char *reason)
{
    const char *file = "", *function = "";
    int line = 0;
    unsigned long code = ERR_peek_last_error_all(&file, &line, &function, NULL, NULL);
    const char *library = code ? ERR_lib_error_string(code) : NULL;
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    while (strncmp(file, "../", 3) == 0)
        file += 3;
    snprintf(reason, CERTIFICATE_REASON_SIZE, "%s: error:%lX:%s:%s:%s:%s:%d:", call, code,
             library ? library : "", function, text ? text : "not readable", file, line);
    ERR_clear_error();
    return false;
}

static BIO *open_text(struct slice text)
{
    ERR_clear_error();
    return text.size <= INT_MAX ? BIO_new_mem_buf(text.data, (int)text.size) : NULL;
}

static bool digest_public_key(EVP_PKEY *key, unsigned char *out)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    bool good = size > 0 && digest_of(DIGEST_SHA256, (struct slice){ (const char *)der, (size_t)size }, out);
    OPENSSL_free(der);
    return good;
}

static enum certificate_key type_of(const EVP_PKEY *key)
{
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        return CERTIFICATE_KEY_RSA;
    if (EVP_PKEY_is_a(key, "EC"))
        return CERTIFICATE_KEY_EC;
    bool edwards = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    return edwards ? CERTIFICATE_KEY_EDWARDS : CERTIFICATE_KEY_OTHER;
}

static bool read_facts(X509 *certificate, struct certificate_facts *facts)
{
    unsigned char *der = NULL;
    struct tm end;
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    int size = i2d_X509(certificate, &der);
    bool good = key != NULL && size > 0 && digest_public_key(key, facts->public_key) &&
                digest_hex(DIGEST_SHA256, (struct slice){ (const char *)der, (size_t)size }, facts->digest) &&
                ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1;
    OPENSSL_free(der);
    if (!good)
        return false;
    BASIC_CONSTRAINTS *constraints = X509_get_ext_d2i(certificate, NID_basic_constraints, NULL, NULL);
    facts->is_authority = constraints != NULL && constraints->ca;
    BASIC_CONSTRAINTS_free(constraints);
    facts->key = type_of(key);
    facts->not_after_s = timegm(&end);
    return true;
}

/* What the library says of a text that is no PEM at all: it tries DER last, as Kong does. */
static bool fail_text(struct slice text, char *reason)
{
    BIO *bio = open_text(text);
    X509 *certificate = bio ? d2i_X509_bio(bio, NULL) : NULL;
    bool failed = certificate == NULL;
    X509_free(certificate);
    BIO_free(bio);
    if (failed)
        return fail("x509.new", reason);
    snprintf(reason, CERTIFICATE_REASON_SIZE, "x509.new: expected PEM, not DER");
    return false;
}

static bool ended(void)
{
    unsigned long code = ERR_peek_last_error();
    bool end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

bool certificate_read(struct slice pem, struct certificate_facts *facts, char *reason)
{
    bool good = true;
    *facts = (struct certificate_facts){ 0 };
    BIO *bio = open_text(pem);
    if (bio == NULL)
        return fail("x509.new", reason);
    while (good) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (certificate == NULL) {
            good = ended();
            break;
        }
        good = facts->count++ > 0 || read_facts(certificate, facts);
        X509_free(certificate);
    }
    BIO_free(bio);
    if (good && facts->count == 0)
        return fail_text(pem, reason);
    return good || fail("x509.new", reason);
}

static bool keep_key(EVP_PKEY *key, struct key_facts *facts, char *reason)
{
    bool good = key != NULL && digest_public_key(key, facts->public_key);
    if (good)
        facts->key = type_of(key);
    EVP_PKEY_free(key);
    return good || fail("pkey.new", reason);
}

bool certificate_read_private_key(struct slice pem, struct key_facts *facts, char *reason)
{
    BIO *bio = open_text(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    bool good = keep_key(key, facts, reason);
    BIO_free(bio);
    return good;
}

bool certificate_read_public_key(struct slice pem, struct key_facts *facts, char *reason)
{
    BIO *bio = open_text(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL) : NULL;
    bool good = keep_key(key, facts, reason);
    BIO_free(bio);
    return good;
}
