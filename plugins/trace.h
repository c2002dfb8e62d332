/* SPDX-License-Identifier: Apache-2.0 */
/* One request's part of a trace, for the plugins that send spans: taken over from the client or begun here,
 * sampled, passed on upstream. In the exchange state of such a plugin; its shard's. */
#pragma once

#include "core/crypto/random.h"
#include "net/proxy/exchange_log.h"
#include "plugins/trace_context.h"

struct trace {
    bool begun, told; /* told: the upstream */
    bool shared; /* its span is the client's */
    enum trace_format found;
    struct trace_context context; /* its span is the server's, its parent the client's */
    unsigned char proxy_id[SPAN_ID_BYTES]; /* of the span around the upstream */
};

/* Of a shard. */
struct trace_source {
    struct random_pool pool;
    uint64_t drawn;
};

enum trace_trust { TRACE_PARENT_DECIDES, TRACE_PARENT_DROPS /* but does not keep */ };

struct trace_begin {
    const struct trace_rules *rules;
    double rate; /* of those that the client has not decided; negative: none, whatever it has decided */
    enum trace_trust trust;
    uint32_t id_bytes; /* of new traces: 8 or 16 */
    bool shares_span; /* B3: the client's span is ours, too */
};

/* Once; later calls find it begun. Sampled requests have their plugins timed. */
void trace_begin(struct trace *trace, struct trace_source *source, struct exchange *exchange,
                 const struct trace_begin *begin);

static inline bool trace_is_sampled(const struct trace *trace)
{
    return trace->begun && trace->context.decision == TRACE_SAMPLED;
}

void trace_new_span(struct trace_source *source, unsigned char id[SPAN_ID_BYTES]);

/* The id of the trace as text, in lower case; 16 digits for a short one. */
struct slice trace_id_text(struct arena *arena, const struct trace *trace);

/* Nanoseconds since 1970 of a time of the record. */
uint64_t trace_wall_ns(const struct exchange_record *record, uint64_t time_ns);
