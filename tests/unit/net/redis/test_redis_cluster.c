/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "net/redis/redis_cluster.h"
#include "tests/support/scripted_redis.h"

#include <criterion/criterion.h>

/* "a" is of slot 15495, "b" of 3300: the halves of the cluster below. */
#define NODE_AT(port) "*2\r\n$9\r\n127.0.0.1\r\n:" #port "\r\n"
#define HALVES "*2\r\n*3\r\n:0\r\n:8191\r\n" NODE_AT(7001) "*3\r\n:8192\r\n:16383\r\n" NODE_AT(7002)

struct asked {
    struct redis_request request;
    unsigned done_count;
    enum error error;
};

static struct scripted_redis redis;
static struct asked asked;

static void asked_done(struct redis_request *request, enum error error)
{
    struct asked *one = CONTAINER_OF(request, struct asked, request);
    one->done_count++;
    one->error = error;
}

static struct redis_store *store_of(void)
{
    static const struct redis_server servers[] = { { { "127.0.0.1", 9 }, 7001 },
                                                   { { "127.0.0.1", 9 }, 7009 } };
    static const struct redis_target target = { .kind = REDIS_CLUSTER,
                                                .servers = servers,
                                                .server_count = 2,
                                                .connect_ms = 300,
                                                .send_ms = 300,
                                                .reply_ms = 300,
                                                .redirections_max = 2 };
    return redis_pool_store(&redis.pool, &redis.shard, &target, scripted_redis_connect);
}

static enum error ask_one(struct asked *one, const char *key)
{
    struct redis_command command = { { SLICE("INCR"), slice_of(key) }, 2 };
    *one = (struct asked){ .request = { .done = asked_done } };
    return redis_store_send(store_of(), &one->request, &command, 1);
}

static void open_cluster(void)
{
    hash_start();
    scripted_redis_open(&redis);
}

static void close_cluster(void)
{
    scripted_redis_close(&redis);
}

TestSuite(redis_cluster, .init = open_cluster, .fini = close_cluster);

static void pick(uint16_t port)
{
    cr_assert(scripted_redis_pick(&redis, port), "nobody has connected to %u", port);
}

static void check_sent(uint16_t port, const char *commands)
{
    pick(port);
    cr_assert(scripted_redis_sent(&redis, commands), "to %u: %s", port, commands);
}

static void reply(uint16_t port, const char *text)
{
    pick(port);
    scripted_redis_reply(&redis, text);
}

/* Connects to the port, which is the last that was tried. */
static void greet(uint16_t port)
{
    scripted_redis_turn(&redis);
    cr_assert_eq(redis.now->client->server.port, port);
    scripted_redis_greet(&redis);
}

/* With a map, and node 7002 connected. */
static void settle(void)
{
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    greet(7001);
    check_sent(7001, "CLUSTER SLOTS\n");
    reply(7001, HALVES);
    greet(7002);
    check_sent(7002, "INCR a\n");
    reply(7002, ":1\r\n");
    cr_assert_eq(asked.error, ERROR_OK);
    cr_assert_eq(asked.request.values[0], 1);
}

Test(redis_cluster, commands_go_to_the_nodes_of_their_keys)
{
    settle();
    struct redis_command commands[] = { { { SLICE("INCR"), SLICE("a") }, 2 },
                                        { { SLICE("INCR"), SLICE("b") }, 2 },
                                        { { SLICE("INCR"), SLICE("{a}x") }, 2 } };
    asked = (struct asked){ .request = { .done = asked_done } };
    cr_assert_eq(redis_store_send(store_of(), &asked.request, commands, 3), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7002, "INCR a\nINCR {a}x\n");
    check_sent(7001, "INCR b\n");
    reply(7001, ":7\r\n");
    cr_assert_eq(asked.done_count, 0);
    reply(7002, ":2\r\n:3\r\n");
    cr_assert(asked.done_count == 1 && asked.error == ERROR_OK);
    cr_assert(asked.request.values[0] == 2 && asked.request.values[1] == 7 && asked.request.values[2] == 3);
}

Test(redis_cluster, a_moved_slot_is_followed_and_remembered)
{
    settle();
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7002, "INCR a\n");
    scripted_redis_advance(&redis, REDIS_REFRESH_MS);
    reply(7002, "-MOVED 15495 127.0.0.1:7003\r\n");
    greet(7003);
    check_sent(7003, "INCR a\n");
    reply(7003, ":5\r\n");
    cr_assert(asked.error == ERROR_OK && asked.done_count == 1 && asked.request.values[0] == 5);
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7003, "INCR a\n");
    check_sent(7001, "CLUSTER SLOTS\n");
}

Test(redis_cluster, a_slot_on_its_way_is_asked_for_once)
{
    settle();
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7002, "INCR a\n");
    reply(7002, "-ASK 15495 127.0.0.1:7001\r\n");
    check_sent(7001, "ASKING\nINCR a\n");
    reply(7001, "+OK\r\n:9\r\n");
    cr_assert(asked.error == ERROR_OK && asked.request.values[0] == 9);
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7002, "INCR a\n");
}

Test(redis_cluster, try_again_is_tried_again)
{
    settle();
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7002, "INCR a\n");
    reply(7002, "-TRYAGAIN later\r\n");
    cr_assert_eq(redis.now->sent_bytes, 0);
    scripted_redis_advance(&redis, REDIS_TRY_AGAIN_MS + 1);
    check_sent(7002, "INCR a\n");
    reply(7002, ":3\r\n");
    cr_assert(asked.error == ERROR_OK && asked.request.values[0] == 3);
}

Test(redis_cluster, redirections_end)
{
    settle();
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    for (int i = 0; i < 2; i++) {
        check_sent(7002, "INCR a\n");
        reply(7002, "-MOVED 15495 127.0.0.1:7002\r\n");
        cr_assert_eq(asked.done_count, 0);
    }
    check_sent(7002, "INCR a\n");
    reply(7002, "-MOVED 15495 127.0.0.1:7002\r\n");
    cr_assert(asked.done_count == 1 && asked.error == ERROR_LIMIT);
}

Test(redis_cluster, an_error_fails_its_request)
{
    settle();
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    reply(7002, "-CLUSTERDOWN The cluster is down\r\n");
    cr_assert(asked.done_count == 1 && asked.error == ERROR_INVALID);
    cr_assert(!redis_store_is_down(store_of()));
    scripted_redis_advance(&redis, REDIS_REFRESH_MS);
    check_sent(7001, "CLUSTER SLOTS\n");
}

Test(redis_cluster, a_lost_node_has_the_map_read_again)
{
    settle();
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_finish(&redis);
    cr_assert(asked.done_count == 1 && asked.error == ERROR_CLOSED);
    scripted_redis_closed(&redis);
    cr_assert_eq(ask_one(&asked, "a"), ERROR_CLOSED, "nothing is sent to a node that does not answer");
    scripted_redis_advance(&redis, REDIS_REFRESH_MS);
    check_sent(7001, "CLUSTER SLOTS\n");
    reply(7001, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:7001\r\n");
    cr_assert_eq(ask_one(&asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    check_sent(7001, "INCR a\n");
}

Test(redis_cluster, another_node_is_asked_when_one_knows_no_map)
{
    cr_assert_eq(ask_one(&asked, "b"), ERROR_OK);
    greet(7001);
    reply(7001, "-ERR This instance has cluster support disabled\r\n");
    greet(7009);
    check_sent(7009, "CLUSTER SLOTS\n");
    reply(7009, HALVES);
    check_sent(7001, "CLUSTER SLOTS\nINCR b\n");
    reply(7001, ":1\r\n");
    cr_assert(asked.done_count == 1 && asked.error == ERROR_OK);
}

Test(redis_cluster, without_a_map_requests_fail_until_there_is_one)
{
    redis.connect_error = ERROR_REFUSED;
    cr_assert_eq(ask_one(&asked, "b"), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_advance(&redis, 2);
    cr_assert(asked.done_count == 1 && asked.error == ERROR_CLOSED);
    cr_assert(redis_store_is_down(store_of()));
    cr_assert_eq(ask_one(&asked, "b"), ERROR_CLOSED);
    redis.connect_error = ERROR_OK;
    scripted_redis_advance(&redis, REDIS_BACKOFF_MIN_MS * 2);
    pick(7001);
    scripted_redis_greet(&redis);
    scripted_redis_advance(&redis, REDIS_REFRESH_MS);
    cr_assert_eq(ask_one(&asked, "b"), ERROR_CLOSED);
    scripted_redis_turn(&redis);
    check_sent(7001, "CLUSTER SLOTS\n");
    reply(7001, HALVES);
    cr_assert(!redis_store_is_down(store_of()));
    cr_assert_eq(ask_one(&asked, "b"), ERROR_OK);
}

Test(redis_cluster, who_waits_for_a_map_has_a_limit)
{
    cr_assert_eq(ask_one(&asked, "b"), ERROR_OK);
    greet(7001);
    scripted_redis_advance(&redis, 620);
    cr_assert(asked.done_count == 1 && asked.error != ERROR_OK);
}

Test(redis_cluster, nodes_that_left_are_closed)
{
    settle();
    cr_assert_eq(ask_one(&asked, "b"), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_advance(&redis, REDIS_REFRESH_MS);
    reply(7001, "-CLUSTERDOWN no\r\n");
    check_sent(7001, "INCR b\nCLUSTER SLOTS\n");
    reply(7001, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:7001\r\n");
    pick(7002);
    cr_assert(redis.now->closing);
    scripted_redis_closed(&redis);
}
