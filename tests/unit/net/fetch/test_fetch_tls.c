/* SPDX-License-Identifier: Apache-2.0 */
/* Calls over TLS: to a server that is believed and to others, directly and through the tunnel of a proxy. */
#include "core/base/hash.h"
#include "net/fetch/fetch_pool.h"
#include "tests/support/scripted_http.h"
#include "tests/support/tls_ends.h"
#include "tls/tls_crypto.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct shard shard;
static struct resolver resolver;
static struct fetch_pool pool;
static struct tls_loop loop;
static struct tls_ends ends; /* only what its profiles are made of */
static struct tls_server *server;
static struct scripted_http http;
static struct fetch fetch;
static uint64_t done_count;
static enum error last_error;
static char text[512];

static void done(struct fetch *of, enum error error)
{
    done_count++;
    last_error = error;
    snprintf(text, sizeof(text), "%d %.*s", of->status, SLICE_FORMAT(of->body));
}

static void start(void)
{
    char reason[TLS_REASON_SIZE];
    struct test_cert_options root = { .name = "root", .authority = true };
    struct fetch_options options = { .connections_max = 4, .idle_max = 4, .idle_ms = 10000 };
    struct tls_client_options anybody = { .suites = tls_ends_suites(), .set_count = 1 };
    hash_start();
    cr_assert_eq(tls_crypto_start(), ERROR_OK);
    shard_setup_open(&shard);
    ends.authority = test_cert_make(&root);
    struct test_cert_options own = { .name = "a.test", .issuer = ends.authority };
    ends.certs[0] = test_cert_make(&own);
    server = tls_ends_server(&ends, ends.certs[0]);
    struct tls_loop_options tls = { .own = { tls_ends_client(&ends), tls_client_make(&anybody, reason) } };
    tls_loop_open(&loop, &shard, &tls);
    shard.tls = &loop;
    resolver_init(&resolver, &shard);
    fetch_pool_open(&pool, &shard, &resolver, &options);
    scripted_http_open(&http, &shard, server);
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
    for (size_t i = 0; i < TLS_OWN_COUNT; i++)
        tls_client_release(loop.options.own[i]);
    tls_server_release(server);
    tls_loop_close(&loop);
    shard_disconnect(&shard);
    fetch_pool_close(&pool);
    fetch_close(&fetch);
    resolver_deinit(&resolver);
    shard_close(&shard);
    test_cert_free(ends.certs[0]);
    test_cert_free(ends.authority);
    tls_crypto_stop();
}

TestSuite(fetch_tls, .init = start, .fini = end);

/* "200 body", or the error's text. */
static const char *call(const struct fetch_request *request)
{
    uint64_t before = done_count;
    fetch_start(&fetch, request);
    cr_assert(shard_setup_turn_until_count(&shard, &done_count, before + 1));
    return last_error == ERROR_OK ? text : error_text(last_error);
}

static void know(const char *name)
{
    char id[MODEL_ID_SIZE];
    static uint64_t version;
    cr_assert(roster_host_id(slice_of(name), id));
    struct roster *roster = roster_open(slice_of(id), ++version);
    struct roster_entry entry = { .host = slice_of(name) };
    cr_assert(address_parse(SLICE("127.0.0.1"), 0, &entry.address));
    cr_assert(roster_add(roster, &entry));
    resolver_take(&resolver, roster);
}

#define OK_TEXT(body) "HTTP/1.1 200 OK\r\nContent-Length: " body

Test(fetch_tls, believes_whom_it_may)
{
    static const struct scripted_answer answers[] = { { .text = OK_TEXT("1\r\n\r\n1") },
                                                      { .text = OK_TEXT("1\r\n\r\n2") },
                                                      { .text = OK_TEXT("1\r\n\r\n3") } };
    char good[64], other[64];
    know("a.test");
    know("b.test");
    snprintf(good, sizeof(good), "https://a.test:%u/x", http.listener.options->port);
    snprintf(other, sizeof(other), "https://b.test:%u/x", http.listener.options->port);
    struct fetch_request request = { .url = slice_of(good), .limit_bytes = 64, .timeout_ms = 5000 };
    scripted_http_script(&http, answers, COUNT_OF(answers));
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_str_eq(call(&request), "200 2");
    cr_expect_eq(http.accepted, 1, "kept");
    request.url = slice_of(other);
    cr_expect_str_eq(call(&request), "TLS failed", "the name is wrong");
    request.options = FETCH_UNVERIFIED;
    cr_expect_str_eq(call(&request), "200 3");
    request.url = slice_of(good);
    cr_expect_eq(http.request_count, 3);
    cr_expect_eq(pool.idle_count, 2, "apart, for it is another way of trusting");
}

Test(fetch_tls, goes_through_a_tunnel)
{
    static const struct scripted_answer answers[] = {
        { .text = "HTTP/1.1 200 Fine\r\n\r\n", .tunnel = true },
        { .text = OK_TEXT("1\r\n\r\n1") },
        { .text = OK_TEXT("1\r\n\r\n2") },
        { .text = "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" },
    };
    struct fetch_request request = { .url = SLICE("https://a.test/x"),
                                     .limit_bytes = 64,
                                     .timeout_ms = 5000 };
    memmove(http.url + 4, http.url + 5, sizeof(http.url) - 5); /* the proxy itself speaks no TLS */
    request.proxy_url = slice_of(http.url);
    scripted_http_script(&http, answers, COUNT_OF(answers));
    cr_expect_str_eq(call(&request), "200 1");
    cr_expect_str_eq(call(&request), "200 2");
    cr_expect_eq(http.accepted, 1, "the tunnel is kept");
    cr_expect_str_eq(http.request, "GET /x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: sluice/" SLUICE_VERSION
                                   "\r\nAccept: */*\r\n\r\n");
    request.url = SLICE("https://b.test/x");
    cr_expect_str_eq(call(&request), "connection refused");
    cr_expect_str_eq(http.request, "CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n");
}
