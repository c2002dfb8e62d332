/* SPDX-License-Identifier: Apache-2.0 */
/* A request with arbitrary query, Cookie and Authorization, one per line: none of them knows the secret, so
 * none may pass. What the parser of tokens accepts, it must have understood in one way only. */
#include "core/crypto/base64.h"
#include "plugins/jwt_token.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plugin_setup setup;
static const void *config;

static void start(void)
{
    plugin_setup_init(&setup);
    config = plugin_setup_config(
        &setup, &jwt_plugin, "{cookie_names: [jwt], claims_to_verify: [exp, nbf], maximum_expiration: 60}");
    struct consumer *consumer = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    CHECK(config != NULL);
    CHECK(plugin_setup_credential(&setup, &jwt_plugin, consumer, "{key: k}") != NULL);
}

/* The signature that was understood is the one that was sent. */
static void check_token(struct slice text)
{
    struct jwt_token token;
    char again[JWT_TOKEN_MAX + 4];
    if (jwt_token_read(text, SLICE("iss"), &token) != JWT_GOOD)
        return;
    size_t size = base64_encode(BASE64_URL, token.signature, again);
    CHECK(slice_starts_with(text, token.signed_text));
    struct slice sent = slice_from(text, token.signed_text.size + 1);
    CHECK(size <= sent.size && sent.size - size <= 2);
    CHECK(memcmp(sent.data, again, size) == 0);
}

static void check_request(struct slice query, struct slice cookie, struct slice authorization)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    exchange->query = query;
    fake_exchange_header(exchange, "Cookie", cookie);
    fake_exchange_header(exchange, "Authorization", authorization);
    CHECK(fake_exchange_run(exchange, &jwt_plugin, PHASE_ACCESS, config, NULL) == VERDICT_RESPOND);
    CHECK(exchange->status == 401 || exchange->status == 500);
    CHECK(exchange->consumer == NULL);
    fake_exchange_close(exchange);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (config == NULL)
        start();
    struct slice rest = { size ? (const char *)data : "", size }, cookie = SLICE(""),
                 authorization = SLICE("");
    struct slice query = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        cookie = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        authorization = rest;
    check_token(authorization);
    check_token(query);
    check_request(query, cookie, authorization);
    return 0;
}
