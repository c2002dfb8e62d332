/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/plugins.h"
#include "plugins/trace_context.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/plugin_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct exchange *exchange;

static void start(void)
{
    exchange = fake_exchange_open("GET", "/");
}

static void end(void)
{
    fake_exchange_close(exchange);
}

TestSuite(trace_context, .init = start, .fini = end);

static const enum trace_format all[] = { TRACE_B3,      TRACE_W3C, TRACE_JAEGER, TRACE_OT,
                                         TRACE_DATADOG, TRACE_AWS, TRACE_GCP,    TRACE_INSTANA };

static struct trace_context extract(void)
{
    struct trace_context context;
    trace_extract(&exchange->request, all, COUNT_OF(all), &context);
    return context;
}

static void expect_hex(const unsigned char *bytes, size_t size, const char *hex)
{
    char text[33];
    for (size_t i = 0; i < size; i++)
        snprintf(text + i * 2, 3, "%02x", bytes[i]);
    cr_expect_str_eq(text, hex);
}

struct given {
    const char *name, *value;
};

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const struct {
    struct given headers[4];
    enum trace_format format;
    enum trace_decision decision;
    const char *trace, *span;
} readings[] = {
    { { { "traceparent", "00-" TRACE "-" SPAN "-01" } }, TRACE_W3C, TRACE_SAMPLED, TRACE, SPAN },
    { { { "traceparent", "00-" TRACE "-" SPAN "-00" } }, TRACE_W3C, TRACE_DROPPED, TRACE, SPAN },
    { { { "traceparent", "cc-" TRACE "-" SPAN "-03-more" } }, TRACE_W3C, TRACE_SAMPLED, TRACE, SPAN },
    { { { "X-B3-TraceId", TRACE }, { "X-B3-SpanId", SPAN }, { "X-B3-Sampled", "1" } },
      TRACE_B3,
      TRACE_SAMPLED,
      TRACE,
      SPAN },
    { { { "x-b3-traceid", "8448eb211c80319c" }, { "x-b3-spanid", SPAN }, { "x-b3-flags", "1" } },
      TRACE_B3,
      TRACE_SAMPLED,
      "00000000000000008448eb211c80319c",
      SPAN },
    { { { "x-b3-sampled", "0" } }, TRACE_B3, TRACE_DROPPED, NULL, NULL },
    { { { "b3", TRACE "-" SPAN "-1-05e3ac9a4f6e3b90" } }, TRACE_B3_SINGLE, TRACE_SAMPLED, TRACE, SPAN },
    { { { "b3", TRACE "-" SPAN } }, TRACE_B3_SINGLE, TRACE_UNDECIDED, TRACE, SPAN },
    { { { "b3", "0" } }, TRACE_B3_SINGLE, TRACE_DROPPED, NULL, NULL },
    { { { "uber-trace-id", "8448eb211c80319c:" SPAN ":0:1" } },
      TRACE_JAEGER,
      TRACE_SAMPLED,
      "00000000000000008448eb211c80319c",
      SPAN },
    { { { "ot-tracer-traceid", TRACE }, { "ot-tracer-spanid", SPAN }, { "ot-tracer-sampled", "false" } },
      TRACE_OT,
      TRACE_DROPPED,
      TRACE,
      SPAN },
    { { { "x-datadog-trace-id", "9532127138774266268" },
        { "x-datadog-parent-id", "13235353014750950193" },
        { "x-datadog-sampling-priority", "2" } },
      TRACE_DATADOG,
      TRACE_SAMPLED,
      "00000000000000008448eb211c80319c",
      SPAN },
    { { { "X-Amzn-Trace-Id", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=" SPAN ";Sampled=0" } },
      TRACE_AWS,
      TRACE_DROPPED,
      TRACE,
      SPAN },
    { { { "x-cloud-trace-context", TRACE "/13235353014750950193;o=1" } },
      TRACE_GCP,
      TRACE_SAMPLED,
      TRACE,
      SPAN },
    { { { "x-instana-t", TRACE }, { "x-instana-s", SPAN }, { "x-instana-l", "1" } },
      TRACE_INSTANA,
      TRACE_SAMPLED,
      TRACE,
      SPAN },
};

Test(trace_context, every_format_is_read)
{
    for (size_t i = 0; i < COUNT_OF(readings); i++) {
        end();
        start();
        for (size_t k = 0; k < 4 && readings[i].headers[k].name; k++)
            fake_exchange_header(exchange, readings[i].headers[k].name,
                                 slice_of(readings[i].headers[k].value));
        struct trace_context context = extract();
        cr_expect_eq(context.format, readings[i].format, "case %zu", i);
        cr_expect_eq(context.decision, readings[i].decision, "case %zu", i);
        cr_expect_eq(context.has_trace, readings[i].trace != NULL, "case %zu", i);
        cr_expect_eq(context.has_span, readings[i].span != NULL, "case %zu", i);
        if (readings[i].trace)
            expect_hex(context.trace_id, TRACE_ID_BYTES, readings[i].trace);
        if (readings[i].span)
            expect_hex(context.span_id, SPAN_ID_BYTES, readings[i].span);
    }
}

Test(trace_context, what_is_broken_is_not_there)
{
    static const struct given cases[] = {
        { "traceparent", "" },
        { "traceparent", "00-" TRACE "-" SPAN },
        { "traceparent", "00-" TRACE "-" SPAN "-01-x" },
        { "traceparent", "ff-" TRACE "-" SPAN "-01" },
        { "traceparent", "00-00000000000000000000000000000000-" SPAN "-01" },
        { "traceparent", "00-" TRACE "-0000000000000000-01" },
        { "traceparent", "00-0af7651916cd43dd8448eb211c80319x-" SPAN "-01" },
        { "x-b3-traceid", "xyz" },
        { "x-b3-spanid", SPAN },
        { "b3", "" },
        { "b3", "-" },
        { "b3", TRACE "-" SPAN "-7" },
        { "b3", TRACE TRACE "-" SPAN "-1" },
        { "uber-trace-id", TRACE ":" SPAN },
        { "uber-trace-id", ":::" },
        { "x-datadog-trace-id", "0" },
        { "x-datadog-trace-id", "99999999999999999999999" },
        { "x-amzn-trace-id", "Root=1-1-2;;=" },
        { "x-cloud-trace-context", TRACE "00/1;o=1" },
        { "x-instana-t", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        end();
        start();
        fake_exchange_header(exchange, cases[i].name, slice_of(cases[i].value));
        struct trace_context context = extract();
        cr_expect_eq(context.format, TRACE_NONE, "%s: %s", cases[i].name, cases[i].value);
        cr_expect_not(context.has_trace);
    }
}

Test(trace_context, the_first_format_counts)
{
    fake_exchange_header(exchange, "traceparent", SLICE("00-" TRACE "-" SPAN "-00"));
    fake_exchange_header(exchange, "b3", SLICE(TRACE "-" SPAN "-1"));
    cr_expect_eq(extract().format, TRACE_B3_SINGLE);
    static const enum trace_format w3c[] = { TRACE_W3C };
    struct trace_context context;
    trace_extract(&exchange->request, w3c, 1, &context);
    cr_expect_eq(context.format, TRACE_W3C);
}

static struct trace_context sample(enum trace_decision decision)
{
    fake_exchange_header(exchange, "traceparent", SLICE("00-" TRACE "-" SPAN "-01"));
    struct trace_context context = extract();
    context.decision = decision;
    memset(context.parent_id, 0x11, SPAN_ID_BYTES);
    return context;
}

Test(trace_context, every_format_is_written)
{
    static const struct {
        enum trace_format format;
        enum trace_decision decision;
        struct given headers[4];
    } cases[] = {
        { TRACE_W3C, TRACE_SAMPLED, { { "traceparent", "00-" TRACE "-" SPAN "-01" } } },
        { TRACE_B3,
          TRACE_DROPPED,
          { { "x-b3-traceid", TRACE },
            { "x-b3-spanid", SPAN },
            { "x-b3-parentspanid", "1111111111111111" },
            { "x-b3-sampled", "0" } } },
        { TRACE_B3_SINGLE, TRACE_SAMPLED, { { "b3", TRACE "-" SPAN "-1-1111111111111111" } } },
        { TRACE_JAEGER, TRACE_SAMPLED, { { "uber-trace-id", TRACE ":" SPAN ":1111111111111111:01" } } },
        { TRACE_OT,
          TRACE_SAMPLED,
          { { "ot-tracer-traceid", TRACE }, { "ot-tracer-spanid", SPAN }, { "ot-tracer-sampled", "1" } } },
        { TRACE_DATADOG,
          TRACE_SAMPLED,
          { { "x-datadog-trace-id", "9532127138774266268" },
            { "x-datadog-parent-id", "13235353014750950193" },
            { "x-datadog-sampling-priority", "1" } } },
        { TRACE_AWS,
          TRACE_DROPPED,
          { { "X-Amzn-Trace-Id", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=" SPAN ";Sampled=0" } } },
        { TRACE_GCP, TRACE_SAMPLED, { { "x-cloud-trace-context", TRACE "/13235353014750950193;o=1" } } },
        { TRACE_INSTANA,
          TRACE_SAMPLED,
          { { "x-instana-t", TRACE }, { "x-instana-s", SPAN }, { "x-instana-l", "1" } } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        end();
        start();
        struct trace_context context = sample(cases[i].decision);
        cr_assert(trace_inject(exchange, cases[i].format, &context));
        for (size_t k = 0; k < 4 && cases[i].headers[k].name; k++) {
            struct slice value = fake_exchange_upstream_header(exchange, cases[i].headers[k].name);
            cr_expect(slice_equal(value, slice_of(cases[i].headers[k].value)), "%s: %.*s",
                      cases[i].headers[k].name, SLICE_FORMAT(value));
        }
    }
}

Test(trace_context, memory_may_be_short)
{
    struct trace_context context = sample(TRACE_SAMPLED);
    exchange->grants_left = 1;
    cr_expect_not(trace_inject(exchange, TRACE_B3, &context));
}

static void expect_good(const char *config)
{
    struct plugin_setup setup;
    plugin_setup_init(&setup);
    cr_assert_not_null(plugin_setup_config(&setup, &zipkin_plugin, config), "%s", config);
    plugin_setup_deinit(&setup);
}

Test(trace_context, configurations_are_checked)
{
    struct plugin_setup setup;
    expect_good("{propagation: {extract: [w3c, b3], inject: [preserve, datadog], default_format: w3c}}");
    plugin_setup_init(&setup);
    static const char *const bad[] = { "{propagation: {extract: [nothing]}}",
                                       "{propagation: {extract: [preserve]}}",
                                       "{propagation: {default_format: preserve}}",
                                       "{traceid_byte_count: 9}",
                                       "{static_tags: [{name: error, value: x}]}",
                                       "{static_tags: [{name: a, value: x}, {name: a, value: y}]}",
                                       "{sample_ratio: 2}" };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_null(plugin_setup_config(&setup, &zipkin_plugin, bad[i]), "%s", bad[i]);
    cr_expect_null(plugin_setup_config(&setup, &opentelemetry_plugin, "{}"));
    cr_expect_null(plugin_setup_config(&setup, &opentelemetry_plugin,
                                       "{endpoint: 'http://a', resource_attributes: {a: '$(b)'}}"));
    cr_expect_not_null(
        plugin_setup_config(&setup, &opentelemetry_plugin, "{endpoint: 'http://a/v1/traces'}"));
    plugin_setup_deinit(&setup);
}
