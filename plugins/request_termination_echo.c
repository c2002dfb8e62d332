/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of `echo`: what the gateway has understood of the request. */
#include "plugins/request_termination.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

/* What is no UTF-8 cannot be told in JSON: null. */
static json_t *text_of(struct slice text)
{
    json_t *json = text.data ? json_stringn(text.data, text.size) : NULL;
    return json ? json : json_null();
}

static void put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

/* A name that comes again makes an array. */
static void add(json_t *object, struct slice name, struct slice value)
{
    json_t *existing = json_object_getn(object, name.data, name.size);
    if (json_is_array(existing)) {
        (void)json_array_append_new(existing, text_of(value));
    } else if (existing) {
        json_t *both = json_array();
        (void)json_array_append(both, existing);
        (void)json_array_append_new(both, text_of(value));
        (void)json_object_setn_new(object, name.data, name.size, both);
    } else {
        (void)json_object_setn_new(object, name.data, name.size, text_of(value));
    }
}

/* Names in lower case. */
static json_t *headers_of(struct exchange *exchange)
{
    const struct message *request = exchange_request(exchange);
    json_t *object = json_object();
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (header->name.data == NULL)
            continue;
        char *name = arena_alloc(exchange_arena(exchange), header->name.size);
        for (size_t j = 0; name && j < header->name.size; j++)
            name[j] = slice_lower(header->name.data[j]);
        if (name)
            add(object, (struct slice){ name, header->name.size }, header->value);
    }
    return object;
}

/* As they are written; an argument without a value is true. */
static json_t *query_of(const struct exchange *exchange)
{
    json_t *object = json_object();
    struct slice rest = exchange_query(exchange);
    while (rest.data) {
        struct slice value, name = slice_split(slice_split(rest, '&', &rest), '=', &value);
        if (name.size > 0 && value.data)
            add(object, name, value);
        else if (name.size > 0)
            (void)json_object_setn_new(object, name.data, name.size, json_true());
    }
    return object;
}

static json_t *list_of(const struct slices *texts)
{
    json_t *array = texts->count ? json_array() : json_null();
    for (uint32_t i = 0; i < texts->count; i++)
        (void)json_array_append_new(array, text_of(texts->items[i]));
    return array;
}

static json_t *entity_of(const struct entity *entity)
{
    json_t *object = json_object();
    put(object, "id", json_string(entity->id));
    put(object, "name", text_of(entity->name));
    put(object, "tags", list_of(&entity->tags));
    return object;
}

static json_t *route_of(const struct route *route)
{
    if (route == NULL)
        return json_null();
    json_t *object = entity_of(&route->entity);
    put(object, "methods", list_of(&route->methods));
    put(object, "hosts", list_of(&route->hosts));
    put(object, "paths", list_of(&route->paths));
    put(object, "strip_path", json_boolean(route->strip_path));
    put(object, "preserve_host", json_boolean(route->preserve_host));
    return object;
}

static json_t *service_of(const struct service *service)
{
    if (service == NULL)
        return json_null();
    json_t *object = entity_of(&service->entity);
    put(object, "host", text_of(service->host));
    put(object, "port", json_integer(service->port));
    put(object, "path", text_of(service->path));
    return object;
}

static json_t *request_of(struct exchange *exchange)
{
    const struct message *request = exchange_request(exchange);
    struct arrival arrival = exchange_arrival(exchange);
    struct slice host = message_find(request, HEADER_HOST);
    size_t size = host.size;
    while (size > 0 && host.data[size - 1] >= '0' && host.data[size - 1] <= '9')
        size--;
    if (size > 0 && host.data[size - 1] == ':')
        host.size = size - 1;
    json_t *object = json_object();
    put(object, "scheme", json_string(arrival.tls ? "https" : "http"));
    put(object, "host", text_of(host));
    put(object, "port", arrival.address.size ? json_integer(address_port(&arrival.address)) : json_null());
    put(object, "method", text_of(request->method));
    put(object, "path", text_of(exchange_path(exchange)));
    put(object, "headers", headers_of(exchange));
    put(object, "query", query_of(exchange));
    return object;
}

struct slice request_termination_echo(struct exchange *exchange,
                                      const struct request_termination_config *config,
                                      const struct request_termination_node *node)
{
    json_t *object = json_object(), *kong = json_object();
    put(kong, "node_id", json_string(node->id));
    put(kong, "worker_pid", json_integer(getpid()));
    put(kong, "hostname", json_string(node->hostname));
    put(object, "message", text_of(request_termination_message(config)));
    put(object, "kong", kong);
    put(object, "request", request_of(exchange));
    put(object, "matched_route", route_of(exchange_route(exchange)));
    put(object, "matched_service", service_of(exchange_service(exchange)));
    char *text = json_dumps(object, JSON_COMPACT);
    struct slice copy = arena_copy(exchange_arena(exchange), slice_of(text));
    free(text);
    json_decref(object);
    return copy;
}
