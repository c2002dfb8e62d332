/* SPDX-License-Identifier: Apache-2.0 */
/* Three lines: a target as that of a callback, a Cookie (empty: that of somebody who is on the way), and what
 * a token endpoint answers, which is taken for claims, too. Nobody comes in by the first two, for neither
 * knows the state or the secret. */
#include "plugins/openid_connect.h"
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPTIONS                                                                                      \
    "{issuer: 'http://idp.test', client_id: [c], client_secret: [s], redirect_uri: ['http://a/cb']," \
    " auth_methods: [authorization_code, session], session_secret: x, consumer_claim: [who, name],"  \
    " authorization_endpoint: 'http://idp.test/a', token_endpoint: 'http://idp.test/t',"             \
    " authorization_cookie_name: l, session_cookie_name: s, consumer_optional: true,"                \
    " scopes_required: [read write], groups_required: [g], groups_claim: [a, b],"                    \
    " upstream_headers_claims: [sub], upstream_headers_names: [x-sub], hide_credentials: true,"      \
    " downstream_headers_claims: [a], downstream_headers_names: [x-a], logout_query_arg: bye,"       \
    " end_session_endpoint: 'http://idp.test/e', logout_methods: [GET]}"

static struct plugin_setup setup;
static struct shard shard;
static struct oidc_shard state = { .shard = &shard };
static const struct oidc_config *config;
static char way[1024]; /* the cookie of somebody who was sent to the provider */

static struct exchange *request(struct slice target, struct slice cookie)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    exchange->shard = &shard;
    exchange->request.origin_form = target;
    exchange->path = slice_split(target, '?', &exchange->query);
    fake_exchange_header(exchange, "Host", SLICE("a"));
    if (cookie.size > 0)
        fake_exchange_header(exchange, "Cookie", cookie);
    return exchange;
}

static int run(struct exchange *exchange)
{
    CHECK(fake_exchange_run(exchange, &openid_connect_plugin, PHASE_ACCESS, config, &state) ==
          VERDICT_RESPOND);
    CHECK(exchange->authenticate_count == 0 && exchange->consumer == NULL);
    return exchange->status;
}

static void start(void)
{
    plugin_setup_init(&setup);
    shard.wall_ms = UINT64_C(1792567680000);
    plugin_setup_consumer(&setup, "alice", NULL, NULL);
    config = plugin_setup_config(&setup, &openid_connect_plugin, OPTIONS);
    CHECK(config != NULL);
    struct exchange *exchange = request(SLICE("/begin"), SLICE(""));
    CHECK(run(exchange) == 302);
    struct slice rest;
    struct slice pair = slice_split(fake_exchange_response_header(exchange, "Set-Cookie"), ';', &rest);
    CHECK(slice_starts_with(pair, SLICE("l=")) && pair.size < sizeof(way));
    memcpy(way, pair.data, pair.size);
    fake_exchange_close(exchange);
}

static void try_callback(struct slice target, struct slice cookie)
{
    struct exchange *exchange = request(target, cookie);
    int status = run(exchange);
    CHECK(status == 302 || status == 500);
    fake_exchange_close(exchange);
}

static void try_answer(struct slice answer)
{
    struct exchange *exchange = request(SLICE("/"), SLICE(""));
    struct oidc oidc = { .exchange = exchange, .config = config, .shard = &state };
    oidc.fetch.status = 200;
    oidc.fetch.body = answer;
    if (oidc_take_tokens(&oidc)) {
        CHECK(oidc.tokens.access.data != NULL && action_is_field_value(oidc.tokens.access));
        (void)oidc_save_session(&oidc);
        (void)oidc_accept_tokens(&oidc);
    }
    (void)oidc_accept(&oidc, answer);
    struct slice told = fake_exchange_upstream_header(exchange, "x-sub");
    CHECK(told.data == NULL || action_is_field_value(told));
    fake_exchange_close(exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (config == NULL)
        start();
    struct slice rest = { size ? (const char *)data : "", size }, cookie = SLICE("");
    struct slice target = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        cookie = slice_split(rest, '\n', &rest);
    try_callback(target, cookie.size ? cookie : slice_of(way));
    if (rest.data != NULL)
        try_answer(rest);
    return 0;
}
