/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server with each other. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"

#include <criterion/criterion.h>

enum { BIG_BYTES = 10 << 20 };

static struct tls_ends ends;

static void start(void)
{
    tls_ends_open(&ends);
}

static void end(void)
{
    tls_ends_part(&ends);
    tls_ends_close(&ends);
}

TestSuite(tls_stream, .init = start, .fini = end, .timeout = 120);

static void turn_until(const uint64_t *counter, uint64_t wanted)
{
    cr_assert(tls_ends_until_count(&ends.shard, counter, wanted), "%lu, not %lu", (unsigned long)*counter,
              (unsigned long)wanted);
}

static void shake(struct test_cert *cert)
{
    tls_ends_begin(&ends, tls_ends_server(&ends, cert), tls_ends_client(&ends));
    cr_assert(tls_ends_shake(&ends), "client: %s %d, server: %s %d",
              tls_stream_failure(&ends.client.tls).reason, tls_stream_failure(&ends.client.tls).library_error,
              tls_stream_failure(&ends.server.tls).reason,
              tls_stream_failure(&ends.server.tls).library_error);
}

static void exchange(void)
{
    tls_ends_send_text(&ends.client, "hello");
    turn_until(&ends.server.received, 5);
    tls_ends_send_text(&ends.server, "world!");
    turn_until(&ends.client.received, 6);
    cr_assert_str_eq(ends.server.text, "hello");
    cr_assert_str_eq(ends.client.text, "world!");
}

Test(tls_stream, shakes_hands_with_ecdsa)
{
    shake(ends.certs[0]);
    struct tls_info info = tls_stream_info(&ends.server.tls);
    cr_assert_str_eq(info.suite->name, "TLS_AES_128_GCM_SHA256");
    cr_assert_str_eq(info.server_name, "a.test");
    exchange();
}

Test(tls_stream, shakes_hands_with_rsa)
{
    shake(ends.certs[1]);
    exchange();
}

Test(tls_stream, says_close_both_ways)
{
    shake(ends.certs[0]);
    ends.server.echoes = true;
    tls_ends_send_text(&ends.client, "x");
    stream_finish(&ends.client.tls.stream);
    turn_until(&ends.client.ended, 1);
    cr_assert_eq(ends.server.ended, 1);
    cr_assert_eq(ends.client.received, 1);
    cr_assert_eq(ends.client.failed + ends.server.failed, 0);
}

Test(tls_stream, big_transfers_both_ways_with_pauses)
{
    shake(ends.certs[0]);
    ends.client.pauses_every = ends.server.pauses_every = 1 << 20;
    tls_ends_send_pattern(&ends.client, BIG_BYTES);
    tls_ends_send_pattern(&ends.server, BIG_BYTES + 1);
    while (ends.server.received < BIG_BYTES || ends.client.received < BIG_BYTES + 1) {
        uint64_t before = ends.server.received + ends.client.received;
        shard_setup_turn_for(&ends.shard, 1);
        if (before == ends.server.received + ends.client.received) {
            stream_resume(&ends.client.tls.stream);
            stream_resume(&ends.server.tls.stream);
        }
    }
    cr_assert_eq(ends.client.wrong + ends.server.wrong, 0);
    cr_assert_eq(ends.client.failed + ends.server.failed, 0);
}

/* --- a socket that holds much --------------------------------------------------------------------------- */

/* Delivers all that it holds once it is asked for more, whatever is said meanwhile, as completions do that
 * the kernel has queued. Between a TLS stream and the pipe. */
struct hoard {
    struct stream stream;
    struct stream *lower;
    struct chunk_queue held;
    struct shard_task task;
    bool paused;
};

enum { HOARD_BYTES = 100 << 10, SIP_BYTES = 16 << 10, WAITING_BYTES = 64 << 10, FLOOD_BYTES = 4 << 20 };

static struct hoard hoard;

static void hoard_send(struct stream *stream, struct chunk chunk)
{
    stream_send(hoard.lower, chunk);
    stream->queued_bytes = hoard.lower->queued_bytes;
}

static void hoard_pause(struct stream *stream)
{
    (void)stream;
    hoard.paused = true;
}

static void hoard_resume(struct stream *stream)
{
    hoard.paused = false;
    shard_defer(stream->shard, &hoard.task);
}

static void hoard_finish(struct stream *stream)
{
    (void)stream;
    stream_finish(hoard.lower);
}

static void hoard_close(struct stream *stream)
{
    (void)stream;
    list_remove(&hoard.task.node);
    chunk_queue_clear(&hoard.held);
    stream_close(hoard.lower);
}

static const struct stream_ops hoard_ops = { .send = hoard_send,
                                             .pause = hoard_pause,
                                             .resume = hoard_resume,
                                             .finish = hoard_finish,
                                             .close = hoard_close };

static void let_go(struct shard_task *task)
{
    (void)task;
    if (hoard.paused)
        return;
    for (uint32_t left = hoard.held.count; left > 0; left--)
        hoard.stream.events->received(&hoard.stream, chunk_queue_pop(&hoard.held));
    stream_resume(hoard.lower);
}

static void hold(struct stream *lower, struct chunk chunk)
{
    cr_assert(chunk.size > 0 && chunk_queue_push(&hoard.held, chunk));
    if (hoard.held.bytes >= HOARD_BYTES)
        stream_pause(lower);
    shard_defer(lower->shard, &hoard.task);
}

static void lower_writable(struct stream *lower)
{
    hoard.stream.queued_bytes = lower->queued_bytes;
    hoard.stream.events->writable(&hoard.stream);
}

static void lower_closed(struct stream *lower)
{
    (void)lower;
    hoard.stream.events->closed(&hoard.stream);
}

static const struct stream_events hoard_events = { .received = hold,
                                                   .writable = lower_writable,
                                                   .closed = lower_closed };

/* What a slow owner leaves behind stays bounded: it is read before the socket is asked for more. */
Test(tls_stream, what_came_before_a_pause_is_read_first)
{
    struct tls_ends *all = &ends;
    uint64_t most = 0;
    all->client = (struct tls_end){ .error = ERROR_OK };
    all->server = (struct tls_end){ .error = ERROR_OK };
    pipe_stream_open(&all->shard, &all->client.pipe, &all->server.pipe);
    hoard = (struct hoard){ .stream = { .ops = &hoard_ops, .shard = &all->shard },
                            .lower = &all->server.pipe.stream };
    hoard.lower->events = &hoard_events;
    chunk_queue_init(&hoard.held);
    shard_task_init(&hoard.task, let_go);
    tls_ends_accept_on(all, tls_ends_server(all, all->certs[0]), &hoard.stream);
    tls_ends_connect(all, tls_ends_client(all), "a.test");
    cr_assert(tls_ends_shake(all));
    all->server.pauses_every = SIP_BYTES;
    tls_ends_send_pattern(&all->client, FLOOD_BYTES);
    for (unsigned turns = 0; all->server.received < FLOOD_BYTES; turns++) {
        shard_setup_turn_for(&all->shard, 1);
        if (all->server.tls.incoming.bytes > most)
            most = all->server.tls.incoming.bytes;
        stream_resume(&all->server.tls.stream);
        cr_assert_lt(turns, FLOOD_BYTES / 1024);
    }
    cr_expect_lt(most, WAITING_BYTES + 2 * HOARD_BYTES, "%lu bytes", (unsigned long)most);
    cr_expect_eq(all->server.wrong, 0);
}
