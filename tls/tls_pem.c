/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_pem.h"

#include "tls/tls_key.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

static int no_password(char *buffer, int size, int writing, void *unused)
{
    (void)buffer, (void)size, (void)writing, (void)unused;
    return -1;
}

void tls_pem_reason(const char *what, char *reason)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(reason, TLS_REASON_SIZE, "%s: %s", what, text ? text : "invalid");
    ERR_clear_error();
}

static BIO *text_of(struct slice pem)
{
    return pem.size > 0 && pem.size <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size) : NULL;
}

/* Was that the end of the text, or something wrong in it? */
static bool is_at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

STACK_OF(X509) * tls_pem_certificates(struct slice pem, char *reason)
{
    BIO *text = text_of(pem);
    STACK_OF(X509) *all = sk_X509_new_null();
    X509 *one = NULL;
    bool good = text != NULL && all != NULL;
    while (good && (one = PEM_read_bio_X509(text, NULL, no_password, NULL)) != NULL)
        good = sk_X509_push(all, one) > 0;
    good = good && is_at_end() && sk_X509_num(all) > 0;
    BIO_free(text);
    if (good)
        return all;
    tls_pem_reason("no valid certificate", reason);
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

EVP_PKEY *tls_pem_private_key(struct slice pem, char *reason)
{
    BIO *text = text_of(pem);
    EVP_PKEY *key = text ? PEM_read_bio_PrivateKey(text, NULL, no_password, NULL) : NULL;
    BIO_free(text);
    if (key == NULL)
        tls_pem_reason("no valid private key", reason);
    return key;
}

STACK_OF(X509_CRL) * tls_pem_revocations(struct slice pem, char *reason)
{
    BIO *text = text_of(pem);
    STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
    X509_CRL *one = NULL;
    bool good = text != NULL && all != NULL;
    while (good && (one = PEM_read_bio_X509_CRL(text, NULL, no_password, NULL)) != NULL)
        good = sk_X509_CRL_push(all, one) > 0;
    good = good && is_at_end() && sk_X509_CRL_num(all) > 0;
    BIO_free(text);
    if (good)
        return all;
    tls_pem_reason("no valid revocation list", reason);
    sk_X509_CRL_pop_free(all, X509_CRL_free);
    return NULL;
}
