/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's grpc-web: browsers call gRPC services in the framing of gRPC-Web, binary or base64, or in JSON. */
#include "core/crypto/base64.h"
#include "net/protobuf/proto_load.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/grpc_messages.h"
#include "plugins/plugins.h"

enum { SCRATCH_BYTES = 64 * 1024 * 1024, TEXT_PIECE_BYTES = 12288 /* a multiple of 3: no padding inside */ };

/* --- configuration -------------------------------------------------------------------------------------- */

struct grpc_web_config {
    struct slice proto, allow_origin_header;
    bool pass_stripped_path;
    const struct proto_schema *schema; /* prepared; NULL: there is none */
};

#define OFFSET(member) offsetof(struct grpc_web_config, member)

static const struct field fields[] = {
    { .name = "proto",
      .type = FIELD_STRING,
      .offset = OFFSET(proto),
      .help = "path of the .proto file of the service, for clients that speak JSON" },
    { .name = "pass_stripped_path",
      .type = FIELD_BOOLEAN,
      .offset = OFFSET(pass_stripped_path),
      .help = "true: the upstream sees the path without what the route matched" },
    { .name = "allow_origin_header",
      .type = FIELD_STRING,
      .offset = OFFSET(allow_origin_header),
      .fallback = "*",
      .help = "Access-Control-Allow-Origin of every response" },
};

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct grpc_web_config *config = value;
    struct config_place deeper = schema_place(place, "proto");
    const struct node *field = node ? node_find(node, "proto") : NULL;
    if (field)
        deeper.position = &field->position;
    config->schema = config->proto.data ? proto_load(config->proto, &deeper) : NULL;
}

/* --- what clients speak --------------------------------------------------------------------------------- */

enum web_encoding { WEB_PLAIN, WEB_BASE64 };
enum web_framing { WEB_FRAMES, WEB_BARE };
enum web_messages { WEB_PROTO, WEB_JSON };

struct web_kind {
    struct slice type;
    enum web_encoding encoding;
    enum web_framing framing;
    enum web_messages messages;
};

static const struct web_kind kinds[] = {
    { { "application/grpc-web", 20 }, WEB_PLAIN, WEB_FRAMES, WEB_PROTO },
    { { "application/grpc-web-text", 25 }, WEB_BASE64, WEB_FRAMES, WEB_PROTO },
    { { "application/grpc-web+proto", 26 }, WEB_PLAIN, WEB_FRAMES, WEB_PROTO },
    { { "application/grpc-web-text+proto", 31 }, WEB_BASE64, WEB_FRAMES, WEB_PROTO },
    { { "application/grpc-web+json", 25 }, WEB_PLAIN, WEB_FRAMES, WEB_JSON },
    { { "application/grpc-web-text+json", 30 }, WEB_BASE64, WEB_FRAMES, WEB_JSON },
    { { "application/json", 16 }, WEB_PLAIN, WEB_BARE, WEB_JSON },
};

static const struct web_kind *kind_of(const struct message *request)
{
    struct slice rest, type = slice_trim(slice_split(message_find(request, HEADER_CONTENT_TYPE), ';', &rest));
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (slice_equal_nocase(type, kinds[i].type))
            return &kinds[i];
    return NULL;
}

struct grpc_web_exchange {
    struct body_filter filter;
    const struct web_kind *kind; /* NULL: not a call of gRPC-Web */
    const struct proto_method *method; /* of WEB_JSON */
    struct grpc_messages messages;
    struct slice status, message; /* of a response that consists of its head */
};

/* --- the request ---------------------------------------------------------------------------------------- */

static enum verdict refuse(struct exchange *exchange, struct slice message)
{
    return exchange_respond_body(exchange, 400, (struct slice){ NULL, 0 }, message);
}

/* Clients encode message by message, so padding may stand inside. In place of the text. False: no base64. */
static bool decode_text(char *text, size_t size, size_t *decoded)
{
    size_t at = 0, out = 0;
    while (at < size) {
        const char *padding = memchr(text + at, '=', size - at);
        size_t end = padding ? (size_t)(padding - text) : size;
        while (end < size && text[end] == '=')
            end++;
        size_t got;
        if (!base64_decode(BASE64_STANDARD, (struct slice){ text + at, end - at }, text + out, &got))
            return false;
        out += got;
        at = end;
    }
    *decoded = out;
    return true;
}

static bool decode(struct exchange *exchange, enum web_encoding encoding, struct slice *body)
{
    if (encoding == WEB_PLAIN)
        return true;
    struct slice copy = arena_copy(exchange_arena(exchange), *body);
    size_t size = 0;
    if (copy.data == NULL || !decode_text((char *)(uintptr_t)copy.data, copy.size, &size))
        return false;
    *body = (struct slice){ copy.data, size };
    return true;
}

static enum verdict send_json(const struct plugin_call *call, struct slice path, struct slice body)
{
    struct grpc_web_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    struct arena scratch;
    struct slice json = state->kind->framing == WEB_FRAMES ? grpc_first_message(body) : body;
    if (json.data == NULL)
        return refuse(exchange, SLICE("the body holds no message"));
    arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
    struct proto_buffer out = { .arena = &scratch, .limit = GRPC_MESSAGE_BYTES_MAX };
    struct proto_reading reading = { .arena = &scratch, .out = &out };
    enum verdict verdict = VERDICT_CONTINUE;
    if (!grpc_read_json(&reading, state->method->input, json, NULL)) {
        struct slice reason = arena_copy(exchange_arena(exchange), slice_of(reading.reason));
        verdict = reason.data ? refuse(exchange, reason) : exchange_respond_failure(exchange);
    } else if (!grpc_become_call(exchange, path, (struct slice){ out.data, out.size })) {
        verdict = exchange_respond_failure(exchange);
    }
    arena_deinit(&scratch);
    return verdict;
}

static enum verdict send_call(const struct plugin_call *call, struct slice path, struct slice body)
{
    struct grpc_web_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    if (!decode(exchange, state->kind->encoding, &body))
        return refuse(exchange, SLICE("the body is no valid base64"));
    if (state->kind->messages == WEB_JSON)
        return send_json(call, path, body);
    exchange_set_upstream_path(exchange, path);
    bool good = grpc_set_fields(exchange) &&
                (state->kind->encoding == WEB_PLAIN || exchange_set_body(exchange, body));
    return good ? VERDICT_CONTINUE : exchange_respond_failure(exchange);
}

/* False: *message says why, or is absent for want of memory. */
static bool find_method(const struct plugin_call *call, struct slice path, struct slice *message)
{
    const struct grpc_web_config *config = call->config;
    struct grpc_web_exchange *state = call->exchange_state;
    if (state->kind && state->kind->messages == WEB_PROTO)
        return true;
    if (config->schema == NULL) {
        *message = SLICE("transcoding requests require a .proto file defining the service");
        return false;
    }
    state->method = proto_find_method(config->schema, path);
    if (state->method == NULL)
        *message =
            arena_format(exchange_arena(call->exchange), "Unkown path \"%.*s\"", /* as Kong spells it */
                         SLICE_FORMAT(path));
    else if (state->kind == NULL)
        *message = SLICE("unknown Content-Type");
    return state->method && state->kind;
}

static enum verdict answer_preflight(struct exchange *exchange)
{
    bool good =
        exchange_set_response_header(exchange, SLICE("Access-Control-Allow-Methods"), SLICE("POST")) &&
        exchange_set_response_header(exchange, SLICE("Access-Control-Allow-Headers"),
                                     SLICE("content-type,x-grpc-web,x-user-agent"));
    return good ? exchange_respond_body(exchange, 200, SLICE("application/grpc-web-text+proto"), SLICE("OK"))
                : exchange_respond_failure(exchange);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct grpc_web_config *config = call->config;
    struct grpc_web_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    struct slice body, message = { NULL, 0 };
    if (config->allow_origin_header.data &&
        !exchange_set_response_header(exchange, SLICE("Access-Control-Allow-Origin"),
                                      config->allow_origin_header))
        return exchange_respond_failure(exchange);
    if (slice_equal(exchange_request(exchange)->method, SLICE("OPTIONS")))
        return answer_preflight(exchange);
    struct slice path =
        config->pass_stripped_path ? exchange_upstream_path(exchange) : exchange_path(exchange);
    if (path.data == NULL)
        return exchange_respond_failure(exchange);
    state->kind = kind_of(exchange_request(exchange));
    if (!find_method(call, path, &message)) {
        state->kind = NULL;
        return message.data ? refuse(exchange, message) : exchange_respond_failure(exchange);
    }
    enum body_reading reading = exchange_read_body(exchange, GRPC_MESSAGE_BYTES_MAX, &body);
    if (reading == BODY_LATER)
        return VERDICT_READ_BODY;
    enum verdict verdict = VERDICT_RESPOND;
    if (reading == BODY_READ)
        verdict = send_call(call, path, body);
    else if (reading == BODY_TOO_LONG)
        (void)exchange_respond_error(exchange, 413, (struct slice){ NULL, 0 });
    else
        (void)exchange_respond_failure(exchange);
    if (verdict == VERDICT_RESPOND)
        state->kind = NULL;
    return verdict;
}

/* --- the response --------------------------------------------------------------------------------------- */

static struct grpc_web_exchange *owner_of(struct body_filter *filter)
{
    return (struct grpc_web_exchange *)((char *)filter - offsetof(struct grpc_web_exchange, filter));
}

static bool pass(struct grpc_web_exchange *state, struct slice text)
{
    char out[TEXT_PIECE_BYTES / 3 * 4];
    if (state->kind->encoding == WEB_PLAIN)
        return body_filter_pass_text(&state->filter, text);
    while (text.size > 0) {
        size_t part = text.size < TEXT_PIECE_BYTES ? text.size : TEXT_PIECE_BYTES;
        size_t size = base64_encode(BASE64_STANDARD, (struct slice){ text.data, part }, out);
        if (!body_filter_pass_text(&state->filter, (struct slice){ out, size }))
            return false;
        text = slice_from(text, part);
    }
    return true;
}

static bool pass_frame(struct grpc_web_exchange *state, unsigned flags, struct proto_buffer *frame)
{
    if (frame->failed)
        return false;
    grpc_write_head(frame->data, flags, frame->size - GRPC_HEAD_BYTES);
    return pass(state, (struct slice){ frame->data, frame->size });
}

static bool write_message(void *owner, unsigned flags, struct slice message)
{
    struct grpc_web_exchange *state = owner;
    struct arena scratch;
    bool framed = state->kind->framing == WEB_FRAMES;
    if (flags & GRPC_COMPRESSED)
        return false;
    arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
    struct proto_buffer out = { .arena = &scratch, .limit = SCRATCH_BYTES };
    if (framed)
        proto_put(&out, (struct slice){ "\0\0\0\0", GRPC_HEAD_BYTES });
    bool good = proto_write_json(&out, state->method->output, message, &scratch) == PROTO_WRITTEN;
    if (good)
        good = framed ? pass_frame(state, 0, &out) : pass(state, (struct slice){ out.data, out.size });
    arena_deinit(&scratch);
    return good;
}

static bool filter_write(struct body_filter *filter, struct chunk chunk)
{
    struct grpc_web_exchange *state = owner_of(filter);
    if (state->kind->messages == WEB_PROTO && state->kind->encoding == WEB_PLAIN)
        return body_filter_pass(filter, chunk);
    bool good = state->kind->messages == WEB_PROTO
                    ? pass(state, chunk_slice(&chunk))
                    : grpc_messages_take(&state->messages, chunk_slice(&chunk), write_message, state);
    chunk_release(&chunk);
    return good;
}

static void put_trailer(struct proto_buffer *out, struct slice name, struct slice value)
{
    proto_put(out, name);
    proto_put(out, SLICE(":"));
    proto_put(out, value);
    proto_put(out, SLICE("\r\n"));
}

/* What is not among the trailers may have been said in the head. */
static void find_outcome(const struct grpc_web_exchange *state, struct slice *status, struct slice *message)
{
    struct header header;
    uint32_t cursor = 0;
    *status = state->status;
    *message = state->message;
    while (exchange_next_response_trailer(state->filter.exchange, &cursor, &header)) {
        if (slice_equal_nocase(header.name, SLICE("grpc-status")))
            *status = header.value;
        if (slice_equal_nocase(header.name, SLICE("grpc-message")))
            *message = header.value;
    }
}

/* Trailers are the last frame: scripts in browsers see no others. */
static bool filter_end(struct body_filter *filter)
{
    struct grpc_web_exchange *state = owner_of(filter);
    struct slice status, message;
    struct header header;
    struct arena scratch;
    uint32_t cursor = 0;
    if (state->messages.size > 0)
        return false; /* a part of a message is none */
    if (state->kind->framing == WEB_BARE)
        return true;
    find_outcome(state, &status, &message);
    arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
    struct proto_buffer out = { .arena = &scratch, .limit = SCRATCH_BYTES };
    proto_put(&out, (struct slice){ "\0\0\0\0", GRPC_HEAD_BYTES });
    put_trailer(&out, SLICE("grpc-status"), status.data ? status : SLICE("0"));
    put_trailer(&out, SLICE("grpc-message"), message);
    while (exchange_next_response_trailer(filter->exchange, &cursor, &header))
        if (!slice_equal_nocase(header.name, SLICE("grpc-status")) &&
            !slice_equal_nocase(header.name, SLICE("grpc-message")))
            put_trailer(&out, header.name, header.value);
    bool good = pass_frame(state, GRPC_TRAILERS, &out);
    arena_deinit(&scratch);
    return good;
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

static enum verdict on_response_head(const struct plugin_call *call)
{
    struct grpc_web_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    struct slice type = exchange_response_header(exchange, SLICE("Content-Type"));
    if (state->kind == NULL || exchange_response_is_own(exchange) ||
        !slice_starts_with(type, SLICE("application/grpc")))
        return VERDICT_CONTINUE;
    struct arena *arena = exchange_arena(exchange);
    state->status = arena_copy(arena, exchange_response_header(exchange, SLICE("grpc-status")));
    state->message = arena_copy(arena, exchange_response_header(exchange, SLICE("grpc-message")));
    if (!exchange_set_response_header(exchange, SLICE("Content-Type"), state->kind->type))
        return exchange_respond_failure(exchange);
    state->filter = (struct body_filter){ .ops = &filter_ops, .kind = BODY_FILTER_CHANGES };
    exchange_filter_response(exchange, &state->filter);
    return VERDICT_CONTINUE;
}

const struct plugin grpc_web_plugin = {
    .kind = { .name = "grpc-web",
              .priority = 3,
              .config = { .name = "grpc-web",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct grpc_web_config),
                          .check = check_config } },
    .on = { [PHASE_ACCESS] = on_access, [PHASE_RESPONSE_HEAD] = on_response_head },
    .exchange_state_size = sizeof(struct grpc_web_exchange),
};
