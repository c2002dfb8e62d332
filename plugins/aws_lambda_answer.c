/* SPDX-License-Identifier: Apache-2.0 */
#include "config/action.h"
#include "core/crypto/base64.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/aws_lambda.h"

#include <math.h>
#include <stdlib.h>

enum { ARRAYS_LEGACY };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice lambda_without_empty_arrays(char *json, size_t size)
{
    size_t kept = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = json[i];
        json[kept++] = c;
        if (quoted && c == '\\' && i + 1 < size)
            json[kept++] = json[++i];
        else if (c == '"')
            quoted = !quoted;
        if (quoted || c != '[')
            continue;
        size_t next = i + 1;
        while (next < size && is_space(json[next]))
            next++;
        if (next == size || json[next] != ']')
            continue;
        json[kept - 1] = '{';
        json[kept++] = '}';
        i = next;
    }
    return (struct slice){ json, kept };
}

/* --- headers -------------------------------------------------------------------------------------------- */

/* Those of the message itself and of its way, which the gateway writes. */
static bool is_ours(struct slice name)
{
    static const char *const names[] = { "connection", "content-length",    "date",
                                         "keep-alive", "proxy-connection",  "server",
                                         "trailer",    "transfer-encoding", "upgrade" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal_nocase(name, slice_of(names[i])))
            return true;
    return false;
}

static bool is_content_type(struct slice name)
{
    return slice_equal_nocase(name, SLICE("content-type"));
}

static bool names_member(json_t *object, struct slice name)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) if (slice_equal_nocase(slice_of(key), name)) return true;
    return false;
}

/* Of the service's answer, but those of which the function says something itself. */
static bool pass_headers(struct exchange *exchange, const struct fetch *fetch, json_t *own, json_t *multi)
{
    for (uint32_t i = 0; i < fetch->response.header_count; i++) {
        const struct header *header = &fetch->response.headers[i];
        if (header->name.data == NULL || is_ours(header->name) || is_content_type(header->name) ||
            names_member(own, header->name) || names_member(multi, header->name))
            continue;
        if (!exchange_add_response_header(exchange, header->name, header->value))
            return false;
    }
    return true;
}

/* A value as a field has it; absent: it is none. */
static struct slice value_of(struct arena *arena, json_t *json)
{
    struct slice text = { NULL, 0 };
    if (json_is_string(json))
        text = (struct slice){ json_string_value(json), json_string_length(json) };
    else if (json_is_boolean(json))
        text = slice_of(json_is_true(json) ? "true" : "false");
    else if (json_is_integer(json))
        text = arena_format(arena, "%lld", (long long)json_integer_value(json));
    else if (json_is_real(json))
        text = arena_format(arena, "%.14g", json_real_value(json));
    return text.data && action_is_field_value(text) ? text : (struct slice){ NULL, 0 };
}

struct function_answer {
    struct exchange *exchange;
    struct slice content_type;
    const char *flaw; /* NULL: none so far */
};

static void add_header(struct function_answer *answer, struct slice name, json_t *json)
{
    struct arena *arena = exchange_arena(answer->exchange);
    struct slice value = value_of(arena, json);
    if (!action_is_field_name(name) || value.data == NULL)
        answer->flaw = "headers must be names and values";
    else if (is_content_type(name))
        answer->content_type = value;
    else if (!is_ours(name) && !exchange_add_response_header(answer->exchange, name, value))
        answer->flaw = "out of memory";
}

/* What multiValueHeaders names takes the place of what headers say. */
static void add_headers(struct function_answer *answer, json_t *headers, json_t *multi)
{
    const char *key;
    json_t *value, *one;
    size_t i;
    json_object_foreach(headers, key, value) if (!names_member(multi, slice_of(key)))
        add_header(answer, slice_of(key), value);
    json_object_foreach(multi, key, value)
    {
        if (!json_is_array(value))
            add_header(answer, slice_of(key), value);
        json_array_foreach(value, i, one) add_header(answer, slice_of(key), one);
    }
}

/* --- answers -------------------------------------------------------------------------------------------- */

static enum verdict refuse(struct exchange *exchange, const char *reason)
{
    struct slice body = arena_format(exchange_arena(exchange),
                                     "{\"message\":\"Bad Gateway\",\"error\":\"could not JSON decode Lambda "
                                     "function response: %s\"}",
                                     reason);
    return body.data ? exchange_respond_json(exchange, 502, body) : exchange_respond_failure(exchange);
}

static long status_of(json_t *json)
{
    char *end;
    double status = json_is_number(json) ? json_number_value(json) : NAN;
    if (json_is_string(json)) {
        status = strtod(json_string_value(json), &end);
        if (end == json_string_value(json) || *end)
            status = NAN;
    }
    return status >= 200 && status <= 599 ? (long)status : 0;
}

static const char *flaw_of(json_t *root)
{
    json_t *headers = json_object_get(root, "headers"), *body = json_object_get(root, "body");
    json_t *encoded = json_object_get(root, "isBase64Encoded"),
           *multi = json_object_get(root, "multiValueHeaders");
    if (!json_is_object(root))
        return "proxy response must be json format";
    if (status_of(json_object_get(root, "statusCode")) == 0)
        return "statusCode validation failed";
    if (headers && !json_is_object(headers))
        return "headers must be a table";
    if (body && !json_is_string(body))
        return "body must be a string";
    if (encoded && !json_is_boolean(encoded))
        return "isBase64Encoded must be a boolean";
    if (multi && !json_is_null(multi) && !json_is_object(multi))
        return "multiValueHeaders must be a table";
    return NULL;
}

/* Absent: it cannot be decoded. That is done in its place, for nobody reads the text any more. */
static struct slice body_of(json_t *root)
{
    json_t *json = json_object_get(root, "body");
    struct slice text = { json_string_value(json), json_string_length(json) };
    if (json == NULL)
        return SLICE("");
    if (!json_is_true(json_object_get(root, "isBase64Encoded")))
        return text;
    char *bytes = (char *)(uintptr_t)text.data;
    size_t size = 0;
    if (!base64_decode(BASE64_STANDARD, text, bytes, &size))
        return (struct slice){ NULL, 0 };
    return (struct slice){ bytes, size };
}

static enum verdict proxy_answer(struct exchange *exchange, const struct fetch *fetch, json_t *root)
{
    json_t *headers = json_object_get(root, "headers"), *multi = json_object_get(root, "multiValueHeaders");
    struct function_answer answer = { .exchange = exchange };
    struct slice body = body_of(root);
    if (body.data == NULL)
        return refuse(exchange, "body cannot be decoded");
    answer.content_type = message_find(&fetch->response, HEADER_CONTENT_TYPE);
    if (!pass_headers(exchange, fetch, headers, multi))
        return exchange_respond_failure(exchange);
    add_headers(&answer, headers, multi);
    if (answer.flaw)
        return refuse(exchange, answer.flaw);
    int status = (int)status_of(json_object_get(root, "statusCode"));
    return exchange_respond_body(exchange, status, answer.content_type, body);
}

static enum verdict proxy_integration(struct lambda_call *call)
{
    struct slice text = call->fetch.body;
    json_error_t error;
    call->decoded = json_loadb(text.size ? text.data : "", text.size, JSON_DECODE_ANY, &error);
    if (call->decoded == NULL) {
        struct slice reason = arena_format(exchange_arena(call->exchange),
                                           "Expected value but found invalid token at character %d",
                                           error.position > 0 ? error.position : 1);
        return reason.data ? refuse(call->exchange, reason.data) : exchange_respond_failure(call->exchange);
    }
    const char *flaw = flaw_of(call->decoded);
    return flaw ? refuse(call->exchange, flaw) : proxy_answer(call->exchange, &call->fetch, call->decoded);
}

enum verdict lambda_answer(struct lambda_call *call)
{
    const struct lambda_config *config = call->config;
    const struct fetch *fetch = &call->fetch;
    struct exchange *exchange = call->exchange;
    if (fetch->status >= 400 || fetch->status < 200)
        return exchange_respond_failure(exchange);
    if (config->is_proxy_integration)
        return proxy_integration(call);
    bool unhandled = slice_equal(fetch_header(fetch, SLICE("X-Amz-Function-Error")), SLICE("Unhandled"));
    int status =
        unhandled && config->unhandled_status != INTEGER_NULL ? (int)config->unhandled_status : fetch->status;
    struct slice body = fetch->body;
    if (config->empty_arrays_mode == ARRAYS_LEGACY)
        body = lambda_without_empty_arrays((char *)(uintptr_t)body.data, body.size); /* the call owns it */
    if (!pass_headers(exchange, fetch, NULL, NULL))
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, status, message_find(&fetch->response, HEADER_CONTENT_TYPE), body);
}
