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

/* Goes on with handing over to the kernel, as far as it can now. */
void tls_stream_offload(struct tls_stream *tls);
