/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/listener.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

enum { ACCEPTED_MAX = 16 };

static struct shard shard;
static struct listener listener;
static struct listener_options options;
static int accepted[ACCEPTED_MAX];
static uint64_t accepted_count;
static bool pauses; /* at each one */

static void note(struct listener *from, int fd)
{
    cr_assert_eq(from, &listener);
    cr_assert_lt(accepted_count, ACCEPTED_MAX);
    accepted[accepted_count++] = fd;
    if (pauses)
        listener_pause(from);
}

static int bind_port(uint16_t port)
{
    struct address address;
    const char *reason = NULL;
    int fd = -1;
    cr_assert(address_parse(SLICE("127.0.0.1"), port, &address));
    cr_assert_eq(listener_bind(&address, 16, &fd, &reason), ERROR_OK, "%s", reason);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct address address = { .size = sizeof(address.v6) };
    cr_assert_eq(getsockname(fd, &address.any, &address.size), 0);
    return address_port(&address);
}

static void start(void)
{
    shard_setup_open(&shard);
    int fd = bind_port(0);
    listener = (struct listener){ .accepted = note };
    options.port = port_of(fd);
    listener_start(&listener, &shard, fd, &options);
}

static void end(void)
{
    listener_stop(&listener, LISTENER_TAKE_BACKLOG);
    listener_stop(&listener, LISTENER_TAKE_BACKLOG);
    shard_setup_turn_for(&shard, 2);
    cr_assert_not(listener.accept_op.armed);
    for (uint64_t i = 0; i < accepted_count; i++)
        close(accepted[i]);
    shard_setup_close(&shard);
}

TestSuite(listener, .init = start, .fini = end, .timeout = 60);

/* A connected descriptor, or -1. */
static int connect_to(uint16_t port)
{
    struct address address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && address_parse(SLICE("127.0.0.1"), port, &address));
    if (connect(fd, &address.any, address.size) == 0)
        return fd;
    close(fd);
    return -1;
}

/* They stay open until the process ends. */
static void connect_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        cr_assert_geq(connect_to(listener.options->port), 0);
}

Test(listener, accepts_all_with_one_operation)
{
    for (unsigned round = 1; round <= 3; round++) {
        connect_some(4);
        cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 4 * round));
    }
    cr_assert_eq(metric_read(&shard.metrics, METRIC_CONNECTIONS_ACCEPTED), 12);
    cr_assert_eq(metric_read(&shard.metrics, METRIC_ACCEPT_ERRORS), 0);
}

Test(listener, accepted_sockets_send_at_once)
{
    int on = 0;
    socklen_t size = sizeof(on);
    connect_some(1);
    cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 1));
    cr_assert_eq(getsockopt(accepted[0], IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    cr_assert(on);
}

Test(listener, a_pause_leaves_clients_in_the_backlog)
{
    listener_pause(&listener);
    listener_pause(&listener);
    shard_setup_turn_for(&shard, 2);
    connect_some(3);
    shard_setup_turn_for(&shard, 20);
    cr_assert_eq(accepted_count, 0);
    cr_assert_eq(metric_read(&shard.metrics, METRIC_CONNECTIONS_SHED), 1);
    listener_resume(&listener);
    cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 3));
}

Test(listener, pauses_and_resumes_in_any_order)
{
    for (unsigned i = 0; i < 16; i++) {
        listener_pause(&listener);
        if (i & 1)
            shard_setup_turn_for(&shard, 1);
        listener_resume(&listener);
        if (i & 2)
            listener_pause(&listener);
        if (i & 4)
            shard_setup_turn_for(&shard, 1);
        listener_resume(&listener);
        if (i & 8)
            shard_setup_turn_for(&shard, 1);
        connect_some(1);
        cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, i + 1), "%u", i);
    }
}

Test(listener, paused_from_inside_an_accept)
{
    pauses = true;
    connect_some(6);
    cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 1));
    shard_setup_turn_for(&shard, 5);
    pauses = false;
    listener_resume(&listener);
    cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 6));
}

Test(listener, a_stopped_one_refuses)
{
    uint16_t port = listener.options->port;
    connect_some(1);
    cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 1));
    listener_stop(&listener, LISTENER_TAKE_BACKLOG);
    listener_pause(&listener);
    listener_resume(&listener);
    shard_setup_turn_for(&shard, 5);
    cr_assert_not(listener.accept_op.armed);
    cr_assert_eq(connect_to(port), -1);
}

Test(listener, goes_on_when_descriptors_are_free_again)
{
    enum { MOST = 64 };
    struct rlimit limit;
    int taken[MOST];
    size_t count = 0;
    connect_some(2);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = MOST;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (count < MOST && (taken[count] = dup(0)) >= 0)
        count++;
    cr_assert(shard_setup_turn_until_count(&shard, &shard.metrics.values[METRIC_ACCEPT_ERRORS], 1));
    shard_setup_turn_for(&shard, 10);
    cr_assert_eq(accepted_count, 0);
    cr_assert_leq(metric_read(&shard.metrics, METRIC_ACCEPT_ERRORS), 2, "it does not try all the time");
    while (count > 0)
        close(taken[--count]);
    cr_assert(shard_setup_turn_until_count(&shard, &accepted_count, 2));
}

Test(listener, shards_share_a_port)
{
    int other = bind_port(listener.options->port);
    cr_assert_eq(port_of(other), listener.options->port);
    close(other);
}

Test(listener, a_port_of_somebody_else_is_an_error)
{
    struct address address;
    const char *reason = NULL;
    int fd = 7, other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(address_parse(SLICE("127.0.0.1"), 0, &address));
    cr_assert(bind(other, &address.any, address.size) == 0 && listen(other, 1) == 0);
    cr_assert(address_parse(SLICE("127.0.0.1"), port_of(other), &address));
    cr_assert_eq(listener_bind(&address, 16, &fd, &reason), ERROR_KERNEL);
    cr_assert_str_eq(reason, strerror(EADDRINUSE));
    cr_assert_eq(fd, -1);
    close(other);
}
