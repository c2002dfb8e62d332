/* SPDX-License-Identifier: Apache-2.0 */
/* A tunnel between two real connections that changes over to splicing: nothing may be lost, doubled or out of
 * order, whoever is slow, ends, or breaks off, and neither pipes nor descriptors may be left. */
#include "core/base/check.h"
#include "net/proxy/tunnel.h"
#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>
#include <signal.h>

enum {
    LEFT,
    RIGHT,
    ENDS,
    QUEUE_BYTES = 256 * 1024,
    AFTER_BYTES = 64 * 1024,
    PIPE_BYTES = 128 * 1024,
    PIPES = 4,
    BIG_BYTES = 32 << 20
};

static struct shard shard;
static struct tunnel tunnel;
static struct pipe_pool pipes;
static struct tcp_peer far[ENDS], near[ENDS]; /* the peers' own ends, and the tunnel's */
static struct stream_events near_events;
static uint64_t overs;
static enum tunnel_over how;
static unsigned descriptors;

static enum tunnel_end end_of(struct stream *stream)
{
    return stream == &near[LEFT].tcp.stream ? TUNNEL_CLIENT : TUNNEL_UPSTREAM;
}

static void near_received(struct stream *stream, struct chunk chunk)
{
    tunnel_received(&tunnel, end_of(stream), chunk);
}

static void near_writable(struct stream *stream)
{
    near[end_of(stream)].writable++;
    tunnel_writable(&tunnel, end_of(stream));
}

static void over(struct tunnel *which, enum tunnel_over reason)
{
    cr_assert_eq(which, &tunnel);
    how = reason;
    overs++;
}

static void open_tunnel(uint64_t idle_ms)
{
    struct tunnel_options options = { .client = &near[LEFT].tcp.stream,
                                      .upstream = &near[RIGHT].tcp.stream,
                                      .over = over,
                                      .queue_bytes = QUEUE_BYTES,
                                      .idle_ms = idle_ms,
                                      .pipes = &pipes,
                                      .splice_after_bytes = AFTER_BYTES };
    tunnel_open(&tunnel, &shard, &options);
}

/* As on the threads of the gateway: splice(2) cannot be told not to signal. */
static void block_sigpipe(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    cr_assert_eq(pthread_sigmask(SIG_BLOCK, &signals, NULL), 0);
}

static void start(void)
{
    block_sigpipe();
    shard_setup_open(&shard);
    descriptors = shard_setup_descriptors();
    overs = 0;
    pipe_pool_open(&pipes, &shard.metrics, PIPES, PIPE_BYTES);
    for (size_t i = 0; i < ENDS; i++) {
        cr_assert(tcp_peers_open(&shard, &far[i], &near[i]));
        near_events = *near[i].tcp.stream.events;
        near_events.received = near_received;
        near_events.writable = near_writable;
        near[i].tcp.stream.events = &near_events;
    }
    open_tunnel(0);
}

static void end(void)
{
    tunnel_close(&tunnel);
    for (size_t i = 0; i < ENDS; i++)
        tcp_peers_close(&shard, &far[i], &near[i]);
    cr_assert_eq(metric_read(&shard.metrics, METRIC_SPLICE_PIPES), 0);
    pipe_pool_close(&pipes);
    cr_assert_eq(block_store_counts(shard.blocks).receive_held, 0);
    cr_assert_eq(shard_setup_descriptors(), descriptors);
    shard_setup_close(&shard);
}

TestSuite(tunnel_splice, .init = start, .fini = end, .timeout = 60);

static void turn_until(const uint64_t *counter, uint64_t wanted)
{
    cr_assert(shard_setup_turn_until_count(&shard, counter, wanted), "%lu, not %lu", (unsigned long)*counter,
              (unsigned long)wanted);
}

static uint64_t spliced_bytes(void)
{
    return metric_read(&shard.metrics, METRIC_SPLICED_BYTES);
}

static void send_from_left(uint64_t bytes)
{
    tcp_peers_send_pattern(&far[LEFT], bytes);
    turn_until(&far[RIGHT].received, far[LEFT].to_send);
}

static bool is_spliced(size_t side)
{
    return tunnel.sides[side].watch.splice != NULL;
}

static void expect_good(size_t side, uint64_t bytes)
{
    cr_expect_eq(far[side].received, bytes);
    cr_expect_eq(far[side].wrong, 0);
}

Test(tunnel_splice, much_one_way_is_spliced_and_the_other_is_not)
{
    send_from_left(BIG_BYTES);
    expect_good(RIGHT, BIG_BYTES);
    cr_expect(is_spliced(LEFT));
    cr_expect_not(is_spliced(RIGHT));
    cr_expect_gt(spliced_bytes(), BIG_BYTES - (2 << 20));
    cr_expect_eq(tunnel.sides[TUNNEL_CLIENT].passed_bytes, BIG_BYTES);
    cr_expect_eq(near[LEFT].tcp.stream.received_bytes, BIG_BYTES);
    cr_expect_eq(near[RIGHT].tcp.stream.sent_bytes, BIG_BYTES);
    tcp_peers_send_pattern(&far[RIGHT], 100);
    turn_until(&far[LEFT].received, 100);
    stream_finish(&far[LEFT].tcp.stream);
    turn_until(&far[RIGHT].ended, 1);
    cr_expect_eq(overs, 0);
    stream_finish(&far[RIGHT].tcp.stream);
    turn_until(&overs, 1);
    cr_expect_eq(how, TUNNEL_DONE);
    cr_expect_eq(near[LEFT].failed + near[RIGHT].failed, 0);
}

Test(tunnel_splice, both_ways_at_once_and_their_ends)
{
    for (size_t i = 0; i < ENDS; i++)
        tcp_peers_send_pattern(&far[i], BIG_BYTES + i);
    turn_until(&far[LEFT].received, BIG_BYTES + 1);
    turn_until(&far[RIGHT].received, BIG_BYTES);
    expect_good(LEFT, BIG_BYTES + 1);
    expect_good(RIGHT, BIG_BYTES);
    cr_expect(is_spliced(LEFT));
    cr_expect(is_spliced(RIGHT));
    stream_finish(&far[RIGHT].tcp.stream);
    turn_until(&far[LEFT].ended, 1);
    send_from_left(1 << 20);
    expect_good(RIGHT, BIG_BYTES + (1 << 20));
    stream_finish(&far[LEFT].tcp.stream);
    turn_until(&overs, 1);
    cr_expect_eq(how, TUNNEL_DONE);
    cr_expect_eq(far[RIGHT].ended, 1);
}

/* Whatever is sent, in whatever pieces, around the moment of the change. */
Test(tunnel_splice, any_size_arrives_whole)
{
    for (uint64_t size = 1; size < (4 << 20); size = size * 3 + 1) {
        send_from_left(size);
        tcp_peers_send_pattern(&far[RIGHT], size / 2 + 1);
        turn_until(&far[LEFT].received, far[RIGHT].to_send);
    }
    expect_good(RIGHT, far[LEFT].to_send);
    expect_good(LEFT, far[RIGHT].to_send);
    cr_expect_gt(spliced_bytes(), 0);
}

Test(tunnel_splice, without_pipes_it_is_copied)
{
    pipes.taken_most = 0;
    send_from_left(BIG_BYTES);
    expect_good(RIGHT, BIG_BYTES);
    cr_expect_eq(spliced_bytes(), 0);
    cr_expect_gt(metric_read(&shard.metrics, METRIC_SPLICE_PIPES_REFUSED), 0);
    pipes.taken_most = PIPES;
    send_from_left(BIG_BYTES);
    expect_good(RIGHT, 2 * BIG_BYTES);
    cr_expect_gt(spliced_bytes(), 0);
}

Test(tunnel_splice, pauses_and_resumes_at_any_moment)
{
    struct stream *stream = &near[LEFT].tcp.stream;
    tcp_peers_send_pattern(&far[LEFT], BIG_BYTES);
    for (unsigned i = 0; i < 300 && far[RIGHT].received < BIG_BYTES; i++) {
        shard_turn(&shard);
        stream_pause(stream);
        if (i & 1)
            shard_turn(&shard);
        stream_resume(stream);
        if (i & 2)
            stream_pause(stream);
        if (i & 4)
            shard_turn(&shard);
        stream_resume(stream);
    }
    turn_until(&far[RIGHT].received, BIG_BYTES);
    expect_good(RIGHT, BIG_BYTES);
}

Test(tunnel_splice, may_be_ended_and_begun_at_any_moment)
{
    tcp_peers_send_pattern(&far[LEFT], BIG_BYTES);
    for (unsigned i = 0; i < 2000 && far[RIGHT].received < BIG_BYTES; i++) {
        for (unsigned turns = i % 5; turns > 0; turns--)
            shard_turn(&shard);
        tcp_splice_end(&tunnel.sides[TUNNEL_CLIENT].watch);
        if (i & 1)
            (void)tcp_splice_begin(&tunnel.sides[TUNNEL_CLIENT].watch, &near[LEFT].tcp.stream,
                                   &near[RIGHT].tcp.stream, &pipes);
    }
    turn_until(&far[RIGHT].received, BIG_BYTES);
    expect_good(RIGHT, BIG_BYTES);
}

static void stop_reading_on_the_right(void)
{
    send_from_left(1 << 20);
    cr_assert(is_spliced(LEFT));
    stream_pause(&far[RIGHT].tcp.stream);
    tcp_peers_send_pattern(&far[LEFT], 64u << 20);
    shard_setup_turn_for(&shard, 200);
    cr_expect_lt(far[LEFT].sent, far[LEFT].to_send);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_SPLICE_PIPES), 1);
    cr_expect_gt(near[RIGHT].tcp.stream.queued_bytes, 0);
    cr_expect_leq(near[RIGHT].tcp.stream.queued_bytes, PIPE_BYTES);
    far[LEFT].to_send = far[LEFT].sent;
}

Test(tunnel_splice, a_slow_reader_holds_the_sender_back)
{
    stop_reading_on_the_right();
    stream_resume(&far[RIGHT].tcp.stream);
    stream_finish(&far[LEFT].tcp.stream);
    turn_until(&far[RIGHT].ended, 1);
    expect_good(RIGHT, far[LEFT].to_send);
}

Test(tunnel_splice, what_the_pipe_holds_outlives_the_tunnel_and_its_other_end)
{
    stop_reading_on_the_right();
    uint64_t left_bytes = near[LEFT].tcp.stream.received_bytes;
    tunnel_close(&tunnel);
    stream_close(&near[LEFT].tcp.stream);
    tcp_peers_send_text(&near[RIGHT], "behind it");
    stream_finish(&near[RIGHT].tcp.stream);
    shard_setup_turn_for(&shard, 5);
    cr_expect_eq(far[RIGHT].ended, 0);
    stream_resume(&far[RIGHT].tcp.stream);
    turn_until(&far[RIGHT].ended, 1);
    cr_expect_eq(far[RIGHT].received, left_bytes + 9);
    cr_expect_leq(far[RIGHT].wrong, 9);
    cr_expect_eq(near[RIGHT].failed, 0);
}

Test(tunnel_splice, closing_drops_what_the_pipe_holds)
{
    stop_reading_on_the_right();
    stream_close(&near[RIGHT].tcp.stream);
    turn_until(&near[RIGHT].closed, 1);
    cr_expect_not(is_spliced(LEFT));
    cr_expect_eq(pipes.taken_count, 0);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_SPLICE_PIPES), 0);
}

Test(tunnel_splice, who_broke_off_is_told)
{
    send_from_left(1 << 20);
    cr_assert(is_spliced(LEFT));
    tcp_stream_close_resets(&far[LEFT].tcp);
    stream_close(&far[LEFT].tcp.stream);
    turn_until(&near[LEFT].failed, 1);
    cr_expect_eq(near[RIGHT].failed, 0);
    cr_expect_eq(far[RIGHT].ended, 0);
}

Test(tunnel_splice, a_reader_that_broke_off_is_told)
{
    stop_reading_on_the_right();
    tcp_stream_close_resets(&far[RIGHT].tcp);
    stream_close(&far[RIGHT].tcp.stream);
    turn_until(&near[RIGHT].failed, 1);
    cr_expect_eq(near[LEFT].failed, 0);
}

Test(tunnel_splice, small_pieces_are_copied_again)
{
    send_from_left(1 << 20);
    cr_assert(is_spliced(LEFT));
    for (unsigned i = 0; i < 100; i++)
        send_from_left(10);
    cr_expect_not(is_spliced(LEFT));
    uint64_t before = spliced_bytes();
    send_from_left(1000);
    cr_expect_eq(spliced_bytes(), before);
    send_from_left(1 << 20);
    cr_expect(is_spliced(LEFT));
    expect_good(RIGHT, far[LEFT].to_send);
}

/* The kernel splices up to it and no further, which looks like an end. */
Test(tunnel_splice, urgent_data_are_no_end)
{
    send_from_left(1 << 20);
    cr_assert(is_spliced(LEFT));
    cr_assert_eq(send(far[LEFT].tcp.fd, "!", 1, MSG_OOB), 1);
    shard_setup_turn_for(&shard, 5);
    send_from_left(1 << 20);
    expect_good(RIGHT, far[LEFT].to_send);
    cr_expect_eq(far[RIGHT].ended, 0);
    cr_expect_eq(near[LEFT].failed, 0);
}

Test(tunnel_splice, is_idle_when_nothing_moves)
{
    tunnel_close(&tunnel);
    open_tunnel(800);
    uint64_t begin_ms = shard.now_ms;
    while (shard.now_ms - begin_ms < 1000)
        send_from_left(256 * 1024);
    cr_expect_eq(overs, 0);
    cr_expect_gt(spliced_bytes(), 0);
    turn_until(&overs, 1);
    cr_expect_eq(how, TUNNEL_IDLE);
}
