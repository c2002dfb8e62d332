/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through a tunnel, whole and in pieces, its ends, its limits and its idle time. */
#include "net/proxy/tunnel.h"

#include "core/base/check.h"
#include "tests/support/pipe_stream.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>

enum { CLIENT, UPSTREAM, PEERS, QUEUE_BYTES = 16384, IDLE_MS = 1000 };

/* A peer beyond each end of the tunnel. */
struct peer {
    struct pipe_stream far, near; /* the peer's own end, and the tunnel's */
    uint64_t received_bytes, ended, sum;
    bool is_slow;
};

static struct shard shard;
static struct tunnel tunnel;
static struct peer peers[PEERS];
static uint64_t overs, closed;
static enum tunnel_over how;

static struct peer *peer_of(struct stream *stream)
{
    return stream->owner;
}

static void far_received(struct stream *stream, struct chunk chunk)
{
    struct peer *peer = peer_of(stream);
    struct slice bytes = chunk_slice(&chunk);
    peer->received_bytes += bytes.size;
    peer->ended += bytes.size == 0;
    for (size_t i = 0; i < bytes.size; i++)
        peer->sum = peer->sum * 31 + (unsigned char)bytes.data[i];
    chunk_release(&chunk);
}

static void near_received(struct stream *stream, struct chunk chunk)
{
    tunnel_received(&tunnel, (enum tunnel_end)(peer_of(stream) - peers), chunk);
}

static void near_writable(struct stream *stream)
{
    tunnel_writable(&tunnel, (enum tunnel_end)(peer_of(stream) - peers));
}

static void ignore(struct stream *stream)
{
    (void)stream;
}

static void ignore_opened(struct stream *stream, enum error error)
{
    (void)stream, (void)error;
}

static void on_closed(struct stream *stream)
{
    (void)stream;
    closed++;
}

static const struct stream_events far_events = { ignore_opened, far_received, ignore, ignore_opened,
                                                 on_closed,     NULL,         NULL };
static const struct stream_events near_events = { ignore_opened, near_received, near_writable, ignore_opened,
                                                  on_closed,     NULL,          NULL };

static void over(struct tunnel *which, enum tunnel_over reason)
{
    cr_assert_eq(which, &tunnel);
    cr_assert(!tunnel_is_open(which));
    how = reason;
    overs++;
}

static void open_with(uint64_t idle_ms)
{
    shard_setup_open(&shard);
    memset(peers, 0, sizeof(peers));
    overs = closed = 0;
    for (size_t i = 0; i < PEERS; i++) {
        pipe_stream_open(&shard, &peers[i].far, &peers[i].near);
        peers[i].far.stream.events = &far_events;
        peers[i].near.stream.events = &near_events;
        peers[i].far.stream.owner = peers[i].near.stream.owner = &peers[i];
    }
    struct tunnel_options options = {
        &peers[CLIENT].near.stream, &peers[UPSTREAM].near.stream, over, NULL, QUEUE_BYTES, idle_ms
    };
    tunnel_open(&tunnel, &shard, &options);
}

static void start(void)
{
    open_with(0);
}

static void end(void)
{
    tunnel_close(&tunnel);
    for (size_t i = 0; i < PEERS; i++) {
        stream_close(&peers[i].near.stream);
        stream_close(&peers[i].far.stream);
    }
    cr_assert(shard_setup_turn_until_count(&shard, &closed, 4));
    shard_setup_close(&shard);
}

TestSuite(tunnel, .init = start, .fini = end, .timeout = 60);

static void say(size_t peer, struct slice text)
{
    stream_send(&peers[peer].far.stream, shard_setup_chunk(&shard, text));
}

static uint64_t sum_of(struct slice text, uint64_t times)
{
    uint64_t sum = 0;
    while (times-- > 0)
        for (size_t i = 0; i < text.size; i++)
            sum = sum * 31 + (unsigned char)text.data[i];
    return sum;
}

Test(tunnel, passes_bytes_both_ways)
{
    static const uint32_t pieces[] = { 0, 1, 7 };
    struct slice up = SLICE("from the client, up"), down = SLICE("down from the upstream, and back again");
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        for (size_t j = 0; j < PEERS; j++) {
            peers[j].far.piece_bytes = peers[j].near.piece_bytes = pieces[i];
            peers[j].received_bytes = peers[j].sum = 0;
        }
        say(CLIENT, up);
        say(UPSTREAM, down);
        cr_assert(shard_setup_turn_until_count(&shard, &peers[UPSTREAM].received_bytes, up.size));
        cr_assert(shard_setup_turn_until_count(&shard, &peers[CLIENT].received_bytes, down.size));
        cr_expect_eq(peers[UPSTREAM].sum, sum_of(up, 1));
        cr_expect_eq(peers[CLIENT].sum, sum_of(down, 1));
    }
    cr_expect_eq(tunnel.sides[TUNNEL_CLIENT].passed_bytes, up.size * COUNT_OF(pieces));
    cr_expect_eq(overs, 0);
}

/* Either may end first; the other goes on, and it is over when both have. */
Test(tunnel, passes_ends_on)
{
    for (size_t first = 0; first < PEERS; first++) {
        size_t second = !first;
        say(first, SLICE("last words"));
        stream_finish(&peers[first].far.stream);
        cr_assert(shard_setup_turn_until_count(&shard, &peers[second].ended, 1));
        cr_expect_eq(peers[second].received_bytes, 10);
        say(second, SLICE("still here"));
        cr_assert(shard_setup_turn_until_count(&shard, &peers[first].received_bytes, 10));
        cr_expect_eq(overs, 0);
        stream_finish(&peers[second].far.stream);
        cr_assert(shard_setup_turn_until_count(&shard, &overs, 1));
        cr_expect_eq(how, TUNNEL_DONE);
        cr_assert(shard_setup_turn_until_count(&shard, &peers[first].ended, 1));
        end();
        start();
    }
}

/* What the one sends stays with it while the other does not read. */
Test(tunnel, holds_back_who_is_too_fast)
{
    enum { TIMES = 400 };
    char text[1000];
    memset(text, 'x', sizeof(text));
    struct slice piece = { text, sizeof(text) };
    stream_pause(&peers[UPSTREAM].far.stream);
    for (unsigned i = 0; i < TIMES; i++)
        say(CLIENT, piece);
    peers[CLIENT].far.piece_bytes = 4096;
    shard_setup_turn_for(&shard, 20);
    cr_expect(tunnel.sides[TUNNEL_CLIENT].paused);
    cr_expect_lt(peers[UPSTREAM].near.stream.queued_bytes, QUEUE_BYTES * 3);
    stream_resume(&peers[UPSTREAM].far.stream);
    cr_assert(shard_setup_turn_until_count(&shard, &peers[UPSTREAM].received_bytes, TIMES * piece.size));
    cr_expect_eq(peers[UPSTREAM].sum, sum_of(piece, TIMES));
    cr_expect(!tunnel.sides[TUNNEL_CLIENT].paused);
}

TestSuite(tunnel_idle, .fini = end, .timeout = 60);

Test(tunnel_idle, ends_when_nothing_moves)
{
    open_with(IDLE_MS);
    uint64_t begun_ms = shard.now_ms;
    for (unsigned i = 0; i < 5; i++) {
        shard_setup_turn_for(&shard, IDLE_MS / 4);
        say(i % 2, SLICE("x"));
        shard_setup_turn_for(&shard, 1); /* a turn without a timer of its own would last until the tunnel's */
        cr_assert_eq(peers[!(i % 2)].received_bytes, i / 2 + 1);
    }
    cr_assert(shard_setup_turn_until_count(&shard, &overs, 1));
    cr_expect_eq(how, TUNNEL_IDLE);
    cr_expect_geq(shard.now_ms - begun_ms, IDLE_MS * 2);
}

Test(tunnel, is_silent_once_closed)
{
    tunnel_close(&tunnel);
    say(CLIENT, SLICE("nobody hears"));
    stream_finish(&peers[CLIENT].far.stream);
    stream_finish(&peers[UPSTREAM].far.stream);
    shard_setup_turn_for(&shard, 5);
    cr_expect_eq(overs, 0);
    cr_expect_eq(peers[UPSTREAM].received_bytes, 0);
}

/* The peer is gone, but what came from it is passed on, and its end; nothing more is said to it. */
Test(tunnel, passes_on_what_came_from_one_that_is_lost)
{
    for (size_t lost = 0; lost < PEERS; lost++) {
        size_t other = !lost;
        stream_pause(&peers[other].far.stream);
        say(lost, SLICE("last words"));
        shard_setup_turn_for(&shard, 2);
        tunnel_lost(&tunnel, (enum tunnel_end)lost);
        say(other, SLICE("nobody hears"));
        shard_setup_turn_for(&shard, 2);
        cr_expect(overs == 0 && peers[other].received_bytes == 0);
        stream_resume(&peers[other].far.stream);
        cr_assert(shard_setup_turn_until_count(&shard, &overs, 1));
        cr_assert(shard_setup_turn_until_count(&shard, &peers[other].ended, 1));
        cr_expect_eq(how, TUNNEL_DONE);
        cr_expect_eq(peers[other].sum, sum_of(SLICE("last words"), 1));
        cr_expect_eq(peers[lost].received_bytes, 0);
        end();
        start();
    }
}

/* Bytes that are queued toward the one that is lost are not waited for; the end has come before. */
Test(tunnel, waits_for_nothing_from_one_that_is_lost)
{
    stream_pause(&peers[UPSTREAM].far.stream);
    say(CLIENT, SLICE("queued"));
    stream_finish(&peers[CLIENT].far.stream);
    shard_setup_turn_for(&shard, 2);
    cr_expect_eq(peers[UPSTREAM].near.stream.queued_bytes, 6);
    tunnel_lost(&tunnel, TUNNEL_UPSTREAM);
    cr_assert(shard_setup_turn_until_count(&shard, &overs, 1));
    cr_expect_eq(how, TUNNEL_DONE);
    cr_assert(shard_setup_turn_until_count(&shard, &peers[CLIENT].ended, 1));
}
