/* SPDX-License-Identifier: Apache-2.0 */
/* A request with an arbitrary target, Date and Authorization, one per line: none of them knows the secret, so
 * none may pass. */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plugin_setup setup;
static struct shard shard;
static const void *config;

static void start(void)
{
    plugin_setup_init(&setup);
    config = plugin_setup_config(&setup, &hmac_auth_plugin, "{clock_skew: 4000000000}");
    struct consumer *consumer = plugin_setup_consumer(&setup, "alice", NULL, NULL);
    CHECK(config != NULL);
    CHECK(plugin_setup_credential(&setup, &hmac_auth_plugin, consumer, "{username: alice}") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (config == NULL)
        start();
    struct slice rest = { size ? (const char *)data : "", size }, date = SLICE(""), authorization = SLICE("");
    struct slice target = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        date = slice_split(rest, '\n', &rest);
    if (rest.data != NULL)
        authorization = rest;
    struct exchange *exchange = fake_exchange_open("GET", "/");
    exchange->model = setup.model;
    exchange->shard = &shard;
    exchange->request.origin_form = target;
    fake_exchange_header(exchange, "Date", date);
    fake_exchange_header(exchange, "Authorization", authorization);
    CHECK(fake_exchange_run(exchange, &hmac_auth_plugin, PHASE_ACCESS, config, NULL) == VERDICT_RESPOND);
    CHECK(exchange->status == 401);
    CHECK(exchange->consumer == NULL);
    fake_exchange_close(exchange);
    return 0;
}
