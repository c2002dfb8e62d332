/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_client.h"

#include "tests/support/dns_message.h"
#include "tests/support/shard_setup.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A server on a UDP socket, which answers between the shard's turns. */
static struct shard shard;
static struct dns_client client;
static int socket_fd;
static char servers[64];
static bool silent;
static unsigned asked;
static char asked_names[1024];

struct question {
    struct dns_query query;
    enum dns_status status;
    uint32_t count, ttl_s;
    char first[ADDRESS_TEXT_SIZE];
    bool done;
};
static unsigned done_count;

static void done(struct dns_query *query)
{
    struct question *question = CONTAINER_OF(query, struct question, query);
    question->done = true;
    question->status = query->status;
    question->count = query->answer.count;
    question->ttl_s = query->answer.ttl_s;
    if (query->answer.count)
        address_text(&query->answer.records[0].address, question->first);
    done_count++;
}

/* The ring does not know the server's socket: a timer has the turns come to it. */
static struct timer tick;

static void ticked(struct timer *timer)
{
    (void)timer;
}

static void start(void)
{
    shard_setup_open(&shard);
    timer_init(&tick, ticked);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(socket_fd, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(getsockname(socket_fd, (struct sockaddr *)&address, &size), 0);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u", ntohs(address.sin_port));
    setenv("LOCALDOMAIN", "outer.test", 1); /* c-ares 1.34 takes but one from there */
}

static void end(void)
{
    shard_disconnect(&shard);
    dns_client_close(&client);
    shard_close(&shard);
    close(socket_fd);
}

TestSuite(dns_client, .init = start, .fini = end);

static void open_client(uint32_t timeout_ms)
{
    struct dns_client_options options = { .servers = servers, .timeout_ms = timeout_ms };
    cr_assert_eq(dns_client_open(&client, &shard, &options), ERROR_OK);
}

static void answer(struct slice request, const struct sockaddr *peer, socklen_t peer_size)
{
    static struct dns_message message;
    char name[DNS_NAME_SIZE];
    uint16_t type;
    cr_assert(dns_message_question(request, name, &type));
    snprintf(asked_names + strlen(asked_names), sizeof(asked_names) - strlen(asked_names), "%s ", name);
    unsigned rcode = strstr(name, "missing") ? 3 : strstr(name, "broken") ? 2 : 0;
    if (strcmp(name, "short") == 0)
        rcode = 3;
    uint16_t id = (uint16_t)((uint8_t)request.data[0] << 8 | (uint8_t)request.data[1]);
    dns_message_begin(&message, id, name, type, rcode);
    if (rcode == 0 && !strstr(name, "empty"))
        dns_message_address(&message, name, 42, strcmp(name, "short.outer.test") ? "10.0.0.1" : "10.0.0.2");
    (void)sendto(socket_fd, message.bytes, message.size, 0, peer, peer_size);
}

static bool serve_until(void *pointer)
{
    char bytes[512];
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof(peer);
    ssize_t size;
    while ((size = recvfrom(socket_fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer, &peer_size)) > 0) {
        asked++;
        if (!silent)
            answer((struct slice){ bytes, (size_t)size }, (struct sockaddr *)&peer, peer_size);
    }
    timer_arm(&shard.timers, &tick, shard.now_ms + 1);
    return done_count >= *(unsigned *)pointer;
}

static void ask(struct question *question, const char *name)
{
    *question = (struct question){ 0 };
    snprintf(question->query.name, sizeof(question->query.name), "%s", name);
    question->query.type = DNS_TYPE_A;
    question->query.done = done;
    client.server.ask(&client.server, &question->query);
}

static void wait_for(unsigned wanted)
{
    cr_assert(shard_setup_turn_until(&shard, serve_until, &wanted));
}

Test(dns_client, asks_and_is_answered)
{
    struct question question;
    open_client(1000);
    ask(&question, "a.test");
    cr_expect(!question.done, "never from inside of ask");
    wait_for(1);
    cr_expect_eq(question.status, DNS_STATUS_OK);
    cr_expect_eq(question.count, 1);
    cr_expect_eq(question.ttl_s, 42);
    cr_expect_str_eq(question.first, "10.0.0.1");
    cr_expect_eq(metric_read(&shard.metrics, METRIC_DNS_QUERIES), 1);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_DNS_FAILURES), 0);
}

Test(dns_client, tells_apart_what_went_wrong)
{
    struct question missing, empty, broken;
    open_client(1000);
    ask(&missing, "missing.test.");
    ask(&empty, "empty.test.");
    ask(&broken, "broken.test.");
    wait_for(3);
    cr_expect_eq(missing.status, DNS_STATUS_NO_NAME);
    cr_expect_eq(empty.status, DNS_STATUS_NO_DATA);
    cr_expect_eq(broken.status, DNS_STATUS_FAILED, "%d", broken.status);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_DNS_FAILURES), 1);
}

Test(dns_client, uses_search_domains)
{
    struct question found, exact;
    open_client(1000);
    ask(&found, "short");
    ask(&exact, "short.");
    wait_for(2);
    cr_expect_eq(found.status, DNS_STATUS_OK);
    cr_expect_str_eq(found.first, "10.0.0.2");
    cr_expect_eq(exact.status, DNS_STATUS_NO_NAME, "a dot at the end: no search");
}

Test(dns_client, a_silent_server_is_a_timeout)
{
    struct question question;
    silent = true;
    open_client(20);
    ask(&question, "a.test.");
    wait_for(1);
    cr_expect_eq(question.status, DNS_STATUS_TIMEOUT);
    cr_expect_eq(asked, DNS_TRIES);
}

Test(dns_client, many_questions_wait_in_line)
{
    enum { MANY = DNS_IN_FLIGHT_MAX * 3 };
    struct question *questions = calloc(MANY, sizeof(*questions));
    open_client(5000);
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%u.test", i);
        ask(&questions[i], name);
    }
    wait_for(MANY);
    for (unsigned i = 0; i < MANY; i++)
        cr_expect_eq(questions[i].status, DNS_STATUS_OK, "%u", i);
    free(questions);
}

static struct question second;

static void ask_second(struct dns_query *query)
{
    (void)query;
    done_count++;
    ask(&second, "b.test");
}

Test(dns_client, a_question_may_follow_from_an_answer)
{
    struct question first;
    open_client(1000);
    ask(&first, "a.test");
    first.query.done = ask_second;
    wait_for(2);
    cr_expect_eq(second.status, DNS_STATUS_OK);
}

Test(dns_client, reads_its_environment_again)
{
    struct question before, after;
    open_client(1000);
    ask(&before, "short");
    shard_turn(&shard);
    setenv("LOCALDOMAIN", "nowhere.test", 1);
    dns_client_refresh(&client);
    ask(&after, "missing");
    wait_for(2);
    cr_expect_eq(before.status, DNS_STATUS_OK, "what is on the wire is not disturbed");
    cr_expect_eq(after.status, DNS_STATUS_NO_NAME);
    cr_expect_not_null(strstr(asked_names, "missing.nowhere.test"), "%s", asked_names);
}

Test(dns_client, closes_with_questions_on_their_way)
{
    struct question *questions = calloc(4, sizeof(*questions));
    silent = true;
    open_client(1000);
    for (unsigned i = 0; i < 3; i++)
        ask(&questions[i], "a.test");
    shard_turn(&shard);
    ask(&questions[3], "never.sent.test");
    shard_disconnect(&shard);
    dns_client_close(&client);
    shard_close(&shard);
    cr_expect(!questions[1].done);
    free(questions);
    shard_setup_open(&shard);
    timer_init(&tick, ticked);
    open_client(1000);
}

Test(dns_client, a_client_without_questions_keeps_no_descriptor)
{
    struct question question;
    unsigned before = shard_setup_descriptors();
    open_client(1000);
    ask(&question, "a.test");
    wait_for(1);
    shard_setup_turn_for(&shard, 1);
    cr_expect_leq(shard_setup_descriptors(), before + 1, "at most the socket for the next question");
}

Test(dns_client, refuses_bad_servers)
{
    struct dns_client_options options = { .servers = "no.address", .timeout_ms = 100 };
    cr_expect_eq(dns_client_open(&client, &shard, &options), ERROR_INVALID);
}
