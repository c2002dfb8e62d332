/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/base64.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/aws_lambda.h"
#include "plugins/body_arguments.h"
#include "plugins/request_json.h"

#include <stdlib.h>
#include <time.h>

static json_t *base64_of(struct slice bytes)
{
    size_t size = base64_encoded_size(BASE64_STANDARD, bytes.size);
    char *text = malloc(size + 1);
    json_t *json = text ? json_stringn(text, base64_encode(BASE64_STANDARD, bytes, text)) : NULL;
    free(text);
    return json;
}

/* --- arguments of the body ------------------------------------------------------------------------------ */

static bool is_type(struct slice content_type, const char *name)
{
    struct slice rest;
    return slice_equal_nocase(slice_trim(slice_split(content_type, ';', &rest)), slice_of(name));
}

static json_t *form_of(struct exchange *exchange, struct slice body)
{
    struct body_arguments arguments;
    json_t *object = json_object();
    body_arguments_open(&arguments, exchange_request(exchange), body);
    for (uint32_t i = 0; i < arguments.count; i++) {
        const struct body_argument *argument = &arguments.items[i];
        request_json_add(object, argument->name,
                         argument->type == BODY_VALUE_BARE ? json_true()
                                                           : request_json_text(argument->value));
    }
    body_arguments_close(&arguments);
    return object;
}

enum body_sense { BODY_HAS_ARGUMENTS, BODY_OF_ANOTHER_TYPE, BODY_IS_BROKEN };

/* As Kong reads a body: JSON of any kind, forms; *arguments is NULL but for the first. */
static enum body_sense read_arguments(struct exchange *exchange, struct slice body, json_t **arguments)
{
    struct slice type = message_find(exchange_request(exchange), HEADER_CONTENT_TYPE);
    *arguments = NULL;
    if (is_type(type, "application/x-www-form-urlencoded") || is_type(type, "multipart/form-data")) {
        *arguments = form_of(exchange, body);
        return BODY_HAS_ARGUMENTS;
    }
    if (!is_type(type, "application/json"))
        return BODY_OF_ANOTHER_TYPE;
    *arguments = json_loadb(body.size ? body.data : "", body.size, JSON_DECODE_ANY, NULL);
    return *arguments ? BODY_HAS_ARGUMENTS : BODY_IS_BROKEN;
}

/* --- the three forms ------------------------------------------------------------------------------------ */

static json_t *merged_arguments(struct exchange *exchange, struct slice body)
{
    json_t *object = request_json_query(exchange, REQUEST_JSON_UNESCAPED), *arguments;
    (void)read_arguments(exchange, body, &arguments);
    if (json_is_object(arguments))
        (void)json_object_update(object, arguments);
    json_decref(arguments);
    return object;
}

static bool is_plain_text(struct slice type)
{
    static const char *const types[] = { "text/plain", "text/html", "application/xml", "text/xml",
                                         "application/soap+xml" };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (slice_equal(type, slice_of(types[i])))
            return true;
    return false;
}

static void forward_body(const struct lambda_config *config, struct exchange *exchange, struct slice body,
                         json_t *object)
{
    struct slice type = message_find(exchange_request(exchange), HEADER_CONTENT_TYPE);
    json_t *arguments;
    enum body_sense sense = read_arguments(exchange, body, &arguments);
    bool encoded = sense == BODY_OF_ANOTHER_TYPE && !is_plain_text(type) && config->base64_encode_body;
    if (encoded)
        request_json_put(object, "request_body_base64", json_true());
    if (encoded || body.size > 0)
        request_json_put(object, "request_body", encoded ? base64_of(body) : request_json_text(body));
    if (sense == BODY_OF_ANOTHER_TYPE)
        arguments = json_object();
    if (arguments)
        request_json_put(object, "request_body_args", arguments);
}

static json_t *forwarded(const struct lambda_config *config, struct exchange *exchange, struct slice body)
{
    json_t *object = json_object();
    if (config->forward_method)
        request_json_put(object, "request_method", request_json_text(exchange_request(exchange)->method));
    if (config->forward_headers)
        request_json_put(object, "request_headers", request_json_headers(exchange));
    if (config->forward_uri) {
        request_json_put(object, "request_uri", request_json_text(exchange_request(exchange)->origin_form));
        request_json_put(object, "request_uri_args", request_json_query(exchange, REQUEST_JSON_UNESCAPED));
    }
    if (config->forward_body)
        forward_body(config, exchange, body, object);
    return object;
}

/* name -> first value, and name -> all of them. */
static void put_both(json_t *object, const char *single, const char *multi, json_t *values)
{
    json_t *first = json_object(), *all = json_object(), *value;
    const char *name;
    json_object_foreach(values, name, value)
    {
        json_t *one = json_is_array(value) ? json_array_get(value, 0) : value;
        (void)json_object_set(first, name, one);
        if (json_is_array(value)) {
            (void)json_object_set(all, name, value);
            continue;
        }
        json_t *list = json_array();
        (void)json_array_append(list, value);
        (void)json_object_set_new(all, name, list);
    }
    json_decref(values);
    request_json_put(object, single, first);
    request_json_put(object, multi, all);
}

static struct slice host_of(const struct message *request)
{
    struct slice host = message_find(request, HEADER_HOST);
    const char *colon = host.size ? memrchr(host.data, ':', host.size) : NULL;
    const char *bracket = host.size ? memrchr(host.data, ']', host.size) : NULL;
    if (colon && colon > bracket)
        host.size = (size_t)(colon - host.data);
    return host;
}

static json_t *context_of(struct exchange *exchange, struct slice path)
{
    const struct message *request = exchange_request(exchange);
    uint64_t wall_ms = exchange_shard(exchange)->wall_ms;
    struct slice host = host_of(request), rest;
    char clock[40];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    json_t *object = json_object(), *identity = json_object();
    request_json_put(identity, "sourceIp", request_json_text(exchange_client_ip(exchange)));
    struct slice agent = message_find(request, HEADER_USER_AGENT);
    if (agent.data)
        request_json_put(identity, "userAgent", request_json_text(agent));
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(clock, sizeof(clock), "%d/%b/%Y:%H:%M:%S +0000", &utc) == 0)
        clock[0] = '\0';
    request_json_put(object, "path", request_json_text(path));
    request_json_put(object, "protocol", request_json_text(message_version(request)));
    request_json_put(object, "httpMethod", request_json_text(request->method));
    request_json_put(object, "domainName", request_json_text(host));
    request_json_put(object, "domainPrefix", request_json_text(slice_split(host, '.', &rest)));
    request_json_put(object, "identity", identity);
    request_json_put(object, "requestId", request_json_text(exchange_request_id(exchange)));
    request_json_put(object, "requestTime", json_string(clock));
    request_json_put(object, "requestTimeEpoch", json_integer((json_int_t)wall_ms));
    request_json_put(object, "resourcePath", request_json_text(path));
    return object;
}

/* What of the route's paths the request begins with; its own path when the route has none, or a regex. */
static struct slice resource_of(struct exchange *exchange)
{
    const struct route *route = exchange_route(exchange);
    struct slice path = exchange_path(exchange), longest = { NULL, 0 };
    for (uint32_t i = 0; route && i < route->paths.count; i++) {
        struct slice one = route->paths.items[i];
        if (slice_starts_with(path, one) && one.size > longest.size)
            longest = one;
    }
    return longest.data ? longest : path;
}

/* The groups of the route's regular expressions that have names: (?<name>...) and (?P<name>...). */
static json_t *captures_of(struct exchange *exchange)
{
    const struct route *route = exchange_route(exchange);
    json_t *object = json_object();
    for (uint32_t i = 0; route && i < route->paths.count; i++) {
        struct slice rest = route->paths.items[i];
        const char *start;
        while (rest.size > 3 && (start = memmem(rest.data, rest.size, "(?", 2)) != NULL) {
            rest = slice_from(rest, (size_t)(start - rest.data) + 2);
            if (rest.size && rest.data[0] == 'P')
                rest = slice_from(rest, 1);
            if (rest.size == 0 || rest.data[0] != '<')
                continue;
            const char *end = memchr(rest.data, '>', rest.size);
            struct slice name = { rest.data + 1, end ? (size_t)(end - rest.data) - 1 : 0 };
            struct slice value = exchange_uri_capture_named(exchange, name);
            if (end && value.data)
                (void)json_object_setn_new(object, name.data, name.size, request_json_text(value));
        }
    }
    return object;
}

/* The event of a REST API, version 1.0. */
static json_t *gateway_event(const struct lambda_config *config, struct exchange *exchange, struct slice body)
{
    const struct message *request = exchange_request(exchange);
    struct slice path = exchange_upstream_path(exchange);
    json_t *object = json_object();
    if (path.data == NULL)
        path = exchange_path(exchange);
    request_json_put(object, "version", json_string("1.0"));
    request_json_put(object, "resource", request_json_text(resource_of(exchange)));
    request_json_put(object, "path", request_json_text(path));
    request_json_put(object, "httpMethod", request_json_text(request->method));
    put_both(object, "headers", "multiValueHeaders", request_json_headers(exchange));
    request_json_put(object, "pathParameters", captures_of(exchange));
    put_both(object, "queryStringParameters", "multiValueQueryStringParameters",
             request_json_query(exchange, REQUEST_JSON_UNESCAPED));
    request_json_put(object, "body", config->base64_encode_body ? base64_of(body) : request_json_text(body));
    request_json_put(object, "isBase64Encoded", json_boolean(config->base64_encode_body));
    request_json_put(object, "requestContext", context_of(exchange, path));
    return object;
}

char *lambda_payload(const struct lambda_config *config, struct exchange *exchange, struct slice body)
{
    bool forwards =
        config->forward_method || config->forward_uri || config->forward_headers || config->forward_body;
    if (body.data == NULL)
        body = SLICE("");
    json_t *event = config->gateway_compatible ? gateway_event(config, exchange, body)
                    : forwards                 ? forwarded(config, exchange, body)
                                               : merged_arguments(exchange, body);
    char *text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    return text;
}
