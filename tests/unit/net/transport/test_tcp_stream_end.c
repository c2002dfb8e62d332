/* SPDX-License-Identifier: Apache-2.0 */
/* How streams end: refused, reset, closed in every state. Nothing may be held and no descriptor open then. */
#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>
#include <sys/resource.h>

static struct shard shard;
static struct tcp_peer client, server;
static unsigned descriptors;

static void start(void)
{
    shard_setup_open(&shard);
    descriptors = shard_setup_descriptors();
}

static void end(void)
{
    cr_assert_eq(block_store_counts(shard.blocks).receive_held, 0);
    cr_assert_eq(shard_setup_descriptors(), descriptors);
    shard_setup_close(&shard);
}

TestSuite(tcp_stream_end, .init = start, .fini = end, .timeout = 60);

static void turn_until(const uint64_t *counter, uint64_t wanted)
{
    cr_assert(shard_setup_turn_until_count(&shard, counter, wanted), "%lu, not %lu", (unsigned long)*counter,
              (unsigned long)wanted);
}

static void open_both(void)
{
    cr_assert(tcp_peers_open(&shard, &client, &server));
}

static void close_both(void)
{
    tcp_peers_close(&shard, &client, &server);
    shard_setup_turn_for(&shard, 2);
    cr_assert_eq(client.closed, 1);
    cr_assert_eq(server.closed, 1);
}

Test(tcp_stream_end, connect_refused)
{
    struct sockaddr_in address;
    close(tcp_peers_listen(&address));
    tcp_peers_connect(&shard, &client, &address);
    tcp_peers_send_text(&client, "never sent");
    turn_until(&client.opened, 1);
    cr_assert_eq(client.error, ERROR_REFUSED);
    cr_assert_eq(client.failed, 0);
    stream_close(&client.tcp.stream);
    turn_until(&client.closed, 1);
    cr_assert_eq(client.opened, 1);
}

Test(tcp_stream_end, connect_without_a_descriptor)
{
    struct rlimit limit, none;
    struct sockaddr_in address = { .sin_family = AF_INET };
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){ 0, limit.rlim_max };
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    tcp_peers_connect(&shard, &client, &address);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(client.opened, 0, "not from inside the call");
    turn_until(&client.opened, 1);
    cr_assert_eq(client.error, ERROR_DESCRIPTORS);
    stream_close(&client.tcp.stream);
    turn_until(&client.closed, 1);
}

Test(tcp_stream_end, what_is_sent_before_the_connection_is_open_follows)
{
    struct sockaddr_in address;
    char text[16] = "";
    int listener = tcp_peers_listen(&address);
    tcp_peers_connect(&shard, &client, &address);
    tcp_peers_send_text(&client, "early");
    stream_finish(&client.tcp.stream);
    turn_until(&client.writable, 1);
    shard_setup_turn_for(&shard, 5);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(recv(fd, text, sizeof(text), MSG_WAITALL), 5, "the text, then the end");
    cr_assert_str_eq(text, "early");
    close(fd);
    close(listener);
    stream_close(&client.tcp.stream);
    turn_until(&client.closed, 1);
}

/* Waits in the kernel for the end, at most ten seconds. */
static ssize_t receive_end(int fd)
{
    struct timeval limit = { .tv_sec = 10 };
    char byte;
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return recv(fd, &byte, 1, 0);
}

Test(tcp_stream_end, a_half_close_before_the_connection_is_open_follows)
{
    struct sockaddr_in address;
    int listener = tcp_peers_listen(&address);
    tcp_peers_connect(&shard, &client, &address);
    stream_finish(&client.tcp.stream);
    turn_until(&client.opened, 1);
    shard_setup_turn_for(&shard, 5);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(receive_end(fd), 0);
    close(fd);
    close(listener);
    stream_close(&client.tcp.stream);
    turn_until(&client.closed, 1);
}

Test(tcp_stream_end, closed_while_connecting)
{
    for (int turns = 0; turns < 2; turns++) {
        struct sockaddr_in address;
        int listener = tcp_peers_listen(&address);
        tcp_peers_connect(&shard, &client, &address);
        tcp_peers_send_text(&client, "never sent");
        if (turns > 0)
            ring_wait(&shard.ring, 0); /* the connect is under way, its end not yet seen */
        stream_close(&client.tcp.stream);
        turn_until(&client.closed, 1);
        cr_assert_eq(client.opened, 0);
        close(listener);
    }
}

Test(tcp_stream_end, a_reset_is_told_once)
{
    struct linger at_once = { .l_onoff = 1 };
    open_both();
    cr_assert_eq(setsockopt(server.tcp.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    stream_close(&server.tcp.stream);
    turn_until(&client.failed, 1);
    cr_assert_eq(client.error, ERROR_RESET);
    tcp_peers_send_text(&client, "into the void"); /* legal, and dropped */
    shard_setup_turn_for(&shard, 5);
    cr_assert_eq(client.failed, 1);
    cr_assert_eq(client.tcp.stream.queued_bytes, 0);
    close_both();
}

Test(tcp_stream_end, sending_to_one_that_is_gone_fails)
{
    open_both();
    stream_pause(&client.tcp.stream);
    stream_close(&server.tcp.stream);
    turn_until(&server.closed, 1);
    for (int i = 0; i < 100 && client.failed == 0; i++) {
        tcp_peers_send_text(&client, "into the void");
        shard_setup_turn_for(&shard, 1);
    }
    cr_assert_eq(client.failed, 1);
    cr_assert_eq(client.error, ERROR_RESET);
    close_both();
}

/* Until the kernel takes no more. */
static void turn_until_stuck(void)
{
    uint64_t sent;
    do {
        sent = client.sent;
        shard_setup_turn_for(&shard, 20);
    } while (client.sent != sent);
    cr_assert(client.tcp.send_op.armed);
}

/* A receive and a send are under way, and more is queued. */
Test(tcp_stream_end, closed_with_operations_under_way)
{
    for (int turns = 0; turns < 4; turns++) {
        open_both();
        stream_pause(&server.tcp.stream);
        shard_setup_turn_for(&shard, 1);
        tcp_peers_send_pattern(&client, 64u << 20);
        for (int i = 0; i < turns; i++)
            shard_setup_turn_for(&shard, 1);
        if (turns == 3)
            turn_until_stuck();
        cr_assert(client.tcp.receive_op.armed);
        uint64_t received = client.received;
        stream_close(&client.tcp.stream);
        turn_until(&client.closed, 1);
        cr_assert_eq(client.received, received);
        cr_assert_eq(client.tcp.stream.queued_bytes, 0);
        close_both();
    }
}

Test(tcp_stream_end, closed_right_after_sending_drops_it)
{
    open_both();
    tcp_peers_send_text(&client, "dropped");
    stream_close(&client.tcp.stream);
    turn_until(&server.ended, 1);
    cr_assert_eq(server.received, 0);
    close_both();
}

Test(tcp_stream_end, closed_from_inside_an_event)
{
    open_both();
    server.closes = true;
    tcp_peers_send_pattern(&client, 1 << 20);
    turn_until(&server.closed, 1);
    cr_assert_leq(server.received, SHARD_SETUP_BLOCK_BYTES);
    close_both();
}

Test(tcp_stream_end, closed_right_after_the_half_close)
{
    open_both();
    stream_finish(&client.tcp.stream);
    stream_close(&client.tcp.stream);
    turn_until(&server.ended, 1);
    stream_finish(&server.tcp.stream);
    shard_setup_turn_for(&shard, 2);
    close_both();
}

/* Every receive block is in somebody's hands. */
static bool is_exhausted(void *unused)
{
    (void)unused;
    return block_store_counts(shard.blocks).receive_held == SHARD_SETUP_BLOCKS_MOST;
}

/* One that starves for blocks leaves the list of those that wait. */
Test(tcp_stream_end, closed_while_starving)
{
    static struct tcp_peer other_client, other_server;
    open_both();
    cr_assert(tcp_peers_open(&shard, &other_client, &other_server));
    server.holds = other_server.holds = true;
    tcp_peers_send_pattern(&client, 2 << 20);
    tcp_peers_send_pattern(&other_client, 2 << 20);
    cr_assert(shard_setup_turn_until(&shard, is_exhausted, NULL));
    shard_setup_turn_for(&shard, 5);
    tcp_peers_close(&shard, &other_client, &other_server);
    server.holds = false;
    chunk_queue_clear(&server.held);
    turn_until(&server.received, client.to_send);
    cr_assert_eq(server.wrong, 0);
    close_both();
}
