/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of arbitrary text in which trace contexts are looked for: what is said to be there is not zero. */
#include "plugins/trace_context.h"
#include "core/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_zero(const unsigned char *bytes, size_t size)
{
    unsigned char all = 0;
    for (size_t i = 0; i < size; i++)
        all |= bytes[i];
    return all == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "traceparent",         "b3",
                                         "x-b3-traceid",        "x-b3-spanid",
                                         "x-b3-parentspanid",   "x-b3-sampled",
                                         "uber-trace-id",       "ot-tracer-traceid",
                                         "ot-tracer-spanid",    "x-datadog-trace-id",
                                         "x-datadog-parent-id", "x-datadog-sampling-priority",
                                         "x-amzn-trace-id",     "x-cloud-trace-context",
                                         "x-instana-t",         "x-instana-s" };
    struct slice rest = { size ? (const char *)data : "", size };
    struct arena arena;
    struct message message;
    arena_init(&arena, NULL, 0, 1024 * 1024);
    message_init(&message, &arena);
    for (size_t i = 0; rest.data && i < COUNT_OF(names); i++) {
        struct slice line = slice_split(rest, '\n', &rest);
        if (line.size > 0)
            CHECK(message_add(&message, slice_of(names[i]), line));
    }
    for (int format = TRACE_B3; format < TRACE_FORMATS; format++) {
        enum trace_format one = (enum trace_format)format;
        struct trace_context context;
        trace_extract(&message, &one, 1, &context);
        CHECK(!context.has_trace || !is_zero(context.trace_id, TRACE_ID_BYTES));
        CHECK(!context.has_span || !is_zero(context.span_id, SPAN_ID_BYTES));
        CHECK(context.format != TRACE_NONE || !context.has_trace);
    }
    arena_deinit(&arena);
    return 0;
}
