/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a scripted server: what is sent, what is made of answers however they are cut, which connections
 * are used again, and every way to fail. */
#include "core/base/hash.h"
#include "net/fetch/fetch_pool.h"
#include "tests/support/scripted_http.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct shard shard;
static struct resolver resolver;
static struct fetch_pool pool;
static struct scripted_http http;
static struct fetch fetch;
static uint64_t done_count;
static enum error last_error;
static char text[512];
static const char *authority;
static struct fetch_options options = { .connections_max = 4, .idle_max = 2, .idle_ms = 10000 };

static void done(struct fetch *of, enum error error)
{
    cr_assert_eq(of->state, FETCH_IDLE);
    done_count++;
    last_error = error;
    snprintf(text, sizeof(text), "%d %.*s", of->status, SLICE_FORMAT(of->body));
}

static char *join(char *out, const char *a, const char *b, const char *c)
{
    memcpy(out, a, strlen(a) + 1);
    memcpy(out + strlen(out), b, strlen(b) + 1);
    memcpy(out + strlen(out), c, strlen(c) + 1);
    return out;
}

static void start(void)
{
    hash_start();
    shard_setup_open(&shard);
    resolver_init(&resolver, &shard);
    fetch_pool_open(&pool, &shard, &resolver, &options);
    scripted_http_open(&http, &shard, NULL);
    authority = strrchr(http.url, '/') + 1;
    fetch_init(&fetch, &pool, done);
}

static bool is_empty(void *pointer)
{
    return fetch_pool_is_empty(pointer);
}

static void end(void)
{
    fetch_pool_abort(&pool);
    cr_assert(shard_setup_turn_until(&shard, is_empty, &pool));
    scripted_http_close(&http);
    shard_disconnect(&shard);
    fetch_pool_close(&pool);
    fetch_close(&fetch);
    resolver_deinit(&resolver);
    shard_close(&shard);
}

TestSuite(fetch_call, .init = start, .fini = end);

static struct fetch_request request_of(const char *path)
{
    static char url[256];
    snprintf(url, sizeof(url), "%s%s", http.url, path);
    return (struct fetch_request){ .url = slice_of(url), .limit_bytes = 4096, .timeout_ms = 5000 };
}

/* "200 body", or the error's text. */
static const char *call(const struct fetch_request *request)
{
    uint64_t before = done_count;
    fetch_start(&fetch, request);
    cr_assert_eq(done_count, before, "never from inside");
    cr_assert(shard_setup_turn_until_count(&shard, &done_count, before + 1));
    return last_error == ERROR_OK ? text : error_text(last_error);
}

#define SCRIPT(...)                                                       \
    do {                                                                  \
        static const struct scripted_answer answers_[] = { __VA_ARGS__ }; \
        scripted_http_script(&http, answers_, COUNT_OF(answers_));        \
    } while (0)
#define OK_TEXT(body) "HTTP/1.1 200 OK\r\nContent-Length: " body

Test(fetch_call, sends_a_request)
{
    static const struct header headers[] = { { .name = { "X-One", 5 }, .value = { "1", 1 } },
                                             { .name = { "user-agent", 10 }, .value = { "me", 2 } } };
    char expected[512];
    SCRIPT({ OK_TEXT("2\r\n\r\nhi") });
    struct fetch_request request = request_of("/a/b?c=d");
    request.method = SLICE("PUT");
    request.headers = headers;
    request.header_count = 2;
    request.body = SLICE("body");
    cr_expect_str_eq(call(&request), "200 hi");
    join(expected, "PUT /a/b?c=d HTTP/1.1\r\nHost: ", authority,
         "\r\nAccept: */*\r\nX-One: 1\r\nuser-agent: me\r\nContent-Length: 4\r\n\r\nbody");
    cr_expect_str_eq(http.request, expected);
    SCRIPT({ OK_TEXT("0\r\n\r\n") });
    request = request_of("");
    cr_expect_str_eq(call(&request), "200 ");
    join(expected, "GET / HTTP/1.1\r\nHost: ", authority,
         "\r\nUser-Agent: sluice/" SLUICE_VERSION "\r\nAccept: */*\r\n\r\n");
    cr_expect_str_eq(http.request, expected);
}

static const struct answer_case {
    const char *method, *text, *result;
    bool reusable;
} answer_cases[] = {
    { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 hello", true },
    { "GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 ", true },
    { "GET",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n",
      "200 hello", true },
    { "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "200 hi", false },
    { "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi", false },
    { "GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 ", true },
    { "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "304 ", true },
    { "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", "200 ", true },
    { "GET",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 C\r\n"
      "Content-Length: 1\r\n\r\nx",
      "201 x", true },
    { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "limit reached", false },
    { "GET", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "invalid message",
      false },
    { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "invalid message", false },
    { "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid message", false },
    { "GET", "nonsense from a stranger\r\n\r\n", "invalid message", false },
};

Test(fetch_call, reads_answers_cut_at_every_byte, .timeout = 300)
{
    for (size_t i = 0; i < COUNT_OF(answer_cases); i++) {
        const struct answer_case *row = &answer_cases[i];
        for (size_t split = 0; split < strlen(row->text); split++) {
            struct scripted_answer answers[] = { { row->text, split, SCRIPTED_KEEP, false } };
            struct fetch_request request = request_of("/");
            scripted_http_script(&http, answers, 1);
            request.method = slice_of(row->method);
            cr_assert_str_eq(call(&request), row->result, "%s at %zu: %s", row->text, split, text);
            cr_assert_eq(pool.idle_count, row->reusable, "%s at %zu", row->text, split);
            cr_assert(!row->reusable || pool.connection_count == 1);
            if (row->reusable)
                continue;
            scripted_http_cut(&http); /* no timer of its outlives the answer */
            cr_assert(shard_setup_turn_until(&shard, is_empty, &pool));
        }
    }
}

Test(fetch_call, reads_answers_until_the_end_of_the_connection)
{
    static const char whole[] = "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nto the end";
    for (size_t split = 0; split < sizeof(whole) - 1; split++) {
        struct scripted_answer answers[] = { { whole, split, SCRIPTED_FINISH, false } };
        struct fetch_request request = request_of("/");
        scripted_http_script(&http, answers, 1);
        cr_assert_str_eq(call(&request), "200 to the end", "at %zu", split);
        cr_assert(slice_equal(fetch_header(&fetch, SLICE("x-a")), SLICE("b")));
        cr_assert_eq(pool.idle_count, 0);
    }
    struct scripted_answer cut[] = { { OK_TEXT("9\r\n\r\ntoo"), 0, SCRIPTED_FINISH, false } };
    struct fetch_request request = request_of("/");
    scripted_http_script(&http, cut, 1);
    cr_expect_str_eq(call(&request), "connection closed");
}

Test(fetch_call, bounds_the_body)
{
    struct fetch_request request = request_of("/");
    request.limit_bytes = 4;
    SCRIPT({ OK_TEXT("4\r\n\r\nfour") },
           { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" },
           { OK_TEXT("5\r\n\r\nfives") });
    cr_expect_str_eq(call(&request), "200 four");
    cr_expect_str_eq(call(&request), "limit reached");
    cr_expect_str_eq(call(&request), "limit reached");
    SCRIPT({ OK_TEXT("4\r\n\r\nfour") });
    request.options = FETCH_DISCARD;
    cr_expect_str_eq(call(&request), "200 ");
}

Test(fetch_call, keeps_connections)
{
    struct fetch_request request = request_of("/");
    SCRIPT({ OK_TEXT("1\r\n\r\n1") }, { OK_TEXT("1\r\n\r\n2") }, { OK_TEXT("1\r\n\r\n3") },
           { OK_TEXT("1\r\n\r\n4") });
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_str_eq(call(&request), "200 2");
    cr_expect_eq(http.accepted, 1);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_REUSES), 1);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_IDLE), 1);
    request.options = FETCH_SINGLE;
    cr_expect_str_eq(call(&request), "200 3");
    cr_expect_eq(http.accepted, 2);
    cr_expect_not_null(strstr(http.request, "\r\nConnection: close\r\n"));
    request.options = 0;
    request.keep_ms = 10;
    cr_expect_str_eq(call(&request), "200 4");
    cr_expect_eq(http.accepted, 2);
    cr_expect(shard_setup_turn_until_count(&shard, &http.closed, 2), "kept no longer than asked");
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_IDLE), 0);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_ACTIVE), 0);
}

Test(fetch_call, repeats_what_met_a_closed_connection)
{
    struct fetch_request request = request_of("/");
    SCRIPT({ OK_TEXT("1\r\n\r\n1") }, { .fate = SCRIPTED_RESET }, { OK_TEXT("1\r\n\r\n2") });
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_str_eq(call(&request), "200 2");
    cr_expect_eq(http.accepted, 2);
    cr_expect_eq(http.request_count, 3);
    SCRIPT({ .fate = SCRIPTED_RESET }, { .fate = SCRIPTED_RESET });
    cr_expect_str_eq(call(&request), "connection closed", "once only");
    SCRIPT({ OK_TEXT("1\r\n\r\n1") }, { .fate = SCRIPTED_RESET });
    cr_expect_str_eq(call(&request), "200 1");
    request.method = SLICE("POST");
    cr_expect_str_eq(call(&request), "connection closed", "it may have been carried out");
    SCRIPT({ OK_TEXT("1\r\n\r\n1") }, { .fate = SCRIPTED_RESET }, { OK_TEXT("1\r\n\r\n2") });
    request.options = FETCH_REPEATABLE;
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_str_eq(call(&request), "200 2");
    SCRIPT({ .fate = SCRIPTED_RESET });
    request.options = FETCH_REPEATABLE | FETCH_SINGLE;
    cr_expect_str_eq(call(&request), "connection closed", "a new connection is not stale");
}

Test(fetch_call, closes_a_kept_one_that_speaks_unasked)
{
    struct fetch_request request = request_of("/");
    struct scripted_answer answers[] = { { OK_TEXT("1\r\n\r\n1X"), strlen(OK_TEXT("1\r\n\r\n1")), 0,
                                           false } };
    scripted_http_script(&http, answers, 1);
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_eq(pool.idle_count, 1);
    cr_expect(shard_setup_turn_until(&shard, is_empty, &pool));
    cr_expect_eq(pool.idle_count, 0);
}

static uint64_t others_done;
static enum error others_error;

static void other_done(struct fetch *of, enum error error)
{
    (void)of;
    others_done++;
    others_error = error;
}

Test(fetch_call, waits_in_line_for_a_connection)
{
    struct fetch others[8];
    pool.options.idle_max = 4;
    struct fetch_request request = request_of("/");
    struct scripted_answer answers[8];
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        answers[i] = (struct scripted_answer){ OK_TEXT("1\r\n\r\nx"), 5, SCRIPTED_KEEP, false };
        fetch_init(&others[i], &pool, other_done);
    }
    scripted_http_script(&http, answers, COUNT_OF(answers));
    for (size_t i = 0; i < COUNT_OF(others); i++)
        fetch_start(&others[i], &request);
    cr_expect_eq(pool.connection_count, 4);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_WAITING), 4);
    cr_expect(shard_setup_turn_until_count(&shard, &others_done, 8));
    cr_expect_eq(others_error, ERROR_OK);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_WAITING), 0);
    cr_expect_eq(http.accepted, 4);
    cr_expect_eq(pool.idle_count, 4);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        fetch_close(&others[i]);
}

Test(fetch_call, makes_room_for_another_host)
{
    struct scripted_http second;
    struct fetch_request request = request_of("/");
    pool.options.connections_max = 1;
    SCRIPT({ OK_TEXT("1\r\n\r\n1") });
    cr_expect_str_eq(call(&request), "200 1");
    scripted_http_open(&second, &shard, NULL);
    static const struct scripted_answer answers[] = { { .text = OK_TEXT("1\r\n\r\n2") } };
    scripted_http_script(&second, answers, 1);
    request.url = slice_of(second.url);
    cr_expect_str_eq(call(&request), "200 2");
    cr_expect_eq(pool.connection_count, 1);
    fetch_close(&fetch);
    scripted_http_close(&second);
}

Test(fetch_call, fails_in_time)
{
    struct fetch_request request = request_of("/");
    request.timeout_ms = 20;
    SCRIPT({ .text = NULL }, { .text = OK_TEXT("9\r\n\r\nx") });
    cr_expect_str_eq(call(&request), "timed out");
    cr_expect_str_eq(call(&request), "timed out");
    pool.options.connections_max = 0;
    cr_expect_str_eq(call(&request), "timed out", "in line");
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_WAITING), 0);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_FAILURES), 3);
}

Test(fetch_call, refuses_what_cannot_be_sent)
{
    static const struct header folded = { .name = { "a", 1 }, .value = { "b\r\nc: d", 7 } };
    static const struct header length = { .name = { "content-length", 14 }, .value = { "1", 1 } };
    struct fetch_request request = request_of("/");
    request.headers = &folded;
    request.header_count = 1;
    cr_expect_str_eq(call(&request), "invalid value");
    request.headers = &length;
    cr_expect_str_eq(call(&request), "invalid value");
    request.header_count = 0;
    request.method = SLICE("G T");
    cr_expect_str_eq(call(&request), "invalid value");
    request = request_of("/");
    request.url = SLICE("ftp://a/");
    cr_expect_str_eq(call(&request), "invalid value");
    request.url = SLICE("https://127.0.0.1:1/");
    cr_expect_str_eq(call(&request), "not supported", "no profile of TLS");
    request.url = SLICE("http://no.such.name/");
    cr_expect_str_eq(call(&request), "name resolution failed", "nobody to ask");
    request.url = SLICE("http://127.0.0.1:1/");
    cr_expect_str_eq(call(&request), "connection refused");
    cr_expect_eq(http.accepted, 0);
}

Test(fetch_call, can_be_closed_at_any_time)
{
    struct fetch_request request = request_of("/");
    SCRIPT({ .text = NULL }, { .text = NULL });
    fetch_start(&fetch, &request);
    fetch_close(&fetch); /* connecting */
    fetch_start(&fetch, &request);
    cr_assert(shard_setup_turn_until_count(&shard, &http.request_count, 1));
    fetch_close(&fetch); /* waiting for the answer */
    pool.options.connections_max = 0;
    fetch_start(&fetch, &request);
    fetch_close(&fetch); /* in line */
    request.url = SLICE("no url");
    fetch_start(&fetch, &request);
    fetch_close(&fetch); /* about to fail */
    fetch_close(&fetch);
    cr_expect(shard_setup_turn_until(&shard, is_empty, &pool));
    cr_expect_eq(done_count, 0);
    cr_expect_eq(metric_read(&shard.metrics, METRIC_FETCH_ACTIVE), 0);
}

Test(fetch_call, is_cancelled_when_the_shard_ends)
{
    struct fetch_request request = request_of("/");
    SCRIPT({ .text = NULL });
    fetch_start(&fetch, &request);
    cr_assert(shard_setup_turn_until_count(&shard, &http.request_count, 1));
    fetch_pool_abort(&pool);
    cr_expect_eq(done_count, 0);
    cr_expect(shard_setup_turn_until_count(&shard, &done_count, 1));
    cr_expect_eq(last_error, ERROR_CANCELLED);
    cr_expect_str_eq(call(&request), "cancelled");
}

/* --- names ---------------------------------------------------------------------------------------------- */

static char asked[64];
static uint64_t ask_count;

static void ask(struct resolver *of, struct slice name)
{
    cr_assert_eq(of, &resolver);
    ask_count++;
    snprintf(asked, sizeof(asked), "%.*s", SLICE_FORMAT(name));
}

static void answer_name(const char *name, const char *address)
{
    char id[MODEL_ID_SIZE];
    static uint64_t version;
    cr_assert(roster_host_id(slice_of(name), id));
    struct roster *roster = roster_open(slice_of(id), ++version);
    struct roster_entry entry = { .host = slice_of(name) };
    if (address) {
        cr_assert(address_parse(slice_of(address), 0, &entry.address));
        cr_assert(roster_add(roster, &entry));
    }
    resolver_take(&resolver, roster);
}

Test(fetch_call, waits_for_a_name)
{
    char url[64];
    struct fetch_request request = request_of("/");
    resolver.ask = ask;
    snprintf(url, sizeof(url), "http://Found.test:%u/", http.listener.options->port);
    request.url = slice_of(url);
    SCRIPT({ OK_TEXT("1\r\n\r\n1") }, { OK_TEXT("1\r\n\r\n2") }, { OK_TEXT("1\r\n\r\n3") });
    fetch_start(&fetch, &request);
    cr_expect_str_eq(asked, "found.test");
    shard_setup_turn_for(&shard, 5);
    cr_expect_eq(done_count, 0);
    answer_name("found.test", "127.0.0.1");
    cr_expect(shard_setup_turn_until_count(&shard, &done_count, 1));
    cr_expect_str_eq(text, "200 1");
    cr_expect_str_eq(call(&request), "200 2");
    cr_expect_eq(ask_count, 1);
    answer_name("found.test", NULL); /* gone */
    cr_expect_str_eq(call(&request), "name resolution failed");
    cr_expect_eq(ask_count, 1, "not at once again");
    shard.now_ms += RESOLVER_NONE_MS; /* until the next turn */
    fetch_start(&fetch, &request);
    cr_expect_eq(ask_count, 2);
    answer_name("found.test", "127.0.0.1");
    cr_expect(shard_setup_turn_until_count(&shard, &done_count, 4));
    cr_expect_str_eq(text, "200 3");
}

Test(fetch_call, gives_up_waiting_for_a_name)
{
    struct fetch_request request = request_of("/");
    resolver.ask = ask;
    request.url = SLICE("http://lost.test/");
    request.timeout_ms = 10;
    cr_expect_str_eq(call(&request), "timed out");
    fetch_start(&fetch, &request);
    fetch_close(&fetch);
    answer_name("lost.test", "127.0.0.1"); /* nobody waits */
    cr_expect_eq(done_count, 1);
}

/* --- a proxy -------------------------------------------------------------------------------------------- */

Test(fetch_call, goes_through_a_proxy)
{
    char proxy[96];
    struct fetch_request request = request_of("/");
    join(proxy, "http://user:pass@", authority, "");
    request.url = SLICE("http://far.test:81/x");
    request.proxy_url = slice_of(proxy);
    SCRIPT({ OK_TEXT("1\r\n\r\n1") });
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_str_eq(http.request, "GET http://far.test:81/x HTTP/1.1\r\nHost: far.test:81\r\n"
                                   "User-Agent: sluice/" SLUICE_VERSION "\r\nAccept: */*\r\n"
                                   "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    request.proxy_url = SLICE("https://127.0.0.1/");
    cr_expect_str_eq(call(&request), "not supported");
}
