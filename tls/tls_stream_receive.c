/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_stream_parts.h"

enum {
    KEY_UPDATE = 24,
    NEW_SESSION_TICKET = 4,
    HELLO_REQUEST = 0,
    KEY_UPDATES_MAX = 32, /* in a row without data */
    LEVEL_WARNING = 1
};

/* --- records -------------------------------------------------------------------------------------------- */

static void peek(struct tls_stream *tls, unsigned char *out, size_t size)
{
    for (uint32_t i = 0; size > 0; i++) {
        struct slice bytes = chunk_slice(chunk_queue_at(&tls->incoming, i));
        size_t part = bytes.size < size ? bytes.size : size;
        memcpy(out, bytes.data, part);
        out += part;
        size -= part;
    }
}

static bool take_record(struct tls_stream *tls, uint32_t size, struct chunk *record)
{
    struct chunk *first = chunk_queue_at(&tls->incoming, 0);
    if (first->size >= size) {
        *record = chunk_part(first, 0, size);
    } else {
        struct block *block = block_open(tls->stream.shard->blocks, size);
        if (block == NULL)
            return false;
        peek(tls, (unsigned char *)block->data, size);
        block->used = size;
        *record = (struct chunk){ block, 0, size };
    }
    chunk_queue_consume(&tls->incoming, size);
    return true;
}

enum tls_frame tls_stream_frame(struct tls_stream *tls, enum tls_epoch epoch, struct chunk *record)
{
    unsigned char bytes[TLS_HEADER_BYTES];
    struct tls_header header;
    if (tls->incoming.bytes < TLS_HEADER_BYTES)
        return TLS_FRAME_NONE;
    peek(tls, bytes, sizeof(bytes));
    enum tls_alert alert = tls_record_header(bytes, epoch, &header);
    if (alert != TLS_ALERT_NONE) {
        tls_stream_fail(tls, ERROR_TLS, alert, "a record with an illegal header");
        return TLS_FRAME_BROKEN;
    }
    uint32_t size = (uint32_t)TLS_HEADER_BYTES + header.size;
    if (tls->incoming.bytes < size)
        return TLS_FRAME_NONE;
    if (take_record(tls, size, record))
        return TLS_FRAME_WHOLE;
    tls_stream_fail(tls, ERROR_MEMORY, TLS_INTERNAL_ERROR, NULL);
    return TLS_FRAME_BROKEN;
}

/* --- alerts --------------------------------------------------------------------------------------------- */

static void take_end(struct tls_stream *tls)
{
    tls->ended = true;
    chunk_queue_clear(&tls->incoming);
    tls->stream.events->received(&tls->stream, (struct chunk){ 0 });
}

void tls_stream_take_alert(struct tls_stream *tls, struct slice bytes)
{
    if (bytes.size != 2) {
        tls_stream_fail(tls, ERROR_TLS, TLS_DECODE_ERROR, "a malformed alert");
        return;
    }
    uint8_t level = (uint8_t)bytes.data[0], alert = (uint8_t)bytes.data[1];
    bool warning = tls->suite->version == STREAM_TLS_1_2 && level == LEVEL_WARNING;
    if (alert == TLS_CLOSE_NOTIFY) {
        take_end(tls);
    } else if (alert != TLS_USER_CANCELED && !warning) {
        tls->failure.alert_received = alert;
        tls_stream_fail(tls, ERROR_TLS, TLS_ALERT_NONE, tls_alert_text(alert));
    }
}

/* --- handshake messages behind the handshake ------------------------------------------------------------ */

/* A record that the kernel sends is not ours to follow with other keys at once. */
static bool answer_update(struct tls_stream *tls)
{
    static const char answer[] = { KEY_UPDATE, 0, 0, 1, 0 };
    if (tls->kernel != TLS_KERNEL_NONE) {
        if (tls->update == TLS_UPDATE_NONE && !tls->finishing)
            tls->update = TLS_UPDATE_DUE;
        shard_defer(tls->stream.shard, &tls->task);
        return true;
    }
    tls_stream_seal_control(tls, TLS_HANDSHAKE, (struct slice){ answer, sizeof(answer) });
    return tls_half_update(&tls->sending);
}

/* Before Linux 6.14 the kernel cannot change keys. */
static bool kernel_cannot_update(const struct tls_stream *tls, uint8_t requested)
{
    return !tls->loop->options.kernel.rekeys &&
           (tls->kernel == TLS_KERNEL_ALL || (tls->kernel != TLS_KERNEL_NONE && requested));
}

static void update_keys(struct tls_stream *tls, uint8_t requested)
{
    if (requested > 1 || ++tls->key_updates > KEY_UPDATES_MAX) {
        tls_stream_fail(tls, ERROR_TLS, requested > 1 ? TLS_ILLEGAL_PARAMETER : TLS_UNEXPECTED_MESSAGE,
                        "KeyUpdate refused");
        return;
    }
    if (kernel_cannot_update(tls, requested)) {
        tls_stream_fail(tls, ERROR_TLS, TLS_INTERNAL_ERROR, "a KeyUpdate, for which this kernel is too old");
        return;
    }
    bool by_kernel = tls->kernel == TLS_KERNEL_ALL;
    bool good = by_kernel ? tls_stream_update_kernel(tls) : tls_half_update(&tls->receiving);
    if (good && requested)
        good = answer_update(tls);
    if (!good)
        tls_stream_fail(tls, by_kernel ? ERROR_KERNEL : ERROR_MEMORY, TLS_INTERNAL_ERROR,
                        "the keys cannot be changed");
}

/* A whole header has come. False: no such message here. */
static bool begin_message(struct tls_stream *tls)
{
    const unsigned char *message = tls->message;
    bool is_1_3 = tls->suite->version == STREAM_TLS_1_3, is_client = !tls->server_side;
    tls->message_left = (uint32_t)(message[1] << 16 | message[2] << 8 | message[3]);
    switch (message[0]) {
    case KEY_UPDATE: return is_1_3 && tls->message_left == 1;
    case NEW_SESSION_TICKET: return is_1_3 && is_client;
    case HELLO_REQUEST: return !is_1_3 && is_client && tls->message_left == 0;
    default: return false;
    }
}

/* Tickets are skipped: connections to upstreams are kept, not resumed. */
void tls_stream_take_handshake(struct tls_stream *tls, struct slice bytes)
{
    while (bytes.size > 0 && tls->phase == TLS_PHASE_OPEN && !tls->closing) {
        if (tls->message_size < TLS_MESSAGE_HEADER_BYTES) {
            tls->message[tls->message_size++] = (unsigned char)bytes.data[0];
            bytes = slice_from(bytes, 1);
            if (tls->message_size == TLS_MESSAGE_HEADER_BYTES && !begin_message(tls)) {
                tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "an unexpected handshake message");
                return;
            }
        } else {
            size_t part = tls->message_left < bytes.size ? tls->message_left : bytes.size;
            tls->message[TLS_MESSAGE_HEADER_BYTES] = (unsigned char)bytes.data[0];
            tls->message_left -= (uint32_t)part;
            bytes = slice_from(bytes, part);
        }
        if (tls->message_size < TLS_MESSAGE_HEADER_BYTES || tls->message_left > 0)
            continue;
        tls->message_size = 0;
        if (tls->message[0] != KEY_UPDATE)
            continue;
        if (bytes.size > 0) { /* keys change between records only */
            tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "bytes behind a KeyUpdate");
            return;
        }
        update_keys(tls, tls->message[TLS_MESSAGE_HEADER_BYTES]);
    }
}

/* --- data ----------------------------------------------------------------------------------------------- */

static void take_data(struct tls_stream *tls, const struct chunk *record, const struct tls_opened *opened)
{
    if (opened->size == 0)
        return;
    tls->key_updates = 0;
    tls->stream.received_bytes += opened->size;
    tls->stream.events->received(&tls->stream, chunk_part(record, opened->offset, opened->size));
}

static void take_opened(struct tls_stream *tls, const struct chunk *record, const struct tls_opened *opened)
{
    struct slice bytes = { record->block->data + record->offset + opened->offset, opened->size };
    if (tls->message_size > 0 && opened->type != TLS_HANDSHAKE) {
        tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "a handshake message is interrupted");
        return;
    }
    switch (opened->type) {
    case TLS_DATA: take_data(tls, record, opened); break;
    case TLS_ALERT: tls_stream_take_alert(tls, bytes); break;
    case TLS_HANDSHAKE:
        if (bytes.size > 0)
            tls_stream_take_handshake(tls, bytes);
        else
            tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "an empty handshake record");
        break;
    default: tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "an unexpected record"); break;
    }
}

static bool wants_more(const struct tls_stream *tls)
{
    return tls->phase == TLS_PHASE_OPEN && !tls->paused && !tls->closing && !tls->ended;
}

void tls_stream_receive(struct tls_stream *tls)
{
    struct chunk record;
    struct tls_opened opened;
    while (wants_more(tls)) {
        enum tls_epoch epoch = tls->suite->version == STREAM_TLS_1_3 ? TLS_EPOCH_1_3 : TLS_EPOCH_1_2;
        if (tls_stream_frame(tls, epoch, &record) != TLS_FRAME_WHOLE)
            break;
        unsigned char *bytes = (unsigned char *)record.block->data + record.offset;
        enum tls_alert alert = tls_half_unseal(&tls->receiving, bytes, record.size, &opened);
        if (alert == TLS_ALERT_NONE)
            take_opened(tls, &record, &opened);
        else
            tls_stream_fail(tls, ERROR_TLS, alert, tls_alert_text(alert));
        chunk_release(&record);
    }
    if (!wants_more(tls))
        return;
    if (tls->cut)
        tls_stream_fail(tls, ERROR_TRUNCATED, TLS_ALERT_NONE, "closed without close_notify");
    else
        tls_stream_offload(tls);
}
