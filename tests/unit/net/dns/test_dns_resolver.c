/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_resolver.h"

#include "core/base/hash.h"
#include "tests/support/dns_message.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A zone in place of servers, and a clock that is moved by hand. */
struct zone_line {
    const char *name; /* as asked, with a dot at its end when no search was wanted */
    enum dns_type type;
    uint32_t ttl_s;
    const char *data; /* addresses, an alias, or "P W PORT HOST", with commas between; NULL: status */
    enum dns_status status;
};

static struct shard shard;
static struct dns_resolver resolver;
static struct dns_server server;
static struct list_node asked;
static struct zone_line zone[16];
static unsigned zone_count, ask_count;
static char asked_log[512];
static unsigned failing_count, recovered_count;

struct seen {
    struct dns_watch watch;
    unsigned changes;
};

static void changed(struct dns_watch *watch)
{
    CONTAINER_OF(watch, struct seen, watch)->changes++;
}

static void failing(struct dns_resolver *of, const struct dns_name *name)
{
    cr_assert_eq(of, &resolver);
    if (name->state == DNS_STATE_GOOD)
        recovered_count++;
    else
        failing_count++;
}

static void ask(struct dns_server *of, struct dns_query *query)
{
    static const struct {
        enum dns_type type;
        const char *text;
    } names[] = {
        { DNS_TYPE_A, "A" }, { DNS_TYPE_AAAA, "AAAA" }, { DNS_TYPE_CNAME, "CNAME" }, { DNS_TYPE_SRV, "SRV" }
    };
    cr_assert_eq(of, &server);
    ask_count++;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (names[i].type == query->type) {
            size_t size = strlen(asked_log);
            snprintf(asked_log + size, sizeof(asked_log) - size, "%s%s %s", size ? ", " : "", names[i].text,
                     query->name);
        }
    list_init(&query->node);
    list_append(&asked, &query->node);
}

static void put_record(struct dns_message *message, const struct zone_line *line, const char *owner,
                       const char *text)
{
    if (line->type == DNS_TYPE_CNAME)
        dns_message_alias(message, owner, line->ttl_s, text);
    else if (line->type == DNS_TYPE_SRV)
        dns_message_service(message, owner, line->ttl_s, text);
    else
        dns_message_address(message, owner, line->ttl_s, text);
}

static void answer_with(struct dns_query *query, const struct zone_line *line)
{
    struct dns_message message;
    struct arena arena;
    char data[256];
    arena_init(&arena, NULL, 0, 1 << 20);
    query->status = line ? line->status : DNS_STATUS_NO_NAME;
    if (line && line->data) {
        dns_message_begin(&message, 1, line->name, (uint16_t)line->type, 0);
        snprintf(data, sizeof(data), "%s", line->data);
        char *rest = data, *text;
        while ((text = strsep(&rest, ",")) != NULL)
            put_record(&message, line, line->name, text);
        cr_assert(dns_answer_read(&query->answer, &arena, dns_message_slice(&message), query->type));
        query->status = query->answer.count ? DNS_STATUS_OK : DNS_STATUS_NO_DATA;
    }
    query->done(query);
    arena_deinit(&arena);
}

static const struct zone_line *find_line(const struct dns_query *query)
{
    const struct zone_line *other = NULL;
    static const struct zone_line no_data = { .status = DNS_STATUS_NO_DATA };
    for (unsigned i = 0; i < zone_count; i++) {
        if (strcmp(zone[i].name, query->name) != 0)
            continue;
        if (zone[i].type == query->type)
            return &zone[i];
        other = &no_data;
    }
    return other;
}

static void run_tasks(void)
{
    while (!list_is_empty(&shard.tasks)) {
        struct shard_task *task = CONTAINER_OF(shard.tasks.next, struct shard_task, node);
        list_remove(&task->node);
        task->run(task);
    }
}

/* Answers everything from the zone. */
static void run(void)
{
    run_tasks();
    while (!list_is_empty(&asked)) {
        struct dns_query *query = CONTAINER_OF(asked.next, struct dns_query, node);
        list_remove(&query->node);
        answer_with(query, find_line(query));
        run_tasks();
    }
}

static void pass(uint64_t time_ms)
{
    shard.now_ms += time_ms;
    timer_wheel_advance(&shard.timers, shard.now_ms);
    run();
}

static void set_zone(const struct zone_line *lines, unsigned count)
{
    cr_assert_leq(count, COUNT_OF(zone));
    memcpy(zone, lines, count * sizeof(*lines));
    zone_count = count;
}
#define ZONE(...)                                 \
    set_zone((struct zone_line[]){ __VA_ARGS__ }, \
             sizeof((struct zone_line[]){ __VA_ARGS__ }) / sizeof(zone[0]))

static const struct dns_resolver_options plain = { .order = { DNS_ORDER_LAST, DNS_TYPE_SRV, DNS_TYPE_A,
                                                              DNS_TYPE_AAAA, DNS_TYPE_CNAME },
                                                   .order_count = 5,
                                                   .stale_ms = 60000,
                                                   .not_found_ms = 30000,
                                                   .error_ms = 1000 };

static void start(void)
{
    hash_start();
    shard = (struct shard){ .now_ms = 1000000 };
    list_init(&shard.tasks);
    timer_wheel_init(&shard.timers, shard.now_ms);
    list_init(&asked);
    server.ask = ask;
    dns_resolver_init(&resolver, &shard, &server, &plain);
    resolver.failing = failing;
}

static void end(void)
{
    dns_resolver_deinit(&resolver);
}

TestSuite(dns_resolver, .init = start, .fini = end);

static void watch(struct seen *seen, const char *name)
{
    seen->changes = 0;
    seen->watch.changed = changed;
    cr_assert(dns_watch_begin(&seen->watch, &resolver, slice_of(name), DNS_KIND_ANY));
}

static const char *list_of(const struct seen *seen)
{
    static char text[512];
    size_t size = 0;
    const struct dns_name *name = seen->watch.name;
    text[0] = '\0';
    for (uint32_t i = 0; i < name->count; i++) {
        char address[ADDRESS_TEXT_SIZE];
        address_text(&name->endpoints[i].address, address);
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s:%u", i ? " " : "", address,
                                 address_port(&name->endpoints[i].address));
        if (name->endpoints[i].weight)
            size += (size_t)snprintf(text + size, sizeof(text) - size, "*%u", name->endpoints[i].weight);
    }
    return text;
}

Test(dns_resolver, asks_in_the_order_of_types)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_AAAA, 10, "2001:db8::1", 0 });
    watch(&seen, "A.test");
    cr_expect_eq(seen.watch.name->state, DNS_STATE_PENDING);
    cr_expect_eq(resolver.pending_count, 1);
    run();
    cr_expect_str_eq(asked_log, "SRV a.test, A a.test, AAAA a.test");
    cr_expect_str_eq(list_of(&seen), "2001:db8::1:0");
    cr_expect_eq(seen.watch.name->state, DNS_STATE_GOOD);
    cr_expect_eq(resolver.pending_count, 0);
    cr_expect_eq(seen.changes, 1);
    asked_log[0] = '\0';
    pass(10000);
    cr_expect_str_eq(asked_log, "AAAA a.test", "the type that answered last comes first");
    cr_expect_eq(seen.changes, 1, "the same again is no change");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, takes_a_change_when_the_time_to_live_has_passed)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.2,10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:0 10.0.0.2:0");
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.1,10.0.0.2", 0 });
    pass(5000);
    cr_expect_eq(seen.changes, 1, "the order of records says nothing");
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.3", 0 });
    pass(4999);
    cr_expect_eq(seen.changes, 1);
    pass(1);
    cr_expect_eq(seen.changes, 2);
    cr_expect_str_eq(list_of(&seen), "10.0.0.3:0");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_time_to_live_of_zero_is_a_second)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_A, 0, "10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    unsigned before = ask_count;
    pass(999);
    cr_expect_eq(ask_count, before);
    pass(1);
    cr_expect_eq(ask_count, before + 1);
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_fixed_time_wins_over_records)
{
    struct seen seen;
    resolver.options.valid_ms = 200;
    ZONE({ "a.test", DNS_TYPE_A, 3600, "10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    unsigned before = ask_count;
    pass(200);
    cr_expect_eq(ask_count, before + 1);
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, services_have_ports_and_weights)
{
    struct seen seen;
    ZONE({ "s.test", DNS_TYPE_SRV, 10, "1 0 8001 h1.test,1 20 8002 h2.test,2 5 8003 h3.test", 0 },
         { "h1.test.", DNS_TYPE_A, 10, "10.0.0.1", 0 }, { "h2.test.", DNS_TYPE_AAAA, 10, "2001:db8::2", 0 },
         { "h3.test.", DNS_TYPE_A, 10, "10.0.0.3", 0 });
    watch(&seen, "s.test");
    run();
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:8001*1 2001:db8::2:8002*20");
    cr_expect_str_eq(seen.watch.name->endpoints[0].host, "h1.test");
    cr_expect_str_eq(seen.watch.name->endpoints[1].host, "h2.test");
    cr_expect_eq(seen.changes, 1, "told once, when all hosts are known");
    cr_expect_eq(resolver.pending_count, 0);
    dns_watch_end(&seen.watch);
    for (unsigned i = 0; i < DNS_BUCKETS; i++)
        cr_assert_null(resolver.buckets[i], "the hosts went with the name");
}

Test(dns_resolver, the_addresses_of_a_host_share_its_weight)
{
    struct seen seen;
    ZONE({ "s.test", DNS_TYPE_SRV, 10, "1 1 80 h1.test,1 3 80 h2.test", 0 },
         { "h1.test.", DNS_TYPE_A, 10, "10.0.0.1,10.0.0.2", 0 },
         { "h2.test.", DNS_TYPE_A, 10, "10.0.0.3", 0 });
    watch(&seen, "s.test");
    run();
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:80*30 10.0.0.2:80*30 10.0.0.3:80*180");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_host_of_a_service_moves)
{
    struct seen seen;
    ZONE({ "s.test", DNS_TYPE_SRV, 600, "1 1 80 h1.test", 0 }, { "h1.test.", DNS_TYPE_A, 2, "10.0.0.1", 0 });
    watch(&seen, "s.test");
    run();
    ZONE({ "s.test", DNS_TYPE_SRV, 600, "1 1 80 h1.test", 0 }, { "h1.test.", DNS_TYPE_A, 2, "10.0.0.9", 0 });
    pass(2000);
    cr_expect_str_eq(list_of(&seen), "10.0.0.9:80*1");
    cr_expect_eq(seen.changes, 2);
    ZONE({ "s.test", DNS_TYPE_SRV, 600, "1 1 81 h2.test,1 1 80 h1.test", 0 },
         { "h1.test.", DNS_TYPE_A, 600, "10.0.0.9", 0 }, { "h2.test.", DNS_TYPE_A, 600, "10.0.0.8", 0 });
    pass(598000);
    cr_expect_str_eq(list_of(&seen), "10.0.0.8:81*1 10.0.0.9:80*1");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, an_answer_is_kept_while_there_is_no_better)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    ZONE({ "a.test", DNS_TYPE_A, 0, NULL, DNS_STATUS_TIMEOUT });
    pass(5000);
    cr_expect_eq(seen.watch.name->state, DNS_STATE_STALE);
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:0");
    cr_expect_eq(failing_count, 1);
    unsigned before = ask_count;
    pass(1000);
    cr_expect_eq(ask_count, before + 1, "asked again after dns_error_ttl");
    for (unsigned i = 0; i < 58; i++)
        pass(1000);
    cr_expect_eq(seen.watch.name->state, DNS_STATE_STALE);
    pass(1000);
    cr_expect_eq(seen.watch.name->state, DNS_STATE_FAILED, "dns_stale_ttl has passed");
    cr_expect_eq(seen.watch.name->count, 0);
    cr_expect_eq(failing_count, 1, "said once");
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.2", 0 });
    pass(1000);
    cr_expect_str_eq(list_of(&seen), "10.0.0.2:0");
    cr_expect_eq(recovered_count, 1);
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_name_that_is_missing_is_asked_for_again)
{
    struct seen seen;
    ZONE({ "other.test", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    cr_expect_eq(seen.watch.name->state, DNS_STATE_FAILED);
    cr_expect_eq(seen.watch.name->failure, DNS_STATUS_NO_NAME);
    cr_expect_str_eq(asked_log, "SRV a.test, A a.test, AAAA a.test, CNAME a.test");
    cr_expect_eq(resolver.pending_count, 0);
    unsigned before = ask_count;
    pass(29999);
    cr_expect_eq(ask_count, before);
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    pass(1);
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:0");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_failure_of_one_type_leaves_the_others)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_SRV, 0, NULL, DNS_STATUS_FAILED }, { "a.test", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:0");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_failure_is_asked_again_sooner_than_a_missing_name)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_SRV, 0, NULL, DNS_STATUS_FAILED });
    watch(&seen, "a.test");
    run();
    cr_expect_eq(seen.watch.name->failure, DNS_STATUS_FAILED);
    unsigned before = ask_count;
    pass(1000);
    cr_expect_gt(ask_count, before);
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, follows_an_alias_that_the_server_did_not)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_CNAME, 5, "b.test", 0 }, { "b.test.", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    watch(&seen, "a.test");
    run();
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:0");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, aliases_in_a_circle_fail)
{
    struct seen seen;
    ZONE({ "a.test", DNS_TYPE_CNAME, 5, "b.test", 0 }, { "b.test.", DNS_TYPE_CNAME, 5, "c.test", 0 },
         { "c.test.", DNS_TYPE_CNAME, 5, "b.test", 0 });
    watch(&seen, "a.test");
    run();
    cr_expect_eq(seen.watch.name->state, DNS_STATE_FAILED);
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, a_name_is_shared)
{
    struct seen first, second;
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    watch(&first, "a.test");
    watch(&second, "A.TEST");
    cr_expect_eq(first.watch.name, second.watch.name);
    run();
    cr_expect_eq(first.changes, 1);
    cr_expect_eq(second.changes, 1);
    dns_watch_end(&first.watch);
    cr_expect_str_eq(list_of(&second), "10.0.0.1:0");
    dns_watch_end(&second.watch);
}

Test(dns_resolver, nobody_waits_for_the_answer)
{
    struct seen seen;
    watch(&seen, "a.test");
    dns_watch_end(&seen.watch);
    dns_watch_end(&seen.watch);
    watch(&seen, "a.test");
    cr_expect_eq(seen.watch.name->state, DNS_STATE_PENDING);
    ZONE({ "a.test", DNS_TYPE_A, 5, "10.0.0.1", 0 });
    run();
    cr_expect_str_eq(list_of(&seen), "10.0.0.1:0");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, ends_with_questions_on_their_way)
{
    struct seen seen;
    watch(&seen, "a.test");
    dns_watch_end(&seen.watch);
}

Test(dns_resolver, refuses_a_name_that_is_too_long)
{
    struct seen seen;
    char text[DNS_NAME_SIZE + 1];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cr_expect(!dns_watch_begin(&seen.watch, &resolver, slice_of(text), DNS_KIND_ANY));
    dns_watch_end(&seen.watch);
}

static void put(const char *path, const char *text)
{
    char temporary[80];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(rename(temporary, path), 0);
}

Test(dns_resolver, the_hosts_file_comes_first)
{
    char folder[] = "/tmp/sluice-hosts-XXXXXX", path[64];
    struct dns_resolver_options options = plain;
    struct seen here, elsewhere;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/hosts", folder);
    put(path, "127.0.0.9 a.test\n::1 a.test\n");
    dns_resolver_deinit(&resolver);
    options.hosts_path = path;
    dns_resolver_init(&resolver, &shard, &server, &options);
    ZONE({ "a.test", DNS_TYPE_A, 600, "10.0.0.1", 0 }, { "b.test", DNS_TYPE_A, 600, "10.0.0.2", 0 });
    watch(&here, "a.test");
    cr_expect_eq(here.watch.name->state, DNS_STATE_GOOD, "at once");
    cr_expect_str_eq(list_of(&here), "127.0.0.9:0", "of the family that dns_order has first");
    watch(&elsewhere, "b.test");
    run();
    cr_expect_str_eq(list_of(&elsewhere), "10.0.0.2:0");
    put(path, "127.0.0.8 b.test\n");
    pass(1000);
    cr_expect_str_eq(list_of(&here), "10.0.0.1:0", "no longer in the file: from the servers");
    cr_expect_str_eq(list_of(&elsewhere), "127.0.0.8:0");
    dns_watch_end(&here.watch);
    dns_watch_end(&elsewhere.watch);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(folder), 0);
}
