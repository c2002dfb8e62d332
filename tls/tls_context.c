/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_context.h"

#include "tls/tls_crypto.h"
#include "tls/tls_shake.h"

#include <limits.h>
#include <stdio.h>

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

static bool refuse(char *reason, const char *text)
{
    snprintf(reason, TLS_REASON_SIZE, "%s", text);
    return false;
}

static bool set_versions(WOLFSSL_CTX *ctx, const struct tls_suite_choice *choice, char *reason)
{
    int lowest = choice->version_min == STREAM_TLS_1_3 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
    if (choice->version_min < STREAM_TLS_1_2 || choice->version_max > STREAM_TLS_1_3 ||
        choice->version_min > choice->version_max)
        return refuse(reason, "versions must be TLS 1.2, TLS 1.3 or both");
    if (wolfSSL_CTX_SetMinVersion(ctx, lowest) != WOLFSSL_SUCCESS)
        return refuse(reason, "the library refuses this version");
    if (choice->version_max == STREAM_TLS_1_2)
        (void)wolfSSL_CTX_set_options(ctx, WOLFSSL_OP_NO_TLSv1_3);
    return true;
}

static bool set_suites(WOLFSSL_CTX *ctx, const struct tls_suite_choice *choice, char *reason)
{
    /* Among the key shares that a client has sent, the one that libcrypto computes comes first; none is asked
     * for a second time. */
    int groups[] = { WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP384R1 };
    char list[TLS_SUITE_LIST_SIZE];
    struct slice wrong;
    if (!tls_suites_list(choice, list, &wrong)) {
        snprintf(reason, TLS_REASON_SIZE, "cipher suite '%.*s' is not supported", SLICE_FORMAT(wrong));
        return wrong.data ? false : refuse(reason, "no cipher suite is left for these versions");
    }
    if (wolfSSL_CTX_set_cipher_list(ctx, list) != WOLFSSL_SUCCESS)
        return refuse(reason, "the library refuses these cipher suites");
    if (wolfSSL_CTX_set_groups(ctx, groups, sizeof(groups) / sizeof(groups[0])) != WOLFSSL_SUCCESS)
        return refuse(reason, "the library refuses the key exchange groups");
    return true;
}

static bool set_key(WOLFSSL_CTX *ctx, const struct tls_key *key, char *reason)
{
    struct slice chain = tls_key_chain_pem(key), own = tls_key_private_der(key);
    if (chain.size > LONG_MAX ||
        wolfSSL_CTX_use_certificate_chain_buffer(ctx, (const unsigned char *)chain.data, (long)chain.size) !=
            WOLFSSL_SUCCESS)
        return refuse(reason, "the library cannot read the certificate chain");
    if (wolfSSL_CTX_use_PrivateKey_buffer(ctx, (const unsigned char *)own.data, (long)own.size,
                                          WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS)
        return refuse(reason, "the library cannot read the private key");
    return true;
}

/* With a response to staple wolfSSL wants to know the issuer, or fails the handshakes of clients that ask. */
static bool set_issuer(WOLFSSL_CTX *ctx, struct slice issuer, char *reason)
{
    if (wolfSSL_CTX_load_verify_buffer(ctx, (const unsigned char *)issuer.data, (long)issuer.size,
                                       WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS)
        return refuse(reason, "the library cannot read the issuer's certificate");
    return true;
}

static int verify_mode(const struct tls_context_options *options)
{
    if (options->side == TLS_SIDE_CLIENT)
        return WOLFSSL_VERIFY_PEER;
    switch (options->policy) {
    case TLS_CLIENT_REQUIRED: return WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    case TLS_CLIENT_OPTIONAL:
    case TLS_CLIENT_UNVERIFIED: return WOLFSSL_VERIFY_PEER;
    default: return WOLFSSL_VERIFY_NONE;
    }
}

static void set_tickets(WOLFSSL_CTX *ctx, const struct tls_context_options *options)
{
    (void)wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
    if (options->side == TLS_SIDE_CLIENT)
        return;
    if (options->ticket_lifetime_s == 0) {
        (void)wolfSSL_CTX_no_ticket_TLSv13(ctx);
        return;
    }
    (void)wolfSSL_CTX_set_TicketHint(ctx, (int)options->ticket_lifetime_s);
    (void)wolfSSL_CTX_set_timeout(ctx, options->ticket_lifetime_s);
}

static bool prepare(WOLFSSL_CTX *ctx, const struct tls_context_options *options, char *reason)
{
    tls_crypto_attach(ctx);
    if (!set_versions(ctx, &options->suites, reason) || !set_suites(ctx, &options->suites, reason) ||
        (options->key && !set_key(ctx, options->key, reason)) ||
        (options->issuer.data && !set_issuer(ctx, options->issuer, reason)))
        return false;
    set_tickets(ctx, options);
    tls_shake_attach(ctx, options, verify_mode(options));
    return true;
}

WOLFSSL_CTX *tls_context_make(const struct tls_context_options *options, char *reason)
{
    WOLFSSL_METHOD *method =
        options->side == TLS_SIDE_SERVER ? wolfSSLv23_server_method() : wolfSSLv23_client_method();
    WOLFSSL_CTX *ctx = method ? wolfSSL_CTX_new(method) : NULL;
    (void)refuse(reason, "out of memory");
    if (ctx != NULL && !prepare(ctx, options, reason)) {
        wolfSSL_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

void tls_context_free(WOLFSSL_CTX *ctx)
{
    wolfSSL_CTX_free(ctx);
}
