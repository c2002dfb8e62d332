/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "tests/support/scripted_redis.h"

#include <criterion/criterion.h>

#define ASK_MASTER "SENTINEL get-master-addr-by-name mine\n"
#define MASTER_AT(port) "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n" #port "\r\n"
#define ROLE_MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define ROLE_REPLICA "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:7001\r\n$9\r\nconnected\r\n:1\r\n"

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
    static const struct redis_server servers[] = { { { "127.0.0.1", 9 }, 9001 },
                                                   { { "127.0.0.1", 9 }, 9002 } };
    static const struct redis_target target = { .kind = REDIS_SENTINEL,
                                                .servers = servers,
                                                .server_count = 2,
                                                .master = { "mine", 4 },
                                                .password = { "pw", 2 },
                                                .sentinel_username = { "su", 2 },
                                                .sentinel_password = { "sp", 2 },
                                                .database = 2,
                                                .connect_ms = 300,
                                                .send_ms = 300,
                                                .reply_ms = 300 };
    return redis_pool_store(&redis.pool, &redis.shard, &target, scripted_redis_connect);
}

static enum error ask_one(void)
{
    struct redis_command command = { { SLICE("INCR"), SLICE("k") }, 2 };
    asked = (struct asked){ .request = { .done = asked_done } };
    return redis_store_send(store_of(), &asked.request, &command, 1);
}

static void open_redis(void)
{
    hash_start();
    scripted_redis_open(&redis);
}

static void close_redis(void)
{
    scripted_redis_close(&redis);
}

TestSuite(redis_sentinel, .init = open_redis, .fini = close_redis);

static void greet_sentinel(uint16_t port)
{
    scripted_redis_turn(&redis);
    cr_assert_eq(redis.now->client->server.port, port);
    scripted_redis_opened(&redis, ERROR_OK);
    cr_assert(scripted_redis_sent(&redis, "AUTH su sp\nPING\n"));
    scripted_redis_reply(&redis, "+OK\r\n+PONG\r\n");
}

static void greet_master(uint16_t port, const char *role)
{
    scripted_redis_turn(&redis);
    cr_assert_eq(redis.now->client->server.port, port);
    scripted_redis_opened(&redis, ERROR_OK);
    cr_assert(scripted_redis_sent(&redis, "AUTH pw\nSELECT 2\nROLE\n"));
    scripted_redis_reply(&redis, "+OK\r\n+OK\r\n");
    scripted_redis_reply(&redis, role);
}

static void settle(void)
{
    cr_assert_eq(ask_one(), ERROR_OK);
    greet_sentinel(9001);
    cr_assert(scripted_redis_sent(&redis, ASK_MASTER));
    scripted_redis_reply(&redis, MASTER_AT(7001));
    greet_master(7001, ROLE_MASTER);
    cr_assert(scripted_redis_sent(&redis, "INCR k\n"));
    scripted_redis_reply(&redis, ":4\r\n");
    cr_assert(asked.error == ERROR_OK && asked.request.values[0] == 4);
}

Test(redis_sentinel, requests_wait_until_the_master_is_found)
{
    settle();
}

Test(redis_sentinel, after_a_failover_the_new_master_is_asked_for)
{
    settle();
    scripted_redis_finish(&redis);
    scripted_redis_closed(&redis);
    cr_assert_eq(ask_one(), ERROR_OK);
    scripted_redis_turn(&redis);
    cr_assert(scripted_redis_pick(&redis, 9001));
    cr_assert(scripted_redis_sent(&redis, ASK_MASTER));
    scripted_redis_reply(&redis, MASTER_AT(7002));
    greet_master(7002, ROLE_MASTER);
    cr_assert(scripted_redis_sent(&redis, "INCR k\n"));
}

Test(redis_sentinel, a_replica_is_no_master)
{
    cr_assert_eq(ask_one(), ERROR_OK);
    greet_sentinel(9001);
    scripted_redis_reply(&redis, MASTER_AT(7001));
    greet_master(7001, ROLE_REPLICA);
    cr_assert(asked.done_count == 1 && asked.error != ERROR_OK);
    cr_assert(redis.now->closing);
    scripted_redis_closed(&redis);
    cr_assert_eq(ask_one(), ERROR_CLOSED);
    scripted_redis_advance(&redis, REDIS_BACKOFF_MIN_MS + 1);
    cr_assert(scripted_redis_pick(&redis, 9001));
    cr_assert(scripted_redis_sent(&redis, ASK_MASTER ASK_MASTER));
}

Test(redis_sentinel, who_may_not_ask_for_the_role_is_served)
{
    cr_assert_eq(ask_one(), ERROR_OK);
    greet_sentinel(9001);
    scripted_redis_reply(&redis, MASTER_AT(7001));
    greet_master(7001, "-NOPERM this user has no permissions\r\n");
    cr_assert(scripted_redis_sent(&redis, "INCR k\n"));
}

Test(redis_sentinel, a_master_that_was_demoted_is_left)
{
    settle();
    cr_assert_eq(ask_one(), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_reply(&redis, "-READONLY You can't write against a read only replica.\r\n");
    cr_assert(asked.done_count == 1 && asked.error == ERROR_INVALID);
    cr_assert(redis.now->closing);
    scripted_redis_closed(&redis);
    cr_assert_eq(ask_one(), ERROR_OK);
    cr_assert(scripted_redis_pick(&redis, 9001));
    scripted_redis_turn(&redis);
    cr_assert(scripted_redis_sent(&redis, ASK_MASTER));
}

Test(redis_sentinel, the_next_sentinel_is_asked)
{
    cr_assert_eq(ask_one(), ERROR_OK);
    greet_sentinel(9001);
    scripted_redis_reply(&redis, "*-1\r\n");
    greet_sentinel(9002);
    cr_assert(scripted_redis_sent(&redis, ASK_MASTER));
    scripted_redis_reply(&redis, MASTER_AT(7001));
    greet_master(7001, ROLE_MASTER);
    scripted_redis_finish(&redis);
    scripted_redis_closed(&redis);
    scripted_redis_advance(&redis, REDIS_BACKOFF_MIN_MS + 1);
    cr_assert(scripted_redis_pick(&redis, 9002));
    cr_assert(scripted_redis_sent(&redis, ASK_MASTER), "the one that knew it is asked first");
}

Test(redis_sentinel, when_nobody_knows_requests_fail)
{
    static const char *const answers[] = { "*-1\r\n", "-IDONTKNOW no\r\n", "*2\r\n$1\r\nh\r\n$1\r\nx\r\n",
                                           "*0\r\n" };
    cr_assert_eq(ask_one(), ERROR_OK);
    greet_sentinel(9001);
    scripted_redis_reply(&redis, answers[0]);
    greet_sentinel(9002);
    scripted_redis_reply(&redis, answers[1]);
    cr_assert(asked.done_count == 1 && asked.error == ERROR_NOT_FOUND);
    cr_assert_eq(ask_one(), ERROR_CLOSED);
    scripted_redis_advance(&redis, REDIS_BACKOFF_MIN_MS + 1);
    for (size_t i = 2; i < COUNT_OF(answers); i++) {
        cr_assert(scripted_redis_pick(&redis, i == 2 ? 9001 : 9002));
        scripted_redis_reply(&redis, answers[i]);
    }
    cr_assert(redis_store_is_down(store_of()));
}

Test(redis_sentinel, looking_for_the_master_has_a_limit)
{
    cr_assert_eq(ask_one(), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_advance(&redis, 610);
    cr_assert(asked.done_count == 1 && asked.error != ERROR_OK);
}
