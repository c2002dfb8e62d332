/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/shard.h"
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct plugin_setup setup;
static void *shard_state;
static struct exchange *exchange;

static void start(void)
{
    plugin_setup_init(&setup);
    shard_state = calloc(1, correlation_id_plugin.shard_state_size);
    cr_assert(shard_state && correlation_id_plugin.shard_open(NULL, NULL, shard_state) == ERROR_OK);
    exchange = fake_exchange_open("GET", "/");
}

static void stop(void)
{
    fake_exchange_close(exchange);
    free(shard_state);
    plugin_setup_deinit(&setup);
}

TestSuite(correlation_id, .init = start, .fini = stop);

static enum verdict run(const char *text, enum phase phase)
{
    const void *config = plugin_setup_config(&setup, &correlation_id_plugin, text);
    cr_assert_not_null(config);
    return fake_exchange_run(exchange, &correlation_id_plugin, phase, config, shard_state);
}

Test(correlation_id, a_uuid)
{
    cr_assert_eq(run("{generator: uuid, header_name: X-Corr}", PHASE_ACCESS), VERDICT_CONTINUE);
    struct slice first = fake_exchange_upstream_header(exchange, "X-Corr");
    cr_assert_eq(first.size, 36);
    run("{generator: uuid, header_name: X-Corr}", PHASE_ACCESS);
    cr_assert_not(slice_equal(first, fake_exchange_upstream_header(exchange, "X-Corr")));
    run("{generator: uuid, header_name: X-Corr}", PHASE_RESPONSE_HEAD);
    cr_assert_null(fake_exchange_response_header(exchange, "X-Corr").data);
}

Test(correlation_id, a_uuid_that_counts)
{
    run("{}", PHASE_ACCESS);
    struct slice first = fake_exchange_upstream_header(exchange, "Kong-Request-ID");
    run("{}", PHASE_ACCESS);
    struct slice second = fake_exchange_upstream_header(exchange, "Kong-Request-ID");
    cr_assert(slice_ends_with(first, SLICE("#1")) && slice_ends_with(second, SLICE("#2")));
    cr_assert_eq(memcmp(first.data, second.data, 36), 0);
}

Test(correlation_id, a_tracker)
{
    struct shard shard = { .wall_ms = 1700000000042 };
    char expected[96];
    exchange->shard = &shard;
    exchange->arrival.connection = 17;
    exchange->arrival.request = 3;
    cr_assert(address_parse(SLICE("10.0.0.1"), 8000, &exchange->arrival.address));
    run("{generator: tracker}", PHASE_ACCESS);
    snprintf(expected, sizeof(expected), "10.0.0.1-8000-%d-17-3-1700000000.042", (int)getpid());
    cr_assert(slice_equal(fake_exchange_upstream_header(exchange, "Kong-Request-ID"), slice_of(expected)));
}

Test(correlation_id, what_the_client_sent_stays)
{
    fake_exchange_header(exchange, "X-CORR", SLICE("mine"));
    run("{header_name: X-Corr}", PHASE_ACCESS);
    cr_assert_null(fake_exchange_upstream_header(exchange, "X-Corr").data);
    run("{header_name: X-Corr, echo_downstream: true}", PHASE_RESPONSE_HEAD);
    cr_assert(slice_equal(fake_exchange_response_header(exchange, "X-Corr"), SLICE("mine")));
}

Test(correlation_id, an_empty_one_is_none)
{
    fake_exchange_header(exchange, "X-Corr", SLICE(""));
    run("{header_name: X-Corr}", PHASE_ACCESS);
    cr_assert(slice_ends_with(fake_exchange_upstream_header(exchange, "X-Corr"), SLICE("#1")));
}

Test(correlation_id, a_response_without_an_access_phase_has_one_too)
{
    run("{echo_downstream: true}", PHASE_RESPONSE_HEAD);
    cr_assert(slice_ends_with(fake_exchange_response_header(exchange, "Kong-Request-ID"), SLICE("#1")));
}

Test(correlation_id, memory)
{
    exchange->grants_left = 0;
    cr_assert_eq(run("{}", PHASE_ACCESS), VERDICT_RESPOND);
    cr_assert_eq(exchange->body_kind, FAKE_BODY_FAILURE);
    cr_assert_eq(run("{echo_downstream: true}", PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
}

Test(correlation_id, what_is_wrong_is_reported)
{
    cr_assert_null(
        plugin_setup_config(&setup, &correlation_id_plugin, "{generator: dice, header_name: a b}"));
    cr_assert(
        plugin_setup_reported(&setup, REPORT_ERROR, "generator", "expected one of: uuid, uuid#counter"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "header_name", "bad header name 'a b'"));
}
