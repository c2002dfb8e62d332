/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's grpc-gateway: calls of HTTP with JSON become calls of gRPC, as google.api.http says in a .proto
 * file. */
#include "net/protobuf/proto_load.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/grpc_bindings.h"
#include "plugins/grpc_messages.h"
#include "plugins/plugins.h"
#include "plugins/query_arguments.h"
#include "plugins/regex_state.h"

enum { SCRATCH_BYTES = 64 * 1024 * 1024 };

/* --- configuration -------------------------------------------------------------------------------------- */

struct grpc_gateway_config {
    struct slice proto;
    const struct proto_schema *schema; /* prepared; NULL: there is none */
    struct grpc_bindings bindings;
};

static const struct field fields[] = {
    { .name = "proto",
      .type = FIELD_STRING,
      .offset = offsetof(struct grpc_gateway_config, proto),
      .help = "path of the .proto file whose google.api.http options say what calls stand for" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct grpc_gateway_config *config = value;
    struct config_place deeper = schema_place(place, "proto");
    const struct node *field = node ? node_find(node, "proto") : NULL;
    config->schema = NULL;
    config->bindings = (struct grpc_bindings){ NULL, 0 };
    if (config->proto.data == NULL)
        return;
    if (field)
        deeper.position = &field->position;
    config->schema = proto_load(config->proto, &deeper);
    if (config->schema)
        grpc_bindings_make(&config->bindings, config->schema, &deeper);
}

/* --- the request ---------------------------------------------------------------------------------------- */

struct grpc_gateway_exchange {
    struct body_filter filter;
    const struct grpc_binding *binding; /* NULL: not a call of gRPC */
    struct grpc_messages messages;
};

static enum verdict refuse(struct exchange *exchange, struct slice message)
{
    return exchange_respond_body(exchange, 400, (struct slice){ NULL, 0 }, message);
}

/* A value for the field that a path like "a.b" leads to; an unknown one is left out. Pieces of one message
 * add up. */
static bool put_field(struct proto_reading *reading, const struct proto_message *message, struct slice path,
                      struct slice text)
{
    struct slice rest, name = slice_split(path, '.', &rest);
    const struct proto_field *field = proto_field_named(message, name);
    if (field == NULL)
        return true;
    if (rest.data == NULL)
        return proto_read_text(reading, field, text);
    if (field->type != PROTO_MESSAGE || field->repeated || ++reading->depth > PROTO_DEPTH_MAX)
        return true;
    proto_put_tag(reading->out, field->number, PROTO_WIRE_BYTES);
    size_t start = proto_open(reading->out);
    bool good = put_field(reading, field->message, rest, text);
    proto_close(reading->out, start);
    reading->depth--;
    return good;
}

static bool put_query(struct proto_reading *reading, const struct proto_message *message, struct slice query)
{
    struct query_arguments arguments = { .arena = reading->arena };
    query_arguments_read(&arguments, query);
    for (uint32_t i = 0; !arguments.failed && i < arguments.count; i++) {
        struct slice value = arguments.items[i].value;
        if (!put_field(reading, message, arguments.items[i].name, value.data ? value : SLICE("true")))
            return false;
    }
    return !arguments.failed;
}

/* What stands in the path comes last, and so has the last word. */
static bool put_all(struct proto_reading *reading, const struct plugin_call *call, struct slice body)
{
    const struct grpc_binding *binding = ((struct grpc_gateway_exchange *)call->exchange_state)->binding;
    const struct proto_message *message = binding->method->input;
    const struct regex_scratch *scratch = call->shard_state;
    struct exchange *exchange = call->exchange;
    if (binding->rule->body.data == NULL && !put_query(reading, message, exchange_query(exchange)))
        return false;
    if (binding->rule->body.data && body.size > 0 && !grpc_read_json(reading, message, body, binding->body))
        return false;
    for (uint32_t i = 0; i < binding->variable_count; i++)
        if (!put_field(reading, message, binding->variables[i],
                       regex_group(scratch, exchange_path(exchange), i + 1)))
            return false;
    return true;
}

static bool find_binding(const struct plugin_call *call, struct slice *message)
{
    const struct grpc_gateway_config *config = call->config;
    struct grpc_gateway_exchange *state = call->exchange_state;
    struct arena *arena = exchange_arena(call->exchange);
    struct slice path = exchange_path(call->exchange), method = exchange_request(call->exchange)->method;
    const char *known = "failed to transcode .proto file Unknown";
    if (config->schema == NULL) {
        *message = SLICE("transcoding requests require a .proto file defining the service");
        return false;
    }
    switch (grpc_bindings_find(&config->bindings, method, path, call->shard_state, &state->binding)) {
    case GRPC_FOUND: return true;
    case GRPC_NO_PATH: *message = arena_format(arena, "%s path \"%.*s\"", known, SLICE_FORMAT(path)); break;
    case GRPC_NO_METHOD: {
        struct slice lower = arena_copy(arena, method);
        for (size_t i = 0; lower.data && i < lower.size; i++)
            ((char *)(uintptr_t)lower.data)[i] = slice_lower(lower.data[i]);
        *message = arena_format(arena, "%s method \"%.*s\"", known, SLICE_FORMAT(lower));
        break;
    }
    }
    state->binding = NULL;
    return false;
}

static enum verdict transcode(const struct plugin_call *call, struct slice body)
{
    struct grpc_gateway_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    struct arena scratch;
    arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
    struct proto_buffer out = { .arena = &scratch, .limit = GRPC_MESSAGE_BYTES_MAX };
    struct proto_reading reading = { .arena = &scratch, .out = &out };
    enum verdict verdict = VERDICT_CONTINUE;
    if (!put_all(&reading, call, body) || out.failed) {
        state->binding = NULL;
        struct slice reason = arena_copy(exchange_arena(exchange), slice_of(reading.reason));
        verdict = refuse(exchange, reason.size > 0 ? reason : SLICE("failed to encode payload"));
    } else if (!grpc_become_call(exchange, state->binding->method->path,
                                 (struct slice){ out.data, out.size })) {
        verdict = exchange_respond_failure(exchange);
    }
    arena_deinit(&scratch);
    return verdict;
}

static enum verdict answer_preflight(struct exchange *exchange)
{
    bool good =
        exchange_set_response_header(exchange, SLICE("Access-Control-Allow-Methods"),
                                     SLICE("GET,POST,PATCH,DELETE")) &&
        exchange_set_response_header(exchange, SLICE("Access-Control-Allow-Headers"), SLICE("content-type"));
    return good ? exchange_respond_body(exchange, 200, SLICE("application/json"), SLICE("OK"))
                : exchange_respond_failure(exchange);
}

static enum verdict on_access(const struct plugin_call *call)
{
    struct exchange *exchange = call->exchange;
    struct slice message, body;
    if (!exchange_set_response_header(exchange, SLICE("Access-Control-Allow-Origin"), SLICE("*")))
        return exchange_respond_failure(exchange);
    if (slice_equal(exchange_request(exchange)->method, SLICE("OPTIONS")))
        return answer_preflight(exchange);
    if (!find_binding(call, &message))
        return message.data ? refuse(exchange, message) : exchange_respond_failure(exchange);
    switch (exchange_read_body(exchange, GRPC_MESSAGE_BYTES_MAX, &body)) {
    case BODY_READ: return transcode(call, body);
    case BODY_LATER: return VERDICT_READ_BODY;
    case BODY_TOO_LONG: return exchange_respond_error(exchange, 413, (struct slice){ NULL, 0 });
    default: return exchange_respond_failure(exchange);
    }
}

/* --- the response --------------------------------------------------------------------------------------- */

static struct grpc_gateway_exchange *owner_of(struct body_filter *filter)
{
    return (struct grpc_gateway_exchange *)((char *)filter - offsetof(struct grpc_gateway_exchange, filter));
}

static bool write_message(void *owner, unsigned flags, struct slice message)
{
    struct grpc_gateway_exchange *state = owner;
    const struct grpc_binding *binding = state->binding;
    struct arena scratch;
    if (flags & GRPC_COMPRESSED)
        return false;
    arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
    struct proto_buffer out = { .arena = &scratch, .limit = SCRATCH_BYTES };
    const struct proto_message *type = binding->method->output;
    enum proto_writing_result result =
        binding->response_body ? proto_write_member(&out, type, binding->response_body, message, &scratch)
                               : proto_write_json(&out, type, message, &scratch);
    bool good = result == PROTO_WRITTEN &&
                body_filter_pass_text(&state->filter, (struct slice){ out.data, out.size });
    arena_deinit(&scratch);
    return good;
}

static bool filter_write(struct body_filter *filter, struct chunk chunk)
{
    struct grpc_gateway_exchange *state = owner_of(filter);
    bool good = grpc_messages_take(&state->messages, chunk_slice(&chunk), write_message, state);
    chunk_release(&chunk);
    return good;
}

static bool filter_end(struct body_filter *filter)
{
    return owner_of(filter)->messages.size == 0; /* a part of a message is none */
}

static void filter_close(struct body_filter *filter)
{
    grpc_messages_close(&owner_of(filter)->messages);
}

static const struct body_filter_ops filter_ops = {
    .write = filter_write,
    .end = filter_end,
    .close = filter_close,
};

/* google/rpc/code.proto */
static int http_status_of(struct slice text)
{
    static const int statuses[] = { 200, 499, 500, 400, 504, 404, 409, 403, 429,
                                    400, 409, 400, 500, 500, 503, 500, 401 };
    uint64_t status;
    if (!slice_to_u64(text, &status) || status >= COUNT_OF(statuses))
        return 500;
    return statuses[status];
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    struct grpc_gateway_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    struct slice type = exchange_response_header(exchange, SLICE("Content-Type"));
    if (state->binding == NULL || exchange_response_is_own(exchange) ||
        !slice_starts_with(type, SLICE("application/grpc")))
        return VERDICT_CONTINUE;
    struct slice status = exchange_response_header(exchange, SLICE("grpc-status"));
    if (status.data)
        exchange_set_response_status(exchange, http_status_of(status));
    if (!exchange_set_response_header(exchange, SLICE("Content-Type"), SLICE("application/json")))
        return exchange_respond_failure(exchange);
    state->filter = (struct body_filter){ .ops = &filter_ops, .kind = BODY_FILTER_CHANGES };
    exchange_filter_response(exchange, &state->filter);
    return VERDICT_CONTINUE;
}

const struct plugin grpc_gateway_plugin = {
    .kind = { .name = "grpc-gateway",
              .priority = 998,
              .config = { .name = "grpc-gateway",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct grpc_gateway_config),
                          .check = check_config } },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .shard_state_size = sizeof(struct regex_scratch),
    .exchange_state_size = sizeof(struct grpc_gateway_exchange),
    .shard_open = regex_state_open,
    .shard_close = regex_state_close,
};
