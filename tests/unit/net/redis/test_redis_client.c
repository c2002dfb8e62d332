/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "tests/support/scripted_redis.h"
#include "tests/support/shard_setup.h"
#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>

struct asked {
    struct redis_request request;
    unsigned done_count;
    enum error error;
};

static void asked_done(struct redis_request *request, enum error error)
{
    struct asked *asked = CONTAINER_OF(request, struct asked, request);
    asked->done_count++;
    asked->error = error;
}

static const struct redis_server server = { { "redis.test", 10 }, 6379 };
static struct redis_target target = {
    .servers = &server, .server_count = 1, .connect_ms = 300, .send_ms = 300, .reply_ms = 300
};

static struct redis_store *store_of(struct scripted_redis *redis)
{
    return redis_pool_store(&redis->pool, &redis->shard, &target, scripted_redis_connect);
}

static enum error ask(struct scripted_redis *redis, struct asked *asked, const char *key)
{
    struct redis_command command = { { SLICE("INCR"), slice_of(key) }, 2 };
    *asked = (struct asked){ .request = { .done = asked_done } };
    return redis_store_send(store_of(redis), &asked->request, &command, 1);
}

static void open_scripted(struct scripted_redis *redis)
{
    hash_start();
    scripted_redis_open(redis);
}

Test(redis_client, requests_before_the_connection_wait_for_it)
{
    struct scripted_redis redis;
    struct asked first, second;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &first, "a"), ERROR_OK);
    cr_assert_eq(ask(&redis, &second, "b"), ERROR_OK);
    scripted_redis_greet(&redis);
    cr_assert_eq(redis.connect_count, 1);
    cr_assert(scripted_redis_sent(&redis, "INCR a\nINCR b\n"));
    scripted_redis_reply(&redis, ":1\r\n:");
    cr_assert_eq(first.done_count, 1);
    cr_assert_eq(first.request.values[0], 1);
    cr_assert_eq(second.done_count, 0);
    scripted_redis_reply(&redis, "7\r\n");
    cr_assert_eq(second.request.values[0], 7);
    cr_assert_eq(second.error, ERROR_OK);
    scripted_redis_close(&redis);
}

Test(redis_client, one_turn_is_sent_together)
{
    struct scripted_redis redis;
    struct asked asked[3];
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &asked[0], "x"), ERROR_OK);
    scripted_redis_greet(&redis);
    cr_assert(scripted_redis_sent(&redis, "INCR x\n"));
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ask(&redis, &asked[i], "k"), ERROR_OK);
    cr_assert_eq(redis.now->sent_bytes, 0);
    scripted_redis_turn(&redis);
    cr_assert(scripted_redis_sent(&redis, "INCR k\nINCR k\nINCR k\n"));
    scripted_redis_close(&redis);
}

Test(redis_client, the_greeting_says_who_and_where)
{
    struct scripted_redis redis;
    struct asked asked;
    open_scripted(&redis);
    struct redis_target before = target;
    target.username = SLICE("me");
    target.password = SLICE("pass word");
    target.database = 3;
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_opened(&redis, ERROR_OK);
    cr_assert(scripted_redis_sent(&redis, "AUTH me pass word\nSELECT 3\nPING\n"));
    scripted_redis_reply(&redis, "+OK\r\n+OK\r\n-NOPERM this user has no permissions\r\n");
    cr_assert(scripted_redis_sent(&redis, "INCR a\n"));
    target = before;
    scripted_redis_close(&redis);
}

Test(redis_client, a_refused_password_fails_the_requests)
{
    struct scripted_redis redis;
    struct asked asked;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_opened(&redis, ERROR_OK);
    scripted_redis_reply(&redis, "-NOAUTH Authentication required.\r\n");
    cr_assert_eq(asked.error, ERROR_INVALID);
    cr_assert_eq(asked.done_count, 1);
    scripted_redis_closed(&redis);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_CLOSED);
    scripted_redis_close(&redis);
}

Test(redis_client, while_it_is_down_requests_fail_at_once)
{
    struct scripted_redis redis;
    struct asked asked;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    scripted_redis_opened(&redis, ERROR_REFUSED);
    cr_assert_eq(asked.error, ERROR_REFUSED);
    scripted_redis_closed(&redis);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_CLOSED);
    scripted_redis_advance(&redis, REDIS_BACKOFF_MIN_MS + 1);
    cr_assert_eq(redis.connect_count, 2);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_CLOSED, "until it answers");
    scripted_redis_opened(&redis, ERROR_OK);
    scripted_redis_reply(&redis, "+PONG\r\n");
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_close(&redis);
}

Test(redis_client, attempts_become_rare_and_end)
{
    struct scripted_redis redis;
    struct asked asked;
    open_scripted(&redis);
    redis.connect_error = ERROR_NAME;
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_turn(&redis);
    cr_assert_eq(asked.error, ERROR_NAME);
    scripted_redis_advance(&redis, 10000);
    cr_assert(redis.connect_count >= 10 && redis.connect_count <= 30, "%u attempts", redis.connect_count);
    scripted_redis_advance(&redis, REDIS_UNUSED_MS);
    unsigned before = redis.connect_count;
    scripted_redis_advance(&redis, 10000);
    cr_assert_eq(redis.connect_count, before);
    redis.connect_error = ERROR_OK;
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_greet(&redis);
    cr_assert(scripted_redis_sent(&redis, "INCR a\n"));
    scripted_redis_close(&redis);
}

Test(redis_client, a_late_reply_fails_all_in_flight)
{
    struct scripted_redis redis;
    struct asked first, second;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &first, "a"), ERROR_OK);
    scripted_redis_greet(&redis);
    scripted_redis_advance(&redis, 200);
    cr_assert_eq(ask(&redis, &second, "b"), ERROR_OK);
    scripted_redis_advance(&redis, 99);
    cr_assert_eq(first.done_count, 0);
    scripted_redis_advance(&redis, 2);
    cr_assert_eq(first.error, ERROR_TIMEOUT);
    cr_assert_eq(second.error, ERROR_TIMEOUT);
    cr_assert(redis.now->closing);
    scripted_redis_close(&redis);
}

Test(redis_client, each_request_has_its_own_time)
{
    struct scripted_redis redis;
    struct asked first, second;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &first, "a"), ERROR_OK);
    scripted_redis_greet(&redis);
    scripted_redis_advance(&redis, 200);
    cr_assert_eq(ask(&redis, &second, "b"), ERROR_OK);
    scripted_redis_reply(&redis, ":1\r\n");
    scripted_redis_advance(&redis, 298);
    cr_assert_eq(second.done_count, 0);
    scripted_redis_reply(&redis, ":1\r\n");
    cr_assert_eq(second.error, ERROR_OK);
    scripted_redis_advance(&redis, 5000);
    cr_assert(!redis.now->closing);
    scripted_redis_close(&redis);
}

Test(redis_client, a_connection_closed_while_idle_is_opened_again)
{
    struct scripted_redis redis;
    struct asked asked;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_greet(&redis);
    scripted_redis_reply(&redis, ":1\r\n");
    scripted_redis_finish(&redis);
    cr_assert(redis.now->closing);
    cr_assert_eq(ask(&redis, &asked, "b"), ERROR_OK);
    scripted_redis_closed(&redis);
    cr_assert_eq(redis.connect_count, 2);
    scripted_redis_greet(&redis);
    cr_assert(scripted_redis_sent(&redis, "INCR b\n"));
    scripted_redis_close(&redis);
}

Test(redis_client, an_error_reply_fails_its_own_request_only)
{
    struct scripted_redis redis;
    struct asked first, second;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &first, "a"), ERROR_OK);
    cr_assert_eq(ask(&redis, &second, "b"), ERROR_OK);
    scripted_redis_greet(&redis);
    scripted_redis_reply(&redis, "-WRONGTYPE not a number\r\n:2\r\n");
    cr_assert_eq(first.error, ERROR_INVALID);
    cr_assert_eq(second.error, ERROR_OK);
    scripted_redis_close(&redis);
}

Test(redis_client, bytes_nobody_asked_for_end_the_connection)
{
    struct scripted_redis redis;
    struct asked asked;
    open_scripted(&redis);
    cr_assert_eq(ask(&redis, &asked, "a"), ERROR_OK);
    scripted_redis_greet(&redis);
    scripted_redis_reply(&redis, ":1\r\n:2\r\n");
    cr_assert_eq(asked.error, ERROR_OK);
    cr_assert(redis.now->closing);
    scripted_redis_close(&redis);
}

Test(redis_client, the_queue_is_bounded)
{
    static struct asked asked[REDIS_IN_FLIGHT_MAX];
    struct scripted_redis redis;
    struct asked extra;
    open_scripted(&redis);
    for (int i = 0; i < REDIS_IN_FLIGHT_MAX; i++)
        cr_assert_eq(ask(&redis, &asked[i], "a-long-key-so-that-several-blocks-fill"), ERROR_OK);
    cr_assert_eq(ask(&redis, &extra, "a"), ERROR_LIMIT);
    scripted_redis_turn(&redis);
    scripted_redis_opened(&redis, ERROR_REFUSED);
    for (int i = 0; i < REDIS_IN_FLIGHT_MAX; i++)
        cr_assert_eq(asked[i].error, ERROR_REFUSED);
    scripted_redis_close(&redis);
}

Test(redis_client, targets_that_differ_are_other_connections)
{
    struct scripted_redis redis;
    open_scripted(&redis);
    struct redis_store *store = store_of(&redis);
    cr_assert_eq(store_of(&redis), store);
    struct redis_target other = target;
    other.database = 9;
    cr_assert_neq(redis_pool_store(&redis.pool, &redis.shard, &other, scripted_redis_connect), store);
    cr_assert_eq(store_of(&redis), store);
    scripted_redis_close(&redis);
}

static bool is_greeting(void *pointer)
{
    const struct redis_client *client = pointer;
    return client->state == REDIS_GREETING;
}

Test(redis_client, gives_back_what_it_has_not_sent)
{
    struct shard shard;
    struct sockaddr_in address;
    struct asked asked = { .request = { .done = asked_done } };
    struct redis_command command = { { SLICE("INCR"), SLICE("a") }, 2 };
    int listener = tcp_peers_listen(&address);
    struct redis_server here = { SLICE("127.0.0.1"), ntohs(address.sin_port) };
    hash_start();
    shard_setup_open(&shard);
    struct redis_client *client = redis_client_open(&shard, &target, &here, redis_connect_tcp);
    cr_assert_eq(redis_send(client, &asked.request, &command, 1), ERROR_OK);
    cr_assert(shard_setup_turn_until(&shard, is_greeting, client));
    cr_assert(tcp_stream_is_unsent(&client->tcp));
    struct block *greeting = chunk_queue_at(&client->tcp.queue, 0)->block;
    block_take(greeting);
    shard_disconnect(&shard);
    redis_client_free(client);
    cr_expect_eq(greeting->references, 1);
    cr_expect(list_is_empty(&shard.tasks));
    block_release(greeting);
    shard_close(&shard);
    close(listener);
}
