/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/prober.h"

#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

static struct shard shard;
static struct probe probe;
static uint64_t done_count;

static void done(struct probe *of)
{
    cr_assert_eq(of, &probe);
    cr_assert(!probe.running);
    done_count++;
}

static void start(void)
{
    shard_setup_open(&shard);
    probe = (struct probe){ .done = done };
}

static void end(void)
{
    shard_setup_close(&shard);
}

TestSuite(prober, .init = start, .fini = end);

Test(prober, reads_the_status_of_a_line_wherever_it_is_cut)
{
    static const char line[] = "HTTP/1.1 204 No";
    for (size_t size = 0; size < PROBE_LINE_BYTES; size++)
        cr_expect_eq(probe_read_status(line, size), 0, "%zu", size);
    cr_expect_eq(probe_read_status(line, PROBE_LINE_BYTES), 204);
    cr_expect_eq(probe_read_status("HTTP/1.0 599\r\n", PROBE_LINE_BYTES), 599);
    cr_expect_eq(probe_read_status("HTTP/1.0 100\n ", PROBE_LINE_BYTES), 100);
}

Test(prober, knows_what_is_no_http)
{
    static const char *const lines[] = { "x",
                                         "HTTP/2",
                                         "HTTP/1.x",
                                         "HTTP/1.1 2x",
                                         "HTTP/1.1 2000",
                                         "HTTP/1.1 099 ",
                                         "http/1.1 200 ",
                                         "SSH-2.0-OpenSSH" };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        size_t size = strlen(lines[i]);
        cr_expect_eq(probe_read_status(lines[i], size < PROBE_LINE_BYTES ? size : PROBE_LINE_BYTES), -1, "%s",
                     lines[i]);
    }
}

/* A peer that accepts one connection and answers in one of some ways. */
static int listener = -1;
static const char *reply;
static bool accepted, closes_at_once;

static void open_target(struct probe_target *target, const char *request)
{
    struct sockaddr_in address;
    listener = tcp_peers_listen(&address);
    *target = (struct probe_target){ .address = { .v4 = address, .size = sizeof(address) },
                                     .request = { request, request ? strlen(request) : 0 },
                                     .timeout_ms = 5000 };
}

static struct timer tick;

static void ticked(struct timer *timer)
{
    (void)timer;
}

static bool serve(void *pointer)
{
    char bytes[256];
    static int fd = -1;
    (void)pointer;
    timer_arm(&shard.timers, &tick, shard.now_ms + 1);
    if (!accepted) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        accepted = fd >= 0;
        if (accepted && closes_at_once)
            close(fd);
    } else if (reply && !closes_at_once && recv(fd, bytes, sizeof(bytes), 0) > 0) {
        (void)send(fd, reply, strlen(reply), MSG_NOSIGNAL);
    }
    return done_count > 0;
}

static void run(const struct probe_target *target)
{
    timer_init(&tick, ticked);
    cr_assert(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    cr_assert(probe_begin(&probe, &shard, target));
    cr_assert(shard_setup_turn_until(&shard, serve, NULL));
    cr_assert_eq(done_count, 1);
    close(listener);
}

Test(prober, http)
{
    struct probe_target target;
    open_target(&target, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    reply = "HTTP/1.1 503 Busy\r\nContent-Length: 100000\r\n\r\n";
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_STATUS);
    cr_expect_eq(probe.status, 503);
}

Test(prober, tcp_is_content_with_a_connection)
{
    struct probe_target target;
    open_target(&target, NULL);
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_CONNECTED);
}

Test(prober, another_protocol_is_no_answer)
{
    struct probe_target target;
    open_target(&target, "GET / HTTP/1.1\r\n\r\n");
    reply = "220 mail.test ESMTP\r\n";
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_NO_ANSWER);
}

Test(prober, an_early_close_is_no_answer)
{
    struct probe_target target;
    open_target(&target, "GET / HTTP/1.1\r\n\r\n");
    closes_at_once = true;
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_NO_ANSWER);
}

Test(prober, a_refused_connection_is_no_answer)
{
    struct probe_target target;
    open_target(&target, NULL);
    int other = listener;
    struct sockaddr_in address;
    listener = tcp_peers_listen(&address);
    close(other);
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_NO_ANSWER);
}

Test(prober, silence_is_a_timeout)
{
    struct probe_target target;
    open_target(&target, "GET / HTTP/1.1\r\n\r\n");
    target.timeout_ms = 20;
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_TIMED_OUT);
}

Test(prober, may_be_cancelled_and_begun_again)
{
    struct probe_target target;
    open_target(&target, NULL);
    cr_assert(probe_begin(&probe, &shard, &target));
    probe_cancel(&probe);
    probe_cancel(&probe);
    cr_assert(shard_setup_turn_until_count(&shard, &done_count, 1));
    cr_expect_eq(probe.outcome, PROBE_CANCELLED);
    probe_cancel(&probe);
    done_count = 0;
    run(&target);
    cr_expect_eq(probe.outcome, PROBE_CONNECTED);
}

Test(prober, leaves_no_descriptor)
{
    struct probe_target target;
    unsigned before = shard_setup_descriptors();
    open_target(&target, "GET / HTTP/1.1\r\n\r\n");
    target.timeout_ms = 20;
    run(&target);
    cr_expect_leq(shard_setup_descriptors(), before + 1, "but for the accepted one");
}
