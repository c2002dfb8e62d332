/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>

static struct config_setup setup;

static void open_setup(void)
{
    config_setup_init(&setup);
}

static void close_setup(void)
{
    config_setup_deinit(&setup);
}

TestSuite(kong_upstream, .init = open_setup, .fini = close_setup);

static const struct upstream *read_one(const char *text)
{
    char whole[2048];
    snprintf(whole, sizeof(whole), "_format_version: '3.0'\nupstreams: [%s]\n", text);
    bool good = config_setup_kong(&setup, whole);
    cr_assert(good, "%s: %s", text, good ? "" : setup.report.entries[0].reason);
    return setup.model->upstreams.items[setup.model->upstreams.count - 1];
}

static bool has_status(const struct status_set *set, unsigned status)
{
    return set->bits[status / 64] >> (status % 64) & 1;
}

static unsigned count_statuses(const struct status_set *set)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 1024; i++)
        count += has_status(set, i);
    return count;
}

Test(kong_upstream, defaults)
{
    const struct upstream *upstream = read_one("{name: a}");
    cr_assert_str_eq(upstream->entity.id, "4b943877-0328-56fd-abab-a80c5e07ecdb");
    cr_assert_eq(upstream->balance, BALANCE_ROUND_ROBIN);
    cr_assert(upstream->hash_on.input == HASH_NONE && upstream->hash_fallback.input == HASH_NONE);
    cr_assert_str_eq(upstream->cookie_path.data, "/");
    cr_assert_eq(upstream->slots, 10000);
    cr_assert_null(upstream->host_header.data);
    cr_assert(!upstream->use_srv_name && !upstream->implicit && upstream->slow_start_ms == 0);
    cr_assert_null(upstream->client_certificate);
    cr_assert_eq(upstream->circuit.connections, 0);
    cr_assert_eq(upstream->outlier.consecutive_5xx, 0);
    cr_assert_eq(upstream->target_count, 0);
    cr_assert(upstream->entity.created_at_ms > 0 && upstream->entity.updated_at_ms > 0);
}

Test(kong_upstream, health_defaults)
{
    const struct health_rules *health = &read_one("{name: a}")->health;
    cr_assert(health->active_kind == PROBE_HTTP && health->passive_kind == PROBE_HTTP);
    cr_assert_eq(health->active_timeout_ms, 1000);
    cr_assert(health->healthy_interval_ms == 0 && health->unhealthy_interval_ms == 0);
    cr_assert_eq(health->concurrency, 10);
    cr_assert_str_eq(health->path.data, "/");
    cr_assert(health->verify_certificate && health->headers.count == 0 && health->sni.data == NULL);
    cr_assert(health->active.successes == 0 && health->passive.http_failures == 0);
    cr_assert(has_status(&health->active.healthy, 302));
    cr_assert_eq(count_statuses(&health->active.healthy), 2);
    cr_assert(has_status(&health->active.unhealthy, 404));
    cr_assert_eq(count_statuses(&health->active.unhealthy), 8);
    cr_assert(has_status(&health->passive.healthy, 226));
    cr_assert_eq(count_statuses(&health->passive.healthy), 19);
    cr_assert(has_status(&health->passive.unhealthy, 503));
    cr_assert_eq(count_statuses(&health->passive.unhealthy), 3);
}

Test(kong_upstream, health_values)
{
    const struct upstream *upstream = read_one(
        "{name: a, healthchecks: {threshold: 55.5, active: {type: tcp, timeout: 0.5, concurrency: 3,\n"
        " http_path: /up, headers: {x-a: [b]}, https_sni: a.test, https_verify_certificate: false,\n"
        " healthy: {interval: 2.5, successes: 3, http_statuses: [100, 999]},\n"
        " unhealthy: {interval: 1, tcp_failures: 1, http_failures: 2, timeouts: 255}},\n"
        " passive: {type: tcp, healthy: {successes: 4}, unhealthy: {tcp_failures: 5, http_statuses: []}}}}");
    const struct health_rules *health = &upstream->health;
    cr_assert(health->active_kind == PROBE_TCP && health->passive_kind == PROBE_TCP);
    cr_assert_float_eq(health->threshold_percent, 55.5, 1e-9);
    cr_assert(health->active_timeout_ms == 500 && health->concurrency == 3);
    cr_assert(health->healthy_interval_ms == 2500 && health->unhealthy_interval_ms == 1000);
    cr_assert(health->active.successes == 3 && health->active.tcp_failures == 1);
    cr_assert(health->active.http_failures == 2 && health->active.timeouts == 255);
    cr_assert(has_status(&health->active.healthy, 999) && !has_status(&health->active.healthy, 200));
    cr_assert(health->passive.successes == 4 && health->passive.tcp_failures == 5);
    cr_assert_eq(count_statuses(&health->passive.unhealthy), 0);
    cr_assert(!health->verify_certificate && health->headers.count == 1);
    cr_assert_str_eq(health->sni.data, "a.test");
}

static const struct {
    const char *fields;
    enum balance balance;
    enum hash_input on, fallback;
    const char *name; /* of hash_on */
} coupled[] = {
    { "", BALANCE_ROUND_ROBIN, HASH_NONE, HASH_NONE, NULL },
    { "algorithm: least-connections", BALANCE_LEAST_CONNECTIONS, HASH_NONE, HASH_NONE, NULL },
    { "algorithm: latency, hash_on: ip", BALANCE_LATENCY, HASH_NONE, HASH_NONE, NULL },
    { "algorithm: consistent-hashing", BALANCE_CONSISTENT_HASHING, HASH_NONE, HASH_NONE, NULL },
    { "algorithm: consistent-hashing, hash_on: none", BALANCE_ROUND_ROBIN, HASH_NONE, HASH_NONE, NULL },
    { "hash_on: consumer, hash_fallback: ip", BALANCE_CONSISTENT_HASHING, HASH_CONSUMER, HASH_IP, NULL },
    { "algorithm: round-robin, hash_on: path", BALANCE_CONSISTENT_HASHING, HASH_PATH, HASH_NONE, NULL },
    { "hash_on: header, hash_on_header: x-a, hash_fallback: header, hash_fallback_header: x-b",
      BALANCE_CONSISTENT_HASHING, HASH_HEADER, HASH_HEADER, "x-a" },
    { "hash_on: cookie, hash_on_cookie: c", BALANCE_CONSISTENT_HASHING, HASH_COOKIE, HASH_NONE, "c" },
    { "hash_on: ip, hash_fallback: cookie, hash_on_cookie: c", BALANCE_CONSISTENT_HASHING, HASH_IP,
      HASH_COOKIE, NULL },
    { "hash_on: query_arg, hash_on_query_arg: q", BALANCE_CONSISTENT_HASHING, HASH_QUERY_ARG, HASH_NONE,
      "q" },
    { "hash_on: uri_capture, hash_on_uri_capture: u, hash_fallback: query_arg, hash_fallback_query_arg: q",
      BALANCE_CONSISTENT_HASHING, HASH_URI_CAPTURE, HASH_QUERY_ARG, "u" },
    { "algorithm: least-request", BALANCE_LEAST_REQUEST, HASH_NONE, HASH_NONE, NULL },
    { "algorithm: maglev, hash_on: ip", BALANCE_MAGLEV, HASH_IP, HASH_NONE, NULL },
    { "algorithm: sticky-sessions, sticky_sessions_cookie: s", BALANCE_STICKY, HASH_COOKIE, HASH_NONE, "s" },
};

Test(kong_upstream, algorithm_and_hash_on)
{
    for (size_t i = 0; i < COUNT_OF(coupled); i++) {
        char text[512];
        snprintf(text, sizeof(text), "{name: u%zu%s%s}", i, coupled[i].fields[0] ? ", " : "",
                 coupled[i].fields);
        const struct upstream *upstream = read_one(text);
        cr_assert_eq(upstream->balance, (int)coupled[i].balance, "%s", text);
        cr_assert_eq(upstream->hash_on.input, (int)coupled[i].on, "%s", text);
        cr_assert_eq(upstream->hash_fallback.input, (int)coupled[i].fallback, "%s", text);
        cr_assert(slice_equal(upstream->hash_on.name, slice_of(coupled[i].name)), "%s", text);
        close_setup();
        open_setup();
    }
}

Test(kong_upstream, additions)
{
    const struct upstream *upstream =
        read_one("{name: a, slow_start: 30, circuit_breaker: {max_connections: 5, max_retries: 0},\n"
                 " outlier_detection: {consecutive_gateway_failure: 3, base_ejection_time: 0.5},\n"
                 " algorithm: sticky-sessions, sticky_sessions_cookie: s, sticky_sessions_cookie_path: /p}");
    cr_assert_eq(upstream->slow_start_ms, 30000);
    cr_assert(upstream->circuit.connections == 5 && upstream->circuit.pending == 1024);
    cr_assert(upstream->circuit.requests == 1024 && upstream->circuit.retries == 0);
    cr_assert(upstream->outlier.consecutive_5xx == 5 && upstream->outlier.consecutive_gateway_failures == 3);
    cr_assert(upstream->outlier.interval_ms == 10000 && upstream->outlier.base_ejection_ms == 500);
    cr_assert(upstream->outlier.max_ejection_ms == 300000 && upstream->outlier.max_ejection_percent == 10);
    cr_assert_str_eq(upstream->cookie_path.data, "/p");
    cr_assert_eq(upstream->cookie_ttl_s, INTEGER_NULL);
}

static const struct {
    const char *text, *host, *name;
    unsigned port;
} targets[] = {
    { "a.Test", "a.test", "a.Test:8000", 8000 },
    { "a.test:81", "a.test", "a.test:81", 81 },
    { "10.0.0.01:80", "10.0.0.1", "10.0.0.1:80", 80 },
    { "10.0.0.1", "10.0.0.1", "10.0.0.1:8000", 8000 },
    { "::1", "::1", "[0000:0000:0000:0000:0000:0000:0000:0001]:8000", 8000 },
    { "[2001:DB8::1]:90", "2001:db8::1", "[2001:0db8:0000:0000:0000:0000:0000:0001]:90", 90 },
};

Test(kong_upstream, targets_are_normalised)
{
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{name: u%zu, targets: [{target: '%s'}]}", i, targets[i].text);
        const struct upstream *upstream = read_one(text);
        cr_assert_eq(upstream->target_count, 1);
        const struct target *target = upstream->targets[0];
        cr_assert_str_eq(target->host.data, targets[i].host);
        cr_assert_str_eq(target->entity.name.data, targets[i].name);
        cr_assert(target->port == targets[i].port && target->weight == 100);
        close_setup();
        open_setup();
    }
}

Test(kong_upstream, flat_and_nested_targets)
{
    cr_assert(config_setup_kong(&setup,
                                "_format_version: '3.0'\n"
                                "targets:\n"
                                "- {upstream: a, target: 'b:80', weight: 0, created_at: 1700000000.25}\n"
                                "upstreams:\n"
                                "- {name: a, targets: [{target: 'a:80', tags: [t]}]}\n"
                                "- {name: b, targets: [{target: 'a:80'}]}\n"
                                "services: [{name: s, host: a, port: 1, retries: 2}, {name: t, host: x}]\n"));
    const struct upstream *a = setup.model->upstreams.items[0];
    cr_assert_eq(a->target_count, 2);
    cr_assert_str_eq(a->targets[0]->entity.name.data, "b:80");
    cr_assert_eq(a->targets[0]->weight, 0);
    cr_assert_eq(a->targets[0]->entity.created_at_ms, 1700000000250);
    /* As a Kong 3.9.3 derived it. */
    cr_assert_str_eq(a->targets[1]->entity.id, "12aaca46-407c-517f-a795-c4a5abf3cc28");
    cr_assert(model_link_upstreams(setup.model, &setup.report));
    cr_assert_eq(setup.model->services.items[0]->upstream, a);
    cr_assert(setup.model->services.items[1]->upstream->implicit);
}

static const struct {
    const char *text, *path, *reason;
    unsigned count;
} refused[] = {
    { "{}", "upstreams[0].name", "required field missing", 1 },
    { "{name: 1.2.3.4}", "upstreams[0].name", "Invalid name ('1.2.3.4'); no ip addresses allowed", 1 },
    { "{name: '::1'}", "upstreams[0].name", "Invalid name ('::1'); no ip addresses allowed", 1 },
    { "{name: 'a:80'}", "upstreams[0].name", "Invalid name ('a:80'); no port allowed", 1 },
    { "{name: a b}", "upstreams[0].name", "Invalid name ('a b'); must be a valid hostname", 1 },
    { "{name: a-}", "upstreams[0].name", "must be a valid hostname", 1 },
    { "{name: a..b}", "upstreams[0].name", "must be a valid hostname", 1 },
    { "{name: 1.2.3}", "upstreams[0].name", "must be a valid hostname", 1 },
    { "{name: a}, {name: a}", "upstreams[1].name",
      "uniqueness violation: 'upstreams' entity with name set to 'a' already declared", 1 },
    { "{name: a, algorithm: x}", "upstreams[0].algorithm",
      "expected one of: consistent-hashing, least-connections, round-robin, latency", 1 },
    { "{name: a, hash_on: x}", "upstreams[0].hash_on",
      "expected one of: none, consumer, ip, header, cookie, path, query_arg, uri_capture", 1 },
    { "{name: a, slots: 5}", "upstreams[0].slots", "value should be between 10 and 65536", 1 },
    { "{name: a, slots: 70000}", "upstreams[0].slots", "value should be between 10 and 65536", 1 },
    { "{name: a, host_header: 'a:b'}", "upstreams[0].host_header", "invalid hostname: a:b", 1 },
    { "{name: a, host_header: 'a:99999'}", "upstreams[0].host_header", "invalid port number", 1 },
    { "{name: a, use_srv_name: 1}", "upstreams[0].use_srv_name", "expected a boolean", 1 },
    { "{name: a, hash_on: header}", "upstreams[0].hash_on_header", "required field missing", 2 },
    { "{name: a, hash_on: header}", "upstreams[0]",
      "failed conditional validation given value of field 'hash_on'", 2 },
    { "{name: a, hash_on: cookie}", "upstreams[0].hash_on_cookie", "required field missing", 2 },
    { "{name: a, hash_on: query_arg}", "upstreams[0].hash_on_query_arg", "required field missing", 2 },
    { "{name: a, hash_on: uri_capture}", "upstreams[0].hash_on_uri_capture", "required field missing", 2 },
    { "{name: a, hash_on: ip, hash_fallback: header}", "upstreams[0].hash_fallback_header",
      "required field missing", 2 },
    { "{name: a, hash_on: ip, hash_fallback: cookie}", "upstreams[0].hash_on_cookie",
      "required field missing", 2 },
    { "{name: a, hash_on: ip, hash_fallback: query_arg}", "upstreams[0].hash_fallback_query_arg",
      "required field missing", 2 },
    { "{name: a, hash_on: ip, hash_fallback: uri_capture}", "upstreams[0].hash_fallback_uri_capture",
      "required field missing", 2 },
    { "{name: a, hash_fallback: ip}", "upstreams[0].hash_fallback", "expected one of: none", 2 },
    { "{name: a, hash_on: cookie, hash_on_cookie: c, hash_fallback: ip}", "upstreams[0].hash_fallback",
      "expected one of: none", 2 },
    { "{name: a, algorithm: latency, hash_on: ip, hash_fallback: consumer}", "upstreams[0].hash_fallback",
      "expected one of: none", 2 },
    { "{name: a, hash_on: ip, hash_fallback: ip}", "upstreams[0].hash_fallback",
      "expected one of: none, consumer, header, cookie, path, query_arg, uri_capture", 2 },
    { "{name: a, hash_on: consumer, hash_fallback: consumer}", "upstreams[0].hash_fallback",
      "expected one of: none, ip, header, cookie, path, query_arg, uri_capture", 2 },
    { "{name: a, hash_on: path, hash_fallback: path}", "upstreams[0].hash_fallback",
      "expected one of: none, consumer, header, cookie, query_arg, ip, uri_capture", 2 },
    { "{name: a, hash_on: header, hash_on_header: x, hash_fallback: header, hash_fallback_header: x}",
      "upstreams[0]", "values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'",
      1 },
    { "{name: a, hash_on: query_arg, hash_on_query_arg: x, hash_fallback: query_arg,"
      " hash_fallback_query_arg: x}",
      "upstreams[0]", "must be distinct: 'hash_on_query_arg', 'hash_fallback_query_arg'", 1 },
    { "{name: a, hash_on: uri_capture, hash_on_uri_capture: x, hash_fallback: uri_capture,"
      " hash_fallback_uri_capture: x}",
      "upstreams[0]", "must be distinct: 'hash_on_uri_capture', 'hash_fallback_uri_capture'", 1 },
    { "{name: a, hash_on: header, hash_on_header: a b}", "upstreams[0].hash_on_header",
      "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'", 1 },
    { "{name: a, hash_on: cookie, hash_on_cookie: 'a;b'}", "upstreams[0].hash_on_cookie",
      "contains one or more invalid characters", 1 },
    { "{name: a, hash_on_cookie_path: x}", "upstreams[0].hash_on_cookie_path", "should start with: /", 1 },
    { "{name: a, hash_on_query_arg: ''}", "upstreams[0].hash_on_query_arg", "length must be at least 1", 1 },
    { "{name: a, algorithm: maglev}", "upstreams[0].hash_on", "maglev needs an input to hash", 2 },
    { "{name: a, algorithm: sticky-sessions}", "upstreams[0].sticky_sessions_cookie",
      "required field missing", 2 },
    { "{name: a, slow_start: -1}", "upstreams[0].slow_start", "value should be between 0 and", 1 },
    { "{name: a, circuit_breaker: {max_conns: 1}}", "upstreams[0].circuit_breaker.max_conns", "unknown field",
      1 },
    { "{name: a, outlier_detection: {max_ejection_percent: 101}}",
      "upstreams[0].outlier_detection.max_ejection_percent", "value should be between 0 and 100", 1 },
    { "{name: a, client_certificate: x}", "upstreams[0].client_certificate",
      "invalid reference 'client_certificate: x' (no such entry in 'certificates')", 1 },
    { "{name: a, healthcheck: {}}", "upstreams[0].healthcheck", "did you mean 'healthchecks'", 1 },
    { "{name: a, healthchecks: []}", "upstreams[0].healthchecks", "expected a record", 1 },
    { "{name: a, healthchecks: {threshold: 101}}", "upstreams[0].healthchecks.threshold",
      "value should be between 0 and 100", 1 },
    { "{name: a, healthchecks: {active: {type: x}}}", "upstreams[0].healthchecks.active.type",
      "expected one of: tcp, http, https, grpc, grpcs", 1 },
    { "{name: a, healthchecks: {active: {type: grpcs, healthy: {interval: 1}}}}",
      "upstreams[0].healthchecks.active.type", "'grpcs': not supported yet", 1 },
    { "{name: a, healthchecks: {active: {type: grpc, unhealthy: {interval: 1}}}}",
      "upstreams[0].healthchecks.active.type", "'grpc': not supported yet", 1 },
    { "{name: a, healthchecks: {active: {timeout: -1}}}", "upstreams[0].healthchecks.active.timeout",
      "value should be between 0 and 65535", 1 },
    { "{name: a, healthchecks: {active: {concurrency: 0}}}", "upstreams[0].healthchecks.active.concurrency",
      "value should be between 1 and 2147483648", 1 },
    { "{name: a, healthchecks: {active: {http_path: x}}}", "upstreams[0].healthchecks.active.http_path",
      "should start with: /", 1 },
    { "{name: a, healthchecks: {active: {https_sni: 1.2.3.4}}}", "upstreams[0].healthchecks.active.https_sni",
      "must not be an IP", 1 },
    { "{name: a, healthchecks: {active: {headers: {a b: [c]}}}}", "upstreams[0].healthchecks.active.headers",
      "bad header name", 1 },
    { "{name: a, healthchecks: {active: {healthy: {interval: 70000}}}}",
      "upstreams[0].healthchecks.active.healthy.interval", "value should be between 0 and 65535", 1 },
    { "{name: a, healthchecks: {active: {healthy: {successes: 256}}}}",
      "upstreams[0].healthchecks.active.healthy.successes", "value should be between 0 and 255", 1 },
    { "{name: a, healthchecks: {passive: {unhealthy: {http_statuses: [99]}}}}",
      "upstreams[0].healthchecks.passive.unhealthy.http_statuses[0]", "value should be between 100 and 999",
      1 },
    { "{name: a, healthchecks: {passive: {healthy: {interval: 1}}}}",
      "upstreams[0].healthchecks.passive.healthy.interval", "unknown field", 1 },
    { "{name: a, healthchecks: {passive: {unhealthy: {timeouts: 1.5}}}}",
      "upstreams[0].healthchecks.passive.unhealthy.timeouts", "expected an integer", 1 },
    { "{name: a, targets: [{}]}", "upstreams[0].targets[0].target", "required field missing", 1 },
    { "{name: a, targets: [{target: a b:80}]}", "upstreams[0].targets[0].target",
      "Invalid target ('a b:80'); not a valid hostname or ip address", 1 },
    { "{name: a, targets: [{target: 'a:99999'}]}", "upstreams[0].targets[0].target",
      "Invalid target ('a:99999'); not a valid hostname or ip address", 1 },
    { "{name: a, targets: [{target: '[::1'}]}", "upstreams[0].targets[0].target", "Invalid target", 1 },
    { "{name: a, targets: [{target: 1.2.3.400}]}", "upstreams[0].targets[0].target", "Invalid target", 1 },
    { "{name: a, targets: [{target: a, weight: 70000}]}", "upstreams[0].targets[0].weight",
      "value should be between 0 and 65535", 1 },
    { "{name: a, targets: [{target: a, weight: -1}]}", "upstreams[0].targets[0].weight",
      "value should be between 0 and 65535", 1 },
    { "{name: a, targets: [{target: a, upstream: b}]}", "upstreams[0].targets[0].upstream",
      "value must be null", 1 },
    { "{name: a, targets: [{target: a}, {target: 'A:8000'}]}", "upstreams[0].targets[1].target",
      "uniqueness violation: 'targets' entity with upstream, target set to", 1 },
    { "{name: a, tags: ['x,y']}", "upstreams[0].tags[0]", "invalid tag", 1 },
    { "{name: a, created_at: 0}", "upstreams[0].created_at", "expected a valid timestamp", 1 },
    { "{name: a, _comment: 1}", "upstreams[0]._comment", "expected a string", 1 },
    { "{name: a, _ignore: 1}", "upstreams[0]._ignore", "expected an array", 1 },
};

Test(kong_upstream, every_message)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char text[512];
        snprintf(text, sizeof(text), "_format_version: '3.0'\nupstreams: [%s]\n", refused[i].text);
        cr_assert_not(config_setup_kong(&setup, text), "%s", text);
        cr_assert(config_setup_reported(&setup, 2, refused[i].path, refused[i].reason), "%s: %s: %s",
                  refused[i].text, setup.report.entries[0].path, setup.report.entries[0].reason);
        cr_assert_eq(setup.report.count, refused[i].count, "%s: %u reports", refused[i].text,
                     setup.report.count);
        close_setup();
        open_setup();
    }
}

Test(kong_upstream, flat_target_errors)
{
    cr_assert_not(config_setup_kong(&setup, "_format_version: '3.0'\n"
                                            "upstreams: [{name: a}]\n"
                                            "targets:\n"
                                            "- {target: a}\n"
                                            "- {target: a, upstream: b}\n"
                                            "- {target: b, upstream: a}\n"
                                            "- {target: 'b', upstream: a}\n"));
    cr_assert(config_setup_reported(&setup, 4, "targets[0].upstream", "required field missing"));
    cr_assert(config_setup_reported(&setup, 5, "targets[1].upstream",
                                    "invalid reference 'upstream: b' (no such entry in 'upstreams')"));
    cr_assert(config_setup_reported(&setup, 7, "targets[3].id",
                                    "uniqueness violation: 'targets' entity with primary key set to"));
    cr_assert_eq(setup.report.count, 3);
}
