/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the opentelemetry plugin: its configuration, and the spans and the log record of a request
 * (opentelemetry_spans.c). On the exchange's shard. */
#pragma once

#include "plugins/log_queue.h"
#include "plugins/otlp.h"
#include "plugins/trace.h"

/* What the setting tracing_instrumentations asks for. */
enum otel_instrument {
    OTEL_REQUEST = 1,
    OTEL_ROUTER = 2,
    OTEL_REWRITE = 4,
    OTEL_ACCESS = 8,
    OTEL_HEADER_FILTER = 16,
    OTEL_BALANCER = 32
};

struct otel_attribute {
    struct slice name, value;
};

struct otel_config {
    struct slice traces_endpoint, logs_endpoint, endpoint, response_header;
    struct schema_map headers, resource_attributes;
    struct log_queue_config queue;
    int64_t connect_timeout_ms, send_timeout_ms, read_timeout_ms;
    int64_t batch_span_count, batch_flush_delay; /* Kong's older names */
    double sampling_rate;
    int strategy; /* enum trace_trust */
    struct trace_header_types types;
    struct trace_propagation propagation;
    struct trace_rules rules; /* prepared */
};

struct otel_request {
    const struct trace *trace;
    struct exchange *exchange;
    struct trace_source *source;
    unsigned instruments;
    struct exchange_record record;
};

/* Each span goes to the queue on its own, as a message Span. */
void otel_add_spans(struct log_queue *queue, struct otel_request *request);

/* The message LogRecord. */
void otel_write_log(struct text *text, const struct otel_request *request, struct slice entry);
