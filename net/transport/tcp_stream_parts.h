/* SPDX-License-Identifier: Apache-2.0 */
/* How the files of a TCP stream call each other: tcp_stream.c, tcp_splice.c for what goes from one to another
 * inside the kernel, and tcp_stream_kernel.c for connections whose records the kernel protects (kTLS).
 * Internal. */
#pragma once

#include "net/transport/tcp_splice.h"
#include "net/transport/tcp_stream.h"
#include "tls/ktls.h"

enum { TCP_RECORD_MAX = 16 }; /* of what is sent that is no data: alerts, a KeyUpdate */

struct tcp_kernel {
    bool opens; /* the kernel opens what is received */
    bool halting; /* `halted` is due when nothing is armed */
    bool recording; /* the record is on its way */
    uint32_t exactly; /* bytes to receive */
    struct msghdr header;
    struct iovec piece;
    unsigned char control[KTLS_CONTROL_MAX];
    char record[TCP_RECORD_MAX];
};

/* Lives while one takes from the other, and after that until the pipe is empty. */
struct tcp_splice {
    struct tcp_stream *from; /* NULL: it takes nothing more */
    struct tcp_stream *to;
    struct tcp_splice_watch *watch; /* NULL: nobody is interested any more */
    struct pipe_pool *pipes;
    struct pipe_ends pipe; /* while there are bytes in it */
    uint32_t held_bytes;
    uint32_t small_count; /* of moves in a row that brought little */
};

/* --- tcp_stream.c --- */

struct tcp_stream *tcp_stream_of(struct stream *stream); /* NULL: it is none */
void tcp_stream_fail(struct tcp_stream *tcp, enum error error);
void tcp_stream_count(struct tcp_stream *tcp);
void tcp_stream_close_when_idle(struct tcp_stream *tcp);
void tcp_stream_receive(struct tcp_stream *tcp); /* starts to, if it should and does not */
void tcp_stream_flush(struct tcp_stream *tcp);
void tcp_stream_sent(struct tcp_stream *tcp); /* something has been; goes on */

/* --- tcp_splice.c --- */

/* Something is different: is it time to wait for what is to be taken? */
void tcp_splice_look(struct tcp_splice *flow);
void tcp_splice_leave(struct tcp_stream *tcp); /* it is closing */

/* --- tcp_stream_kernel.c --- */

/* The last receive has ended, when not everything is wanted. */
void tcp_kernel_received(struct tcp_stream *tcp, int32_t result);

/* What a failed receive means if the kernel opens records; false: just that. */
bool tcp_kernel_explains(struct tcp_stream *tcp, int errno_value);

/* In the stream's task; true: it is closing now. */
bool tcp_kernel_tells(struct tcp_stream *tcp);

void tcp_kernel_send_record(struct tcp_stream *tcp);

/* The operations of a stream. */
enum error tcp_kernel_protect_sending(struct stream *stream, const struct stream_crypto *crypto);
enum error tcp_kernel_protect_receiving(struct stream *stream, const struct stream_crypto *crypto);
void tcp_kernel_halt(struct stream *stream);
void tcp_kernel_receive_exactly(struct stream *stream, uint32_t size_bytes);
void tcp_kernel_unhalt(struct stream *stream);
void tcp_kernel_queue_record(struct stream *stream, uint8_t type, struct slice bytes);
