/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/opentelemetry.h"

#include <stdio.h>

enum { ATTRIBUTES = OTLP_SPAN_ATTRIBUTES };

static struct slice id_of(const unsigned char *id, size_t size)
{
    return (struct slice){ (const char *)id, size };
}

static struct slice parent_of(const unsigned char *id)
{
    static const unsigned char zeros[SPAN_ID_BYTES];
    return memcmp(id, zeros, SPAN_ID_BYTES) ? id_of(id, SPAN_ID_BYTES) : (struct slice){ NULL, 0 };
}

static struct otlp_span span_of(const struct otel_request *request, const unsigned char *id,
                                const unsigned char *parent)
{
    return (struct otlp_span){ .trace_id = id_of(request->trace->context.trace_id, TRACE_ID_BYTES),
                               .span_id = id_of(id, SPAN_ID_BYTES),
                               .parent_id = parent_of(parent),
                               .kind = OTLP_INTERNAL };
}

static void set_times(const struct otel_request *request, struct otlp_span *span, uint64_t start_ns,
                      uint64_t end_ns)
{
    span->start_ns = trace_wall_ns(&request->record, start_ns);
    span->end_ns = trace_wall_ns(&request->record, end_ns);
}

/* --- the whole request ---------------------------------------------------------------------------------- */

/* Calls of plugins are measured with a clock of their own, finer than the loop's: a request lasts no shorter
 * than what happened in it. */
static uint64_t latest_ns(const struct exchange_record *record)
{
    uint64_t latest = record->end_ns;
    for (uint32_t i = 0; i < record->span_count; i++)
        if (record->spans[i].end_ns > latest)
            latest = record->spans[i].end_ns;
    return latest;
}

static void add_root(struct log_queue *queue, const struct otel_request *request)
{
    struct text *text = &queue->owner->text;
    const struct exchange_record *record = &request->record;
    const struct message *message = exchange_request(request->exchange);
    const struct route *route = exchange_route(request->exchange);
    bool https = exchange_is_https(request->exchange);
    struct otlp_span span =
        span_of(request, request->trace->context.span_id, request->trace->context.parent_id);
    span.name = SLICE("kong");
    span.kind = OTLP_SERVER;
    set_times(request, &span, record->start_ns, latest_ns(record));
    struct slice url =
        arena_format(exchange_arena(request->exchange), "%s://%.*s:%u%.*s", https ? "https" : "http",
                     SLICE_FORMAT(record->host), record->port, SLICE_FORMAT(message->origin_form));
    text_clear(text);
    otlp_begin_span(text, &span);
    otlp_string(text, ATTRIBUTES, "http.method", message->method);
    otlp_string(text, ATTRIBUTES, "http.url", url);
    otlp_string(text, ATTRIBUTES, "http.host", record->host);
    otlp_string(text, ATTRIBUTES, "http.scheme", https ? SLICE("https") : SLICE("http"));
    otlp_string(text, ATTRIBUTES, "http.flavor", message->version_minor ? SLICE("1.1") : SLICE("1.0"));
    otlp_string(text, ATTRIBUTES, "http.client_ip", exchange_client_ip(request->exchange));
    otlp_string(text, ATTRIBUTES, "net.peer.ip", exchange_client_ip(request->exchange));
    otlp_string(text, ATTRIBUTES, "kong.request.id", exchange_request_id(request->exchange));
    otlp_integer(text, ATTRIBUTES, "http.status_code", record->status);
    if (route && route->paths.count > 0)
        otlp_string(text, ATTRIBUTES, "http.route", route->paths.items[0]);
    if (exchange_consumer(request->exchange))
        otlp_string(text, ATTRIBUTES, "kong.consumer",
                    slice_of(exchange_consumer(request->exchange)->entity.id));
    if (record->status >= 500)
        otlp_fail_span(text, (struct slice){ NULL, 0 });
    log_queue_add_text(queue);
}

/* --- its parts ------------------------------------------------------------------------------------------ */

static void add_part(struct log_queue *queue, const struct otel_request *request, struct otlp_span *span,
                     const unsigned char *parent)
{
    unsigned char id[SPAN_ID_BYTES];
    trace_new_span(request->source, id);
    struct otlp_span whole = span_of(request, id, parent);
    whole.name = span->name;
    whole.kind = span->kind;
    whole.start_ns = span->start_ns;
    whole.end_ns = span->end_ns;
    text_clear(&queue->owner->text);
    otlp_begin_span(&queue->owner->text, &whole);
    log_queue_add_text(queue);
}

static void add_router(struct log_queue *queue, const struct otel_request *request)
{
    const struct exchange_record *record = &request->record;
    struct otlp_span span = { .name = SLICE("kong.router"), .kind = OTLP_INTERNAL };
    set_times(request, &span, record->start_ns, record->routed_ns ? record->routed_ns : record->start_ns);
    add_part(queue, request, &span, request->trace->context.span_id);
}

static const struct {
    const char *name;
    unsigned instrument;
} phases[PHASE_COUNT] = { [PHASE_REWRITE] = { "rewrite", OTEL_REWRITE },
                          [PHASE_ACCESS] = { "access", OTEL_ACCESS },
                          [PHASE_UPSTREAM_REQUEST] = { "access", OTEL_ACCESS },
                          [PHASE_RESPONSE_HEAD] = { "header_filter", OTEL_HEADER_FILTER } };

static void add_plugins(struct log_queue *queue, const struct otel_request *request)
{
    for (uint32_t i = 0; i < request->record.span_count; i++) {
        const struct exchange_span *timed = &request->record.spans[i];
        if (!(request->instruments & phases[timed->phase].instrument))
            continue;
        char name[96];
        int size =
            snprintf(name, sizeof(name), "kong.%s.plugin.%s", phases[timed->phase].name, timed->plugin);
        struct otlp_span span = { .name = { name, (size_t)size }, .kind = OTLP_INTERNAL };
        set_times(request, &span, timed->start_ns, timed->end_ns);
        add_part(queue, request, &span, request->trace->context.span_id);
    }
}

/* A try with its address; a new connection is a part of it, with TLS where that is spoken. */
static void add_try(struct log_queue *queue, const struct otel_request *request,
                    const struct exchange_try *tried, uint32_t number)
{
    struct text *text = &queue->owner->text;
    const struct exchange_record *record = &request->record;
    unsigned char id[SPAN_ID_BYTES];
    char address[ADDRESS_TEXT_SIZE];
    size_t size = address_text(&tried->address, address);
    trace_new_span(request->source, id);
    struct otlp_span span = span_of(request, id, request->trace->context.span_id);
    span.name = SLICE("kong.balancer");
    span.kind = OTLP_CLIENT;
    set_times(request, &span, tried->start_ns, tried->end_ns ? tried->end_ns : record->end_ns);
    text_clear(text);
    otlp_begin_span(text, &span);
    otlp_integer(text, ATTRIBUTES, "try_count", number);
    otlp_string(text, ATTRIBUTES, "net.peer.ip", (struct slice){ address, size });
    otlp_integer(text, ATTRIBUTES, "net.peer.port", address_port(&tried->address));
    otlp_string(text, ATTRIBUTES, "net.peer.name", tried->host);
    if (tried->status)
        otlp_integer(text, ATTRIBUTES, "http.status_code", tried->status);
    if (tried->error != ERROR_OK)
        otlp_fail_span(text, slice_of(error_text(tried->error)));
    log_queue_add_text(queue);
    if (tried->reused || tried->connected_ns == 0)
        return;
    struct otlp_span connect = { .name = SLICE("kong.connect"), .kind = OTLP_CLIENT };
    set_times(request, &connect, tried->start_ns, tried->connected_ns);
    add_part(queue, request, &connect, id);
}

void otel_add_spans(struct log_queue *queue, struct otel_request *request)
{
    add_root(queue, request);
    if (request->instruments & OTEL_ROUTER)
        add_router(queue, request);
    add_plugins(queue, request);
    for (uint32_t i = 0; request->instruments & OTEL_BALANCER && i < request->record.try_count; i++)
        add_try(queue, request, &request->record.tries[i], i + 1);
}

/* --- the log record ------------------------------------------------------------------------------------- */

enum log_field {
    LOG_TIME = 1,
    LOG_SEVERITY = 2,
    LOG_SEVERITY_TEXT = 3,
    LOG_BODY = 5,
    LOG_FLAGS = 8,
    LOG_TRACE_ID = 9,
    LOG_SPAN_ID = 10,
    LOG_OBSERVED = 11,
    ANY_STRING = 1
};

void otel_write_log(struct text *text, const struct otel_request *request, struct slice entry)
{
    enum { SEVERITY_INFO = 9, SEVERITY_WARN = 13, SEVERITY_ERROR = 17 };
    int status = request->record.status;
    int severity = status >= 500 ? SEVERITY_ERROR : status >= 400 ? SEVERITY_WARN : SEVERITY_INFO;
    const struct trace_context *context = &request->trace->context;
    otlp_fixed64(text, LOG_TIME, trace_wall_ns(&request->record, request->record.start_ns));
    otlp_varint(text, LOG_SEVERITY, (uint64_t)severity);
    otlp_bytes(text, LOG_SEVERITY_TEXT,
               status >= 500   ? SLICE("ERROR")
               : status >= 400 ? SLICE("WARN")
                               : SLICE("INFO"));
    size_t body = otlp_begin(text, LOG_BODY);
    otlp_bytes(text, ANY_STRING, entry);
    otlp_end(text, body);
    otlp_string(text, OTLP_LOG_ATTRIBUTES, "request.id", exchange_request_id(request->exchange));
    otlp_fixed32(text, LOG_FLAGS, context->decision == TRACE_SAMPLED);
    otlp_bytes(text, LOG_TRACE_ID, id_of(context->trace_id, TRACE_ID_BYTES));
    otlp_bytes(text, LOG_SPAN_ID, id_of(context->span_id, SPAN_ID_BYTES));
    otlp_fixed64(text, LOG_OBSERVED, trace_wall_ns(&request->record, request->record.end_ns));
}
