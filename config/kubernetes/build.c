/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kubernetes/build.h"

#include "core/crypto/uuid.h"

#include <math.h>

/* Envoy's: how long a stream may be silent, and a connection may take to be there. */
enum { IDLE_TIMEOUT_MS = 300000, CONNECT_TIMEOUT_MS = 3000 };

#define HTTP_PROTOCOLS (PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS))

/* --- entities --------------------------------------------------------------------------------------- */

struct slice kube_public_name(struct kube_reader *reader, const struct kube_object *object)
{
    if (slice_equal(object->namespace, reader->options.namespace))
        return object->name;
    struct slice name = arena_format(&reader->model->arena, "%.*s.%.*s", SLICE_FORMAT(object->name),
                                     SLICE_FORMAT(object->namespace));
    if (name.data == NULL)
        kube_fail_memory(reader);
    return name;
}

static void derive_id(struct kube_reader *reader, struct entity *entity, struct slice text)
{
    static const unsigned char space[UUID_BYTES]; /* the nil UUID; the texts begin with kinds */
    unsigned char id[UUID_BYTES];
    if (text.data == NULL || !uuid_of_name(space, text, id))
        kube_fail_memory(reader);
    else
        uuid_write(id, entity->id);
}

void kube_identify(struct kube_reader *reader, struct entity *entity, const struct kube_object *object,
                   struct slice name, struct slice part)
{
    struct slice text =
        arena_format(&reader->scratch, "%.*s/%.*s/%.*s/%.*s", SLICE_FORMAT(object->kind),
                     SLICE_FORMAT(object->namespace), SLICE_FORMAT(object->name), SLICE_FORMAT(part));
    derive_id(reader, entity, text);
    entity->name = name;
    entity->position = object->node->position;
    entity->position.file = object->file;
    entity->created_at_ms = entity->updated_at_ms = object->created_at_s * 1000;
}

struct route *kube_add_route(struct kube_reader *reader, const struct kube_object *object, struct slice part)
{
    struct model *model = reader->model;
    struct route *route = kube_take(reader, sizeof(*route));
    struct route **items =
        model_reserve(model, model->routes.items, model->routes.count, &model->routes.capacity);
    if (route == NULL || items == NULL) {
        kube_fail_memory(reader);
        return NULL;
    }
    route->entity.index = model->routes.count;
    route->protocols = HTTP_PROTOCOLS;
    route->preserve_host = true;
    route->request_buffering = route->response_buffering = true;
    route->https_redirect_status_code = 426;
    route->path_handling = PATH_HANDLING_V0;
    route->created_at = object->created_at_s;
    kube_identify(reader, &route->entity, object, kube_public_name(reader, object), part);
    model->routes.items = items;
    items[model->routes.count++] = route;
    return route;
}

const struct plugin_kind *kube_plugin_kind(const struct kube_reader *reader, const char *name)
{
    for (const struct plugin_kind *const *kind = reader->plugins; kind && *kind; kind++)
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    return NULL;
}

bool kube_add_plugin(struct kube_reader *reader, const struct kube_plugin *plugin, struct route *route)
{
    struct model *model = reader->model;
    struct plugin_instance *instance = kube_take(reader, sizeof(*instance));
    struct plugin_instance **items =
        model_reserve(model, model->plugins.items, model->plugins.count, &model->plugins.capacity);
    if (instance == NULL || items == NULL)
        return kube_fail_memory(reader);
    *instance = (struct plugin_instance){ .kind = plugin->kind,
                                          .config = plugin->config,
                                          .route = route,
                                          .protocols = HTTP_PROTOCOLS,
                                          .enabled = true };
    instance->entity.index = model->plugins.count;
    kube_identify(reader, &instance->entity, plugin->object, (struct slice){ NULL, 0 },
                  slice_of(route->entity.id));
    model->plugins.items = items;
    items[model->plugins.count++] = instance;
    return true;
}

bool kube_add_port(struct kube_reader *reader, const struct kube_object *object, uint16_t port)
{
    struct model *model = reader->model;
    for (uint32_t i = 0; i < model->listen_ports.count; i++)
        if (model->listen_ports.items[i]->port == port)
            return true;
    struct listen_port *one = kube_take(reader, sizeof(*one));
    struct listen_port **items = model_reserve(model, model->listen_ports.items, model->listen_ports.count,
                                               &model->listen_ports.capacity);
    if (one == NULL || items == NULL)
        return kube_fail_memory(reader);
    one->address = SLICE("0.0.0.0");
    one->port = port;
    one->entity.index = model->listen_ports.count;
    kube_identify(reader, &one->entity, object, kube_public_name(reader, object), SLICE("port"));
    model->listen_ports.items = items;
    items[model->listen_ports.count++] = one;
    return true;
}

/* --- upstreams -------------------------------------------------------------------------------------- */

static struct target *make_target(struct kube_reader *reader, const struct kube_object *object,
                                  const struct target *like)
{
    struct target *target = kube_take(reader, sizeof(*target));
    struct slice host = arena_copy(&reader->model->arena, like->host);
    bool bare = host.size && memchr(host.data, ':', host.size);
    struct slice name = arena_format(&reader->model->arena, bare ? "[%.*s]:%u" : "%.*s:%u",
                                     SLICE_FORMAT(host), (unsigned)like->port);
    if (target == NULL || host.data == NULL || name.data == NULL) {
        kube_fail_memory(reader);
        return NULL;
    }
    *target = *like;
    target->host = host;
    kube_identify(reader, &target->entity, object, name, name);
    return target;
}

static bool fill_targets(struct kube_reader *reader, const struct kube_object *object,
                         struct upstream *upstream, const struct kube_destination *destination)
{
    const struct target only = { .host = destination->host,
                                 .port = (uint16_t)destination->port,
                                 .weight = 100 };
    const struct target *from = destination->listed ? destination->targets : &only;
    uint32_t count = destination->listed ? destination->target_count : 1;
    upstream->targets = kube_take(reader, (count + 1u) * sizeof(*upstream->targets));
    upstream->target_capacity = count + 1;
    for (uint32_t i = 0; upstream->targets && i < count; i++) {
        struct target *target = make_target(reader, object, &from[i]);
        if (target == NULL)
            return false;
        target->entity.index = i;
        upstream->targets[upstream->target_count++] = target;
    }
    return upstream->targets != NULL;
}

/* The name has a slash, so that no host of another front-end's service is taken for it. */
static struct upstream *find_upstream(struct kube_reader *reader, const struct kube_object *object,
                                      const struct kube_destination *destination)
{
    struct model *model = reader->model;
    struct upstream *upstream = map_find(&reader->upstreams, destination->key);
    if (upstream)
        return upstream;
    struct slice key = arena_copy(&model->arena, destination->key);
    struct slice name = arena_format(&model->arena, "kubernetes/%.*s", SLICE_FORMAT(key));
    struct upstream **items =
        model_reserve(model, model->upstreams.items, model->upstreams.count, &model->upstreams.capacity);
    upstream = kube_take(reader, sizeof(*upstream));
    if (!upstream || !items || !name.data || !key.data || !map_add(&reader->upstreams, key, upstream, NULL)) {
        kube_fail_memory(reader);
        return NULL;
    }
    *upstream = destination->rules;
    upstream->entity = (struct entity){ .index = model->upstreams.count };
    kube_identify(reader, &upstream->entity, object, name, name);
    derive_id(reader, &upstream->entity, name); /* whichever object named it first */
    if (!fill_targets(reader, object, upstream, destination))
        return NULL;
    model->upstreams.items = items;
    items[model->upstreams.count++] = upstream;
    return upstream;
}

static void fill_service(struct service *service, const struct kube_destination *destination)
{
    *service = (struct service){ .protocol = destination->tls ? PROTOCOL_HTTPS : PROTOCOL_HTTP,
                                 .host = destination->host,
                                 .port = destination->port,
                                 .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                 .read_timeout_ms = IDLE_TIMEOUT_MS,
                                 .write_timeout_ms = IDLE_TIMEOUT_MS,
                                 .per_try_timeout_ms = INTEGER_NULL,
                                 .proxy_protocol = PREAMBLE_AS_SET,
                                 .retry_budget = { NAN, 0 },
                                 .tls = { .verify = destination->tls ? 0 : -1, .verify_depth = INTEGER_NULL },
                                 .enabled = true };
    if (destination->connect_timeout_ms > 0)
        service->connect_timeout_ms = destination->connect_timeout_ms;
}

struct service *kube_add_service(struct kube_reader *reader, const struct kube_object *object,
                                 const struct kube_destination *destination)
{
    struct model *model = reader->model;
    const char *scheme = destination->tls ? "https://" : "";
    struct slice key = arena_format(&reader->scratch, "%s%.*s %lld", scheme, SLICE_FORMAT(destination->key),
                                    (long long)destination->connect_timeout_ms);
    struct service *service = key.data ? map_find(&reader->services, key) : NULL;
    if (service)
        return service;
    struct upstream *upstream = find_upstream(reader, object, destination);
    struct service **items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    struct slice name = arena_format(&model->arena, "%s%.*s", scheme, SLICE_FORMAT(destination->key));
    struct slice host = arena_copy(&model->arena, destination->host);
    service = kube_take(reader, sizeof(*service));
    if (!upstream || !items || !service || !key.data || !name.data || !host.data ||
        !map_add(&reader->services, key, service, NULL)) {
        kube_fail_memory(reader);
        return NULL;
    }
    fill_service(service, destination);
    service->host = host;
    service->upstream = upstream;
    service->entity.index = model->services.count;
    kube_identify(reader, &service->entity, object, name, key);
    derive_id(reader, &service->entity, arena_format(&reader->scratch, "service/%.*s", SLICE_FORMAT(key)));
    model->services.items = items;
    items[model->services.count++] = service;
    return service;
}

/* --- texts ------------------------------------------------------------------------------------------ */

const struct regex *kube_regex(struct kube_reader *reader, struct slice pattern, enum regex_anchor anchor,
                               const struct kube_spot *spot)
{
    char reason[REGEX_REASON_SIZE] = "";
    const char *construct = NULL;
    enum error error = ERROR_OK;
    struct match_regex_request request = { pattern, anchor, reason, &error };
    const struct regex *regex = match_regex(&reader->model->arena, &request);
    if (regex == NULL && error == ERROR_MEMORY) {
        kube_fail_memory(reader);
    } else if (regex == NULL) {
        schema_error(spot->place, spot->node, spot->field, "invalid regex '%.*s': %s", SLICE_FORMAT(pattern),
                     reason);
    } else if (!regex_is_linear(pattern, &construct)) {
        schema_error(spot->place, spot->node, spot->field, "invalid regex '%.*s': %s is not allowed",
                     SLICE_FORMAT(pattern), construct);
        return NULL;
    }
    return regex;
}

/* Milliseconds of a unit at the start of the text, whose size goes to *size; 0: it is none. */
static double unit_of(struct slice text, size_t *size)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {
        { "ms", 1 }, { "us", 1e-3 }, { "ns", 1e-6 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }
    };
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        *size = strlen(units[i].name);
        if (slice_starts_with(text, slice_of(units[i].name)))
            return units[i].ms;
    }
    return 0;
}

/* Digits, maybe with a point among them; *size of the text are used. */
static double read_decimal(struct slice text, size_t *size)
{
    double number = 0, scale = 0;
    size_t i = 0;
    for (; i < text.size; i++) {
        char c = text.data[i];
        if (c == '.' && scale == 0 && i > 0) {
            scale = 1;
            continue;
        }
        if (!slice_is_digit(c))
            break;
        number = number * 10 + (c - '0');
        scale *= 10;
    }
    *size = i;
    return scale > 0 ? number / scale : number;
}

bool kube_duration(struct slice text, int64_t *ms)
{
    double total = 0;
    if (text.size == 0)
        return false;
    if (slice_equal(text, SLICE("0"))) {
        *ms = 0;
        return true;
    }
    while (text.size) {
        size_t size = 0, i = 0;
        double number = read_decimal(text, &i);
        double unit = i > 0 ? unit_of(slice_from(text, i), &size) : 0;
        if (unit <= 0)
            return false;
        total += number * unit;
        text = slice_from(text, i + size);
    }
    if (total > 9e15)
        return false;
    *ms = (int64_t)(total + 0.5);
    return true;
}

struct slice kube_lower(struct kube_reader *reader, struct slice text)
{
    char *copy = kube_take(reader, text.size + 1);
    for (size_t i = 0; copy && i < text.size; i++)
        copy[i] = slice_lower(text.data[i]);
    return (struct slice){ copy, copy ? text.size : 0 };
}
