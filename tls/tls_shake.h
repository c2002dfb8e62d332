/* SPDX-License-Identifier: Apache-2.0 */
/* One handshake, by wolfSSL: records in, records out, and in the end keys for our own record layer; then
 * it is freed. Never blocks, never reads past the records it is fed. Internal to this folder; owned by its
 * stream. */
#pragma once

#include "tls/tls_context.h"
#include "tls/tls_half.h"
#include "tls/tls_peer.h"
#include "tls/tls_staple.h"
#include "tls/tls_tickets.h"
#include "tls/tls_trust.h"

struct WOLFSSL_CTX;
struct tls_shake;

/* What it reads lives as long as the handshake. */
struct tls_shake_options {
    enum tls_side side;
    struct WOLFSSL_CTX *ctx;
    struct tls_key *key; /* NULL: none, for clients */
    const struct tls_trust *trust; /* NULL: the peer's certificate is not judged */
    const char *name; /* of the server: to ask for, and what tickets are good for; NULL: none */
    const char *checked_name; /* the server's certificate must be for it; NULL: any */
    struct slice protocol; /* a server's choice; absent: none */
    const char *protocols; /* a client's wishes, ',' between them; NULL: none */
    struct tls_staple *staple; /* with a context that staples; else NULL */
    struct tls_tickets *tickets; /* NULL: none are given nor taken */
    void *owner;
    bool (*output)(void *owner, struct slice bytes); /* false: out of memory */
};

enum tls_progress { TLS_SHAKE_MORE, TLS_SHAKE_DONE, TLS_SHAKE_BROKEN };

/* NULL: out of memory. */
struct tls_shake *tls_shake_open(const struct tls_shake_options *options) MUST_CHECK;
void tls_shake_close(struct tls_shake *shake); /* legal for NULL */

/* A whole record; absent: begin, as a client does. */
enum tls_progress tls_shake_feed(struct tls_shake *shake, struct slice record);

/* After TLS_SHAKE_DONE. */
struct tls_outcome {
    const struct tls_suite *suite;
    bool resumed;
    char protocol[16]; /* ALPN, with a NUL; empty: none */
    struct tls_half sending, receiving;
    struct tls_peer *peer; /* NULL: showed no certificate, or was not asked; now the caller's */
};

/* False when keys cannot be taken over; nothing is the caller's then. */
bool tls_shake_take(struct tls_shake *shake, struct tls_outcome *outcome) MUST_CHECK;

/* Why it broke. */
struct tls_failure {
    uint8_t alert_sent, alert_received; /* enum tls_alert; TLS_ALERT_NONE: none */
    const char *reason; /* lives for ever */
    int library_error; /* of wolfSSL; 0: none */
};

struct tls_failure tls_shake_failure(const struct tls_shake *shake);

/* Could an alert still be sent in the clear? wolfSSL forgets some in TLS 1.2. */
bool tls_shake_is_clear(const struct tls_shake *shake);

/* The callbacks of a context; `mode` is wolfSSL's verify mode. */
void tls_shake_attach(struct WOLFSSL_CTX *ctx, const struct tls_context_options *options, int mode);
