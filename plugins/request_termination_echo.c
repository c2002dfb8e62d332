/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of `echo`: what the gateway has understood of the request. */
#include "plugins/request_termination.h"

#include "plugins/request_json.h"

#include <stdlib.h>
#include <unistd.h>

static json_t *list_of(const struct slices *texts)
{
    json_t *array = texts->count ? json_array() : json_null();
    for (uint32_t i = 0; i < texts->count; i++)
        (void)json_array_append_new(array, request_json_text(texts->items[i]));
    return array;
}

static json_t *entity_of(const struct entity *entity)
{
    json_t *object = json_object();
    request_json_put(object, "id", json_string(entity->id));
    request_json_put(object, "name", request_json_text(entity->name));
    request_json_put(object, "tags", list_of(&entity->tags));
    return object;
}

static json_t *route_of(const struct route *route)
{
    if (route == NULL)
        return json_null();
    json_t *object = entity_of(&route->entity);
    request_json_put(object, "methods", list_of(&route->methods));
    request_json_put(object, "hosts", list_of(&route->hosts));
    request_json_put(object, "paths", list_of(&route->paths));
    request_json_put(object, "strip_path", json_boolean(route->strip_path));
    request_json_put(object, "preserve_host", json_boolean(route->preserve_host));
    return object;
}

static json_t *service_of(const struct service *service)
{
    if (service == NULL)
        return json_null();
    json_t *object = entity_of(&service->entity);
    request_json_put(object, "host", request_json_text(service->host));
    request_json_put(object, "port", json_integer(service->port));
    request_json_put(object, "path", request_json_text(service->path));
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
    request_json_put(object, "scheme", json_string(arrival.tls ? "https" : "http"));
    request_json_put(object, "host", request_json_text(host));
    request_json_put(object, "port",
                     arrival.address.size ? json_integer(address_port(&arrival.address)) : json_null());
    request_json_put(object, "method", request_json_text(request->method));
    request_json_put(object, "path", request_json_text(exchange_path(exchange)));
    request_json_put(object, "headers", request_json_headers(exchange));
    request_json_put(object, "query", request_json_query(exchange, REQUEST_JSON_AS_WRITTEN));
    return object;
}

struct slice request_termination_echo(struct exchange *exchange,
                                      const struct request_termination_config *config,
                                      const struct request_termination_node *node)
{
    json_t *object = json_object(), *kong = json_object();
    request_json_put(kong, "node_id", json_string(node->id));
    request_json_put(kong, "worker_pid", json_integer(getpid()));
    request_json_put(kong, "hostname", json_string(node->hostname));
    request_json_put(object, "message", request_json_text(request_termination_message(config)));
    request_json_put(object, "kong", kong);
    request_json_put(object, "request", request_of(exchange));
    request_json_put(object, "matched_route", route_of(exchange_route(exchange)));
    request_json_put(object, "matched_service", service_of(exchange_service(exchange)));
    char *text = json_dumps(object, JSON_COMPACT);
    struct slice copy = arena_copy(exchange_arena(exchange), slice_of(text));
    free(text);
    json_decref(object);
    return copy;
}
