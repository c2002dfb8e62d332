/* SPDX-License-Identifier: Apache-2.0 */
/* Handing records over to the kernel: a stream that plays its part with the keys that it is given, so that
 * the other end can only understand it if they, and the sequence numbers, are right. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"
#include "tls/tls_stream_parts.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/tls.h>

/* Between the TLS stream and the pipe. */
struct kernel {
    struct stream stream;
    struct pipe_stream *pipe;
    struct chunk_queue staged; /* received; a chunk of the pipe is a record, unless the pipe cuts */
    struct shard_task task;
    struct tls_half sending, receiving;
    bool sends, receives, halted, tells_halted, refuses, refuses_receiving;
    uint32_t keys; /* times that it was given some */
    uint32_t sends_max; /* of what it was given to send while nothing was queued */
    bool delays; /* goes on receiving until the test has had enough */
    uint32_t exactly, asked_exactly;
    uint32_t pieces_left; /* then the pipe is paused; 0: never */
};

static struct tls_ends ends;
static struct kernel kernel;

static struct kernel *kernel_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct kernel, stream);
}

static void send_sealed(struct kernel *fake, enum tls_type type, struct slice bytes)
{
    struct block *block = block_open(fake->stream.shard->blocks, bytes.size + TLS_HALF_OVERHEAD);
    struct slices parts = { &bytes, 1 };
    uint32_t size = tls_half_seal(&fake->sending, type, &parts, (unsigned char *)block->data);
    stream_send(&fake->pipe->stream, (struct chunk){ block, 0, size });
}

static void fake_send(struct stream *stream, struct chunk chunk)
{
    struct kernel *fake = kernel_of(stream);
    if (!fake->sends) {
        stream_send(&fake->pipe->stream, chunk);
        return;
    }
    if (chunk.size > fake->sends_max)
        fake->sends_max = chunk.size;
    send_sealed(fake, TLS_DATA, chunk_slice(&chunk));
    chunk_release(&chunk);
}

static void fake_pause(struct stream *stream)
{
    stream_pause(&kernel_of(stream)->pipe->stream);
}

static void fake_resume(struct stream *stream)
{
    stream_resume(&kernel_of(stream)->pipe->stream);
}

static void fake_finish(struct stream *stream)
{
    stream_finish(&kernel_of(stream)->pipe->stream);
}

static void fake_close(struct stream *stream)
{
    chunk_queue_clear(&kernel_of(stream)->staged);
    list_remove(&kernel_of(stream)->task.node);
    stream_close(&kernel_of(stream)->pipe->stream);
}

static enum error protect_sending(struct stream *stream, const struct stream_crypto *crypto)
{
    struct kernel *fake = kernel_of(stream);
    if (fake->refuses)
        return ERROR_UNSUPPORTED;
    cr_assert_eq(fake->pipe->stream.queued_bytes, 0);
    fake->sends = true;
    fake->keys++;
    tls_half_close(&fake->sending);
    return tls_half_open_1_2(&fake->sending, crypto) ? ERROR_OK : ERROR_MEMORY;
}

static enum error protect_receiving(struct stream *stream, const struct stream_crypto *crypto)
{
    struct kernel *fake = kernel_of(stream);
    if (fake->refuses_receiving)
        return ERROR_UNSUPPORTED;
    cr_assert(fake->receives || (fake->halted && fake->exactly == 0));
    fake->receives = true;
    fake->keys++;
    tls_half_close(&fake->receiving);
    return tls_half_open_1_2(&fake->receiving, crypto) ? ERROR_OK : ERROR_MEMORY;
}

static void halt(struct stream *stream)
{
    if (kernel_of(stream)->delays)
        return;
    kernel_of(stream)->halted = kernel_of(stream)->tells_halted = true;
    shard_defer(stream->shard, &kernel_of(stream)->task);
}

static void receive_exactly(struct stream *stream, uint32_t size)
{
    kernel_of(stream)->exactly = kernel_of(stream)->asked_exactly = size;
    fake_resume(stream);
    shard_defer(stream->shard, &kernel_of(stream)->task);
}

static void unhalt(struct stream *stream)
{
    kernel_of(stream)->halted = false;
    shard_defer(stream->shard, &kernel_of(stream)->task);
}

static void send_record(struct stream *stream, uint8_t type, struct slice bytes)
{
    cr_assert_leq(bytes.size, 16);
    send_sealed(kernel_of(stream), (enum tls_type)type, bytes);
    stream->queued_bytes = kernel_of(stream)->pipe->stream.queued_bytes;
}

static const struct stream_ops fake_ops = { .send = fake_send,
                                            .pause = fake_pause,
                                            .resume = fake_resume,
                                            .finish = fake_finish,
                                            .close = fake_close,
                                            .protect_sending = protect_sending,
                                            .protect_receiving = protect_receiving,
                                            .halt = halt,
                                            .receive_exactly = receive_exactly,
                                            .unhalt = unhalt,
                                            .send_record = send_record };

static void deliver_opened(struct kernel *fake, struct chunk *record)
{
    struct tls_opened opened;
    unsigned char *bytes = (unsigned char *)record->block->data + record->offset;
    if (tls_half_unseal(&fake->receiving, bytes, record->size, &opened) != TLS_ALERT_NONE) {
        chunk_release(record);
        fake->stream.events->spoiled(&fake->stream, EBADMSG);
        return;
    }
    struct chunk part = chunk_part(record, opened.offset, opened.size);
    chunk_release(record);
    if (opened.type == TLS_DATA) {
        fake->stream.events->received(&fake->stream, part);
        return;
    }
    fake->stream.events->record(&fake->stream, opened.type, chunk_slice(&part));
    chunk_release(&part);
}

/* Of the record at the front; 0: not whole yet. */
static uint32_t record_size(struct kernel *fake)
{
    struct chunk *first = chunk_queue_at(&fake->staged, 0);
    const unsigned char *bytes = (const unsigned char *)first->block->data + first->offset;
    uint32_t size =
        first->size < TLS_HEADER_BYTES ? 0 : TLS_HEADER_BYTES + (uint32_t)(bytes[3] << 8 | bytes[4]);
    return size <= first->size ? size : 0;
}

static void run(struct shard_task *task)
{
    struct kernel *fake = CONTAINER_OF(task, struct kernel, task);
    while (fake->staged.count > 0 && (!fake->halted || fake->exactly > 0)) {
        struct chunk chunk = *chunk_queue_at(&fake->staged, 0);
        uint32_t size = fake->halted && fake->exactly < chunk.size ? fake->exactly : chunk.size;
        if (fake->receives)
            size = record_size(fake);
        if (size == 0)
            break;
        chunk = chunk_part(&chunk, 0, size);
        chunk_queue_consume(&fake->staged, size);
        fake->exactly -= fake->halted ? size : 0;
        if (fake->receives)
            deliver_opened(fake, &chunk);
        else
            fake->stream.events->received(&fake->stream, chunk);
    }
    if (fake->tells_halted) {
        fake->tells_halted = false;
        fake->stream.events->halted(&fake->stream);
    }
}

static void pipe_received(struct stream *stream, struct chunk chunk)
{
    struct kernel *fake = stream->owner;
    if (chunk.size == 0) {
        fake->stream.events->received(&fake->stream, chunk);
        return;
    }
    cr_assert(chunk_queue_append(&fake->staged, chunk, stream->shard->blocks, 0));
    if (fake->pieces_left > 0 && --fake->pieces_left == 0)
        stream_pause(stream);
    run(&fake->task);
}

static void pipe_writable(struct stream *stream)
{
    struct kernel *fake = stream->owner;
    fake->stream.queued_bytes = stream->queued_bytes;
    fake->stream.events->writable(&fake->stream);
}

static void pipe_closed(struct stream *stream)
{
    struct kernel *fake = stream->owner;
    tls_half_close(&fake->sending);
    tls_half_close(&fake->receiving);
    fake->stream.events->closed(&fake->stream);
}

static const struct stream_events pipe_events = { .received = pipe_received,
                                                  .writable = pipe_writable,
                                                  .closed = pipe_closed };

static void start(void)
{
    tls_ends_open(&ends);
    ends.loop.options.kernel = (struct ktls_support){ 0xff, true };
}

static void end(void)
{
    tls_ends_part(&ends);
    tls_ends_close(&ends);
}

TestSuite(tls_kernel, .init = start, .fini = end, .timeout = 60);

static void begin(struct tls_suite_choice suites)
{
    struct tls_site_options site = { .pairs = { { .key = tls_ends_key(ends.certs[0]) } } };
    struct tls_server_options options = { .sites = &site, .site_count = 1, .suites = suites, .set_count = 1 };
    char reason[TLS_REASON_SIZE];
    struct tls_server *server = tls_server_make(&options, reason);
    tls_key_release(site.pairs[0].key);
    ends.client = (struct tls_end){ .error = ERROR_OK };
    ends.server = (struct tls_end){ .echoes = true };
    pipe_stream_open(&ends.shard, &ends.client.pipe, &ends.server.pipe);
    bool refuses = kernel.refuses, delays = kernel.delays, refuses_receiving = kernel.refuses_receiving;
    kernel = (struct kernel){ .stream = { .ops = &fake_ops, .shard = &ends.shard },
                              .pipe = &ends.server.pipe,
                              .refuses = refuses,
                              .refuses_receiving = refuses_receiving,
                              .delays = delays };
    chunk_queue_init(&kernel.staged);
    shard_task_init(&kernel.task, run);
    ends.server.pipe.stream.events = &pipe_events;
    ends.server.pipe.stream.owner = &kernel;
    tls_ends_accept_on(&ends, server, &kernel.stream);
    tls_ends_connect(&ends, tls_ends_client(&ends), "a.test");
    cr_assert(tls_ends_shake(&ends));
}

static void echo(void)
{
    uint64_t before = ends.client.received;
    tls_ends_send_text(&ends.client, "hello");
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, before + 5));
    cr_assert_eq(memcmp(ends.client.text + before, "hello", 5), 0);
}

Test(tls_kernel, takes_over_with_every_suite)
{
    static const char *const names[] = { "TLS_AES_128_GCM_SHA256",        "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256",  "ECDHE-ECDSA-AES128-GCM-SHA256",
                                         "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305" };
    for (unsigned i = 0; i < 6; i++) {
        uint16_t version = i < 3 ? STREAM_TLS_1_3 : STREAM_TLS_1_2;
        begin((struct tls_suite_choice){ TLS_CUSTOM, slice_of(names[i]), version, version });
        echo();
        echo();
        cr_assert(tls_stream_info(&ends.server.tls).by_kernel, "%s", names[i]);
        cr_assert_null(ends.server.tls.sending.cipher);
        cr_assert_null(ends.server.tls.receiving.cipher);
        stream_finish(&ends.client.tls.stream); /* close_notify through the kernel, both ways */
        cr_assert(tls_ends_until_count(&ends.shard, &ends.client.ended, 1));
        cr_assert_eq(ends.client.failed + ends.server.failed, 0);
        if (i < 5)
            tls_ends_part(&ends);
    }
}

Test(tls_kernel, a_record_in_part_is_completed_first)
{
    for (unsigned pieces = 1; pieces < 4; pieces++) {
        kernel.delays = true;
        begin(tls_ends_suites());
        ends.client.pipe.piece_bytes = 4; /* less than a header */
        kernel.pieces_left = pieces;
        tls_ends_send_text(&ends.client, "abc");
        shard_setup_turn_for(&ends.shard, 2);
        cr_assert_eq(ends.client.received, 0);
        kernel.delays = false;
        halt(&kernel.stream);
        cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 3));
        cr_assert_gt(kernel.asked_exactly, 0);
        cr_assert(tls_stream_info(&ends.server.tls).by_kernel);
        ends.client.pipe.piece_bytes = 0;
        echo();
        cr_assert_eq(ends.client.failed + ends.server.failed, 0);
        if (pieces < 3)
            tls_ends_part(&ends);
    }
}

Test(tls_kernel, goes_on_without)
{
    kernel.refuses = true;
    begin(tls_ends_suites());
    kernel.refuses = false;
    echo();
    echo();
    cr_assert_not(tls_stream_info(&ends.server.tls).by_kernel);
}

Test(tls_kernel, opens_here_what_the_kernel_only_sends)
{
    kernel.refuses_receiving = true;
    begin(tls_ends_suites());
    kernel.refuses_receiving = false;
    echo();
    echo();
    cr_assert_eq(ends.server.tls.kernel, TLS_KERNEL_SENDING);
    cr_assert_not_null(ends.server.tls.receiving.cipher);
    cr_assert_eq(metric_read(&ends.shard.metrics, METRIC_TLS_KERNEL_REFUSED), 1);
    cr_assert_eq(metric_read(&ends.shard.metrics, METRIC_TLS_KERNEL), 0);
    stream_finish(&ends.client.tls.stream);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.ended, 1));
    cr_assert_eq(ends.client.failed + ends.server.failed, 0);
}

Test(tls_kernel, not_asked_for_what_it_does_not_know)
{
    ends.loop.options.kernel = (struct ktls_support){ 0 };
    begin(tls_ends_suites());
    echo();
    cr_assert_eq(kernel.keys, 0);
    cr_assert_eq(metric_read(&ends.shard.metrics, METRIC_TLS_KERNEL_REFUSED), 0);
    cr_assert_geq(metric_read(&ends.shard.metrics, METRIC_TLS_USER), 1);
}

/* The client's answer to a KeyUpdate, or a KeyUpdate that wants one. */
static void update_client(uint8_t requested)
{
    const char update[] = { 24, 0, 0, 1, (char)requested };
    tls_stream_seal_control(&ends.client.tls, TLS_HANDSHAKE, (struct slice){ update, sizeof(update) });
    cr_assert(tls_half_update(&ends.client.tls.sending));
}

Test(tls_kernel, takes_other_keys)
{
    begin(tls_ends_suites());
    echo();
    cr_assert_eq(kernel.keys, 2);
    for (uint8_t i = 0; i < 4; i++) {
        update_client(i & 1);
        echo();
        echo();
    }
    cr_assert_eq(kernel.keys, 2 + 4 + 2);
    cr_assert_eq(ends.client.failed + ends.server.failed, 0);
    cr_assert_null(ends.server.tls.receiving.cipher);
    cr_assert_null(ends.server.tls.sending.cipher);
}

Test(tls_kernel, ends_when_it_cannot_take_other_keys)
{
    ends.loop.options.kernel.rekeys = false;
    begin(tls_ends_suites());
    echo();
    update_client(0);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.failed, 1));
    cr_assert_eq(tls_stream_failure(&ends.client.tls).alert_received, TLS_INTERNAL_ERROR);
    cr_assert_eq(ends.server.failed, 1);
}

Test(tls_kernel, answers_a_record_that_it_cannot_open)
{
    begin(tls_ends_suites());
    echo();
    ends.client.pipe.flip_offset = ends.client.pipe.offset + 8;
    ends.client.pipe.flip_bits = 1;
    tls_ends_send_text(&ends.client, "hello");
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.failed, 1));
    cr_assert_eq(tls_stream_failure(&ends.client.tls).alert_received, TLS_BAD_RECORD_MAC);
    cr_assert_eq(ends.server.error, ERROR_TLS);
}

Test(tls_kernel, small_records_first)
{
    begin(tls_ends_suites());
    echo();
    cr_assert(tls_stream_info(&ends.server.tls).by_kernel);
    ends.server.tls.burst_bytes = 0;
    kernel.sends_max = 0;
    tls_ends_send_pattern(&ends.server, 15000);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 5 + 15000));
    cr_assert_leq(kernel.sends_max, BLOCK_SMALL_BYTES);
    tls_ends_send_pattern(&ends.server, 200000);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 5 + 215000));
    cr_assert_gt(kernel.sends_max, BLOCK_SMALL_BYTES);
}

Test(tls_kernel, what_the_kernel_is_told)
{
    struct ktls_info info;
    struct tls12_crypto_info_aes_gcm_128 gcm;
    struct stream_crypto crypto = {
        STREAM_TLS_1_2, STREAM_AES_128_GCM, { 1, 2, 3 }, { 4, 5, 6, 7, 8 }, 0x0102
    };
    ktls_describe(&crypto, &info);
    cr_assert_eq(info.size, sizeof(gcm));
    memcpy(&gcm, info.bytes, sizeof(gcm));
    cr_assert_eq(gcm.info.version, TLS_1_2_VERSION);
    cr_assert_eq(memcmp(gcm.rec_seq, "\0\0\0\0\0\0\1\2", 8), 0);
    cr_assert_eq(memcmp(gcm.iv, gcm.rec_seq, 8), 0, "the explicit nonce");
    cr_assert_eq(memcmp(gcm.salt, "\4\5\6\7", 4), 0);
    crypto.version = STREAM_TLS_1_3;
    ktls_describe(&crypto, &info);
    memcpy(&gcm, info.bytes, sizeof(gcm));
    cr_assert_eq(memcmp(gcm.iv, "\10\0\0\0\0\0\0\0", 8), 0);
    crypto.cipher = STREAM_CHACHA20_POLY1305;
    ktls_describe(&crypto, &info);
    cr_assert_eq(info.size, sizeof(struct tls12_crypto_info_chacha20_poly1305));
    begin(tls_ends_suites());
}
