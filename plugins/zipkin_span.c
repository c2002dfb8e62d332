/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/zipkin_span.h"

#include <stdio.h>

/* --- parts ---------------------------------------------------------------------------------------------- */

static void add_id(struct text *text, const char *name, const unsigned char *id, size_t size)
{
    text_json_name(text, slice_of(name));
    text_byte(text, '"');
    text_hex(text, (struct slice){ (const char *)id, size });
    text_byte(text, '"');
}

static bool is_zero(const unsigned char *id, size_t size)
{
    static const unsigned char zeros[TRACE_ID_BYTES];
    return memcmp(id, zeros, size) == 0;
}

struct span {
    const unsigned char *id, *parent; /* parent NULL: none */
    const char *kind, *suffix; /* of the name */
    uint64_t start_ns, end_ns;
};

static void begin_span(struct text *text, const struct zipkin_request *request, const struct span *span)
{
    const struct trace_context *context = &request->trace->context;
    const struct message *message = exchange_request(request->exchange);
    bool is_short = is_zero(context->trace_id, 8);
    text_byte(text, '{');
    add_id(text, "traceId", context->trace_id + (is_short ? 8 : 0), is_short ? 8 : 16);
    add_id(text, "id", span->id, SPAN_ID_BYTES);
    if (span->parent && !is_zero(span->parent, SPAN_ID_BYTES))
        add_id(text, "parentId", span->parent, SPAN_ID_BYTES);
    text_json_string(text, "kind", slice_of(span->kind));
    bool with_path = request->config->span_name == 1;
    struct slice path = exchange_path(request->exchange);
    struct slice name = arena_format(
        exchange_arena(request->exchange), "%.*s%s%.*s%s", SLICE_FORMAT(message->method),
        with_path ? " " : "", with_path ? (int)path.size : 0, path.data ? path.data : "", span->suffix);
    text_json_string(text, "name", name);
    uint64_t end_ns = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
    uint64_t duration_us = (end_ns - span->start_ns) / 1000;
    text_json_i64(text, "timestamp", (int64_t)(trace_wall_ns(&request->record, span->start_ns) / 1000));
    text_json_i64(text, "duration", duration_us ? (int64_t)duration_us : 1);
    if (request->config->local_service_name.size) {
        text_literal(text, ",\"localEndpoint\":{");
        text_json_string(text, "serviceName", request->config->local_service_name);
        text_byte(text, '}');
    }
}

static void add_remote(struct text *text, struct slice service, struct slice ip, int64_t port)
{
    text_literal(text, ",\"remoteEndpoint\":{");
    text_json_string(text, "serviceName", service);
    if (ip.size)
        text_json_string(text, memchr(ip.data, ':', ip.size) ? "ipv6" : "ipv4", ip);
    if (port)
        text_json_i64(text, "port", port);
    text_byte(text, '}');
}

static void add_tag_u64(struct text *text, const char *name, uint64_t number)
{
    char digits[SLICE_U64_SIZE];
    char *end = slice_write_u64(digits, number);
    text_json_string(text, name, (struct slice){ digits, (size_t)(end - digits) });
}

/* From when to when a phase ran: two annotations or a tag. */
struct interval {
    const char *begins, *ends, *tag;
    uint64_t start_ns, end_ns;
};

static void add_annotations(struct text *text, const struct zipkin_request *request,
                            const struct interval *intervals, size_t count)
{
    if (request->config->flavor != 0)
        return;
    text_literal(text, ",\"annotations\":[");
    for (size_t i = 0; i < count; i++) {
        uint64_t end_ns =
            intervals[i].end_ns > intervals[i].start_ns ? intervals[i].end_ns : intervals[i].start_ns;
        text_format(text, "%s{\"timestamp\":%llu,\"value\":\"%s\"},{\"timestamp\":%llu,\"value\":\"%s\"}",
                    i > 0 ? "," : "",
                    (unsigned long long)(trace_wall_ns(&request->record, intervals[i].start_ns) / 1000),
                    intervals[i].begins, (unsigned long long)(trace_wall_ns(&request->record, end_ns) / 1000),
                    intervals[i].ends);
    }
    text_byte(text, ']');
}

static void add_durations(struct text *text, const struct zipkin_request *request,
                          const struct interval *intervals, size_t count)
{
    for (size_t i = 0; request->config->flavor == 1 && i < count; i++) {
        const struct interval *at = &intervals[i];
        add_tag_u64(text, at->tag, at->end_ns > at->start_ns ? (at->end_ns - at->start_ns) / 1000000u : 0);
    }
}

/* --- spans ---------------------------------------------------------------------------------------------- */

/* a=b;c=d of the client; names alone and empty ones are left out. */
static void add_header_tags(struct text *text, const struct zipkin_request *request)
{
    enum { TAGS_MAX = 64 };
    struct slice rest = message_find_name(exchange_request(request->exchange), request->config->tags_header);
    for (unsigned i = 0; rest.size > 0 && i < TAGS_MAX; i++) {
        struct slice value;
        struct slice name = slice_trim(slice_split(slice_split(rest, ';', &rest), '=', &value));
        if (name.size == 0 || value.size == 0)
            continue;
        text_json_name(text, name);
        text_quoted(text, slice_trim(value));
    }
}

static void add_request_tags(struct text *text, const struct zipkin_request *request)
{
    const struct message *message = exchange_request(request->exchange);
    const struct consumer *consumer = exchange_consumer(request->exchange);
    const struct credential *credential = exchange_credential(request->exchange);
    const struct zipkin_tag *tags =
        (const struct zipkin_tag *)(const void *)request->config->static_tags.items;
    text_json_string(text, "lc", SLICE("kong"));
    text_json_string(text, "http.method", message->method);
    text_json_string(text, "http.host", request->record.host);
    text_json_string(text, "http.path", exchange_path(request->exchange));
    text_json_string(text, "http.protocol", message->version_minor ? SLICE("HTTP/1.1") : SLICE("HTTP/1.0"));
    text_json_string(text, "kong.node.id", slice_of(request->node_id));
    add_tag_u64(text, "http.status_code", (uint64_t)request->record.status);
    if (consumer)
        text_json_string(text, "kong.consumer", slice_of(consumer->entity.id));
    if (credential && request->config->include_credential)
        text_json_string(text, "kong.credential", slice_of(credential->entity.id));
    if (request->record.status >= 500)
        text_json_string(text, "error", SLICE("true"));
    for (uint32_t i = 0; i < request->config->static_tags.count; i++) {
        text_json_name(text, tags[i].name);
        text_quoted(text, tags[i].value);
    }
    add_header_tags(text, request);
}

void zipkin_write_request(struct text *text, const struct zipkin_request *request)
{
    const struct exchange_record *record = &request->record;
    const struct trace_context *context = &request->trace->context;
    const struct span span = { context->span_id, context->parent_id, "SERVER", "",
                               record->start_ns, record->end_ns };
    const struct interval rewrite = { "krs", "krf", "kong.rewrite.duration_ms", record->start_ns,
                                      record->routed_ns };
    begin_span(text, request, &span);
    if (request->trace->shared)
        text_json_bool(text, "shared", true);
    add_remote(text, (struct slice){ NULL, 0 }, exchange_client_ip(request->exchange), 0);
    add_annotations(text, request, &rewrite, 1);
    text_literal(text, ",\"tags\":{");
    add_request_tags(text, request);
    add_durations(text, request, &rewrite, 1);
    text_literal(text, "}}");
}

static struct slice service_name(const struct zipkin_request *request)
{
    const struct service *service = exchange_service(request->exchange);
    if (service && service->entity.name.size)
        return service->entity.name;
    return request->config->default_service_name;
}

static void add_entities(struct text *text, const struct zipkin_request *request)
{
    const struct service *service = exchange_service(request->exchange);
    const struct route *route = exchange_route(request->exchange);
    if (service) {
        text_json_string(text, "kong.service", slice_of(service->entity.id));
        text_json_string(text, "kong.service_name", service->entity.name);
    }
    if (route) {
        text_json_string(text, "kong.route", slice_of(route->entity.id));
        text_json_string(text, "kong.route_name", route->entity.name);
    }
}

void zipkin_write_proxy(struct text *text, const struct zipkin_request *request)
{
    const struct exchange_record *record = &request->record;
    const struct exchange_try *last = &record->tries[record->try_count - 1];
    uint64_t head_ns = record->head_ns ? record->head_ns : record->end_ns;
    const struct span span = { request->trace->proxy_id,
                               request->trace->context.span_id,
                               "CLIENT",
                               " (proxy)",
                               record->upstream_ns,
                               record->end_ns };
    const struct interval intervals[] = {
        { "kas", "kaf", "kong.access.duration_ms", record->routed_ns ? record->routed_ns : record->start_ns,
          record->upstream_ns },
        { "khs", "khf", "kong.header_filter.duration_ms", head_ns, head_ns },
        { "kbs", "kbf", "kong.body_filter.duration_ms", head_ns, record->end_ns },
    };
    char address[ADDRESS_TEXT_SIZE];
    size_t size = address_text(&last->address, address);
    begin_span(text, request, &span);
    add_remote(text, service_name(request), (struct slice){ address, size }, address_port(&last->address));
    add_annotations(text, request, intervals, COUNT_OF(intervals));
    text_literal(text, ",\"tags\":{");
    text_json_string(text, "lc", SLICE("kong"));
    add_entities(text, request);
    text_json_string(text, "peer.hostname", last->host);
    add_tag_u64(text, "http.status_code", (uint64_t)record->status);
    add_durations(text, request, intervals, COUNT_OF(intervals));
    text_literal(text, "}}");
}

void zipkin_write_try(struct text *text, const struct zipkin_request *request, uint32_t index,
                      const unsigned char id[SPAN_ID_BYTES])
{
    const struct exchange_try *tried = &request->record.tries[index];
    char suffix[48], address[ADDRESS_TEXT_SIZE];
    snprintf(suffix, sizeof(suffix), " (balancer try %u)", index + 1);
    uint64_t end_ns = tried->end_ns    ? tried->end_ns
                      : tried->head_ns ? tried->head_ns
                                       : request->record.end_ns;
    const struct span span = {
        id, request->trace->context.span_id, "CLIENT", suffix, tried->start_ns, end_ns
    };
    size_t size = address_text(&tried->address, address);
    begin_span(text, request, &span);
    add_remote(text, service_name(request), (struct slice){ address, size }, address_port(&tried->address));
    text_literal(text, ",\"tags\":{");
    add_tag_u64(text, "kong.balancer.try", index + 1u);
    add_entities(text, request);
    if (tried->error != ERROR_OK) {
        text_json_string(text, "error", SLICE("true"));
        text_json_string(text, "kong.balancer.state", SLICE("failed"));
    }
    int status = tried->status              ? tried->status
                 : tried->error != ERROR_OK ? error_http_status(tried->error)
                                            : 0;
    if (status)
        add_tag_u64(text, "http.status_code", (uint64_t)status);
    text_literal(text, "}}");
}
