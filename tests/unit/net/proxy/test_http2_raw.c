/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of HTTP/2 as an end of a tunnel: what waits, what windows are given back for it, and its ends. */
#include "net/proxy/http2_raw.h"

#include "core/crypto/base64.h"
#include "net/proxy/tunnel.h"
#include "tests/support/pipe_stream.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>

enum { QUEUE_BYTES = 1000, ARENA_BYTES = 1 << 16, TEXT_BYTES = 4096 };

static struct shard shard;
static struct proxy proxy;
static struct client client;
static struct http2_client connection;
static struct http2_stream stream;
static struct exchange exchange;
static struct tunnel tunnel;
static struct pipe_stream far, near; /* the upstream's end, and the tunnel's */
static char received[TEXT_BYTES];
static uint64_t received_bytes, ends, closed, overs;

static void far_received(struct stream *from, struct chunk chunk)
{
    struct slice bytes = chunk_slice(&chunk);
    (void)from;
    cr_assert_leq(received_bytes + bytes.size, sizeof(received));
    if (bytes.size > 0)
        memcpy(received + received_bytes, bytes.data, bytes.size);
    received_bytes += bytes.size;
    ends += bytes.size == 0;
    chunk_release(&chunk);
}

static void near_received(struct stream *from, struct chunk chunk)
{
    (void)from;
    tunnel_received(&tunnel, TUNNEL_UPSTREAM, chunk);
}

static void near_writable(struct stream *from)
{
    (void)from;
    tunnel_writable(&tunnel, TUNNEL_UPSTREAM);
}

static void ignore(struct stream *from)
{
    (void)from;
}

static void ignore_opened(struct stream *from, enum error error)
{
    (void)from, (void)error;
}

static void on_closed(struct stream *from)
{
    (void)from;
    closed++;
}

static const struct stream_events far_events = {
    .opened = ignore_opened, .received = far_received, .writable = ignore, .closed = on_closed
};
static const struct stream_events near_events = {
    .opened = ignore_opened, .received = near_received, .writable = near_writable, .closed = on_closed
};

static void flush(struct shard_task *task)
{
    (void)task; /* nghttp2 is not asked for frames */
}

static void over(struct tunnel *which, enum tunnel_over how)
{
    (void)which, (void)how;
    overs++;
}

static void begin(void)
{
    nghttp2_session_callbacks *callbacks;
    shard_setup_open(&shard);
    proxy = (struct proxy){ .shard = &shard };
    client = (struct client){ .proxy = &proxy };
    connection = (struct http2_client){ .client = &client };
    cr_assert_eq(nghttp2_session_callbacks_new(&callbacks), 0);
    cr_assert_eq(nghttp2_session_server_new(&connection.session, callbacks, &connection), 0);
    nghttp2_session_callbacks_del(callbacks);
    shard_task_init(&connection.flush, flush);
    stream = (struct http2_stream){ .caller = { &http2_caller_ops, &client, &exchange },
                                    .connection = &connection,
                                    .id = 1 };
    chunk_queue_init(&stream.out);
    memset(&exchange, 0, sizeof(exchange));
    arena_init(&exchange.arena, NULL, 0, ARENA_BYTES);
    message_init(&exchange.request, &exchange.arena);
    stream.head.protocol = SLICE("websocket");
    received_bytes = ends = closed = overs = 0;
    pipe_stream_open(&shard, &far, &near);
    far.stream.events = &far_events;
    near.stream.events = &near_events;
    cr_assert(http2_raw_begin(&stream));
}

static void end(void)
{
    tunnel_close(&tunnel);
    http2_raw_free(&stream);
    chunk_queue_clear(&stream.out);
    stream_close(&near.stream);
    stream_close(&far.stream);
    cr_assert(shard_setup_turn_until_count(&shard, &closed, 2));
    list_remove(&connection.flush.node);
    nghttp2_session_del(connection.session);
    arena_deinit(&exchange.arena);
    shard_setup_close(&shard);
}

TestSuite(http2_raw, .init = begin, .fini = end, .timeout = 60);

static void join_upstream(void)
{
    struct tunnel_options options = {
        http2_raw_open(&stream.caller), &near.stream, over, NULL, QUEUE_BYTES, 0
    };
    cr_assert_not_null(options.client);
    tunnel_open(&tunnel, &shard, &options);
    exchange.tunnel = &tunnel;
}

static void say(const char *text)
{
    http2_raw_received(&stream, shard_setup_chunk(&shard, slice_of(text)));
}

static void expect(const char *text)
{
    cr_assert(shard_setup_turn_until_count(&shard, &received_bytes, strlen(text)));
    cr_expect(slice_equal((struct slice){ received, received_bytes }, slice_of(text)));
}

Test(http2_raw, has_a_key_of_its_own)
{
    unsigned char key[32];
    size_t size = 0;
    struct slice text = message_find_name(&exchange.request, SLICE("Sec-WebSocket-Key"));
    cr_assert(base64_decode(BASE64_STANDARD, text, key, &size));
    cr_expect(size == 16 && exchange.request_complete);
}

Test(http2_raw, waits_for_the_tunnel)
{
    say("one ");
    say("two ");
    shard_setup_turn_for(&shard, 1);
    cr_expect(received_bytes == 0 && stream.withheld == 8);
    cr_expect_not(http2_raw_is_used(&stream));
    join_upstream();
    cr_expect(http2_raw_is_used(&stream));
    say("three"); /* behind what waits */
    http2_raw_ended(&stream);
    expect("one two three");
    cr_expect_eq(stream.withheld, 0);
    cr_assert(shard_setup_turn_until_count(&shard, &ends, 1));
}

Test(http2_raw, waits_while_it_is_paused)
{
    join_upstream();
    shard_setup_turn_for(&shard, 1);
    stream_pause(&stream.raw->stream);
    for (unsigned i = 0; i < 1000; i++)
        say("x");
    http2_raw_ended(&stream);
    shard_setup_turn_for(&shard, 1);
    cr_expect(received_bytes == 0 && ends == 0 && stream.withheld == 1000);
    cr_expect_leq(stream.raw->in.count, 3, "%u chunks", stream.raw->in.count);
    stream_resume(&stream.raw->stream);
    cr_assert(shard_setup_turn_until_count(&shard, &received_bytes, 1000));
    cr_assert(shard_setup_turn_until_count(&shard, &ends, 1));
    cr_expect_eq(stream.withheld, 0);
}

/* Frames are for nghttp2 to ask for; until then it is queued, and the upstream is held back. */
Test(http2_raw, holds_the_upstream_back)
{
    static char text[QUEUE_BYTES + 1];
    memset(text, 'x', sizeof(text) - 1);
    join_upstream();
    stream_send(&far.stream, shard_setup_chunk(&shard, slice_of(text)));
    stream_send(&far.stream, shard_setup_chunk(&shard, SLICE("y")));
    shard_setup_turn_for(&shard, 5);
    cr_expect_eq(stream.raw->stream.queued_bytes, QUEUE_BYTES + 1);
    cr_expect(tunnel.sides[TUNNEL_UPSTREAM].paused);
    chunk_queue_clear(&stream.out);
    http2_raw_drained(&stream);
    cr_expect_eq(stream.raw->stream.queued_bytes, 0);
    cr_expect_not(tunnel.sides[TUNNEL_UPSTREAM].paused);
    stream_finish(&far.stream);
    http2_raw_ended(&stream);
    cr_assert(shard_setup_turn_until_count(&shard, &overs, 1));
    cr_expect(stream.ended);
}

Test(http2_raw, goes_on_behind_an_orderly_end_alone)
{
    static const struct {
        bool open, client_ended, ended, queued, expected;
        uint32_t reason;
    } rows[] = {
        { true, true, true, false, true, NGHTTP2_NO_ERROR },
        { true, true, true, false, false, NGHTTP2_CANCEL },
        { true, false, true, false, false, NGHTTP2_NO_ERROR },
        { true, true, false, false, false, NGHTTP2_NO_ERROR },
        { true, true, true, true, false, NGHTTP2_NO_ERROR },
        { false, true, true, false, false, NGHTTP2_NO_ERROR },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        stream.raw->open = rows[i].open;
        stream.raw->ended = rows[i].client_ended;
        stream.ended = rows[i].ended;
        if (rows[i].queued)
            cr_assert(chunk_queue_push(&stream.out, shard_setup_chunk(&shard, SLICE("x"))));
        cr_expect_eq(http2_raw_goes_on(&stream, rows[i].reason), rows[i].expected, "row %zu", i);
        chunk_queue_clear(&stream.out);
    }
}

Test(http2_raw, what_waits_is_dropped_with_the_exchange)
{
    say("nobody hears");
    stream.caller.exchange = NULL;
    cr_expect_not(http2_raw_leave(&stream, CALLER_KEEP));
    cr_expect(stream.withheld == 0 && stream.raw->in.count == 0);
    stream.caller.exchange = &exchange;
}
