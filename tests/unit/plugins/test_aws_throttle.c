/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct plugin_setup setup;
static struct shard shard;
static void *process_state, *shard_state;

static void start(void)
{
    hash_start();
    plugin_setup_init(&setup);
    shard.now_ns = 1000000000;
    process_state = aws_throttle_plugin.process_open(1);
    shard_state = calloc(1, aws_throttle_plugin.shard_state_size);
    cr_assert(process_state && shard_state);
    cr_assert_eq(aws_throttle_plugin.shard_open(&shard, process_state, shard_state), ERROR_OK);
}

static void stop(void)
{
    aws_throttle_plugin.process_close(process_state);
    free(shard_state);
    plugin_setup_deinit(&setup);
}

TestSuite(aws_throttle, .init = start, .fini = stop);

static int ask(const void *config)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    fake_exchange_run(exchange, &aws_throttle_plugin, PHASE_ACCESS, config, shard_state);
    int status = exchange->status;
    if (status)
        cr_assert(slice_equal(exchange->body, SLICE("{\"message\":\"Too Many Requests\"}")));
    fake_exchange_close(exchange);
    return status;
}

Test(aws_throttle, burst_then_429_then_rate)
{
    const void *config =
        plugin_setup_config(&setup, &aws_throttle_plugin, "{rate_limit: 2, burst_limit: 3, key: a}");
    const void *same =
        plugin_setup_config(&setup, &aws_throttle_plugin, "{rate_limit: 2, burst_limit: 3, key: a}");
    const void *other =
        plugin_setup_config(&setup, &aws_throttle_plugin, "{rate_limit: 2, burst_limit: 3, key: b}");
    cr_assert(ask(config) == 0 && ask(same) == 0 && ask(config) == 0);
    cr_assert(ask(config) == 429 && ask(same) == 429 && ask(other) == 0);
    shard.now_ns += 500000000;
    cr_assert(ask(config) == 0 && ask(config) == 429);
}

Test(aws_throttle, zero_refuses_everything)
{
    cr_assert_eq(
        ask(plugin_setup_config(&setup, &aws_throttle_plugin, "{rate_limit: 0, burst_limit: 3, key: a}")),
        429);
    cr_assert_eq(
        ask(plugin_setup_config(&setup, &aws_throttle_plugin, "{rate_limit: 5, burst_limit: 0, key: a}")),
        429);
}

Test(aws_throttle, options)
{
    cr_assert_null(plugin_setup_config(&setup, &aws_throttle_plugin, "{rate_limit: -1, burst_limit: 1}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "rate_limit", "between"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "key", "required field missing"));
}
