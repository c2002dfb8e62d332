/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/monitor.h"

#include "core/base/hash.h"
#include "tests/support/shard_setup.h"
#include "tests/support/tcp_peers.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* A model made by hand, and a DNS server that knows what the test tells it. */
static struct shard shard;
static struct monitor monitor;
static struct model *model;
static struct dns_server server;
static struct list_node asked;
static unsigned published_count, settled_count, flip_count;
static struct monitor_flip last_flip;
static struct roster_entry last_entry;

static void published(struct monitor *of)
{
    cr_assert_eq(of, &monitor);
    published_count++;
}

static void flipped(struct monitor *of, const struct monitor_flip *flip)
{
    cr_assert_eq(of, &monitor);
    last_flip = *flip;
    last_entry = *flip->entry;
    flip_count++;
}

static void failing(struct monitor *of, const struct dns_name *name)
{
    cr_assert_eq(of, &monitor);
    cr_assert_not_null(name);
}

static void settled(struct monitor *of)
{
    cr_assert_eq(of, &monitor);
    settled_count++;
}

static const struct monitor_events events = {
    .published = published, .flipped = flipped, .failing = failing, .settled = settled
};

static void ask(struct dns_server *of, struct dns_query *query)
{
    cr_assert_eq(of, &server);
    list_init(&query->node);
    list_append(&asked, &query->node);
}

static void start(void)
{
    hash_start();
    shard_setup_open(&shard);
    static const struct monitor_options options = { .dns = { .servers = "127.0.0.1:1", .timeout_ms = 1000 },
                                                    .resolver = { .order = { DNS_TYPE_A },
                                                                  .order_count = 1,
                                                                  .stale_ms = 60000,
                                                                  .not_found_ms = 30000,
                                                                  .error_ms = 1000 } };
    cr_assert_eq(monitor_open(&monitor, &shard, &options, &events), ERROR_OK);
    list_init(&asked);
    server.ask = ask;
    monitor.resolver.server = &server;
    model = model_open();
}

static bool is_idle(void *pointer)
{
    return monitor_is_idle(pointer);
}

static void end(void)
{
    monitor_abort(&monitor);
    cr_assert(shard_setup_turn_until(&shard, is_idle, &monitor));
    shard_disconnect(&shard);
    monitor_close(&monitor);
    shard_close(&shard);
    model_close(model);
}

TestSuite(monitor, .init = start, .fini = end);

/* "1.2.3.4,1.2.3.5" for the oldest question; NULL: no such name. */
static void answer(const char *name, const char *addresses)
{
    struct dns_record records[8] = { 0 };
    cr_assert(!list_is_empty(&asked));
    struct dns_query *query = CONTAINER_OF(asked.next, struct dns_query, node);
    list_remove(&query->node);
    cr_assert_str_eq(query->name, name);
    query->answer = (struct dns_answer){ .records = records, .ttl_s = 1 };
    struct slice rest = slice_of(addresses);
    while (rest.data) {
        struct slice one = slice_split(rest, ',', &rest);
        cr_assert(address_parse(one, 0, &records[query->answer.count++].address));
    }
    query->status = addresses ? DNS_STATUS_OK : DNS_STATUS_NO_NAME;
    query->done(query);
    shard_turn(&shard);
}

static struct upstream *add_upstream(struct model *to, const char *id, const char *name)
{
    struct upstream *upstream = arena_alloc_zero(&to->arena, sizeof(*upstream));
    to->upstreams.items =
        model_reserve(to, to->upstreams.items, to->upstreams.count, &to->upstreams.capacity);
    cr_assert(upstream && to->upstreams.items);
    snprintf(upstream->entity.id, sizeof(upstream->entity.id), "%s", id);
    upstream->entity.name = slice_of(name);
    upstream->entity.index = to->upstreams.count;
    upstream->targets = arena_array(&to->arena, 8, sizeof(struct target *));
    upstream->health.concurrency = 10;
    to->upstreams.items[to->upstreams.count++] = upstream;
    return upstream;
}

static struct target *add_target(struct model *to, struct upstream *upstream, const char *host, uint16_t port)
{
    struct target *target = arena_alloc_zero(&to->arena, sizeof(*target));
    *target = (struct target){ .host = slice_of(host), .port = port, .weight = 100 };
    upstream->targets[upstream->target_count++] = target;
    return target;
}

static void adopt(struct model *from)
{
    cr_assert(monitor_adopt(&monitor, from, &(struct slices){ NULL, 0 }));
}

static const char *roster_text(const struct upstream *upstream)
{
    static char text[512];
    const struct roster *roster = monitor_roster(&monitor, upstream);
    size_t size = 0;
    text[0] = '\0';
    cr_assert_not_null(roster);
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        char address[ADDRESS_TEXT_SIZE];
        address_text(&entry->address, address);
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s=%s:%u*%u%s", i ? " " : "",
                                 SLICE_FORMAT(entry->host), address, address_port(&entry->address),
                                 entry->weight, entry->healthy ? "" : "!");
    }
    if (roster->unresolved)
        snprintf(text + size, sizeof(text) - size, "%s(unresolved)", size ? " " : "");
    return text;
}

Test(monitor, numeric_targets_need_no_name)
{
    struct upstream *upstream = add_upstream(model, "u1", "one");
    add_target(model, upstream, "10.0.0.1", 80);
    add_target(model, upstream, "::1", 81)->weight = 0;
    adopt(model);
    cr_expect(monitor_is_settled(&monitor));
    cr_expect_str_eq(roster_text(upstream), "10.0.0.1=10.0.0.1:80*100 ::1=::1:81*0");
    cr_expect_eq(published_count, 1);
}

Test(monitor, names_are_resolved_and_followed)
{
    struct upstream *upstream = add_upstream(model, "u1", "one");
    add_target(model, upstream, "a.test", 80);
    add_target(model, upstream, "10.0.0.9", 90);
    adopt(model);
    cr_expect(!monitor_is_settled(&monitor));
    cr_expect_str_eq(roster_text(upstream), "10.0.0.9=10.0.0.9:90*100 (unresolved)");
    uint64_t before = monitor.version;
    answer("a.test", "10.0.0.2,10.0.0.1");
    cr_expect_eq(settled_count, 1);
    cr_expect_str_eq(roster_text(upstream),
                     "a.test=10.0.0.1:80*100 a.test=10.0.0.2:80*100 10.0.0.9=10.0.0.9:90*100");
    struct roster_batch *batch = monitor_batch_since(&monitor, before);
    cr_assert_eq(batch->count, 1);
    cr_expect_eq(batch->items[0].roster, monitor_roster(&monitor, upstream));
    roster_batch_free(batch);
    batch = monitor_batch_since(&monitor, monitor.version);
    cr_expect_eq(batch->count, 0);
    roster_batch_free(batch);
}

Test(monitor, a_name_that_is_missing_settles_too)
{
    struct upstream *upstream = add_upstream(model, "u1", "one");
    add_target(model, upstream, "a.test", 80);
    adopt(model);
    answer("a.test", NULL);
    cr_expect(monitor_is_settled(&monitor));
    cr_expect_str_eq(roster_text(upstream), "(unresolved)");
}

Test(monitor, a_reload_changes_only_what_differs)
{
    struct upstream *upstream = add_upstream(model, "u1", "one");
    add_target(model, upstream, "a.test", 80);
    adopt(model);
    answer("a.test", "10.0.0.1");
    struct roster *roster = monitor_roster(&monitor, upstream);
    struct model *next = model_open();
    upstream = add_upstream(next, "u1", "one");
    add_target(next, upstream, "a.test", 80);
    struct upstream *other = add_upstream(next, "u2", "two");
    add_target(next, other, "a.test", 8080);
    adopt(next);
    cr_expect(monitor_is_settled(&monitor), "the name is known");
    cr_expect_eq(monitor_roster(&monitor, upstream), roster, "the same version");
    cr_expect_str_eq(roster_text(other), "a.test=10.0.0.1:8080*100");
    adopt(model);
    cr_expect_null(monitor_roster(&monitor, other));
    cr_expect_eq(monitor_roster(&monitor, upstream), roster);
    model_close(next);
}

/* --- health --------------------------------------------------------------------------------------------- */

static void report_failures(const struct upstream *upstream, const char *address, uint32_t count)
{
    struct health_report report = { .counts = { [HEALTH_TCP_FAILURE] = count } };
    snprintf(report.key, sizeof(report.key), "%s", upstream->entity.id);
    cr_assert(address_parse(slice_of(address), 80, &report.address));
    monitor_take_report(&monitor, &report);
    shard_turn(&shard);
}

static struct upstream *two_targets(struct model *to)
{
    struct upstream *upstream = add_upstream(to, "u1", "one");
    add_target(to, upstream, "10.0.0.1", 80);
    add_target(to, upstream, "10.0.0.2", 80);
    upstream->health.passive.tcp_failures = 3;
    return upstream;
}

Test(monitor, reports_add_up)
{
    struct upstream *upstream = two_targets(model);
    adopt(model);
    report_failures(upstream, "10.0.0.1", 2);
    cr_expect_eq(flip_count, 0);
    report_failures(upstream, "10.0.0.1", 1);
    cr_expect_eq(flip_count, 1);
    cr_expect(!last_flip.healthy);
    cr_expect_str_eq(roster_text(upstream), "10.0.0.1=10.0.0.1:80*100! 10.0.0.2=10.0.0.2:80*100");
    cr_expect_eq(monitor_roster(&monitor, upstream)->entries[0].flips, 1);
    report_failures(upstream, "10.0.0.7", 9);
    cr_expect_eq(flip_count, 1, "nobody has that address");
}

Test(monitor, health_survives_reloads_and_absence)
{
    struct upstream *upstream = two_targets(model);
    adopt(model);
    report_failures(upstream, "10.0.0.1", 3);
    struct model *empty = model_open(), *next = model_open();
    adopt(empty);
    report_failures(upstream, "10.0.0.2", 3);
    cr_expect_eq(flip_count, 1, "it is not watched now");
    upstream = two_targets(next);
    adopt(next);
    cr_expect_str_eq(roster_text(upstream), "10.0.0.1=10.0.0.1:80*100! 10.0.0.2=10.0.0.2:80*100");
    adopt(empty);
    shard.now_ms += MONITOR_MEMORY_MS + 1;
    timer_wheel_advance(&shard.timers, shard.now_ms);
    adopt(next);
    cr_expect_str_eq(roster_text(upstream), "10.0.0.1=10.0.0.1:80*100 10.0.0.2=10.0.0.2:80*100");
    adopt(empty);
    model_close(empty);
    model_close(next);
}

Test(monitor, what_is_not_checked_any_more_is_healthy)
{
    struct upstream *upstream = two_targets(model);
    adopt(model);
    report_failures(upstream, "10.0.0.1", 3);
    struct model *next = model_open();
    upstream = two_targets(next);
    upstream->health.passive.tcp_failures = 0;
    adopt(next);
    cr_expect_str_eq(roster_text(upstream), "10.0.0.1=10.0.0.1:80*100 10.0.0.2=10.0.0.2:80*100");
    adopt(model);
    model_close(next);
}

/* --- probes --------------------------------------------------------------------------------------------- */

static struct upstream *probed(uint16_t port)
{
    struct upstream *upstream = add_upstream(model, "u1", "one");
    add_target(model, upstream, "127.0.0.1", port);
    upstream->health.active_kind = PROBE_TCP;
    upstream->health.active_timeout_ms = 1000;
    upstream->health.healthy_interval_ms = 5;
    upstream->health.unhealthy_interval_ms = 5;
    upstream->health.active.successes = 2;
    upstream->health.active.tcp_failures = 2;
    return upstream;
}

static bool has_flipped(void *wanted)
{
    return flip_count >= *(unsigned *)wanted;
}

static void wait_for_flips(unsigned wanted)
{
    cr_assert(shard_setup_turn_until(&shard, has_flipped, &wanted));
    shard_turn(&shard);
}

Test(monitor, probes_take_out_and_bring_back)
{
    struct sockaddr_in address;
    int listener = tcp_peers_listen(&address);
    struct upstream *upstream = probed(ntohs(address.sin_port));
    adopt(model);
    close(listener);
    wait_for_flips(1);
    cr_expect(!last_flip.healthy);
    cr_expect_str_eq(last_flip.cause, "active");
    cr_expect(!monitor_roster(&monitor, upstream)->entries[0].healthy);
    int again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    (void)setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cr_assert_eq(bind(again, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(again, 100), 0);
    wait_for_flips(2);
    cr_expect(last_flip.healthy);
    cr_expect(monitor_roster(&monitor, upstream)->entries[0].healthy);
    cr_expect_geq(metric_read(&shard.metrics, METRIC_PROBES), 4);
    close(again);
}

Test(monitor, without_weight_there_is_no_probe)
{
    struct sockaddr_in address;
    int listener = tcp_peers_listen(&address);
    struct upstream *upstream = probed(ntohs(address.sin_port));
    upstream->targets[0]->weight = 0;
    adopt(model);
    shard_setup_turn_for(&shard, 30);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_PROBES), 0);
    close(listener);
}

Test(monitor, no_more_probes_at_a_time_than_allowed)
{
    struct sockaddr_in address;
    int listener = tcp_peers_listen(&address);
    uint16_t port = ntohs(address.sin_port);
    struct upstream *upstream = probed(port);
    upstream->health.concurrency = 1;
    for (unsigned i = 2; i < 6; i++) {
        static char hosts[8][16];
        snprintf(hosts[i], sizeof(hosts[i]), "127.0.0.%u", i);
        add_target(model, upstream, hosts[i], port);
    }
    adopt(model);
    for (unsigned i = 0; i < 50; i++) {
        shard_turn(&shard);
        cr_expect_leq(monitor.probing, 1);
    }
    uint64_t probes = 10;
    cr_assert(shard_setup_turn_until_count(&shard, &shard.metrics.values[METRIC_PROBES], probes));
    close(listener);
}

Test(monitor, an_upstream_that_leaves_is_probed_no_more)
{
    struct sockaddr_in address;
    int listener = tcp_peers_listen(&address);
    probed(ntohs(address.sin_port));
    adopt(model);
    uint64_t probes = 1;
    cr_assert(shard_setup_turn_until_count(&shard, &shard.metrics.values[METRIC_PROBES], probes));
    struct model *empty = model_open();
    adopt(empty);
    cr_assert(shard_setup_turn_until(&shard, is_idle, &monitor));
    probes = metric_read(&shard.metrics, METRIC_PROBES);
    shard_setup_turn_for(&shard, 30);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_PROBES), probes);
    close(listener);
    model_close(empty);
}

Test(monitor, hosts_of_plugins)
{
    struct slice names[] = { SLICE("Redis.test"), SLICE("127.0.0.1") };
    struct slices hosts = { names, 2 };
    cr_assert(monitor_adopt(&monitor, model, &hosts));
    answer("redis.test", "10.0.0.5");
    struct roster_batch *batch = monitor_batch_since(&monitor, 0);
    cr_assert_eq(batch->count, 1);
    cr_expect_eq(batch->items[0].what, ROSTER_OF_HOST);
    cr_assert_eq(batch->items[0].roster->count, 1);
    cr_expect(slice_equal(batch->items[0].roster->entries[0].host, SLICE("redis.test")));
    roster_batch_free(batch);
    uint64_t version = monitor.version;
    adopt(model);
    batch = monitor_batch_since(&monitor, version);
    cr_assert_eq(batch->count, 1);
    cr_expect_eq(batch->items[0].roster->count, 0, "to be forgotten");
    roster_batch_free(batch);
}

/* The address count of the newest roster of hosts behind a version; -1: none came. */
static int hosts_since(uint64_t version)
{
    struct roster_batch *batch = monitor_batch_since(&monitor, version);
    int count = -1;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->items[i].what == ROSTER_OF_HOST)
            count = (int)batch->items[i].roster->count;
    roster_batch_free(batch);
    return count;
}

Test(monitor, hosts_that_shards_ask_for)
{
    adopt(model);
    monitor_want(&monitor, SLICE("Found.test"));
    shard_setup_turn_for(&shard, 2);
    cr_expect_eq(hosts_since(0), -1, "nothing is said before there is an answer");
    answer("found.test", "10.0.0.5,10.0.0.6");
    cr_expect_eq(hosts_since(0), 2);
    uint64_t version = monitor.version;
    adopt(model);
    cr_expect_eq(hosts_since(version), -1, "it outlives reloads");
    monitor_want(&monitor, SLICE("found.test"));
    cr_expect_eq(hosts_since(version), 2, "another shard has asked");
    cr_expect_eq(monitor.wanted_count, 1);
    version = monitor.version;
    shard.now_ms += ROSTER_HOST_KEPT_MS + 1;
    timer_wheel_advance(&shard.timers, shard.now_ms);
    shard_setup_turn_for(&shard, 2);
    cr_expect_eq(monitor.wanted_count, 0);
    cr_expect_eq(hosts_since(version), 0, "to be forgotten");
    version = monitor.version;
    monitor_want(&monitor, SLICE("127.0.0.1"));
    monitor_want(&monitor, SLICE(""));
    cr_expect_eq(monitor.wanted_count, 0);
}

Test(monitor, hosts_that_are_asked_for_in_vain)
{
    monitor_want(&monitor, SLICE("lost.test"));
    answer("lost.test", NULL);
    cr_expect_eq(hosts_since(0), 0, "there is no such name");
}

Test(monitor, not_too_many_hosts_are_asked_for)
{
    char name[32];
    for (unsigned i = 0; i < MONITOR_WANTED_MAX + 10; i++) {
        snprintf(name, sizeof(name), "n%u.test", i);
        monitor_want(&monitor, slice_of(name));
    }
    cr_expect_eq(monitor.wanted_count, MONITOR_WANTED_MAX);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_NAMES_REFUSED), 10);
    list_init(&asked);
}
