/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/shard.h"
#include "plugins/cookie_session.h"
#include "tests/support/fake_exchange.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct cookie_session_config config;
static struct shard shard;
static struct exchange *exchange;
static struct arena kept; /* cookies from one exchange to the next */

static void start(void)
{
    config = (struct cookie_session_config){ .secret = SLICE("secret"),
                                             .audience = SLICE("default"),
                                             .cookie_name = SLICE("session"),
                                             .cookie_path = SLICE("/"),
                                             .remember_cookie_name = SLICE("remember"),
                                             .http_only = true,
                                             .secure = true,
                                             .idling_s = 900,
                                             .rolling_s = 3600,
                                             .absolute_s = 86400,
                                             .remember_rolling_s = 604800,
                                             .remember_absolute_s = 2592000 };
    cookie_session_prepare(&config);
    arena_init(&kept, NULL, 0, 1 << 20);
    shard.wall_ms = 1700000000000;
    exchange = fake_exchange_open("GET", "/");
    exchange->shard = &shard;
}

static void stop(void)
{
    fake_exchange_close(exchange);
    arena_deinit(&kept);
}

TestSuite(cookie_session, .init = start, .fini = stop);

/* A new exchange whose request brings the cookies that the last response has set. */
static void come_back(void)
{
    struct slice all = SLICE("other=1");
    const struct message *response = &exchange->response;
    for (uint32_t i = 0; i < response->header_count; i++) {
        struct slice rest, pair = slice_split(response->headers[i].value, ';', &rest);
        if (rest.data)
            all = arena_format(&kept, "%.*s; %.*s", SLICE_FORMAT(all), SLICE_FORMAT(pair));
    }
    fake_exchange_close(exchange);
    exchange = fake_exchange_open("GET", "/");
    exchange->shard = &shard;
    fake_exchange_header(exchange, "Cookie", all);
}

static void save(struct slice payload)
{
    struct cookie_session session = { .payload = payload };
    cr_assert(cookie_session_save(&config, exchange, &session));
}

static enum cookie_session_state come_back_after(uint64_t seconds, struct cookie_session *session)
{
    come_back();
    shard.wall_ms += seconds * 1000;
    return cookie_session_open(&config, exchange, session);
}

Test(cookie_session, comes_back_as_it_was)
{
    struct cookie_session session;
    save(SLICE("{\"a\":1}"));
    struct slice cookie = fake_exchange_response_header(exchange, "Set-Cookie");
    cr_assert(slice_starts_with(cookie, SLICE("session=1.")));
    cr_assert(slice_ends_with(cookie, SLICE("; Path=/; SameSite=Strict; Secure; HttpOnly")));
    cr_assert_eq(come_back_after(10, &session), COOKIE_SESSION_OPEN);
    cr_assert(slice_equal(session.payload, SLICE("{\"a\":1}")));
    cr_assert_eq(session.began_s, 1700000000);
    cr_assert_not(cookie_session_is_due(&config, exchange, &session));
}

Test(cookie_session, large_ones_are_cut)
{
    static char large[20000];
    struct cookie_session session;
    memset(large, 'x', sizeof(large));
    save((struct slice){ large, sizeof(large) });
    cr_assert_eq(exchange->response.header_count, 7);
    for (uint32_t i = 0; i < 7; i++)
        cr_assert_lt(exchange->response.headers[i].value.size, 4096);
    cr_assert_eq(come_back_after(0, &session), COOKIE_SESSION_OPEN);
    cr_assert_eq(session.payload.size, sizeof(large));
    save(SLICE("small")); /* the others are dropped */
    cr_assert_eq(exchange->response.header_count, 7);
    cr_assert(slice_starts_with(exchange->response.headers[6].value, SLICE("session7=; Path=/; Max-Age=0")));
}

Test(cookie_session, too_large_is_refused)
{
    static char large[40000];
    struct cookie_session session = { .payload = { large, sizeof(large) } };
    cr_assert_not(cookie_session_save(&config, exchange, &session));
}

Test(cookie_session, clocks)
{
    struct cookie_session session;
    save(SLICE("x"));
    cr_assert_eq(come_back_after(899, &session), COOKIE_SESSION_OPEN);
    cr_assert(cookie_session_is_due(&config, exchange, &session));
    cr_assert(cookie_session_save(&config, exchange, &session));
    cr_assert_eq(come_back_after(900, &session), COOKIE_SESSION_NONE);
}

Test(cookie_session, absolute_end)
{
    struct cookie_session session;
    save(SLICE("x"));
    config.absolute_s = 1000;
    cr_assert_eq(come_back_after(600, &session), COOKIE_SESSION_OPEN);
    cr_assert(cookie_session_save(&config, exchange, &session));
    cr_assert_eq(come_back_after(399, &session), COOKIE_SESSION_OPEN);
    cr_assert(cookie_session_save(&config, exchange, &session));
    cr_assert_eq(come_back_after(1, &session), COOKIE_SESSION_NONE);
}

Test(cookie_session, remembered)
{
    struct cookie_session session;
    config.remember = true;
    save(SLICE("x"));
    cr_assert_eq(exchange->response.header_count, 2);
    cr_assert_eq(come_back_after(604799, &session), COOKIE_SESSION_OPEN);
    cr_assert(session.brought_back && cookie_session_is_due(&config, exchange, &session));
    cr_assert(cookie_session_save(&config, exchange, &session));
    cr_assert_eq(come_back_after(604800, &session), COOKIE_SESSION_NONE);
}

Test(cookie_session, of_somebody_else)
{
    struct cookie_session session;
    save(SLICE("x"));
    config.audience = SLICE("other");
    cr_assert_eq(come_back_after(0, &session), COOKIE_SESSION_NONE);
    config.audience = SLICE("default");
    config.secret = SLICE("another");
    cookie_session_prepare(&config);
    cr_assert_eq(cookie_session_open(&config, exchange, &session), COOKIE_SESSION_NONE);
}

/* Every byte of a cookie counts. */
Test(cookie_session, changed)
{
    struct cookie_session session;
    save(SLICE("payload"));
    come_back();
    struct slice value = message_find(&exchange->request, HEADER_COOKIE);
    char *text = (char *)(uintptr_t)value.data;
    for (size_t i = sizeof("other=1; session=") - 1; i < value.size; i++) {
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        cr_assert_eq(cookie_session_open(&config, exchange, &session), COOKIE_SESSION_NONE, "at %zu", i);
        text[i] = before;
    }
    cr_assert_eq(cookie_session_open(&config, exchange, &session), COOKIE_SESSION_OPEN);
}

Test(cookie_session, strange_cookies)
{
    static const char *const cookies[] = { "session=",      "session=1",      "session=1.", "session=0.AAAA",
                                           "session=9.AAA", "session=1.????", "session" };
    struct cookie_session session;
    for (size_t i = 0; i < COUNT_OF(cookies); i++) {
        fake_exchange_close(exchange);
        exchange = fake_exchange_open("GET", "/");
        exchange->shard = &shard;
        fake_exchange_header(exchange, "Cookie", slice_of(cookies[i]));
        cr_assert_eq(cookie_session_open(&config, exchange, &session), COOKIE_SESSION_NONE, "%s", cookies[i]);
    }
}

Test(cookie_session, the_upstream_does_not_see_it)
{
    save(SLICE("x"));
    come_back();
    cr_assert(cookie_session_hide(&config, exchange));
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "Cookie"), SLICE("other=1")));
    cr_assert(cookie_session_end(&config, exchange));
    cr_assert(slice_starts_with(fake_exchange_response_header(exchange, "Set-Cookie"),
                                SLICE("session=; Path=/; Max-Age=0")));
}
