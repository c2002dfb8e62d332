/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "plugins/proxy_cache.h"
#include "plugins/proxy_cache_admin.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/shard_setup.h"

#include "core/base/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define NOW_MS UINT64_C(1795348830000) /* Sun, 22 Nov 2026 12:00:30 GMT */

static struct plugin_setup setup;
static struct shard shard;
static struct proxy_cache_shard state;
static struct hmac_key keys;
static const void *config;

static void start(void)
{
    hash_start();
    plugin_setup_init(&setup);
    shard_setup_open(&shard);
    shard.wall_ms = NOW_MS;
    hmac_key_init(&keys, HMAC_SHA256, SLICE("k"));
    state = (struct proxy_cache_shard){ .shard = &shard,
                                        .cache = shared_cache_open(2),
                                        .keys = &keys,
                                        .entry_bytes = 10000,
                                        .capture_bytes_max = 20000,
                                        .wait_ms = 1000 };
    flights_open(&state);
    cr_assert(state.cache && shared_cache_make_room(state.cache, 100000));
}

static void stop(void)
{
    proxy_cache_plugin.shard_close(&state);
    shared_cache_close(state.cache);
    shard_setup_close(&shard);
    plugin_setup_deinit(&setup);
}

TestSuite(proxy_cache, .init = start, .fini = stop);

static void use_config(const char *text)
{
    config = plugin_setup_config(&setup, &proxy_cache_plugin, text);
    cr_assert_not_null(config, "%s", text);
}

/* One request on its way. */
struct pass {
    struct exchange *exchange;
    struct proxy_cache_exchange cache;
};

static enum verdict run(struct pass *pass, enum phase phase)
{
    struct plugin_call call = {
        .exchange = pass->exchange, .config = config, .shard_state = &state, .exchange_state = &pass->cache
    };
    return proxy_cache_plugin.on[phase](&call);
}

static struct pass *begin(const char *method, const char *target)
{
    struct pass *pass = calloc(1, sizeof(*pass));
    pass->exchange = fake_exchange_open(method, target);
    pass->exchange->shard = &shard;
    pass->exchange->request.origin_form = slice_of(target);
    fake_exchange_header(pass->exchange, "Host", SLICE("a.test"));
    return pass;
}

static void end(struct pass *pass)
{
    fake_exchange_close(pass->exchange);
    free(pass);
}

static bool says(const struct pass *pass, const char *status)
{
    return slice_equal(fake_exchange_response_header(pass->exchange, "X-Cache-Status"), slice_of(status));
}

static void field(struct pass *pass, const char *name, const char *value)
{
    cr_assert(message_add(&pass->exchange->received, slice_of(name), slice_of(value)));
}

/* The upstream answers; `control` may be NULL. */
static void answer(struct pass *pass, int status, const char *control, const char *body)
{
    pass->exchange->received.status = status;
    field(pass, "Content-Type", "text/plain");
    field(pass, "X-Own", "1");
    if (control)
        field(pass, "Cache-Control", control);
    cr_assert_eq(run(pass, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    cr_assert(fake_exchange_filter(pass->exchange, slice_of(body), 3));
}

/* What a GET gets: the status of the cache. */
static const char *get(const char *target, const char *control)
{
    static const char *const all[] = { "Hit", "Miss", "Bypass", "Refresh", "Stale" };
    struct pass *pass = begin("GET", target);
    if (run(pass, PHASE_ACCESS) == VERDICT_CONTINUE)
        answer(pass, 200, control, "body");
    else
        cr_assert(slice_equal(pass->exchange->body, SLICE("body")));
    const char *found = NULL;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (says(pass, all[i]))
            found = all[i];
    end(pass);
    return found ? found : "nothing";
}

Test(proxy_cache, a_miss_then_hits)
{
    use_config("{strategy: memory}");
    cr_assert_str_eq(get("/x", NULL), "Miss");
    cr_assert_str_eq(get("/x", NULL), "Hit");
    cr_assert_str_eq(get("/y", NULL), "Miss");
    struct pass *pass = begin("GET", "/x");
    cr_assert_eq(run(pass, PHASE_ACCESS), VERDICT_RESPOND);
    const struct replay *replay = &pass->exchange->replayed;
    cr_assert(replay->status == 200 && replay->header_count == 2);
    cr_assert(slice_equal(replay->headers[1].name, SLICE("X-Own")));
    cr_assert_eq(fake_exchange_response_header(pass->exchange, "X-Cache-Key").size, 64);
    cr_assert(slice_equal(fake_exchange_response_header(pass->exchange, "Age"), SLICE("0")));
    cr_assert_eq(run(pass, PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    end(pass);
}

static const struct {
    const char *config, *first, *second;
    bool same;
} targets[] = {
    { "{strategy: memory}", "/x?a=1&b=2", "/x?b=2&a=1", true },
    { "{strategy: memory}", "/x?a=1&a=2", "/x?a=2&a=1", false },
    { "{strategy: memory}", "/x?a=1&b=2", "/x?a=1%26b=2", false },
    { "{strategy: memory}", "/x?", "/x", false },
    { "{strategy: memory}", "/X", "/x", false },
    { "{strategy: memory, ignore_uri_case: true}", "/X", "/x", true },
    { "{strategy: memory, ignore_uri_case: true}", "/x?A", "/x?a", false },
    { "{strategy: memory, vary_query_params: [a]}", "/x?a=1&b=2", "/x?b=3&a=1", true },
    { "{strategy: memory, vary_query_params: [a]}", "/x?a=1", "/x?%61=1", true },
    { "{strategy: memory, vary_query_params: [a]}", "/x?a=1", "/x?a=2", false },
    { "{strategy: memory, vary_query_params: [a]}", "/x?a=", "/x", false },
    { "{strategy: memory, vary_query_params: [a, b]}", "/x?a=1", "/x?b=1", false },
    { "{strategy: memory}", "/x?&&&&&&&&&&&&&&&&&&&&&&&", "/x", false },
};

Test(proxy_cache, keys)
{
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        use_config(targets[i].config);
        cr_assert_str_eq(get(targets[i].first, NULL), "Miss", "%zu", i);
        cr_assert_str_eq(get(targets[i].second, NULL), targets[i].same ? "Hit" : "Miss", "%zu", i);
        (void)shared_cache_purge(state.cache);
    }
}

Test(proxy_cache, credentials_and_hosts_have_their_own)
{
    use_config("{strategy: memory}");
    cr_assert_str_eq(get("/", NULL), "Miss");
    struct pass *pass = begin("GET", "/");
    fake_exchange_header(pass->exchange, "Authorization", SLICE("Basic eA=="));
    pass->exchange->request.headers[1].id = HEADER_AUTHORIZATION;
    cr_assert_eq(run(pass, PHASE_ACCESS), VERDICT_CONTINUE);
    end(pass);
    pass = begin("GET", "/");
    pass->exchange->request.headers[0].value = SLICE("b.test");
    cr_assert_eq(run(pass, PHASE_ACCESS), VERDICT_CONTINUE);
    end(pass);
    pass = begin("GET", "/");
    pass->exchange->request.headers[0].value = SLICE("A.test");
    cr_assert_eq(run(pass, PHASE_ACCESS), VERDICT_RESPOND);
    end(pass);
}

Test(proxy_cache, what_is_too_long_is_passed_on)
{
    char body[20001];
    use_config("{strategy: memory}");
    for (int i = 0; i < 2; i++) {
        memset(body, 'x', sizeof(body));
        body[i == 0 ? 20000 : 9000] = '\0';
        for (int again = 0; again < 2; again++) {
            struct pass *pass = begin("GET", i ? "/short" : "/long");
            enum verdict verdict = run(pass, PHASE_ACCESS);
            cr_assert_eq(verdict, i && again ? VERDICT_RESPOND : VERDICT_CONTINUE);
            if (verdict == VERDICT_CONTINUE) {
                pass->exchange->arena.limit_bytes = 1 << 30;
                answer(pass, 200, NULL, body);
                cr_assert_eq(pass->exchange->passed.size, strlen(body));
            }
            end(pass);
        }
    }
    cr_assert_eq(state.capture_bytes, 0);
}

static const struct {
    const char *control, *second; /* what the second request gets */
} controls[] = {
    { "max-age=60", "Hit" },
    { "max-age=0", "Bypass" },
    { NULL, "Bypass" },
    { "public", "Bypass" },
    { "no-store, max-age=60", "Bypass" },
    { "private, max-age=60", "Bypass" },
    { "private=\"x\", max-age=60", "Bypass" },
    { "no-cache, max-age=60", "Bypass" },
    { "max-age=0, s-maxage=60", "Hit" },
    { "max-age=60, s-maxage=0", "Bypass" },
    { "no-store, must-understand, max-age=60", "Hit" },
    { "max-age=0, stale-if-error=60", "Refresh" },
};

Test(proxy_cache, responses_say_how_long)
{
    use_config("{strategy: memory, cache_control: true}");
    for (size_t i = 0; i < COUNT_OF(controls); i++) {
        (void)get("/x", controls[i].control);
        cr_assert_str_eq(get("/x", controls[i].control), controls[i].second, "%s", controls[i].control);
        (void)shared_cache_purge(state.cache);
    }
}

Test(proxy_cache, they_grow_old)
{
    use_config("{strategy: memory, cache_control: true}");
    cr_assert_str_eq(get("/x", "max-age=60"), "Miss");
    shard.now_ms += 59900;
    cr_assert_str_eq(get("/x", "max-age=60"), "Hit");
    shard.now_ms += 100;
    cr_assert_str_eq(get("/x", "max-age=60"), "Refresh");
    use_config("{strategy: memory, cache_ttl: 5}");
    cr_assert_str_eq(get("/y", NULL), "Miss");
    shard.now_ms += 4900;
    cr_assert_str_eq(get("/y", NULL), "Hit");
    shard.now_ms += 100;
    cr_assert_str_eq(get("/y", NULL), "Miss");
    use_config("{strategy: memory, cache_ttl: 5, storage_ttl: 60}");
    cr_assert_str_eq(get("/z", NULL), "Miss");
    shard.now_ms += 6000;
    cr_assert_str_eq(get("/z", NULL), "Refresh");
}

Test(proxy_cache, out_of_memory)
{
    use_config("{strategy: memory, cache_control: true}");
    (void)get("/x", "max-age=60");
    for (int grants = 0; grants < 4; grants++) {
        struct pass *pass = begin("GET", "/x");
        pass->exchange->grants_left = grants;
        enum verdict verdict = run(pass, PHASE_ACCESS);
        cr_assert(verdict == VERDICT_RESPOND);
        cr_assert_eq(pass->exchange->body_kind, grants < 3 ? FAKE_BODY_FAILURE : FAKE_BODY_REPLAYED);
        end(pass);
    }
}

Test(proxy_cache, administration)
{
    struct proxy_cache_process process = { .cache = state.cache, .shard_count = 1 };
    use_config("{strategy: memory}");
    cr_assert_str_eq(get("/x", NULL), "Miss");
    struct pass *pass = begin("GET", "/x");
    cr_assert_eq(run(pass, PHASE_ACCESS), VERDICT_RESPOND);
    struct slice key = fake_exchange_response_header(pass->exchange, "X-Cache-Key");
    json_t *shown = proxy_cache_show(&process, key);
    cr_assert_eq(json_integer_value(json_object_get(shown, "status")), 200);
    cr_assert_str_eq(json_string_value(json_object_get(shown, "body")), "body");
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(shown, "headers"), "X-Own")), "1");
    json_decref(shown);
    cr_assert_not(proxy_cache_forget(&process, SLICE("x")));
    cr_assert_not(proxy_cache_forget(&process, slice_from(key, 1)));
    cr_assert(proxy_cache_forget(&process, key));
    cr_assert_not(proxy_cache_forget(&process, key));
    cr_assert_null(proxy_cache_show(&process, key));
    end(pass);
    cr_assert_str_eq(get("/x", NULL), "Miss");
    cr_assert_eq(proxy_cache_purge(&process), 1);
    cr_assert_eq(proxy_cache_purge(&process), 0);
}

static const struct {
    const char *wanted, *type;
    bool matches;
} types[] = {
    { "text/plain", "text/plain", true },
    { "text/plain", "Text/Plain", true },
    { "text/plain", "text/plain; charset=utf-8", false },
    { "text/plain; charset=utf-8", "text/plain;charset=utf-8", true },
    { "text/plain; charset=utf-8", "text/plain", false },
    { "text/*", "text/html", true },
    { "text/*", "application/json", false },
    { "*/*", "application/json", true },
    { "*/json", "application/json", true },
    { "text/plain; a=1; b=2", "text/plain; b=2; a=1", true },
    { "text/plain", "text", false },
    { "text/plain", "", false },
};

Test(proxy_cache, media_types)
{
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct slice wanted = slice_of(types[i].wanted);
        struct proxy_cache_config one = { .content_type = { &wanted, 1 } };
        cr_assert_eq(proxy_cache_type_matches(&one, slice_of(types[i].type)), types[i].matches, "%zu", i);
    }
}

Test(proxy_cache, configurations_that_are_refused)
{
    static const char *const texts[][3] = {
        { "{}", "strategy", "required field missing" },
        { "{strategy: redis}", "strategy", "" },
        { "{strategy: memory, cache_ttl: -1}", "cache_ttl", "value must be greater than 0" },
        { "{strategy: memory, storage_ttl: -1}", "storage_ttl", "negative" },
        { "{strategy: memory, response_code: [99]}", "response_code[0]", "between 100 and 900" },
        { "{strategy: memory, request_method: [DELETE]}", "request_method[0]", "" },
        { "{strategy: memory, vary_headers: [\"\"]}", "vary_headers[0]", "length" },
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        cr_assert_null(plugin_setup_config(&setup, &proxy_cache_plugin, texts[i][0]), "%s", texts[i][0]);
        cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, texts[i][1], texts[i][2]), "%s", texts[i][0]);
    }
}
