/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_stream_parts.h"

#include <errno.h>

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

static void count_user(struct tls_stream *tls)
{
    metric_add(&tls->stream.shard->metrics, METRIC_TLS_USER, 1);
}

void tls_stream_plan(struct tls_stream *tls)
{
    enum stream_cipher cipher = (enum stream_cipher)tls->sending.crypto.cipher;
    tls->kernel_refused = tls->lower->ops->protect_sending == NULL ||
                          !ktls_supports(tls->loop->options.kernel, tls->suite->version, cipher);
    if (tls->kernel_refused)
        count_user(tls);
}

static void refuse(struct tls_stream *tls)
{
    tls->kernel_refused = true;
    metric_add(&tls->stream.shard->metrics, METRIC_TLS_KERNEL_REFUSED, 1);
    count_user(tls);
}

void tls_stream_offload_sending(struct tls_stream *tls)
{
    const struct stream_ops *ops = tls->lower->ops;
    if (!tls_stream_awaits_kernel(tls) || tls->lower->queued_bytes > 0 || tls->finished || tls->cut ||
        tls->ended)
        return;
    if (ops->protect_sending(tls->lower, &tls->sending.crypto) != ERROR_OK) {
        refuse(tls);
        return;
    }
    tls_half_hand_over(&tls->sending);
    tls->kernel = TLS_KERNEL_HALTING;
    ops->halt(tls->lower);
}

/* A record that has come in part is completed first, so that the kernel begins at the beginning of one. */
static void hand_over_receiving(struct tls_stream *tls)
{
    const struct stream_ops *ops = tls->lower->ops;
    if (tls->incoming.bytes > 0) {
        ops->receive_exactly(tls->lower, missing(tls));
        return;
    }
    if (ops->protect_receiving(tls->lower, &tls->receiving.crypto) == ERROR_OK) {
        tls_half_hand_over(&tls->receiving);
        tls->kernel = TLS_KERNEL_ALL;
        metric_add(&tls->stream.shard->metrics, METRIC_TLS_KERNEL, 1);
    } else {
        tls->kernel = TLS_KERNEL_SENDING;
        refuse(tls);
    }
    ops->unhalt(tls->lower);
}

void tls_stream_offload(struct tls_stream *tls)
{
    if (tls->phase != TLS_PHASE_OPEN || tls->closing || tls->ended)
        return;
    if (tls->kernel == TLS_KERNEL_NONE)
        tls_stream_offload_sending(tls);
    else if (tls->kernel == TLS_KERNEL_HALTED && !tls->paused && tls->message_size == 0)
        hand_over_receiving(tls);
}

/* --- other keys ----------------------------------------------------------------------------------------- */

bool tls_stream_update_kernel(struct tls_stream *tls)
{
    bool good = tls_half_update(&tls->receiving) &&
                tls->lower->ops->protect_receiving(tls->lower, &tls->receiving.crypto) == ERROR_OK;
    tls_half_hand_over(&tls->receiving);
    return good;
}

bool tls_stream_continue_update(struct tls_stream *tls)
{
    static const char update[] = { 24, 0, 0, 1, 0 }; /* update_not_requested */
    const struct stream_ops *ops = tls->lower->ops;
    if (tls->update == TLS_UPDATE_NONE)
        return true;
    if (tls->lower->queued_bytes > 0)
        return false;
    if (tls->update == TLS_UPDATE_DUE) {
        tls->update = TLS_UPDATE_SENT;
        ops->send_record(tls->lower, TLS_HANDSHAKE, (struct slice){ update, sizeof(update) });
        return false;
    }
    tls->update = TLS_UPDATE_NONE;
    bool good =
        tls_half_update(&tls->sending) && ops->protect_sending(tls->lower, &tls->sending.crypto) == ERROR_OK;
    tls_half_hand_over(&tls->sending);
    if (!good)
        tls_stream_fail(tls, ERROR_KERNEL, TLS_ALERT_NONE, "the kernel refuses other sending keys");
    return good;
}

void tls_stream_take_spoiled(struct stream *lower, int errno_value)
{
    struct tls_stream *tls = lower->owner;
    enum tls_alert alert = errno_value == EMSGSIZE ? TLS_RECORD_OVERFLOW
                           : errno_value == EINVAL ? TLS_PROTOCOL_VERSION
                                                   : TLS_BAD_RECORD_MAC;
    if (!tls->closing)
        tls_stream_fail(tls, ERROR_TLS, alert, tls_alert_text(alert));
}
