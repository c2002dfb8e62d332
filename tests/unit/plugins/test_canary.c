/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct plugin_setup setup;
static struct shard *shard;
static struct service primary;

static void start(void)
{
    plugin_setup_init(&setup);
    shard = calloc(1, sizeof(*shard));
    struct model *model = setup.model;
    model->services.items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    cr_assert(shard && model->services.items);
    primary = (struct service){ .host = SLICE("a.test"), .port = 80 };
    model->services.items[model->services.count++] = &primary;
}

static void stop(void)
{
    free(shard);
    plugin_setup_deinit(&setup);
}

TestSuite(canary, .init = start, .fini = stop);

/* Read and linked. */
static void *config_of(const char *text)
{
    void *config = (void *)(uintptr_t)plugin_setup_config(&setup, &canary_plugin, text);
    cr_assert_not_null(config, "%s", text);
    struct plugin_instance instance = { .kind = &canary_plugin.kind, .config = config, .enabled = true };
    cr_assert(canary_plugin.kind.link(setup.model, &instance, &setup.report));
    return config;
}

struct client {
    const char *ip, *header, *value;
    const struct consumer *consumer;
};

static struct exchange *ask(const void *config, const struct client *client)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->service = &primary;
    exchange->shard = shard;
    exchange->consumer = client->consumer;
    exchange->client_ip = slice_of(client->ip);
    if (client->header)
        fake_exchange_header(exchange, client->header, slice_of(client->value));
    cr_assert_eq(fake_exchange_run(exchange, &canary_plugin, PHASE_ACCESS, config, NULL), VERDICT_CONTINUE);
    return exchange;
}

static bool is_sent(const void *config, const struct client *client)
{
    struct exchange *exchange = ask(config, client);
    const struct service *chosen = exchange->chosen;
    cr_assert(chosen == NULL || slice_equal(chosen->host, SLICE("b.test")));
    fake_exchange_close(exchange);
    return chosen != NULL;
}

/* Of 1000 clients with different addresses, which ones go to the canary: a bit each. */
static unsigned count_sent(const void *config, bool sent[1000])
{
    unsigned count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char ip[32];
        snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 250, i % 250);
        bool one = is_sent(config, &(struct client){ .ip = ip });
        if (sent)
            sent[i] = one;
        count += one;
    }
    return count;
}

Test(canary, fixed_shares)
{
    cr_assert_eq(count_sent(config_of("{percentage: 0, hash: ip, upstream_host: b.test}"), NULL), 0);
    cr_assert_eq(count_sent(config_of("{percentage: 100, hash: ip, upstream_host: b.test}"), NULL), 1000);
    unsigned third = count_sent(config_of("{percentage: 33.3, hash: ip, upstream_host: b.test}"), NULL);
    cr_assert(third > 270 && third < 400, "%u", third);
    /* one of four steps is not enough for a half and more than a quarter */
    unsigned half =
        count_sent(config_of("{percentage: 74, steps: 4, hash: ip, upstream_host: b.test}"), NULL);
    cr_assert(half > 440 && half < 560, "%u", half);
}

/* Who is there stays there while the share grows; and it grows by time. */
Test(canary, shares_grow)
{
    void *config = config_of("{start: 1000000, duration: 1000, hash: ip, upstream_host: b.test}");
    static bool before[1000], after[1000];
    static const struct {
        uint64_t second;
        unsigned least, most;
    } moments[] = {
        { 0, 0, 0 },           { 999999, 0, 0 },      { 1000000, 0, 0 },       { 1000250, 200, 300 },
        { 1000500, 440, 560 }, { 1000900, 860, 940 }, { 1001000, 1000, 1000 }, { 2000000, 1000, 1000 }
    };
    for (size_t i = 0; i < COUNT_OF(moments); i++) {
        shard->wall_ms = moments[i].second * 1000;
        unsigned count = count_sent(config, after);
        cr_assert(count >= moments[i].least && count <= moments[i].most, "%zu: %u", i, count);
        for (size_t j = 0; j < COUNT_OF(after); j++)
            cr_assert(!before[j] || after[j]);
        memcpy(before, after, sizeof(before));
    }
    shard->wall_ms = 1000000 * 1000;
    cr_assert_eq(
        count_sent(config_of("{start: 1000000, duration: 0, hash: ip, upstream_host: b.test}"), NULL), 1000);
}

/* The hash is the same everywhere: these are fixed for good. */
Test(canary, hashes_are_stable)
{
    void *config = config_of("{percentage: 50, hash: ip, upstream_host: b.test}");
    static const char *const ips[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
                                       "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8" };
    unsigned bits = 0;
    for (size_t i = 0; i < COUNT_OF(ips); i++)
        bits = bits << 1 | is_sent(config, &(struct client){ .ip = ips[i] });
    cr_assert_eq(bits, 0x64, "%#x", bits);
}

static const struct {
    const char *hash;
    bool by_ip, by_consumer, by_header;
} inputs[] = {
    { "hash: ip", true, false, false },
    { "hash: consumer", false, true, false },
    { "hash: header, hash_header: x-user", false, false, true },
};

/* Does anything else change when only this does? */
Test(canary, what_is_hashed)
{
    const struct consumer *alice = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        char text[128];
        snprintf(text, sizeof(text), "{percentage: 50, %s, upstream_host: b.test}", inputs[i].hash);
        void *config = config_of(text);
        bool ip_matters = false, header_matters = false;
        struct client client = { "10.0.0.1", "X-User", "u", alice };
        bool first = is_sent(config, &client);
        for (unsigned j = 0; j < 20; j++) {
            char name[32];
            snprintf(name, sizeof(name), "10.0.1.%u", j);
            ip_matters |= is_sent(config, &(struct client){ name, "X-User", "u", alice }) != first;
            header_matters |= is_sent(config, &(struct client){ "10.0.0.1", "X-User", name, alice }) != first;
        }
        cr_assert_eq(ip_matters, inputs[i].by_ip, "%s", inputs[i].hash);
        cr_assert_eq(header_matters, inputs[i].by_header, "%s", inputs[i].hash);
    }
}

/* Without a consumer, or the header, the address counts; with hash none only the request's id. */
Test(canary, fallbacks_of_the_hash)
{
    void *by_ip = config_of("{percentage: 50, hash: ip, upstream_host: b.test}");
    void *by_consumer = config_of("{percentage: 50, upstream_host: b.test}");
    void *by_header = config_of("{percentage: 50, hash: header, hash_header: x-user, upstream_host: b.test}");
    void *none = config_of("{percentage: 50, hash: none, upstream_host: b.test}");
    static bool want[1000], got[1000];
    count_sent(by_ip, want);
    count_sent(by_consumer, got);
    cr_assert_eq(memcmp(want, got, sizeof(want)), 0);
    count_sent(by_header, got);
    cr_assert_eq(memcmp(want, got, sizeof(want)), 0);
    unsigned count = count_sent(none, NULL); /* one id for all */
    cr_assert(count == 0 || count == 1000);
}

Test(canary, groups)
{
    struct consumer *alice = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    struct consumer *bob = plugin_setup_consumer(&setup, "bob", NULL, NULL);
    cr_assert(plugin_setup_credential(&setup, &acl_plugin, alice, "{group: testers}"));
    cr_assert(plugin_setup_credential(&setup, &acl_plugin, bob, "{group: others}"));
    void *allow = config_of("{hash: allow, groups: [testers, friends], upstream_host: b.test}");
    void *deny = config_of("{hash: deny, groups: [testers], upstream_host: b.test}");
    const struct client clients[] = { { .ip = "10.0.0.1", .consumer = alice },
                                      { .ip = "10.0.0.1", .consumer = bob },
                                      { .ip = "10.0.0.1" } };
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        cr_assert_eq(is_sent(allow, &clients[i]), i == 0);
        cr_assert_eq(is_sent(deny, &clients[i]), i != 0);
    }
}

Test(canary, clients_choose)
{
    static const struct {
        int percentage;
        const char *value;
        bool sent;
    } rows[] = { { 0, "always", true },   { 0, "never", false },   { 0, "Always", false },
                 { 100, "never", false }, { 100, "always", true }, { 100, "", true } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "{percentage: %d, canary_by_header_name: x-c, upstream_host: b.test}",
                 rows[i].percentage);
        cr_assert_eq(is_sent(config_of(text), &(struct client){ "10.0.0.1", "X-C", rows[i].value, NULL }),
                     rows[i].sent, "%zu", i);
    }
}

Test(canary, where_to)
{
    struct client client = { .ip = "10.0.0.1" };
    struct exchange *exchange = ask(config_of("{percentage: 100, upstream_uri: /new}"), &client);
    cr_assert_null(exchange->chosen);
    cr_assert(slice_equal(exchange->upstream_path, SLICE("/new")));
    fake_exchange_close(exchange);
    exchange = ask(config_of("{percentage: 100, upstream_port: 81}"), &client);
    cr_assert(exchange->chosen && exchange->chosen->port == 81 &&
              slice_equal(exchange->chosen->host, SLICE("a.test")));
    cr_assert_null(exchange->upstream_path.data);
    fake_exchange_close(exchange);
}

Test(canary, fallback)
{
    void *config =
        config_of("{percentage: 100, upstream_host: b.test, upstream_uri: /new, upstream_fallback: true}");
    struct client client = { .ip = "10.0.0.1" };
    struct exchange *exchange = ask(config, &client);
    const struct service *canary = exchange->chosen;
    cr_assert_not_null(canary);
    exchange->chosen = NULL;
    exchange->upstream_path = (struct slice){ NULL, 0 };
    exchange->unreachable = canary;
    fake_exchange_run(exchange, &canary_plugin, PHASE_ACCESS, config, NULL);
    cr_assert(exchange->chosen == NULL && exchange->upstream_path.data == NULL);
    fake_exchange_close(exchange);
}

Test(canary, without_a_service_there_is_none)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->shard = shard;
    fake_exchange_run(exchange, &canary_plugin, PHASE_ACCESS,
                      config_of("{percentage: 100, upstream_host: b.test}"), NULL);
    cr_assert_null(exchange->chosen);
    fake_exchange_close(exchange);
}

static const struct {
    const char *text, *field, *reason;
} refused[] = {
    { "{percentage: 1}", "test", "at least one of these fields must be non-empty: 'config.upstream_uri'" },
    { "{percentage: 101, upstream_host: b.test}", "percentage", "between 0 and 100" },
    { "{steps: 0, upstream_host: b.test}", "steps", "between 1 and" },
    { "{duration: -1, upstream_host: b.test}", "duration", "between" },
    { "{hash: me, upstream_host: b.test}", "hash",
      "expected one of: consumer, ip, none, allow, deny, header" },
    { "{hash: header, upstream_host: b.test}", "hash_header", "required field missing" },
    { "{hash: allow, upstream_host: b.test}", "groups", "required field missing" },
    { "{hash: deny, groups: [], upstream_host: b.test}", "groups", "required field missing" },
    { "{upstream_host: 'http://b.test'}", "upstream_host", "invalid" },
    { "{upstream_port: 65536}", "upstream_port", "between 0 and 65535" },
    { "{upstream_uri: 'x'}", "upstream_uri", "should start with: /" },
    { "{upstream_uri: \"/x y\"}", "upstream_uri", "invalid" },
    { "{upstream_uri: /x, upstream_fallback: true}", "upstream_host", "required field missing" },
    { "{upstream_host: b.test, canary_by_header_name: 'a b'}", "canary_by_header_name", "" },
};

Test(canary, what_is_wrong_is_reported)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_null(plugin_setup_config(&setup, &canary_plugin, refused[i].text), "%s", refused[i].text);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, refused[i].field, refused[i].reason), "%s",
                  refused[i].text);
    }
}

Test(canary, a_release_without_a_start_is_warned_about)
{
    config_of("{start: 5, upstream_host: b.test}");
    config_of("{percentage: 5, upstream_host: b.test}");
    cr_assert_not(plugin_setup_reported(&setup, REPORT_WARNING, "", "no start is given"));
    config_of("{upstream_host: b.test}");
    cr_assert(plugin_setup_reported(&setup, REPORT_WARNING, "", "no start is given"));
}
