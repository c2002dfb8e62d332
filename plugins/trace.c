/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/trace.h"

#include <math.h>

void trace_new_span(struct trace_source *source, unsigned char id[SPAN_ID_BYTES])
{
    static const unsigned char zeros[SPAN_ID_BYTES];
    do
        random_draw(&source->pool, id, SPAN_ID_BYTES);
    while (memcmp(id, zeros, SPAN_ID_BYTES) == 0);
}

static bool draw(struct trace_source *source, double rate)
{
    uint64_t number;
    if (rate >= 1 || rate <= 0)
        return rate >= 1;
    random_draw(&source->pool, &number, sizeof(number));
    return ldexp((double)(number >> 11), -53) < rate;
}

static enum trace_decision decide(struct trace_source *source, const struct trace_begin *begin,
                                  enum trace_decision parent)
{
    if (parent == TRACE_DROPPED || begin->rate < 0)
        return TRACE_DROPPED;
    if (parent == TRACE_SAMPLED && begin->trust == TRACE_PARENT_DECIDES)
        return TRACE_SAMPLED;
    return draw(source, begin->rate) ? TRACE_SAMPLED : TRACE_DROPPED;
}

void trace_begin(struct trace *trace, struct trace_source *source, struct exchange *exchange,
                 const struct trace_begin *begin)
{
    struct trace_context *context = &trace->context;
    if (trace->begun)
        return;
    trace->begun = true;
    trace_extract(exchange_request(exchange), begin->rules->extract, begin->rules->extract_count, context);
    trace->found = context->format;
    context->decision = decide(source, begin, context->decision);
    if (!context->has_trace) {
        memset(context->trace_id, 0, TRACE_ID_BYTES);
        random_draw(&source->pool, context->trace_id + TRACE_ID_BYTES - begin->id_bytes, begin->id_bytes);
        context->trace_id[TRACE_ID_BYTES - 1] |= 1; /* never all zeros */
    }
    bool is_b3 = context->format == TRACE_B3 || context->format == TRACE_B3_SINGLE;
    trace->shared = context->has_span && is_b3 && begin->shares_span;
    if (context->has_span && !trace->shared)
        memcpy(context->parent_id, context->span_id, SPAN_ID_BYTES);
    if (!trace->shared)
        trace_new_span(source, context->span_id);
    trace_new_span(source, trace->proxy_id);
    if (context->decision == TRACE_SAMPLED)
        exchange_trace(exchange);
}

uint64_t trace_wall_ns(const struct exchange_record *record, uint64_t time_ns)
{
    uint64_t offset_ns = time_ns > record->start_ns ? time_ns - record->start_ns : 0;
    return record->wall_ms * 1000000u + offset_ns;
}

struct slice trace_id_text(struct arena *arena, const struct trace *trace)
{
    static const unsigned char zeros[8];
    static const char digits[] = "0123456789abcdef";
    size_t from = memcmp(trace->context.trace_id, zeros, sizeof(zeros)) == 0 ? 8 : 0, size = 0;
    char *text = arena_alloc(arena, 2 * TRACE_ID_BYTES);
    for (size_t i = from; text && i < TRACE_ID_BYTES; i++) {
        text[size++] = digits[trace->context.trace_id[i] >> 4];
        text[size++] = digits[trace->context.trace_id[i] & 15];
    }
    return (struct slice){ text, size };
}
