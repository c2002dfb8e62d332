/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_stream_parts.h"

/* What is missing of the record whose first part is here. */
static uint32_t missing(struct tls_stream *tls)
{
    unsigned char bytes[TLS_HEADER_BYTES] = { 0 };
    uint32_t have = (uint32_t)tls->incoming.bytes, size = 0;
    if (have < TLS_HEADER_BYTES)
        return TLS_HEADER_BYTES - have;
    for (uint32_t i = 0; size < TLS_HEADER_BYTES; i++) {
        struct slice part = chunk_slice(chunk_queue_at(&tls->incoming, i));
        for (size_t j = 0; j < part.size && size < TLS_HEADER_BYTES; j++)
            bytes[size++] = (unsigned char)part.data[j];
    }
    return (uint32_t)TLS_HEADER_BYTES + (uint32_t)(bytes[3] << 8 | bytes[4]) - have;
}

static void hand_over_sending(struct tls_stream *tls)
{
    const struct stream_ops *ops = tls->lower->ops;
    if (ops->protect_sending == NULL || !tls->loop->options.uses_kernel || tls->lower->queued_bytes > 0 ||
        tls->finished)
        return;
    if (ops->protect_sending(tls->lower, &tls->sending.crypto) != ERROR_OK) {
        tls->kernel_refused = true;
        return;
    }
    tls_half_close(&tls->sending);
    tls->kernel = TLS_KERNEL_HALTING;
    ops->halt(tls->lower);
}

/* Called when everything whole has been opened. A record that has come in part is completed first, so that
 * the kernel begins at the beginning of one. */
static void hand_over_receiving(struct tls_stream *tls)
{
    const struct stream_ops *ops = tls->lower->ops;
    if (tls->incoming.bytes > 0) {
        ops->receive_exactly(tls->lower, missing(tls));
        return;
    }
    if (ops->protect_receiving(tls->lower, &tls->receiving.crypto) != ERROR_OK) {
        tls_stream_fail(tls, ERROR_KERNEL, TLS_INTERNAL_ERROR, "the kernel refuses the receiving keys");
        return;
    }
    tls_half_close(&tls->receiving);
    tls->kernel = TLS_KERNEL_ALL;
    metric_add(&tls->stream.shard->metrics, METRIC_TLS_KERNEL, 1);
    ops->unhalt(tls->lower);
}

void tls_stream_offload(struct tls_stream *tls)
{
    if (tls->phase != TLS_PHASE_OPEN || tls->closing || tls->kernel_refused || tls->ended)
        return;
    if (tls->kernel == TLS_KERNEL_NONE)
        hand_over_sending(tls);
    else if (tls->kernel == TLS_KERNEL_HALTED && !tls->paused && tls->message_size == 0)
        hand_over_receiving(tls);
}
