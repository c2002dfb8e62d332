/* SPDX-License-Identifier: Apache-2.0 */
/* How the files of a TLS stream call each other: tls_stream.c (events, sending, closing), tls_stream_shake.c
 * (until it is open), tls_stream_receive.c (records after that), tls_stream_kernel.c (kTLS). Internal. */
#pragma once

#include "tls/tls_stream.h"

enum tls_frame { TLS_FRAME_NONE, TLS_FRAME_WHOLE, TLS_FRAME_BROKEN };

/* The next whole record, contiguous and ours to write into; broken: the stream has failed. */
enum tls_frame tls_stream_frame(struct tls_stream *tls, enum tls_epoch epoch, struct chunk *record);

/* The end: sends the alert (unless TLS_ALERT_NONE), and tells the owner when it has left. `reason` lives for
 * ever. */
void tls_stream_fail(struct tls_stream *tls, enum error error, enum tls_alert alert, const char *reason);

/* A record that is not data, behind everything sealed. */
void tls_stream_seal_control(struct tls_stream *tls, enum tls_type type, struct slice bytes);

/* Bytes that are records already. */
bool tls_stream_output(void *tls, struct slice bytes);

/* Runs the handshake on what has come; a job. */
void tls_stream_shake(struct tls_job *job);
void tls_stream_end_shake(struct tls_stream *tls); /* frees what only a handshake needs */

/* Opens records as long as there are whole ones and the owner has not paused. */
void tls_stream_receive(struct tls_stream *tls);

/* One that is no data, opened by whomever. */
void tls_stream_take_alert(struct tls_stream *tls, struct slice bytes);
void tls_stream_take_handshake(struct tls_stream *tls, struct slice bytes);

void tls_stream_count(struct tls_stream *tls);

/* --- tls_stream_kernel.c --- */

/* At the end of the handshake: will the kernel be asked? Counts what will not. */
void tls_stream_plan(struct tls_stream *tls);

/* It will, and has not taken over sending yet: more is sealed here only as far as it leaves at once. */
static inline bool tls_stream_awaits_kernel(const struct tls_stream *tls)
{
    return tls->kernel == TLS_KERNEL_NONE && !tls->kernel_refused;
}

/* Goes on with handing over to the kernel, as far as it can now; the first when nothing is queued below, the
 * second when everything whole has been opened. */
void tls_stream_offload_sending(struct tls_stream *tls);
void tls_stream_offload(struct tls_stream *tls);

/* The peer changes its keys, and wants ours changed perhaps. False: the stream has failed. */
bool tls_stream_update_kernel(struct tls_stream *tls);

/* Changes the keys with which the kernel sends, step by step; false: nothing else may be sent now. */
bool tls_stream_continue_update(struct tls_stream *tls);

/* A record that the kernel could not open. */
void tls_stream_take_spoiled(struct stream *lower, int errno_value);
