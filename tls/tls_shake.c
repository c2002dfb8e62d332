/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_shake.h"

#include "tls/tls_crypto.h"

#include <stdlib.h>

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

enum { CHAIN_MAX = 9, TICKET_IV_BYTES = 12, TICKET_TAG_BYTES = 16, ALPN_NOT_ACKNOWLEDGED = 3 };

struct tls_shake {
    WOLFSSL *ssl;
    struct tls_shake_options options;
    struct tls_secrets secrets;
    struct slice input; /* what is left of the record being fed */
    struct tls_peer *peer;
    const char *refusal; /* of the peer's certificate */
    bool unload; /* wolfSSL has put certificates of the peer into its context */
    bool no_memory;
    int error; /* wolfSSL's */
};

static struct tls_shake *shake_of(WOLFSSL *ssl)
{
    return wolfSSL_GetIOReadCtx(ssl);
}

/* --- bytes ---------------------------------------------------------------------------------------------- */

static int receive(WOLFSSL *ssl, char *out, int size, void *pointer)
{
    (void)ssl;
    struct tls_shake *shake = pointer;
    size_t taken = shake->input.size < (size_t)size ? shake->input.size : (size_t)size;
    if (taken == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(out, shake->input.data, taken);
    shake->input = slice_from(shake->input, taken);
    return (int)taken;
}

static int send_out(WOLFSSL *ssl, char *bytes, int size, void *pointer)
{
    (void)ssl;
    struct tls_shake *shake = pointer;
    if (shake->options.output(shake->options.owner, (struct slice){ bytes, (size_t)size }))
        return size;
    shake->no_memory = true;
    return WOLFSSL_CBIO_ERR_GENERAL;
}

/* --- the peer's certificate ----------------------------------------------------------------------------- */

/* Of a client, for those who ask whose it is. */
static bool keep_peer(struct tls_shake *shake, const struct slice *certificates, uint32_t count)
{
    tls_peer_free(shake->peer);
    shake->peer = shake->options.side == TLS_SIDE_SERVER ? tls_peer_copy(certificates, count) : NULL;
    shake->no_memory = shake->options.side == TLS_SIDE_SERVER && shake->peer == NULL;
    return !shake->no_memory;
}

static bool judge_chain(struct tls_shake *shake, const WOLFSSL_X509_STORE_CTX *store)
{
    struct slice certificates[CHAIN_MAX];
    struct tls_chain chain = { .certificates = certificates,
                               .count = (uint32_t)store->totalCerts,
                               .role =
                                   shake->options.side == TLS_SIDE_SERVER ? TLS_PEER_CLIENT : TLS_PEER_SERVER,
                               .name = shake->options.checked_name };
    if (store->totalCerts > CHAIN_MAX)
        return false;
    for (int i = 0; i < store->totalCerts; i++)
        certificates[i] =
            (struct slice){ (const char *)store->certs[i].buffer, (size_t)store->certs[i].length };
    shake->refusal = shake->options.trust ? tls_trust_refuses(shake->options.trust, &chain) : NULL;
    return shake->refusal == NULL && keep_peer(shake, certificates, chain.count);
}

/* wolfSSL's own opinion does not count: its context knows no CA. An issuer in the chain that it finds
 * something else wrong with than that would be added to its context for good. */
static bool tolerate_issuer(struct tls_shake *shake, int error)
{
    if (error == 0 || error == ASN_NO_SIGNER_E || error == ASN_SELF_SIGNED_E)
        return true;
    shake->unload = shake->options.side == TLS_SIDE_CLIENT;
    shake->refusal = "wolfSSL cannot use an issuer in the chain";
    return shake->unload;
}

static int verify(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls_shake *shake = store->userCtx;
    if (shake->options.trust == NULL && shake->options.side == TLS_SIDE_CLIENT)
        return 1;
    if (store->totalCerts == 0)
        return is_good;
    return store->error_depth > 0 ? tolerate_issuer(shake, store->error) : judge_chain(shake, store);
}

/* --- extensions ----------------------------------------------------------------------------------------- */

static int select_protocol(WOLFSSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned int in_size, void *unused)
{
    (void)in, (void)in_size, (void)unused;
    struct slice protocol = shake_of(ssl)->options.protocol;
    if (protocol.data == NULL)
        return ALPN_NOT_ACKNOWLEDGED;
    *out = (const unsigned char *)protocol.data;
    *out_size = (unsigned char)protocol.size;
    return 0;
}

static void *allocate(size_t size)
{
    return wolfSSL_Malloc(size);
}

/* Without one the handshake goes on without. */
static int staple(WOLFSSL *ssl, void *unused)
{
    (void)unused;
    struct tls_staple *own = shake_of(ssl)->options.staple;
    struct slice response = own ? tls_staple_copy(own, allocate) : (struct slice){ NULL, 0 };
    if (response.data == NULL)
        return WOLFSSL_FATAL_ERROR;
    wolfSSL_set_tlsext_status_ocsp_resp(ssl, (unsigned char *)(uintptr_t)response.data, (int)response.size);
    return 0;
}

/* wolfSSL has more room for the nonce and the tag than they need. */
static int protect_ticket(WOLFSSL *ssl, unsigned char name[WOLFSSL_TICKET_NAME_SZ],
                          unsigned char iv[WOLFSSL_TICKET_IV_SZ], unsigned char tag[WOLFSSL_TICKET_MAC_SZ],
                          int seals, unsigned char *bytes, int size, int *out_size, void *unused)
{
    (void)unused;
    const struct tls_shake_options *options = &shake_of(ssl)->options;
    struct tls_ticket ticket = { name, iv, tag, bytes, (size_t)size, slice_of(options->name) };
    *out_size = size;
    if (options->tickets == NULL)
        return WOLFSSL_TICKET_RET_REJECT;
    if (seals) {
        memset(iv + TICKET_IV_BYTES, 0, WOLFSSL_TICKET_IV_SZ - TICKET_IV_BYTES);
        memset(tag + TICKET_TAG_BYTES, 0, WOLFSSL_TICKET_MAC_SZ - TICKET_TAG_BYTES);
        return tls_tickets_seal(options->tickets, &ticket) ? WOLFSSL_TICKET_RET_OK : WOLFSSL_TICKET_RET_FATAL;
    }
    switch (tls_tickets_open(options->tickets, &ticket)) {
    /* Also when an older key sealed it: asked for a new ticket (RET_CREATE), wolfSSL 5.7 gives one that it
     * does not take back. TLS 1.3 gives one anyway; in TLS 1.2 the old one serves until its key is gone. */
    case TLS_TICKET_GOOD:
    case TLS_TICKET_OLD: return WOLFSSL_TICKET_RET_OK;
    default: return WOLFSSL_TICKET_RET_REJECT;
    }
}

void tls_shake_attach(WOLFSSL_CTX *ctx, const struct tls_context_options *options, int mode)
{
    wolfSSL_CTX_SetIORecv(ctx, receive);
    wolfSSL_CTX_SetIOSend(ctx, send_out);
    wolfSSL_CTX_set_verify(ctx, mode, verify);
    if (options->side == TLS_SIDE_CLIENT)
        return;
    wolfSSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    if (options->ticket_lifetime_s > 0)
        (void)wolfSSL_CTX_set_TicketEncCb(ctx, protect_ticket);
    if (options->issuer.data)
        (void)wolfSSL_CTX_set_tlsext_status_cb(ctx, staple);
}

/* --- the handshake -------------------------------------------------------------------------------------- */

static bool ask_as_client(struct tls_shake *shake)
{
    const struct tls_shake_options *options = &shake->options;
    if (options->side == TLS_SIDE_SERVER)
        return true;
    if (options->name && wolfSSL_UseSNI(shake->ssl, WOLFSSL_SNI_HOST_NAME, options->name,
                                        (unsigned short)strlen(options->name)) != WOLFSSL_SUCCESS)
        return false;
    return options->protocols == NULL ||
           wolfSSL_UseALPN(shake->ssl, (char *)(uintptr_t)options->protocols,
                           (unsigned)strlen(options->protocols),
                           WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) == WOLFSSL_SUCCESS;
}

struct tls_shake *tls_shake_open(const struct tls_shake_options *options)
{
    struct tls_shake *shake = calloc(1, sizeof(*shake));
    if (shake == NULL)
        return NULL;
    shake->options = *options;
    shake->ssl = wolfSSL_new(options->ctx);
    if (shake->ssl == NULL) {
        free(shake);
        return NULL;
    }
    wolfSSL_SetIOReadCtx(shake->ssl, shake);
    wolfSSL_SetIOWriteCtx(shake->ssl, shake);
    wolfSSL_SetCertCbCtx(shake->ssl, shake);
    tls_crypto_bind(shake->ssl, options->key);
    if (options->side == TLS_SIDE_SERVER && options->tickets == NULL) {
        (void)wolfSSL_no_ticket_TLSv13(shake->ssl);
        (void)wolfSSL_set_options(shake->ssl, WOLFSSL_OP_NO_TICKET);
    }
    if (ask_as_client(shake))
        return shake;
    tls_shake_close(shake);
    return NULL;
}

void tls_shake_close(struct tls_shake *shake)
{
    if (shake == NULL)
        return;
    wolfSSL_free(shake->ssl);
    if (shake->unload)
        (void)wolfSSL_CTX_UnloadCAs(shake->options.ctx);
    tls_peer_free(shake->peer);
    explicit_bzero(shake, sizeof(*shake));
    free(shake);
}

enum tls_progress tls_shake_feed(struct tls_shake *shake, struct slice record)
{
    shake->input = record;
    tls_crypto_capture(&shake->secrets);
    wolfSSL_ERR_clear_error();
    int result =
        shake->options.side == TLS_SIDE_SERVER ? wolfSSL_accept(shake->ssl) : wolfSSL_connect(shake->ssl);
    tls_crypto_capture(NULL);
    if (result == WOLFSSL_SUCCESS)
        return TLS_SHAKE_DONE;
    shake->error = wolfSSL_get_error(shake->ssl, result);
    return shake->error == WOLFSSL_ERROR_WANT_READ && shake->input.size == 0 ? TLS_SHAKE_MORE
                                                                             : TLS_SHAKE_BROKEN;
}

/* --- its end -------------------------------------------------------------------------------------------- */

static uint8_t alert_code(const WOLFSSL_ALERT *alert)
{
    return alert->code >= 0 && alert->code < TLS_ALERT_NONE ? (uint8_t)alert->code : TLS_ALERT_NONE;
}

struct tls_failure tls_shake_failure(const struct tls_shake *shake)
{
    WOLFSSL_ALERT_HISTORY history;
    struct tls_failure failure = { TLS_ALERT_NONE, TLS_ALERT_NONE, NULL, shake->error };
    if (wolfSSL_get_alert_history(shake->ssl, &history) == WOLFSSL_SUCCESS) {
        failure.alert_sent = alert_code(&history.last_tx);
        failure.alert_received = alert_code(&history.last_rx);
    }
    if (shake->refusal)
        failure.reason = shake->refusal;
    else if (shake->no_memory)
        failure.reason = "out of memory";
    else if (failure.alert_received != TLS_ALERT_NONE)
        failure.reason = tls_alert_text(failure.alert_received);
    else
        failure.reason = wolfSSL_ERR_reason_error_string((unsigned long)-shake->error);
    return failure;
}

bool tls_shake_is_clear(const struct tls_shake *shake)
{
    return wolfSSL_version(shake->ssl) == TLS1_2_VERSION;
}

static struct slice secret_of(const struct tls_shake *shake, bool sending)
{
    bool client = (shake->options.side == TLS_SIDE_CLIENT) == sending;
    const unsigned char *secret = client ? shake->secrets.client : shake->secrets.server;
    return (struct slice){ (const char *)secret, shake->secrets.size };
}

static bool open_1_2(struct tls_half *half, struct tls_shake *shake, const struct tls_suite *suite,
                     bool sending, uint64_t sequence)
{
    bool client = (shake->options.side == TLS_SIDE_CLIENT) == sending;
    struct stream_crypto crypto = { .version = STREAM_TLS_1_2,
                                    .cipher = (uint8_t)suite->cipher,
                                    .sequence = sequence };
    size_t key_size = suite->cipher == STREAM_AES_128_GCM ? 16 : 32;
    const unsigned char *key =
        client ? wolfSSL_GetClientWriteKey(shake->ssl) : wolfSSL_GetServerWriteKey(shake->ssl);
    const unsigned char *iv =
        client ? wolfSSL_GetClientWriteIV(shake->ssl) : wolfSSL_GetServerWriteIV(shake->ssl);
    if (key == NULL || iv == NULL || (size_t)wolfSSL_GetKeySize(shake->ssl) != key_size)
        return false;
    memcpy(crypto.key, key, key_size);
    memcpy(crypto.iv, iv, suite->cipher == STREAM_CHACHA20_POLY1305 ? STREAM_IV_BYTES : 4);
    bool opened = tls_half_open_1_2(half, &crypto);
    explicit_bzero(&crypto, sizeof(crypto));
    return opened;
}

static bool open_half(struct tls_half *half, struct tls_shake *shake, const struct tls_suite *suite,
                      bool sending)
{
    word64 sequence = 0;
    (void)(sending ? wolfSSL_GetSequenceNumber(shake->ssl, &sequence)
                   : wolfSSL_GetPeerSequenceNumber(shake->ssl, &sequence));
    return suite->version == STREAM_TLS_1_3
               ? tls_half_open_1_3(half, suite->cipher, secret_of(shake, sending), sequence)
               : open_1_2(half, shake, suite, sending, sequence);
}

static void note_protocol(struct tls_shake *shake, struct tls_outcome *outcome)
{
    char *name = NULL;
    unsigned short size = 0;
    if (wolfSSL_ALPN_GetProtocol(shake->ssl, &name, &size) == WOLFSSL_SUCCESS && size > 0 &&
        size < sizeof(outcome->protocol))
        memcpy(outcome->protocol, name, size);
}

bool tls_shake_take(struct tls_shake *shake, struct tls_outcome *outcome)
{
    *outcome = (struct tls_outcome){ 0 };
    outcome->suite = tls_suite_by_id((uint16_t)wolfSSL_get_current_cipher_suite(shake->ssl));
    if (outcome->suite == NULL || !open_half(&outcome->sending, shake, outcome->suite, true) ||
        !open_half(&outcome->receiving, shake, outcome->suite, false)) {
        tls_half_close(&outcome->sending);
        tls_half_close(&outcome->receiving);
        return false;
    }
    outcome->resumed = wolfSSL_session_reused(shake->ssl) == 1;
    note_protocol(shake, outcome);
    outcome->peer = shake->peer;
    shake->peer = NULL;
    return true;
}
