/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_stream_parts.h"

#include <stdlib.h>

enum {
    WINDOW_BYTES = 256 * 1024, /* of records waiting in the lower stream; more data waits as it is */
    WAITING_MAX = 64 * 1024, /* of records that have come, and are not read yet */
    PARTS_MAX = 16, /* chunks in one record */
    FULL_RECORD = BLOCK_LARGE_BYTES - TLS_HALF_OVERHEAD,
    SMALL_RECORD = BLOCK_SMALL_BYTES - TLS_HALF_OVERHEAD,
    SMALL_BURST = 16 * 1024, /* about what a fresh connection may send at once: decrypted as it comes */
    SILENCE_MS = 1000
};

static const struct stream_ops tls_ops;

static struct tls_stream *tls_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct tls_stream, stream);
}

void tls_stream_count(struct tls_stream *tls)
{
    tls->stream.queued_bytes = tls->outgoing.bytes + tls->lower->queued_bytes;
    tls->stream.queued_chunks = tls->outgoing.count + tls->lower->queued_chunks;
}

/* --- failing -------------------------------------------------------------------------------------------- */

static void report(struct tls_stream *tls)
{
    tls->reporting = false;
    if (tls->opened)
        tls->stream.events->failed(&tls->stream, (enum error)tls->failure_error);
    else
        tls->stream.events->opened(&tls->stream, (enum error)tls->failure_error);
}

static void send_alert(struct tls_stream *tls, enum tls_alert alert)
{
    unsigned char record[] = { TLS_ALERT, 3, 3, 0, 2, 2, (unsigned char)alert };
    if (tls->phase == TLS_PHASE_OPEN)
        tls_stream_seal_control(tls, TLS_ALERT, (struct slice){ (const char *)record + 5, 2 });
    else
        (void)tls_stream_output(tls, (struct slice){ (const char *)record, sizeof(record) });
}

void tls_stream_fail(struct tls_stream *tls, enum error error, enum tls_alert alert, const char *reason)
{
    if (tls->phase == TLS_PHASE_DEAD || tls->closing)
        return;
    if (alert != TLS_ALERT_NONE && !tls->finished) {
        send_alert(tls, alert);
        tls->failure.alert_sent = (uint8_t)alert;
    }
    tls->failure.reason = reason ? reason : error_text(error);
    tls->failure_error = (uint8_t)error;
    tls->phase = TLS_PHASE_DEAD;
    tls->reporting = true;
    chunk_queue_clear(&tls->incoming);
    chunk_queue_clear(&tls->outgoing);
    shard_defer(tls->stream.shard, &tls->task);
}

/* --- sending -------------------------------------------------------------------------------------------- */

bool tls_stream_output(void *pointer, struct slice bytes)
{
    struct tls_stream *tls = pointer;
    struct block *block = bytes.size <= UINT32_MAX ? block_open(tls->stream.shard->blocks, bytes.size) : NULL;
    if (block == NULL)
        return false;
    memcpy(block->data, bytes.data, bytes.size);
    block->used = (uint32_t)bytes.size;
    stream_send(tls->lower, (struct chunk){ block, 0, block->used });
    return true;
}

/* The parts as one record; false: the stream has failed. */
static bool seal(struct tls_stream *tls, enum tls_type type, const struct slices *parts, size_t size)
{
    struct block *block = block_open(tls->stream.shard->blocks, size + TLS_HALF_OVERHEAD);
    uint32_t used = block ? tls_half_seal(&tls->sending, type, parts, (unsigned char *)block->data) : 0;
    if (used == 0) {
        if (block)
            block_release(block);
        tls_stream_fail(tls, ERROR_MEMORY, TLS_ALERT_NONE, NULL);
        return false;
    }
    block->used = used;
    stream_send(tls->lower, (struct chunk){ block, 0, used });
    return true;
}

/* Behind close_notify nothing may be said, whatever the peer still does. */
void tls_stream_seal_control(struct tls_stream *tls, enum tls_type type, struct slice bytes)
{
    struct slices parts = { &bytes, 1 };
    if (tls->finished)
        return;
    if (tls->kernel != TLS_KERNEL_NONE)
        tls->lower->ops->send_record(tls->lower, type, bytes);
    else
        (void)seal(tls, type, &parts, bytes.size);
}

/* A few small records first, which the other side can read before all of a window has come. */
static size_t record_limit(struct tls_stream *tls)
{
    if (tls->stream.shard->now_ms - tls->sent_ms >= SILENCE_MS)
        tls->burst_bytes = 0;
    tls->sent_ms = tls->stream.shard->now_ms;
    return tls->burst_bytes < SMALL_BURST ? SMALL_RECORD : FULL_RECORD;
}

static bool update_sending_key(struct tls_stream *tls)
{
    static const char update[] = { 24, 0, 0, 1, 0 }; /* update_not_requested */
    tls_stream_seal_control(tls, TLS_HANDSHAKE, (struct slice){ update, sizeof(update) });
    if (tls_half_update(&tls->sending))
        return true;
    tls_stream_fail(tls, ERROR_MEMORY, TLS_ALERT_NONE, NULL);
    return false;
}

static bool seal_data(struct tls_stream *tls)
{
    struct slice items[PARTS_MAX];
    struct slices parts = { items, 0 };
    size_t limit = record_limit(tls), size = 0;
    if (tls->sending.secret_size > 0 && tls->sending.crypto.sequence >= TLS_HALF_REKEY_RECORDS &&
        !update_sending_key(tls))
        return false;
    while (parts.count < PARTS_MAX && parts.count < tls->outgoing.count && size < limit) {
        struct slice part = chunk_slice(chunk_queue_at(&tls->outgoing, parts.count));
        if (part.size > limit - size)
            part.size = limit - size;
        size += part.size;
        items[parts.count++] = part;
    }
    if (!seal(tls, TLS_DATA, &parts, size))
        return false;
    chunk_queue_consume(&tls->outgoing, size);
    tls->stream.sent_bytes += size;
    if (tls->burst_bytes < SMALL_BURST)
        tls->burst_bytes += (uint32_t)size;
    return true;
}

static void say_close(struct tls_stream *tls)
{
    static const char close_notify[] = { 1, TLS_CLOSE_NOTIFY };
    tls_stream_seal_control(tls, TLS_ALERT, (struct slice){ close_notify, sizeof(close_notify) });
    tls->finished = true;
    if (tls->phase == TLS_PHASE_OPEN)
        stream_finish(tls->lower);
}

/* What is given at once becomes a common record: small ones are given one by one. */
static void flush_small(struct tls_stream *tls)
{
    uint32_t left = SMALL_RECORD;
    while (left > 0 && tls->outgoing.count > 0) {
        struct chunk *first = chunk_queue_at(&tls->outgoing, 0);
        uint32_t size = first->size < left ? first->size : left;
        stream_send(tls->lower, chunk_part(first, 0, size));
        chunk_queue_consume(&tls->outgoing, size);
        tls->stream.sent_bytes += size;
        tls->burst_bytes += size;
        left -= size;
    }
}

static void flush_to_kernel(struct tls_stream *tls)
{
    if (!tls_stream_continue_update(tls))
        return;
    if (tls->outgoing.count > 0 && record_limit(tls) == SMALL_RECORD) {
        if (tls->lower->queued_bytes == 0)
            flush_small(tls);
        return;
    }
    while (tls->outgoing.count > 0) {
        struct chunk chunk = chunk_queue_pop(&tls->outgoing);
        tls->stream.sent_bytes += chunk.size;
        stream_send(tls->lower, chunk);
    }
}

/* False: the stream has failed. */
static bool flush_sealed(struct tls_stream *tls)
{
    if (tls_stream_awaits_kernel(tls) && tls->stream.sent_bytes > 0 && tls->lower->queued_bytes > 0)
        return true; /* that leaves first */
    while (tls->outgoing.count > 0 && tls->lower->queued_bytes < WINDOW_BYTES)
        if (!seal_data(tls))
            return false;
    return true;
}

static void flush(struct tls_stream *tls)
{
    if (tls->phase != TLS_PHASE_OPEN)
        return;
    tls_stream_offload_sending(tls);
    if (tls->kernel != TLS_KERNEL_NONE)
        flush_to_kernel(tls);
    else if (!flush_sealed(tls))
        return;
    if (tls->finishing && !tls->finished && tls->outgoing.count == 0 && tls->update == TLS_UPDATE_NONE)
        say_close(tls);
    tls_stream_count(tls);
}

static void tls_send(struct stream *stream, struct chunk chunk)
{
    struct tls_stream *tls = tls_of(stream);
    CHECK(!tls->finishing);
    if (tls->closing || tls->phase == TLS_PHASE_DEAD || chunk.size == 0) {
        chunk_release(&chunk);
        return;
    }
    /* What leaves at the end of this turn needs not be copied together. */
    bool waits = tls->phase != TLS_PHASE_OPEN || tls->lower->queued_bytes >= WINDOW_BYTES;
    bool queued = waits ? chunk_queue_append(&tls->outgoing, chunk, stream->shard->blocks, 0)
                        : chunk_queue_push(&tls->outgoing, chunk);
    if (!queued)
        tls_stream_fail(tls, ERROR_MEMORY, TLS_ALERT_NONE, NULL);
    tls_stream_count(tls);
    shard_defer(stream->shard, &tls->task);
}

static void tls_finish(struct stream *stream)
{
    struct tls_stream *tls = tls_of(stream);
    tls->finishing = true;
    if (!tls->closing)
        shard_defer(stream->shard, &tls->task);
}

/* A handshake goes on whatever the owner wants to receive. What has come before a pause is received first:
 * otherwise each pause would leave more behind than the one before. */
static void pause_lower(struct tls_stream *tls)
{
    bool wanted = (tls->phase == TLS_PHASE_OPEN && tls->paused) ||
                  (tls->phase != TLS_PHASE_DEAD && tls->incoming.bytes > WAITING_MAX);
    if (wanted == tls->lower_paused || tls->closing)
        return;
    tls->lower_paused = wanted;
    if (wanted)
        stream_pause(tls->lower);
    else
        stream_resume(tls->lower);
}

static void run_task(struct shard_task *task)
{
    struct tls_stream *tls = CONTAINER_OF(task, struct tls_stream, task);
    if (tls->closing)
        return;
    if (tls->reporting) {
        if (tls->lower->queued_bytes == 0)
            report(tls);
        return;
    }
    flush(tls);
    tls_stream_receive(tls);
    pause_lower(tls);
}

/* --- receiving ------------------------------------------------------------------------------------------ */

static void tls_pause(struct stream *stream)
{
    struct tls_stream *tls = tls_of(stream);
    tls->paused = true;
    pause_lower(tls);
}

static void tls_resume(struct stream *stream)
{
    struct tls_stream *tls = tls_of(stream);
    if (!tls->paused || tls->closing)
        return;
    tls->paused = false;
    pause_lower(tls);
    shard_defer(stream->shard, &tls->task);
}

/* Joined when small: a peer that sends byte by byte must not pin a block for each. */
static bool keep_incoming(struct tls_stream *tls, struct chunk chunk)
{
    if (chunk_queue_append(&tls->incoming, chunk, tls->stream.shard->blocks, 0))
        return true;
    tls_stream_fail(tls, ERROR_MEMORY, TLS_ALERT_NONE, NULL);
    return false;
}

static void lower_received(struct stream *lower, struct chunk chunk)
{
    struct tls_stream *tls = lower->owner;
    if (tls->closing || tls->phase == TLS_PHASE_DEAD || tls->ended) {
        chunk_release(&chunk);
        return;
    }
    if (tls->kernel == TLS_KERNEL_ALL && chunk.size > 0) {
        tls->key_updates = 0;
        tls->stream.received_bytes += chunk.size;
        tls->stream.events->received(&tls->stream, chunk);
        return;
    }
    if (chunk.size == 0)
        tls->cut = true;
    else if (!keep_incoming(tls, chunk))
        return;
    if (tls->phase == TLS_PHASE_OPEN) {
        tls_stream_receive(tls);
        return;
    }
    tls_loop_enqueue(tls->loop, &tls->job);
    pause_lower(tls);
}

/* --- the lower stream ----------------------------------------------------------------------------------- */

static void lower_opened(struct stream *lower, enum error error)
{
    struct tls_stream *tls = lower->owner;
    if (tls->closing || tls->phase != TLS_PHASE_CONNECT)
        return;
    if (error != ERROR_OK) {
        tls_stream_fail(tls, error, TLS_ALERT_NONE, NULL);
        return;
    }
    tls->phase = TLS_PHASE_SHAKE;
    tls_loop_enqueue(tls->loop, &tls->job);
}

static void lower_writable(struct stream *lower)
{
    struct tls_stream *tls = lower->owner;
    if (tls->closing)
        return;
    if (tls->reporting) {
        if (lower->queued_bytes == 0)
            report(tls);
        return;
    }
    flush(tls);
    tls_stream_count(tls);
    if (tls->phase != TLS_PHASE_OPEN)
        return;
    tls->stream.events->writable(&tls->stream);
    if (!tls->closing)
        tls_stream_offload(tls);
}

static void lower_failed(struct stream *lower, enum error error)
{
    struct tls_stream *tls = lower->owner;
    if (tls->closing)
        return;
    tls_stream_fail(tls, error, TLS_ALERT_NONE, NULL);
    if (tls->reporting)
        report(tls);
}

static void lower_halted(struct stream *lower)
{
    struct tls_stream *tls = lower->owner;
    if (tls->closing || tls->kernel != TLS_KERNEL_HALTING)
        return;
    tls->kernel = TLS_KERNEL_HALTED;
    tls_stream_receive(tls);
}

static void lower_record(struct stream *lower, uint8_t type, struct slice bytes)
{
    struct tls_stream *tls = lower->owner;
    if (tls->closing || tls->phase != TLS_PHASE_OPEN || tls->ended)
        return;
    if (type == TLS_ALERT)
        tls_stream_take_alert(tls, bytes);
    else if (type == TLS_HANDSHAKE)
        tls_stream_take_handshake(tls, bytes);
    else
        tls_stream_fail(tls, ERROR_TLS, TLS_UNEXPECTED_MESSAGE, "unexpected record");
}

static void forget_session(struct tls_stream *tls)
{
    tls_half_close(&tls->sending);
    tls_half_close(&tls->receiving);
    tls_peer_free(tls->peer);
    tls->peer = NULL;
    free(tls->name);
    tls->name = NULL;
}

static void lower_closed(struct stream *lower)
{
    struct tls_stream *tls = lower->owner;
    forget_session(tls);
    tls->stream.events->closed(&tls->stream);
}

static const struct stream_events lower_events = {
    .opened = lower_opened,
    .received = lower_received,
    .writable = lower_writable,
    .failed = lower_failed,
    .closed = lower_closed,
    .halted = lower_halted,
    .record = lower_record,
    .spoiled = tls_stream_take_spoiled,
};

static void stop(struct tls_stream *tls)
{
    tls->closing = true;
    list_remove(&tls->job.node);
    list_remove(&tls->task.node);
    tls_stream_end_shake(tls);
    chunk_queue_clear(&tls->incoming);
    chunk_queue_clear(&tls->outgoing);
}

static void tls_close(struct stream *stream)
{
    struct tls_stream *tls = tls_of(stream);
    CHECK(!tls->closing);
    stop(tls);
    stream_close(tls->lower);
}

void tls_stream_abandon(struct tls_stream *tls)
{
    if (!tls->closing)
        stop(tls);
    forget_session(tls);
}

/* --- beginning ------------------------------------------------------------------------------------------ */

static void init(struct tls_stream *tls, struct tls_loop *loop, struct stream *lower,
                 const struct stream_events *events)
{
    *tls = (struct tls_stream){ .stream = { .ops = &tls_ops, .events = events, .shard = loop->shard },
                                .lower = lower,
                                .loop = loop,
                                .failure = { TLS_ALERT_NONE, TLS_ALERT_NONE, NULL, 0 } };
    tls_job_init(&tls->job, tls_stream_shake);
    shard_task_init(&tls->task, run_task);
    chunk_queue_init(&tls->incoming);
    chunk_queue_init(&tls->outgoing);
    lower->events = &lower_events;
    lower->owner = tls;
}

void tls_stream_accept(struct tls_stream *tls, struct tls_loop *loop, struct stream *lower,
                       const struct stream_events *events, struct tls_server *server)
{
    init(tls, loop, lower, events);
    tls_server_take(server);
    tls->server = server;
    tls->server_side = true;
    tls->phase = TLS_PHASE_HELLO;
}

static bool copy_name(char **copy, const char *name)
{
    *copy = name ? strdup(name) : NULL;
    return name == NULL || *copy != NULL;
}

void tls_stream_connect(struct tls_stream *tls, struct tls_loop *loop, struct stream *lower,
                        const struct stream_events *events, const struct tls_target *target)
{
    init(tls, loop, lower, events);
    tls_client_take(target->client);
    tls->client = target->client;
    tls->phase = TLS_PHASE_CONNECT;
    if (!copy_name(&tls->name, target->server_name) || !copy_name(&tls->checked_name, target->checked_name))
        tls_stream_fail(tls, ERROR_MEMORY, TLS_ALERT_NONE, NULL);
}

struct tls_info tls_stream_info(const struct tls_stream *tls)
{
    return (struct tls_info){ .suite = tls->suite,
                              .server_name = tls->name,
                              .protocol = tls->protocol,
                              .peer = tls->peer,
                              .resumed = tls->resumed,
                              .by_kernel = tls->kernel == TLS_KERNEL_ALL };
}

static const struct stream_ops tls_ops = {
    .send = tls_send,
    .pause = tls_pause,
    .resume = tls_resume,
    .finish = tls_finish,
    .close = tls_close,
};
