/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>

static struct plugin_setup setup;
static struct exchange *exchange;

static void start(void)
{
    plugin_setup_init(&setup);
    exchange = fake_exchange_open("POST", "/");
}

static void stop(void)
{
    fake_exchange_close(exchange);
    plugin_setup_deinit(&setup);
}

TestSuite(request_size_limiting, .init = start, .fini = stop);

static enum verdict run(const char *text)
{
    const void *config = plugin_setup_config(&setup, &request_size_limiting_plugin, text);
    cr_assert_not_null(config);
    return fake_exchange_run(exchange, &request_size_limiting_plugin, PHASE_ACCESS, config, NULL);
}

static void set_length(uint64_t bytes)
{
    exchange->request.header_count = 0;
    fake_exchange_header(exchange, "Content-Length", SLICE("given"));
    exchange->request.framing = bytes ? BODY_LENGTH : BODY_NONE;
    exchange->request.body_bytes = bytes;
}

static const struct {
    const char *config;
    uint64_t fits;
} limits[] = {
    { "{}", 128 * 1024 * 1024 },
    { "{allowed_payload_size: 3}", 3 * 1024 * 1024 },
    { "{allowed_payload_size: 3, size_unit: kilobytes}", 3 * 1024 },
    { "{allowed_payload_size: 3, size_unit: bytes}", 3 },
    { "{allowed_payload_size: 0, size_unit: bytes}", 0 },
    { "{allowed_payload_size: 1099511627776}", UINT64_C(1) << 60 },
};

Test(request_size_limiting, a_length)
{
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        set_length(limits[i].fits);
        cr_assert_eq(run(limits[i].config), VERDICT_CONTINUE, "%s", limits[i].config);
        set_length(limits[i].fits + 1);
        cr_assert_eq(run(limits[i].config), VERDICT_RESPOND, "%s", limits[i].config);
        cr_assert_eq(exchange->status, 413);
        cr_assert(slice_equal(exchange->body, SLICE("Request size limit exceeded")));
    }
}

Test(request_size_limiting, who_asks_first_is_told_that_it_is_not_expected)
{
    set_length(11);
    exchange->request.expects_continue = true;
    cr_assert_eq(run("{allowed_payload_size: 10, size_unit: bytes}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 417);
}

Test(request_size_limiting, a_body_without_length_is_limited_while_it_arrives)
{
    exchange->request.framing = BODY_CHUNKED;
    exchange->body_bytes = 10;
    cr_assert_eq(run("{allowed_payload_size: 10, size_unit: bytes, require_content_length: true}"),
                 VERDICT_CONTINUE);
    cr_assert_eq(exchange->body_limit_bytes, 10);
    cr_assert(slice_equal(exchange->body_limit_message, SLICE("Request size limit exceeded")));
    exchange->body_bytes = 11;
    cr_assert_eq(run("{allowed_payload_size: 10, size_unit: bytes}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 413);
}

Test(request_size_limiting, a_length_may_be_required)
{
    cr_assert_eq(run("{}"), VERDICT_CONTINUE);
    cr_assert_eq(run("{require_content_length: true}"), VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 411);
    cr_assert(slice_equal(exchange->body, SLICE("A valid Content-Length header is required")));
    set_length(0);
    cr_assert_eq(run("{require_content_length: true}"), VERDICT_CONTINUE);
}

Test(request_size_limiting, what_is_wrong_is_reported)
{
    cr_assert_null(plugin_setup_config(&setup, &request_size_limiting_plugin, "{size_unit: parsecs}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "size_unit",
                                    "expected one of: megabytes, kilobytes, bytes"));
    cr_assert_null(plugin_setup_config(&setup, &request_size_limiting_plugin, "{allowed_payload_size: -1}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "allowed_payload_size", "between 0 and"));
}
