/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream does for who hands its records over to the kernel, as far as a kernel without kTLS can show:
 * stopping between two bytes and going on. What kTLS does then is tested in a virtual machine, tests/vm. */
#include "net/transport/tcp_stream_parts.h"
#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct shard shard;
static struct tcp_peer client, server;
static struct stream_events events;
static uint64_t halted;

static void count_halted(struct stream *stream)
{
    cr_assert_eq(stream, &server.tcp.stream);
    halted++;
}

static void start(void)
{
    shard_setup_open(&shard);
    cr_assert(tcp_peers_open(&shard, &client, &server));
    events = *server.tcp.stream.events;
    events.halted = count_halted;
    server.tcp.stream.events = &events;
    server.tcp.kernel = calloc(1, sizeof(*server.tcp.kernel)); /* as if it protected what is sent */
    halted = 0;
}

static void end(void)
{
    tcp_peers_close(&shard, &client, &server);
    cr_assert_eq(block_store_counts(shard.blocks).receive_held, 0);
    shard_setup_close(&shard);
}

TestSuite(tcp_stream_kernel, .init = start, .fini = end, .timeout = 60);

static void turn_until(const uint64_t *counter, uint64_t wanted)
{
    cr_assert(shard_setup_turn_until_count(&shard, counter, wanted), "%lu, not %lu", (unsigned long)*counter,
              (unsigned long)wanted);
}

static void halt(void)
{
    server.tcp.stream.ops->halt(&server.tcp.stream);
    turn_until(&halted, 1);
    cr_assert_not(server.tcp.receive_op.armed);
}

static void expect_server(const char *text)
{
    turn_until(&server.received, strlen(text));
    shard_setup_turn_for(&shard, 3);
    cr_assert_str_eq(server.text, text);
}

Test(tcp_stream_kernel, stops_at_any_byte)
{
    const struct stream_ops *ops = server.tcp.stream.ops;
    halt();
    tcp_peers_send_text(&client, "hello, world");
    expect_server("");
    ops->receive_exactly(&server.tcp.stream, 3);
    expect_server("hel");
    ops->receive_exactly(&server.tcp.stream, 2);
    expect_server("hello");
    ops->unhalt(&server.tcp.stream);
    expect_server("hello, world");
    cr_assert_eq(halted, 1);
}

Test(tcp_stream_kernel, what_is_asked_for_may_come_later_and_in_parts)
{
    const struct stream_ops *ops = server.tcp.stream.ops;
    halt();
    ops->receive_exactly(&server.tcp.stream, 4);
    tcp_peers_send_text(&client, "ab");
    expect_server("ab");
    tcp_peers_send_text(&client, "cdef");
    expect_server("ab"); /* whoever asks counts, and asks again */
    ops->receive_exactly(&server.tcp.stream, 2);
    expect_server("abcd");
}

Test(tcp_stream_kernel, halts_while_paused)
{
    const struct stream_ops *ops = server.tcp.stream.ops;
    stream_pause(&server.tcp.stream);
    shard_setup_turn_for(&shard, 2);
    halt();
    tcp_peers_send_text(&client, "hello");
    stream_resume(&server.tcp.stream);
    expect_server("");
    ops->receive_exactly(&server.tcp.stream, 1);
    stream_pause(&server.tcp.stream);
    shard_setup_turn_for(&shard, 3);
    stream_resume(&server.tcp.stream);
    expect_server("h");
    stream_pause(&server.tcp.stream);
    ops->unhalt(&server.tcp.stream);
    expect_server("h");
    stream_resume(&server.tcp.stream);
    expect_server("hello");
}

Test(tcp_stream_kernel, closes_in_any_of_these_states)
{
    const struct stream_ops *ops = server.tcp.stream.ops;
    ops->halt(&server.tcp.stream);
    stream_close(&server.tcp.stream);
    turn_until(&server.closed, 1);
    cr_assert_eq(halted, 0);
}

Test(tcp_stream_kernel, closes_while_it_waits_for_the_rest_of_a_record)
{
    const struct stream_ops *ops = server.tcp.stream.ops;
    halt();
    ops->receive_exactly(&server.tcp.stream, 4);
    shard_setup_turn_for(&shard, 2);
    stream_close(&server.tcp.stream);
    turn_until(&server.closed, 1);
}

Test(tcp_stream_kernel, a_record_leaves_behind_the_data)
{
    const struct stream_ops *ops = server.tcp.stream.ops;
    tcp_peers_send_text(&server, "data");
    ops->send_record(&server.tcp.stream, 21, SLICE("!!")); /* its type means nothing to this socket */
    cr_assert_eq(server.tcp.stream.queued_bytes, 6);
    stream_finish(&server.tcp.stream);
    turn_until(&client.ended, 1);
    cr_assert_str_eq(client.text, "data!!");
    cr_assert_eq(server.tcp.stream.queued_bytes, 0);
}
