/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_entry.h"

#include "core/base/query.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/log_entities.h"
#include "plugins/log_queue.h"
#include "tls/tls_stream.h"
#include "tls/tls_suites.h"

/* --- times ---------------------------------------------------------------------------------------------- */

uint64_t log_entry_ms(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns && to_ns > from_ns ? (to_ns - from_ns) / 1000000u : 0;
}

uint64_t log_entry_own_ms(const struct exchange_record *record)
{
    return log_entry_ms(record->start_ns, record->try_count > 0 ? record->upstream_ns : record->end_ns);
}

int64_t log_entry_upstream_ms(const struct exchange_record *record)
{
    if (record->try_count == 0)
        return -1;
    return (int64_t)log_entry_ms(record->upstream_ns, record->head_ns ? record->head_ns : record->end_ns);
}

/* --- headers -------------------------------------------------------------------------------------------- */

static void add_lower(struct text *text, struct slice name)
{
    size_t from = text->size;
    text_json_name(text, name);
    for (size_t i = from; i < text->size; i++)
        text->data[i] = slice_lower(text->data[i]);
}

static bool is_secret(struct slice name)
{
    return slice_equal_nocase(name, SLICE("authorization")) ||
           slice_equal_nocase(name, SLICE("proxy-authorization"));
}

/* All values of one name: one as a text, several as an array. */
static void add_header(struct text *text, const struct header *headers, uint32_t count, uint32_t first)
{
    struct slice name = headers[first].name;
    uint32_t values = 0;
    add_lower(text, name);
    if (is_secret(name)) {
        text_literal(text, "\"REDACTED\"");
        return;
    }
    size_t at = text->size;
    for (uint32_t i = first; i < count; i++) {
        if (headers[i].name.data == NULL || !slice_equal_nocase(headers[i].name, name))
            continue;
        if (values++ > 0)
            text_byte(text, ',');
        text_quoted(text, headers[i].value);
    }
    if (values < 2)
        return;
    char *end = text_extend(text, 2);
    if (end == NULL)
        return;
    memmove(text->data + at + 1, text->data + at, text->size - 2 - at);
    text->data[at] = '[';
    text->data[text->size - 1] = ']';
}

static bool came_before(const struct header *headers, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (headers[i].name.data && slice_equal_nocase(headers[i].name, headers[index].name))
            return true;
    return false;
}

static void add_headers(struct text *text, const struct header *headers, uint32_t count)
{
    text_json_name(text, SLICE("headers"));
    text_byte(text, '{');
    for (uint32_t i = 0; i < count; i++)
        if (headers[i].name.data && !came_before(headers, i))
            add_header(text, headers, count, i);
    text_byte(text, '}');
}

/* --- request -------------------------------------------------------------------------------------------- */

enum { ARGUMENTS_MAX = 100 /* as Kong reads */ };

struct argument {
    struct slice name, value; /* absent value: there was no '=' */
};

static void add_argument_value(struct text *text, const struct argument *argument)
{
    if (argument->value.data)
        text_quoted(text, argument->value);
    else
        text_literal(text, "true");
}

static void add_argument(struct text *text, const struct argument *arguments, uint32_t count, uint32_t first)
{
    uint32_t values = 0;
    text_json_name(text, arguments[first].name);
    for (uint32_t i = first; i < count; i++)
        values += slice_equal(arguments[i].name, arguments[first].name);
    if (values == 1) {
        add_argument_value(text, &arguments[first]);
        return;
    }
    text_byte(text, '[');
    for (uint32_t i = first; i < count; i++) {
        if (!slice_equal(arguments[i].name, arguments[first].name))
            continue;
        if (i > first)
            text_byte(text, ',');
        add_argument_value(text, &arguments[i]);
    }
    text_byte(text, ']');
}

static void add_querystring(struct text *text, struct exchange *exchange, struct slice query)
{
    struct argument arguments[ARGUMENTS_MAX];
    struct arena *arena = exchange_arena(exchange);
    uint32_t count = 0;
    while (query.size > 0 && count < ARGUMENTS_MAX) {
        struct slice rest, value;
        struct slice name = slice_split(slice_split(query, '&', &rest), '=', &value);
        query = rest;
        if (name.size > 0)
            arguments[count++] = (struct argument){ query_unescape(arena, name),
                                                    value.data ? query_unescape(arena, value) : value };
    }
    text_json_name(text, SLICE("querystring"));
    text_byte(text, '{');
    for (uint32_t i = 0; i < count; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = slice_equal(arguments[k].name, arguments[i].name);
        if (!seen)
            add_argument(text, arguments, count, i);
    }
    text_byte(text, '}');
}

static void add_tls(struct text *text, const struct exchange *exchange)
{
    struct tls_info info;
    if (!exchange_tls(exchange, &info))
        return;
    text_json_name(text, SLICE("tls"));
    text_byte(text, '{');
    if (info.suite) {
        text_json_string(text, "version",
                         info.suite->version == STREAM_TLS_1_3 ? SLICE("TLSv1.3") : SLICE("TLSv1.2"));
        text_json_string(text, "cipher", slice_of(info.suite->name));
    }
    text_json_string(text, "client_verify", info.peer ? SLICE("SUCCESS") : SLICE("NONE"));
    text_byte(text, '}');
}

static void add_request(struct text *text, struct exchange *exchange, const struct exchange_record *record)
{
    const struct message *request = exchange_request(exchange);
    struct slice query, path = slice_split(request->origin_form, '?', &query);
    (void)path;
    text_json_name(text, SLICE("request"));
    text_byte(text, '{');
    text_json_string(text, "id", exchange_request_id(exchange));
    text_json_string(text, "uri", request->origin_form);
    struct slice url = arena_format(
        exchange_arena(exchange), "%s://%.*s:%u%.*s", exchange_is_https(exchange) ? "https" : "http",
        SLICE_FORMAT(record->host), record->port, SLICE_FORMAT(request->origin_form));
    text_json_string(text, "url", url);
    text_json_string(text, "method", request->method);
    text_json_i64(text, "size", (int64_t)record->request_bytes);
    add_querystring(text, exchange, query);
    add_headers(text, request->headers, request->header_count);
    add_tls(text, exchange);
    text_byte(text, '}');
}

/* --- response ------------------------------------------------------------------------------------------- */

static void add_response(struct text *text, struct exchange *exchange, const struct exchange_record *record)
{
    enum { FIELDS_MAX = 256 };
    struct header headers[FIELDS_MAX];
    uint32_t count = 0, cursor = 0;
    while (count < FIELDS_MAX && exchange_next_response_header(exchange, &cursor, &headers[count]))
        count++;
    text_json_name(text, SLICE("response"));
    text_byte(text, '{');
    text_json_i64(text, "status", record->status);
    text_json_i64(text, "size", (int64_t)record->response_bytes);
    add_headers(text, headers, count);
    text_byte(text, '}');
}

static void add_latencies(struct text *text, const struct exchange_record *record)
{
    text_json_name(text, SLICE("latencies"));
    text_byte(text, '{');
    text_json_i64(text, "request", (int64_t)log_entry_ms(record->start_ns, record->end_ns));
    text_json_i64(text, "kong", (int64_t)log_entry_own_ms(record));
    text_json_i64(text, "proxy", log_entry_upstream_ms(record));
    uint64_t receive_ms = record->own ? 0 : log_entry_ms(record->head_ns, record->end_ns);
    text_json_i64(text, "receive", (int64_t)receive_ms);
    text_byte(text, '}');
}

static void add_try(struct text *text, const struct exchange_record *record, const struct exchange_try *tried)
{
    char address[ADDRESS_TEXT_SIZE];
    size_t size = address_text(&tried->address, address);
    uint64_t offset_ns = tried->start_ns > record->start_ns ? tried->start_ns - record->start_ns : 0;
    uint64_t wall_ns = record->wall_ms * 1000000u + offset_ns;
    text_byte(text, '{');
    text_json_string(text, "ip", (struct slice){ address, size });
    text_json_i64(text, "port", address_port(&tried->address));
    text_json_i64(text, "balancer_start", (int64_t)(wall_ns / 1000000u));
    text_json_i64(text, "balancer_start_ns", (int64_t)wall_ns);
    text_json_i64(text, "balancer_latency", 0); /* an address is chosen within microseconds */
    text_json_i64(text, "balancer_latency_ns", 0);
    if (tried->error != ERROR_OK) {
        text_json_string(text, "state", SLICE("failed"));
        text_json_i64(text, "code", tried->status ? tried->status : error_http_status(tried->error));
    }
    text_byte(text, '}');
}

static void add_tries(struct text *text, const struct exchange_record *record)
{
    text_json_name(text, SLICE("tries"));
    text_byte(text, '[');
    for (uint32_t i = 0; i < record->try_count; i++) {
        if (i > 0)
            text_byte(text, ',');
        add_try(text, record, &record->tries[i]);
    }
    text_byte(text, ']');
}

/* As nginx lists them: one status per try, those of failed connections included. */
static void add_upstream_status(struct text *text, const struct exchange_record *record)
{
    text_json_name(text, SLICE("upstream_status"));
    text_byte(text, '"');
    for (uint32_t i = 0; i < record->try_count; i++) {
        const struct exchange_try *tried = &record->tries[i];
        if (i > 0)
            text_literal(text, ", ");
        text_u64(text, (uint64_t)(tried->status ? tried->status : error_http_status(tried->error)));
    }
    text_byte(text, '"');
}

static void add_identity(struct text *text, const struct exchange *exchange)
{
    const struct credential *credential = exchange_credential(exchange);
    const struct consumer *consumer = exchange_consumer(exchange);
    if (credential) {
        text_json_name(text, SLICE("authenticated_entity"));
        text_byte(text, '{');
        text_json_string(text, "id", slice_of(credential->entity.id));
        if (consumer)
            text_json_string(text, "consumer_id", slice_of(consumer->entity.id));
        text_byte(text, '}');
    }
    if (consumer == NULL)
        return;
    text_json_name(text, SLICE("consumer"));
    log_consumer(text, consumer);
}

void log_entry_write(struct text *text, const struct plugin_call *call)
{
    struct exchange *exchange = call->exchange;
    struct exchange_record record;
    exchange_record_of(exchange, &record);
    const struct service *service = exchange_service(exchange);
    text_byte(text, '{');
    add_request(text, exchange, &record);
    add_response(text, exchange, &record);
    add_latencies(text, &record);
    add_tries(text, &record);
    text_json_string(text, "upstream_uri", exchange_upstream_uri(exchange));
    add_upstream_status(text, &record);
    add_identity(text, exchange);
    if (service) {
        text_json_name(text, SLICE("service"));
        log_service(text, service);
    }
    if (exchange_route(exchange)) {
        text_json_name(text, SLICE("route"));
        log_route(text, exchange_route(exchange));
    }
    text_json_string(text, "client_ip", exchange_client_ip(exchange));
    text_json_i64(text, "started_at", (int64_t)record.wall_ms);
    text_json_string(text, "source", record.own ? SLICE("kong") : SLICE("upstream"));
    text_json_string(text, "workspace", SLICE(LOG_WORKSPACE));
    text_json_string(text, "workspace_name", SLICE("default"));
    text_byte(text, '}');
}

enum verdict log_entry_on_log(const struct plugin_call *call)
{
    struct log_queues *queues = call->shard_state;
    struct log_queue *queue = log_queue_of(queues, call);
    if (queue == NULL)
        return VERDICT_CONTINUE;
    log_entry_write(&queues->text, call);
    log_queue_add_text(queue);
    return VERDICT_CONTINUE;
}
