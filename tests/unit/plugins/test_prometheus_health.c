/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/prometheus_health.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct text text;
static struct target targets[3];
static struct target *target_list[] = { &targets[0], &targets[1], &targets[2] };
static struct upstream upstream;
static struct roster *roster;

static void start(void)
{
    static const char *const hosts[] = { "b.test", "127.0.0.1", "a.test" };
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        targets[i] = (struct target){ .host = slice_of(hosts[i]), .port = (uint16_t)(80 + i) };
    upstream = (struct upstream){ .entity = { .name = SLICE("u") },
                                  .targets = target_list,
                                  .target_count = COUNT_OF(targets) };
    roster = roster_open(SLICE("id"), 1);
    cr_assert_not_null(roster);
    text_init(&text, 10000000);
}

static void end(void)
{
    roster_release(roster);
    text_deinit(&text);
}

TestSuite(prometheus_health, .init = start, .fini = end);

static void add(uint32_t index, const char *address, uint16_t port, bool healthy)
{
    struct roster_entry entry = { .host = SLICE("x"), .target_index = index, .healthy = healthy };
    cr_assert(address_parse(slice_of(address), port, &entry.address));
    cr_assert(roster_add(roster, &entry));
}

static unsigned count(const char *part)
{
    unsigned found = 0;
    for (const char *at = text.data; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

/* By the byte: the sanitizers' strstr reads to the end of the text at every call. */
static unsigned count_lines(void)
{
    unsigned found = 0;
    for (size_t i = 0; i < text.size; i++)
        found += text.data[i] == '\n';
    return found;
}

static void write(const struct roster *with)
{
    text_clear(&text);
    prometheus_write_health(&text, &upstream, with);
    text_byte(&text, '\0');
    cr_assert_not(text.failed);
}

#define LINE(target, address, state)                                                      \
    "kong_upstream_target_health{upstream=\"u\",target=\"" target "\",address=\"" address \
    "\",state=\"" state "\",subsystem=\"http\"} "

Test(prometheus_health, all_states_of_all_addresses)
{
    add(0, "10.0.0.2", 80, true);
    add(0, "10.0.0.1", 8080, true); /* an SRV record has its port */
    add(1, "127.0.0.1", 81, true);
    write(roster);
    cr_expect_eq(count_lines(), 4 * 4);
    cr_expect_eq(count("} 1\n"), 4);
    cr_expect_eq(count(LINE("b.test:80", "10.0.0.1:8080", "healthchecks_off") "1\n"), 1);
    cr_expect_eq(count(LINE("b.test:80", "10.0.0.2:80", "healthchecks_off") "1\n"), 1);
    cr_expect_eq(count(LINE("b.test:80", "10.0.0.2:80", "healthy") "0\n"), 1);
    cr_expect_eq(count(LINE("127.0.0.1:81", "127.0.0.1:81", "healthchecks_off") "1\n"), 1);
    cr_expect_eq(count(LINE("a.test:82", "", "dns_error") "1\n"), 1);
}

Test(prometheus_health, health_counts_where_something_decides_on_it)
{
    add(0, "::1", 80, false);
    add(1, "127.0.0.1", 81, true);
    write(roster);
    cr_expect_eq(count("state=\"healthchecks_off\",subsystem=\"http\"} 1"), 2);
    struct upstream checked[] = { upstream, upstream, upstream, upstream };
    checked[0].health.unhealthy_interval_ms = 1;
    checked[1].health.healthy_interval_ms = 1;
    checked[2].health.passive.timeouts = 1;
    checked[3].outlier.consecutive_5xx = 1;
    for (size_t i = 0; i < COUNT_OF(checked); i++) {
        upstream = checked[i];
        write(roster);
        cr_expect_eq(count("state=\"healthchecks_off\",subsystem=\"http\"} 1"), 0);
        cr_expect_eq(count(LINE("b.test:80", "[::1]:80", "unhealthy") "1\n"), 1);
        cr_expect_eq(count(LINE("127.0.0.1:81", "127.0.0.1:81", "healthy") "1\n"), 1);
    }
}

Test(prometheus_health, nothing_is_said_twice)
{
    targets[2].host = targets[0].host;
    targets[2].port = targets[0].port;
    add(0, "10.0.0.1", 80, true);
    add(2, "10.0.0.1", 80, false);
    add(2, "10.0.0.2", 80, true);
    add(7, "10.0.0.3", 80, true); /* of an older definition */
    write(roster);
    cr_expect_eq(count_lines(), 3 * 4);
    cr_expect_eq(count("} 1\n"), 3);
}

Test(prometheus_health, nothing_known)
{
    write(NULL);
    cr_expect_eq(count("state=\"dns_error\",subsystem=\"http\"} 1"), 3);
    upstream.target_count = 0;
    write(NULL);
    cr_expect_str_eq(text.data, "");
}

Test(prometheus_health, names_are_escaped)
{
    upstream.entity.name = SLICE("a\"b");
    write(NULL);
    cr_expect_eq(count("upstream=\"a\\\"b\""), 3 * 4);
}

Test(prometheus_health, there_is_an_end_to_it)
{
    for (uint32_t i = 0; i < 50000; i++) {
        char address[32];
        snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        add(0, address, 80, true);
    }
    text_deinit(&text);
    text_init(&text, PROMETHEUS_HEALTH_BYTES_MAX + 65536);
    write(roster);
    cr_expect_eq(count_lines() % 4, 0);
}
