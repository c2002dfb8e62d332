/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over real connections of the loopback; in the end nothing may be held and no descriptor be open. */
#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>

enum { BIG_BYTES = 8 << 20 };

static struct shard shard;
static struct tcp_peer client, server;
static unsigned descriptors;

static void start(void)
{
    shard_setup_open(&shard);
    descriptors = shard_setup_descriptors();
    cr_assert(tcp_peers_open(&shard, &client, &server));
}

static void end(void)
{
    tcp_peers_close(&shard, &client, &server);
    cr_assert_eq(client.closed, 1);
    cr_assert_eq(server.closed, 1);
    cr_assert_eq(block_store_counts(shard.blocks).receive_held, 0);
    cr_assert_eq(shard_setup_descriptors(), descriptors);
    shard_setup_close(&shard);
}

TestSuite(tcp_stream, .init = start, .fini = end, .timeout = 60);

static void turn_until(const uint64_t *counter, uint64_t wanted)
{
    cr_assert(shard_setup_turn_until_count(&shard, counter, wanted), "%lu, not %lu", (unsigned long)*counter,
              (unsigned long)wanted);
}

Test(tcp_stream, carries_bytes_both_ways)
{
    server.echoes = true;
    tcp_peers_send_text(&client, "hello, ");
    turn_until(&client.received, 7);
    tcp_peers_send_text(&client, "world");
    turn_until(&client.received, 12);
    cr_assert_str_eq(server.text, "hello, world");
    cr_assert_str_eq(client.text, "hello, world");
    cr_assert_eq(client.tcp.stream.sent_bytes, 12);
    cr_assert_eq(client.tcp.stream.received_bytes, 12);
    cr_assert_eq(server.tcp.stream.received_bytes, 12);
    cr_assert_eq(client.failed + server.failed, 0);
}

Test(tcp_stream, big_transfers_both_ways_at_once)
{
    tcp_peers_send_pattern(&client, BIG_BYTES);
    tcp_peers_send_pattern(&server, BIG_BYTES + 1);
    turn_until(&server.received, BIG_BYTES);
    turn_until(&client.received, BIG_BYTES + 1);
    cr_assert_eq(server.wrong, 0);
    cr_assert_eq(client.wrong, 0);
    cr_assert_eq(client.tcp.stream.sent_bytes, BIG_BYTES);
}

Test(tcp_stream, echo_of_a_big_transfer)
{
    server.echoes = true;
    tcp_peers_send_pattern(&client, 1 << 20);
    turn_until(&client.received, 1 << 20);
    cr_assert_eq(client.wrong, 0);
    stream_finish(&client.tcp.stream);
    turn_until(&client.ended, 1);
    cr_assert_eq(server.ended, 1);
}

Test(tcp_stream, half_close_comes_after_what_is_queued)
{
    tcp_peers_send_pattern(&client, 100000);
    turn_until(&client.writable, 1);
    while (client.sent < client.to_send)
        turn_until(&client.writable, client.writable + 1);
    stream_finish(&client.tcp.stream);
    turn_until(&server.ended, 1);
    cr_assert_eq(server.received, 100000);
    cr_assert_eq(server.wrong, 0);
    cr_assert_eq(client.ended, 0);
    tcp_peers_send_text(&server, "still here");
    turn_until(&client.received, 10);
    cr_assert_str_eq(client.text, "still here");
    stream_finish(&server.tcp.stream);
    turn_until(&client.ended, 1);
    cr_assert_eq(client.failed + server.failed, 0);
}

/* --- pausing -------------------------------------------------------------------------------------------- */

Test(tcp_stream, a_paused_one_receives_no_more_and_the_sender_waits)
{
    stream_pause(&server.tcp.stream);
    shard_setup_turn_for(&shard, 2);
    tcp_peers_send_pattern(&client, 64u << 20);
    shard_setup_turn_for(&shard, 50);
    cr_assert_eq(server.received, 0);
    cr_assert_lt(client.sent, client.to_send);
    cr_assert_gt(client.tcp.stream.queued_bytes, 0);
    client.to_send = client.sent;
    stream_resume(&server.tcp.stream);
    turn_until(&server.received, client.sent);
    cr_assert_eq(server.wrong, 0);
}

/* Every change of mind that can meet a receive in any state. */
Test(tcp_stream, pauses_and_resumes_in_any_order)
{
    struct stream *stream = &server.tcp.stream;
    tcp_peers_send_pattern(&client, 2 << 20);
    for (unsigned i = 0; i < 400 && server.received < client.to_send; i++) {
        stream_pause(stream);
        if (i & 1)
            shard_setup_turn_for(&shard, 1);
        stream_resume(stream);
        if (i & 2)
            stream_pause(stream);
        if (i & 4)
            stream_pause(stream);
        if (i & 8)
            shard_setup_turn_for(&shard, 1);
        stream_resume(stream);
        stream_resume(stream);
        if (i & 16)
            shard_setup_turn_for(&shard, 1);
    }
    turn_until(&server.received, client.to_send);
    cr_assert_eq(server.wrong, 0);
    cr_assert_eq(server.failed, 0);
}

Test(tcp_stream, the_end_is_told_after_a_pause)
{
    stream_pause(&server.tcp.stream);
    shard_setup_turn_for(&shard, 2);
    tcp_peers_send_text(&client, "last");
    stream_finish(&client.tcp.stream);
    shard_setup_turn_for(&shard, 5);
    cr_assert_eq(server.ended, 0);
    stream_resume(&server.tcp.stream);
    turn_until(&server.ended, 1);
    cr_assert_str_eq(server.text, "last");
    stream_pause(&server.tcp.stream);
    stream_resume(&server.tcp.stream);
    shard_setup_turn_for(&shard, 5);
    cr_assert_eq(server.ended, 1);
}

/* --- the queue ------------------------------------------------------------------------------------------ */

Test(tcp_stream, small_chunks_join_and_are_counted)
{
    for (int i = 0; i < 100; i++)
        tcp_peers_send_text(&client, "0123456789");
    cr_assert_eq(client.tcp.stream.queued_bytes, 1000);
    cr_assert_eq(client.tcp.stream.queued_chunks, 1);
    turn_until(&server.received, 1000);
    turn_until(&client.writable, 1);
    cr_assert_eq(client.tcp.stream.queued_bytes, 0);
    cr_assert_eq(client.tcp.stream.queued_chunks, 0);
    cr_assert_eq(client.tcp.stream.sent_bytes, 1000);
    cr_assert_eq(client.writable, 1, "they left together");
    cr_assert_eq(strncmp(server.text, "012345678901234567890123456789", 30), 0);
}

Test(tcp_stream, what_others_see_is_not_written_into)
{
    struct chunk chunk = shard_setup_chunk(&shard, SLICE("abc"));
    stream_send(&client.tcp.stream, chunk_part(&chunk, 0, 3));
    tcp_peers_send_text(&client, "def");
    cr_assert_eq(client.tcp.stream.queued_chunks, 2);
    cr_assert_eq(chunk.block->used, 3);
    turn_until(&server.received, 6);
    cr_assert_str_eq(server.text, "abcdef");
    chunk_release(&chunk);
}

Test(tcp_stream, a_part_does_not_grow_over_what_follows_it)
{
    struct chunk chunk = shard_setup_chunk(&shard, SLICE("abcdef"));
    chunk.size = 3;
    stream_send(&client.tcp.stream, chunk);
    tcp_peers_send_text(&client, "xyz");
    turn_until(&server.received, 6);
    cr_assert_str_eq(server.text, "abcxyz");
}

/* More pieces than one system call takes, of sizes around every limit. */
Test(tcp_stream, many_chunks_of_many_sizes)
{
    static const uint32_t sizes[] = { 1, 2047, 2048, 2049, 4032, 4033, 1, 16384, 3, 16385, 100000 };
    uint64_t sent = 0;
    for (uint32_t i = 0; i < 66; i++) {
        struct block *block = block_open(shard.blocks, sizes[i % COUNT_OF(sizes)]);
        cr_assert_not_null(block);
        block->used = sizes[i % COUNT_OF(sizes)];
        for (uint32_t j = 0; j < block->used; j++)
            block->data[j] = tcp_peers_byte(sent++);
        stream_send(&client.tcp.stream, (struct chunk){ block, 0, block->used });
    }
    cr_assert_eq(client.tcp.stream.queued_bytes, sent);
    turn_until(&server.received, sent);
    cr_assert_eq(server.wrong, 0);
    cr_assert_eq(client.tcp.stream.sent_bytes, sent);
}

Test(tcp_stream, an_empty_chunk_is_nothing)
{
    struct chunk chunk = shard_setup_chunk(&shard, SLICE("abc"));
    stream_send(&client.tcp.stream, chunk_part(&chunk, 1, 0));
    stream_send(&client.tcp.stream, (struct chunk){ 0 });
    cr_assert_eq(client.tcp.stream.queued_chunks, 0);
    cr_assert_eq(chunk.block->references, 1);
    chunk_release(&chunk);
}

Test(tcp_stream, progress_is_seen_while_the_peer_reads_only)
{
    stream_pause(&server.tcp.stream);
    tcp_peers_send_pattern(&client, 64u << 20);
    unsigned looks = 0;
    do
        shard_setup_turn_for(&shard, 20);
    while (tcp_stream_progressed(&client.tcp) && ++looks < 200);
    cr_assert_lt(looks, 200);
    cr_assert_lt(client.sent, client.to_send);
    stream_resume(&server.tcp.stream);
    turn_until(&server.received, 1 << 20);
    cr_assert(tcp_stream_progressed(&client.tcp));
}

/* --- blocks --------------------------------------------------------------------------------------------- */

/* More connections have something to say at once than blocks are lent: each is heard in the end. */
Test(tcp_stream, all_are_fed_when_blocks_run_out_for_a_moment)
{
    enum { COUNT = 4 * SHARD_SETUP_BLOCKS };
    static struct tcp_peer clients[COUNT], servers[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        cr_assert(tcp_peers_open(&shard, &clients[i], &servers[i]));
    for (unsigned round = 1; round <= 3; round++) {
        for (size_t i = 0; i < COUNT; i++)
            tcp_peers_send_text(&clients[i], "hello");
        for (size_t i = 0; i < COUNT; i++)
            turn_until(&servers[i].received, 5 * round);
    }
    for (size_t i = 0; i < COUNT; i++)
        tcp_peers_close(&shard, &clients[i], &servers[i]);
}

/* Nobody has all that he can get while others wait for their first block. */
Test(tcp_stream, they_are_fed_in_turn_when_more_starve_than_blocks_are_lent)
{
    enum { COUNT = 4 * SHARD_SETUP_BLOCKS, EACH_BYTES = 16 * SHARD_SETUP_BLOCK_BYTES };
    static struct tcp_peer clients[COUNT], servers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert(tcp_peers_open(&shard, &clients[i], &servers[i]));
        stream_pause(&servers[i].tcp.stream);
        tcp_peers_send_pattern(&clients[i], EACH_BYTES);
    }
    for (size_t i = 0; i < COUNT; i++)
        turn_until(&clients[i].tcp.stream.sent_bytes, EACH_BYTES);
    for (size_t i = 0; i < COUNT; i++)
        stream_resume(&servers[i].tcp.stream);
    uint64_t most = 0;
    while (most < EACH_BYTES) {
        shard_turn(&shard);
        for (size_t i = 0; i < COUNT; i++)
            most = most < servers[i].received ? servers[i].received : most;
    }
    for (size_t i = 0; i < COUNT; i++)
        cr_expect_geq(servers[i].received, SHARD_SETUP_BLOCK_BYTES, "%zu: %lu", i,
                      (unsigned long)servers[i].received);
    for (size_t i = 0; i < COUNT; i++)
        turn_until(&servers[i].received, EACH_BYTES);
    for (size_t i = 0; i < COUNT; i++)
        tcp_peers_close(&shard, &clients[i], &servers[i]);
}

/* Every receive block is in somebody's hands. */
static bool is_exhausted(void *unused)
{
    (void)unused;
    return block_store_counts(shard.blocks).receive_held == SHARD_SETUP_BLOCKS_MOST;
}

/* One that holds all blocks starves the others until it lets go. */
Test(tcp_stream, all_are_fed_when_held_blocks_come_back)
{
    static struct tcp_peer other_client, other_server;
    server.holds = true;
    cr_assert(tcp_peers_open(&shard, &other_client, &other_server));
    tcp_peers_send_pattern(&client, 4 << 20);
    cr_assert(shard_setup_turn_until(&shard, is_exhausted, NULL));
    tcp_peers_send_text(&other_client, "hello");
    shard_setup_turn_for(&shard, 10);
    cr_assert_eq(other_server.received, 0);
    cr_assert_gt(metric_read(&shard.metrics, METRIC_BLOCKS_DRY), 0);
    server.holds = false;
    chunk_queue_clear(&server.held);
    turn_until(&other_server.received, 5);
    turn_until(&server.received, client.to_send);
    cr_assert_eq(server.wrong, 0);
    tcp_peers_close(&shard, &other_client, &other_server);
}
