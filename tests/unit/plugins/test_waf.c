/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "plugins/waf.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct plugin_setup setup;
static struct shard shard;
static void *process, *shard_state, *exchange_state;
static struct exchange *exchange;
static const void *config;

/* The first pointer of the plugin's shard state is the state of the process. */
static void start(void)
{
    plugin_setup_init(&setup);
    shard_setup_open(&shard);
    process = waf_plugin.process_open(1);
    shard_state = calloc(1, waf_plugin.shard_state_size);
    exchange_state = calloc(1, waf_plugin.exchange_state_size);
    cr_assert(process && shard_state && exchange_state);
    memcpy(shard_state, &process, sizeof(process));
}

static void stop(void)
{
    free(exchange_state);
    free(shard_state);
    plugin_setup_deinit(&setup);
    waf_plugin.process_close(process);
    shard_setup_close(&shard);
}

TestSuite(waf, .init = start, .fini = stop);

static enum verdict run(enum phase phase)
{
    struct plugin_call call = {
        .exchange = exchange, .config = config, .shard_state = shard_state, .exchange_state = exchange_state
    };
    return waf_plugin.on[phase](&call);
}

static void use(const char *text, const char *method, const char *target)
{
    config = plugin_setup_config(&setup, &waf_plugin, text);
    cr_assert_not_null(config, "%s", text);
    exchange = fake_exchange_open(method, target);
    exchange->shard = &shard;
}

Test(waf, without_an_engine_nothing_loads)
{
    if (waf_engine_load() == NULL)
        return;
    cr_assert_null(plugin_setup_config(&setup, &waf_plugin, "{rules: [SecRuleEngine On]}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "", "without libmodsecurity"));
}

Test(waf, errors_have_their_place)
{
    if (waf_engine_load() != NULL)
        return;
    cr_assert_null(plugin_setup_config(&setup, &waf_plugin, "{rules: [\"SecRuleEngine On\\nSecWrong\"]}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "rules", "Line: 2"));
    cr_assert_null(plugin_setup_config(&setup, &waf_plugin, "{rules_files: [/nowhere]}"));
    cr_assert(plugin_setup_reported(&setup, REPORT_ERROR, "rules_files", "no such file: /nowhere"));
}

Test(waf, a_request_is_refused_by_its_target)
{
    if (waf_engine_load() != NULL)
        return;
    use("{rules: ['SecRule ARGS \"@streq bad\" \"id:1,phase:1,deny\"']}", "GET", "/?x=bad");
    cr_assert_eq(run(PHASE_ACCESS), VERDICT_RESPOND);
    cr_assert(exchange->status == 403 && slice_equal(exchange->body, SLICE("Forbidden")));
    cr_assert_eq(run(PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
    cr_assert_eq(run(PHASE_LOG), VERDICT_CONTINUE);
    fake_exchange_close(exchange);
}

Test(waf, detection_refuses_nothing)
{
    if (waf_engine_load() != NULL)
        return;
    use("{mode: detection, rules: ['SecRule ARGS \"@streq bad\" \"id:1,phase:1,deny\"']}", "GET", "/?x=bad");
    cr_assert_eq(run(PHASE_ACCESS), VERDICT_CONTINUE);
    cr_assert_eq(metric_read(&shard.metrics, METRIC_WAF_MATCHES), 1);
    fake_exchange_close(exchange);
}

Test(waf, it_waits_for_the_body)
{
    if (waf_engine_load() != NULL)
        return;
    use("{rules: ['SecRule REQUEST_BODY \"@contains bad\" \"id:1,phase:2,deny,status:422\"']}", "POST", "/");
    fake_exchange_header(exchange, "Content-Type", SLICE("application/x-www-form-urlencoded"));
    exchange->request.framing = BODY_LENGTH;
    exchange->request_body = SLICE("x=bad");
    exchange->body_is_late = true;
    cr_assert_eq(run(PHASE_ACCESS), VERDICT_READ_BODY);
    exchange->body_is_late = false;
    cr_assert_eq(run(PHASE_ACCESS), VERDICT_RESPOND);
    cr_assert_eq(exchange->status, 422);
    fake_exchange_close(exchange);
}

Test(waf, response_bodies_are_held_back)
{
    static const char *const bodies[] = { "nothing but good", "something bad", "" };
    if (waf_engine_load() != NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        memset(exchange_state, 0, waf_plugin.exchange_state_size);
        use("{response_body: true, rules: ['SecRule RESPONSE_BODY \"@contains bad\" \"id:1,phase:4,deny\"']}",
            "GET", "/");
        cr_assert_eq(run(PHASE_ACCESS), VERDICT_CONTINUE);
        exchange->received.status = 200;
        cr_assert(message_add(&exchange->received, SLICE("Content-Type"), SLICE("text/plain")));
        cr_assert_eq(run(PHASE_RESPONSE_HEAD), VERDICT_CONTINUE);
        cr_assert_eq(fake_exchange_filter(exchange, slice_of(bodies[i]), 3), i != 1);
        cr_assert_eq(exchange->passed.size, i == 1 ? 0 : strlen(bodies[i]));
        fake_exchange_close(exchange);
    }
}
