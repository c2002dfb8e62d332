/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over any stream, as a stream: server or client. Chunks come out decrypted in place of what was
 * received; chunks go in as they are, and those of one turn leave in common records. wolfSSL makes the
 * handshake and is gone after it; records are protected here by libcrypto, or by the kernel. Embedded
 * beside the stream that carries it, in a connection that outlives both until `closed`. One shard.
 *
 * Events: `opened` tells the end of the handshake, of servers too. `received` with size 0: the peer has
 * said close_notify. A connection that ends without it has failed with ERROR_TRUNCATED; a TLS error is
 * ERROR_TLS, see tls_stream_failure. The time a handshake may take, and how many there may be, is the
 * owner's business. */
#pragma once

#include "core/io/chunk_queue.h"
#include "core/io/stream.h"
#include "tls/tls_client.h"
#include "tls/tls_half.h"
#include "tls/tls_loop.h"
#include "tls/tls_order.h"
#include "tls/tls_peer.h"
#include "tls/tls_server.h"
#include "tls/tls_shake.h"

enum tls_phase { TLS_PHASE_CONNECT, TLS_PHASE_HELLO, TLS_PHASE_SHAKE, TLS_PHASE_OPEN, TLS_PHASE_DEAD };

/* Taking over by the kernel: first of sending, then of what is received. SENDING: it has refused that. */
enum tls_kernel {
    TLS_KERNEL_NONE,
    TLS_KERNEL_HALTING,
    TLS_KERNEL_HALTED,
    TLS_KERNEL_SENDING,
    TLS_KERNEL_ALL
};

/* Changing the keys with which the kernel sends: a KeyUpdate is due; it is on its way. */
enum tls_update { TLS_UPDATE_NONE, TLS_UPDATE_DUE, TLS_UPDATE_SENT };

/* Whom a client connects to; what it points to is copied. */
struct tls_target {
    struct tls_client *client;
    const char *server_name; /* asked for; NULL: none, as with an address */
    const char *checked_name; /* the certificate must be for it, if the profile checks names */
};

/* What a handshake has settled; valid from `opened` on. */
struct tls_info {
    const struct tls_suite *suite; /* version and cipher */
    const char *server_name; /* that the client has asked for; NULL: none */
    const char *protocol; /* ALPN; empty: none */
    const struct tls_peer *peer; /* a client's certificate, verified; NULL: none */
    bool resumed;
    bool by_kernel; /* the kernel protects records */
};

struct tls_stream {
    struct stream stream; /* first: streams are recovered from it */
    struct stream *lower;
    struct tls_loop *loop;
    struct tls_job job;
    struct shard_task task;
    uint8_t phase, kernel, update; /* enum tls_phase, enum tls_kernel, enum tls_update */
    bool paused, lower_paused, finishing, finished, closing;
    bool server_side, kernel_refused; /* refused, or not wanted */
    bool ended; /* the peer has said close_notify */
    bool cut; /* the lower stream has ended */
    bool opened; /* and the owner was told */
    bool reporting; /* `failure_error` waits until alerts have left */
    uint8_t failure_error; /* enum error */
    struct tls_failure failure;
    struct chunk_queue incoming, outgoing; /* records; data */
    struct tls_server *server; /* until the handshake is over, one of them */
    struct tls_client *client;
    struct tls_shake *shake;
    struct tls_order order; /* of a client's messages */
    char *name, *checked_name;
    struct tls_half sending, receiving;
    const struct tls_suite *suite;
    struct tls_peer *peer;
    char protocol[16];
    bool resumed;
    bool confirms; /* a domain, to who has asked for nothing else: its handshake is all there is */
    uint8_t key_updates; /* since the last data */
    unsigned char message[5]; /* a handshake message behind the handshake: header, first byte of its body */
    uint8_t message_size;
    uint32_t message_left; /* of a body that is skipped */
    uint32_t burst_bytes; /* since the connection was silent */
    uint64_t sent_ms;
};

/* `lower` has just been accepted and had no event yet. Takes a reference of the profile for the handshake. */
void tls_stream_accept(struct tls_stream *tls, struct tls_loop *loop, struct stream *lower,
                       const struct stream_events *events, struct tls_server *server);

/* `lower` has just begun to connect; `opened` then tells the end of the handshake, or of the attempt. */
void tls_stream_connect(struct tls_stream *tls, struct tls_loop *loop, struct stream *lower,
                        const struct stream_events *events, const struct tls_target *target);

/* After the shard's last turn: gives back what it holds, and tells nothing. */
void tls_stream_abandon(struct tls_stream *tls);

struct tls_info tls_stream_info(const struct tls_stream *tls);

/* After `opened` or `failed` with ERROR_TLS or ERROR_TRUNCATED; for logs and metrics. */
static inline struct tls_failure tls_stream_failure(const struct tls_stream *tls)
{
    return tls->failure;
}
