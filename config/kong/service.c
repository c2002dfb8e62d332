/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"

struct kong_service {
    struct service service;
    struct kong_common common;
    struct slice url;
};

#define AT(member) offsetof(struct kong_service, member)

static const struct field fields[] = {
    { "name", FIELD_STRING, AT(service.entity.name), .check = kong_check_name, .help = "unique" },
    { "url", FIELD_STRING, AT(url), .help = "short for protocol, host, port and path" },
    { "protocol", FIELD_CHOICE, AT(service.protocol), .fallback = "http", .choices = kong_protocol_choices,
      .help = "http, grpc and grpcs are supported so far" },
    { "host", FIELD_STRING, AT(service.host), .check = kong_check_host, .help = "required without url" },
    { "port", FIELD_INTEGER, AT(service.port), .max = 65535, .fallback = "80" },
    { "path", FIELD_STRING, AT(service.path), .check = kong_check_path,
      .help = "goes before the path of the request" },
    { "retries", FIELD_INTEGER, AT(service.retries), .max = 32767, .fallback = "5" },
    { "connect_timeout", FIELD_INTEGER, AT(service.connect_timeout_ms), .min = 1, .max = 2147483646,
      .fallback = "60000", .help = "milliseconds" },
    { "write_timeout", FIELD_INTEGER, AT(service.write_timeout_ms), .min = 1, .max = 2147483646,
      .fallback = "60000", .help = "milliseconds between two successful writes" },
    { "read_timeout", FIELD_INTEGER, AT(service.read_timeout_ms), .min = 1, .max = 2147483646,
      .fallback = "60000", .help = "milliseconds between two successful reads" },
    { "enabled", FIELD_BOOLEAN, AT(service.enabled), .fallback = "true",
      .help = "false: its routes do not exist" },
    { "client_certificate", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "tls_verify", FIELD_BOOLEAN, .flags = FIELD_UNSUPPORTED },
    { "tls_verify_depth", FIELD_INTEGER, .flags = FIELD_UNSUPPORTED },
    { "ca_certificates", FIELD_STRINGS, .flags = FIELD_UNSUPPORTED },
    KONG_COMMON_FIELDS(struct kong_service, service.entity),
};

static const char *const others[] = { "routes", "plugins", "filter_chains", "_comment", "_ignore", NULL };

const struct schema kong_service_schema = {
    .name = "services",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_service),
    .others = others,
};

/* The parts of a url; each may be absent. */
struct url {
    struct slice scheme, user, host, port, path, query;
};

static struct slice cut_before(struct slice *text, const char *marks)
{
    size_t size = 0;
    while (size < text->size && !strchr(marks, text->data[size]))
        size++;
    struct slice head = { text->data, size };
    *text = slice_from(*text, size);
    return head;
}

/* After `//`: [user@]host[:port]. */
static void split_authority(struct slice authority, struct url *url)
{
    const char *at = memrchr(authority.data, '@', authority.size);
    if (at != NULL) {
        url->user = (struct slice){ authority.data, (size_t)(at - authority.data) };
        authority = slice_from(authority, url->user.size + 1);
    }
    const char *colon = memrchr(authority.data, ':', authority.size);
    const char *bracket = memrchr(authority.data, ']', authority.size);
    url->host = authority;
    if (colon == NULL || (bracket != NULL && colon < bracket))
        return;
    url->host.size = (size_t)(colon - authority.data);
    url->port = slice_from(authority, url->host.size + 1);
}

static bool split_url(struct slice text, struct url *url)
{
    const char *slashes = memmem(text.data, text.size, "//", 2);
    *url = (struct url){ 0 };
    if (slashes == NULL || (slashes != text.data && slashes[-1] != ':'))
        return false;
    if (slashes != text.data)
        url->scheme = (struct slice){ text.data, (size_t)(slashes - text.data) - 1 };
    struct slice rest = slice_from(text, (size_t)(slashes - text.data) + 2);
    struct slice authority = cut_before(&rest, "/?#");
    if (rest.size > 0 && rest.data[0] == '/')
        url->path = cut_before(&rest, ";?#"); /* parameters are dropped, as by Kong */
    if (rest.size > 0 && rest.data[0] != ';')
        url->query = rest;
    split_authority(authority, url);
    return url->host.size > 0;
}

struct entry_point {
    struct kong_reader *reader;
    struct kong_service *wide;
    const struct node *node;
    const struct config_place *place;
};

static void refuse_url(const struct entry_point *point, const char *reason)
{
    char text[512];
    struct slice url = point->wide->url;
    const char *gap = strstr(reason, "{}");
    if (gap == NULL)
        snprintf(text, sizeof(text), "%s", reason);
    else
        snprintf(text, sizeof(text), "%.*s%.*s%s", (int)(gap - reason), reason,
                 (int)(url.size > 200 ? 200 : url.size), url.data, gap + 2);
    schema_error(point->place, point->node, "url", "%s", text);
}

static bool set_port(const struct entry_point *point, const struct url *url)
{
    struct service *service = &point->wide->service;
    uint64_t port;
    service->port = slice_equal(url->scheme, SLICE("https")) ? 443 : 80;
    if (url->port.data == NULL || url->port.size == 0)
        return true;
    if (!slice_to_u64(url->port, &port) || port > 65535)
        return false;
    service->port = (int64_t)port;
    return true;
}

static int find_protocol(const struct url *url, int64_t port)
{
    struct slice scheme = url->scheme;
    if (scheme.data == NULL)
        scheme = port == 443 ? SLICE("https") : SLICE("http");
    for (int i = 0; kong_protocol_choices[i]; i++)
        if (slice_equal(scheme, slice_of(kong_protocol_choices[i])))
            return i;
    return -1;
}

/* What is written beside the url loses, as in Kong. */
static void warn_beside_url(const struct entry_point *point, const struct url *url)
{
    static const char *const names[] = { "protocol", "host", "port", "path" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct node *value = node_find(point->node, names[i]);
        bool kept = strcmp(names[i], "path") == 0 && url->path.data == NULL;
        if (value != NULL && value->kind != NODE_NULL && !kept)
            report_add(point->place->report, REPORT_WARNING, &value->position,
                       schema_place(point->place, names[i]).path, "not used: 'url' says it already");
    }
}

static struct slice without_brackets(struct slice host)
{
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        return (struct slice){ host.data + 1, host.size - 2 };
    return host;
}

static void apply_url(const struct entry_point *point)
{
    struct service *service = &point->wide->service;
    struct url url;
    if (!split_url(point->wide->url, &url)) {
        refuse_url(point, "missing host in url");
        return;
    }
    const char *reason = kong_check_host(url.host);
    if (reason == NULL && url.path.size > 0)
        reason = kong_check_path(url.path);
    if (reason == NULL && (url.user.data != NULL || url.query.data != NULL))
        reason = "'{}' may hold protocol, host, port and path only";
    if (reason == NULL && !set_port(point, &url))
        reason = "invalid port number in '{}'";
    if (reason == NULL) {
        service->protocol = find_protocol(&url, service->port);
        reason = service->protocol < 0 ? "unknown protocol in '{}'" : NULL;
    }
    if (reason != NULL) {
        refuse_url(point, reason);
        return;
    }
    warn_beside_url(point, &url);
    service->host = arena_copy(point->place->arena, without_brackets(url.host));
    if (url.path.data)
        service->path = arena_copy(point->place->arena, url.path);
    if (service->host.data == NULL || (url.path.data && service->path.data == NULL))
        kong_fail_memory(point->reader);
}

/* The protocol as the model has it; the other ones come later. */
static void check_protocol(const struct entry_point *point)
{
    struct service *service = &point->wide->service;
    int choice = service->protocol;
    if (choice < 0)
        return;
    service->protocol = (int)kong_protocol_of(choice);
    const char *field = point->wide->url.data ? "url" : "protocol";
    bool grpc = service->protocol == PROTOCOL_GRPC || service->protocol == PROTOCOL_GRPCS;
    if (!grpc && service->protocol != PROTOCOL_HTTP)
        schema_error(point->place, point->node, field, "'%s': not supported yet",
                     kong_protocol_choices[choice]);
    if (grpc && service->path.data != NULL)
        schema_error(point->place, point->node, point->wide->url.data ? "url" : "path",
                     "cannot set 'path' when 'protocol' is 'grpc' or 'grpcs'");
}

static void finish(const struct entry_point *point)
{
    struct service *service = &point->wide->service;
    const struct node *host = node_find(point->node, "host");
    if (point->wide->url.data != NULL)
        apply_url(point);
    else if (host == NULL || host->kind == NODE_NULL)
        schema_error(point->place, point->node, "host", "required field missing");
    if (point->wide->url.data == NULL && without_brackets(service->host).size < service->host.size)
        service->host = arena_copy(point->place->arena, without_brackets(service->host));
    check_protocol(point);
}

void kong_read_service(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                       const struct kong_parent *parent)
{
    struct model *model = reader->model;
    struct kong_service *wide = kong_take(reader, &model->arena, sizeof(*wide));
    (void)parent;
    if (wide == NULL)
        return;
    struct service *service = &wide->service;
    schema_read(&kong_service_schema, node, place, wide);
    finish(&(struct entry_point){ reader, wide, node, place });

    struct service **items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    if (items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    model->services.items = items;
    service->entity.index = model->services.count;
    items[model->services.count++] = service;

    struct kong_identity identity = { &reader->services, &service->entity, &wide->common,
                                      service->entity.name, "name" };
    kong_identify(reader, &identity, node, place);

    struct kong_parent inner = { .service = service };
    struct config_place deeper = kong_place(reader, place, "routes");
    kong_read_array(reader, node_find(node, "routes"), &deeper, kong_read_route, &inner);
    deeper = kong_place(reader, place, "plugins");
    kong_read_array(reader, node_find(node, "plugins"), &deeper, kong_read_plugin, &inner);
    deeper = kong_place(reader, place, "filter_chains");
    kong_refuse_collection(reader, node_find(node, "filter_chains"), &deeper);
}
