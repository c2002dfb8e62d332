/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/answer_grpc.h"

#include "core/base/json_scan.h"
#include "net/proxy/answer.h"
#include "net/proxy/exchange_steps.h"

#define GRPC_TYPE "application/grpc"

/* google/rpc/code.proto, those that are used here */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16
};

bool answer_is_for_grpc(const struct exchange *exchange)
{
    struct slice type = message_find(&exchange->request, HEADER_CONTENT_TYPE);
    return exchange->request.http2 && slice_starts_with(type, SLICE(GRPC_TYPE)) &&
           (type.size == sizeof(GRPC_TYPE) - 1 || strchr("+; ", type.data[sizeof(GRPC_TYPE) - 1]));
}

/* --- status --------------------------------------------------------------------------------------------- */

/* As Kong has it. */
static enum grpc_status kong_status(int status)
{
    switch (status) {
    case 200: return GRPC_OK;
    case 401: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404: return GRPC_NOT_FOUND;
    case 409: return GRPC_ALREADY_EXISTS;
    case 429: return GRPC_RESOURCE_EXHAUSTED;
    case 499: return GRPC_CANCELLED;
    case 501: return GRPC_UNIMPLEMENTED;
    case 503: return GRPC_UNAVAILABLE;
    case 504: return GRPC_DEADLINE_EXCEEDED;
    default: break;
    }
    if (status >= 400 && status < 500)
        return GRPC_INVALID_ARGUMENT;
    return status >= 500 && status < 600 ? GRPC_INTERNAL : GRPC_UNKNOWN;
}

/* As Envoy and the protocol's own documents do (http-grpc-status-mapping.md). */
static enum grpc_status usual_status(const struct exchange *exchange, int status)
{
    switch (status) {
    case 200: return GRPC_OK;
    case 400: return GRPC_INTERNAL;
    case 401: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404: return GRPC_UNIMPLEMENTED;
    case 504: return exchange->deadline_passed ? GRPC_DEADLINE_EXCEEDED : GRPC_UNAVAILABLE;
    case 429:
    case 502:
    case 503: return GRPC_UNAVAILABLE;
    default: return GRPC_UNKNOWN;
    }
}

/* --- message -------------------------------------------------------------------------------------------- */

/* Percent-encoding of all that is no visible ASCII, and of the percent sign. */
static struct slice encoded(struct arena *arena, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, 3 * text.size + 1);
    size_t size = 0;
    for (size_t i = 0; out && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            out[size++] = (char)c;
            continue;
        }
        out[size++] = '%';
        out[size++] = digits[c >> 4];
        out[size++] = digits[c & 15];
    }
    return (struct slice){ out, size };
}

/* Of a body as the gateway and its plugins write them: JSON with a message, or a text. */
static struct slice message_in(struct exchange *exchange, struct slice body)
{
    struct json_member member = { .name = SLICE("message") };
    enum json_kind root;
    if (json_scan(body, &member, 1, &root) && root == JSON_OBJECT) {
        char *out = member.value.kind == JSON_STRING
                        ? arena_alloc(&exchange->arena, member.value.text.size + 1)
                        : NULL;
        if (out)
            return (struct slice){ out, json_unescape(member.value.text, out) };
        body = SLICE("");
    }
    if (body.size == 0 && exchange->answer.status != 200)
        return answer_message(exchange, exchange->answer.status);
    return body;
}

static bool is_said(const struct exchange *exchange)
{
    for (uint32_t i = 0; i < exchange->edit_count; i++)
        if (slice_equal_nocase(exchange->edits[i].name, SLICE("grpc-status")))
            return true;
    return false;
}

static bool say(struct exchange *exchange, enum grpc_status status, struct slice message)
{
    struct slice number = arena_format(&exchange->arena, "%d", (int)status);
    message = encoded(&exchange->arena, message);
    return number.data && message.data &&
           exchange_set_response_header(exchange, SLICE("grpc-status"), number) &&
           (message.size == 0 || exchange_set_response_header(exchange, SLICE("grpc-message"), message));
}

void answer_for_grpc(struct exchange *exchange)
{
    struct answer *answer = &exchange->answer;
    bool kong = exchange->style == ANSWER_STYLE_KONG;
    if (is_said(exchange))
        return;
    enum grpc_status status = kong ? kong_status(answer->status) : usual_status(exchange, answer->status);
    if (!say(exchange, status, message_in(exchange, answer->body)))
        return;
    /* Kong keeps the status of HTTP, which some clients look at first. It knows no deadlines: who has set one
     * is told what the protocol says, as by its own clock at the same moment. */
    bool keeps = kong && !exchange->deadline_passed;
    *answer = (struct answer){ .status = keeps ? answer->status : 200, .content_type = SLICE(GRPC_TYPE) };
}

bool answer_grpc_needs_tls(struct exchange *exchange)
{
    exchange->answer = (struct answer){ .status = 200, .content_type = SLICE(GRPC_TYPE) };
    return say(exchange, GRPC_CANCELLED, SLICE("gRPC request matched gRPCs route"));
}

/* --- time ----------------------------------------------------------------------------------------------- */

uint64_t grpc_timeout_of(const struct message *request)
{
    enum { DIGITS_MAX = 8 };
    struct slice text = message_find_name(request, SLICE("grpc-timeout"));
    uint64_t number;
    if (text.size < 2 || text.size > DIGITS_MAX + 1 ||
        !slice_to_u64((struct slice){ text.data, text.size - 1 }, &number))
        return 0;
    switch (text.data[text.size - 1]) {
    case 'H': return number * 3600000 + (number == 0);
    case 'M': return number * 60000 + (number == 0);
    case 'S': return number * 1000 + (number == 0);
    case 'm': return number + (number == 0);
    case 'u': return number / 1000 + 1;
    case 'n': return number / 1000000 + 1;
    default: return 0;
    }
}
