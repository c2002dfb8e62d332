/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/index.h"
#include "core/base/url.h"

#include <math.h>

struct kong_service {
    struct service service;
    struct kong_common common;
    struct slice url;
    bool tls_verify;
    struct slices authorities;
};

#define AT(member) offsetof(struct kong_service, member)

static const struct field budget_fields[] = {
    { "percent", FIELD_NUMBER, offsetof(struct retry_budget, percent), .max = 100, .fallback = "20",
      .help = "of the requests under way" },
    { "min_retries", FIELD_INTEGER, offsetof(struct retry_budget, min_retries), .max = 4294967295,
      .fallback = "3", .help = "always allowed" },
};
static const struct schema budget_schema = { "retry_budget", budget_fields, COUNT_OF(budget_fields),
                                             sizeof(struct retry_budget) };

static const char *const preamble_choices[] = { "none", "v1", "v2", NULL };

static const struct field fields[] = {
    { "name", FIELD_STRING, AT(service.entity.name), .check = kong_check_name, .help = "unique" },
    { "url", FIELD_STRING, AT(url), .help = "short for protocol, host, port and path" },
    { "protocol", FIELD_CHOICE, AT(service.protocol), .fallback = "http", .choices = kong_protocol_choices,
      .help = "http, https, grpc, grpcs; tcp, tls and udp behind routes for streams" },
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
    { "tls_verify", FIELD_BOOLEAN, AT(tls_verify), .help = "null: as the settings say" },
    { "tls_verify_depth", FIELD_INTEGER, AT(service.tls.verify_depth), .max = 64 },
    { "ca_certificates", FIELD_STRINGS, AT(authorities), .check = kong_check_id,
      .help = "ids of ca_certificates" },
    { "per_try_timeout", FIELD_INTEGER, AT(service.per_try_timeout_ms), .min = 1, .max = 2147483646,
      .help = "milliseconds from connecting to the response's head, of each try; null: none" },
    { "retry_budget", FIELD_RECORD, AT(service.retry_budget), .record = &budget_schema,
      .help = "without it retries are bounded by their number only" },
    { "proxy_protocol", FIELD_CHOICE, AT(service.proxy_protocol), .choices = preamble_choices,
      .help = "the PROXY header that its connections begin with; null: as the settings say" },
    KONG_COMMON_FIELDS(struct kong_service, service.entity),
};

static const char *const others[] = {
    "routes", "plugins", "filter_chains", "client_certificate", "_comment", "_ignore", NULL,
};

const struct schema kong_service_schema = {
    .name = "services",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_service),
    .others = others,
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

/* Parameters and what follows them are dropped, as by Kong. */
static void drop_parameters(struct url *url)
{
    const char *mark = url->path.size > 0 ? memchr(url->path.data, ';', url->path.size) : NULL;
    if (mark == NULL)
        return;
    url->path.size = (size_t)(mark - url->path.data);
    url->query = url->fragment = (struct slice){ NULL, 0 };
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

/* A url without a host: Kong takes it for a path, maybe behind a scheme, and says what the parts lack. */
static void refuse_hostless(const struct entry_point *point)
{
    struct slice rest = point->wide->url, text = rest;
    struct slice scheme = cut_before(&text, ":/;?#");
    if (scheme.size > 0 && text.size > 0 && text.data[0] == ':')
        rest = slice_from(text, 1);
    struct slice path = cut_before(&rest, ";?#");
    const char *wrong_path = path.size > 0 ? kong_check_path(path) : NULL;
    const struct node *url = node_find(point->node, "url");
    if (wrong_path && strstr(wrong_path, "{}") == NULL)
        report_add(point->place->report, REPORT_ERROR, &url->position,
                   schema_place(point->place, "path").path, "%s", wrong_path);
    report_add(point->place->report, REPORT_ERROR, &url->position, schema_place(point->place, "host").path,
               "required field missing");
}

static void apply_url(const struct entry_point *point)
{
    struct service *service = &point->wide->service;
    struct url url;
    if (!url_split(point->wide->url, &url)) {
        refuse_hostless(point);
        return;
    }
    drop_parameters(&url);
    const char *reason = kong_check_host(url.host);
    if (reason == NULL && url.path.size > 0)
        reason = kong_check_path(url.path);
    if (reason == NULL && (url.user.data || url.query.data || url.fragment.data))
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

/* What only makes sense with some protocols. */
static void refuse_for_protocol(const struct entry_point *point, const char *field)
{
    schema_error(point->place, point->node, field, "value must be null");
    schema_error(point->place, point->node, "",
                 "failed conditional validation given value of field 'protocol'");
}

static void check_fields(const struct entry_point *point)
{
    static const char *const tls_fields[] = { "client_certificate", "tls_verify", "tls_verify_depth",
                                              "ca_certificates" };
    const struct service *service = &point->wide->service;
    const struct node *path = node_find(point->node, "path");
    bool http = service->protocol == PROTOCOL_HTTP || service->protocol == PROTOCOL_HTTPS;
    bool secure = service->protocol == PROTOCOL_HTTPS || service->protocol == PROTOCOL_TLS;
    bool bare = !http && service->protocol != PROTOCOL_TLS_PASSTHROUGH;
    if (bare && service->path.data != NULL)
        refuse_for_protocol(point, path != NULL && path->kind != NODE_NULL ? "path" : "url");
    for (size_t i = 0; !secure && i < COUNT_OF(tls_fields); i++)
        if (kong_is_given(point->node, tls_fields[i]))
            refuse_for_protocol(point, tls_fields[i]);
}

/* The protocol as the model has it. */
static void check_protocol(const struct entry_point *point)
{
    struct service *service = &point->wide->service;
    int choice = service->protocol;
    if (choice < 0)
        return;
    service->protocol = (int)kong_protocol_of(choice);
    check_fields(point);
}

/* Clients share the connections of HTTP/2. */
static void check_preamble(const struct entry_point *point)
{
    const struct service *service = &point->wide->service;
    bool shared = service->protocol == PROTOCOL_GRPC || service->protocol == PROTOCOL_GRPCS;
    if (shared && service->proxy_protocol > PREAMBLE_NONE)
        schema_error(point->place, point->node, "proxy_protocol",
                     "not for 'grpc' or 'grpcs': clients share connections of HTTP/2");
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
    check_preamble(point);
    service->tls.verify = kong_is_given(point->node, "tls_verify") ? point->wide->tls_verify : -1;
    if (!kong_is_given(point->node, "retry_budget"))
        service->retry_budget = (struct retry_budget){ .percent = (double)NAN };
}

/* When all of them were read: each id must be one of a CA certificate. */
static void find_authorities(struct kong_reader *reader, const struct kong_later *later)
{
    struct kong_service *wide = later->entity;
    const struct slices *ids = &wide->authorities;
    struct upstream_tls *tls = &wide->service.tls;
    const struct node *list = node_find(later->node, "ca_certificates");
    struct config_place place = { reader->report, &reader->scratch, later->path, NULL };
    place = schema_place(&place, "ca_certificates");
    tls->authorities = kong_take(reader, &reader->model->arena, ids->count * sizeof(void *) + 1);
    for (uint32_t i = 0; tls->authorities && i < ids->count; i++) {
        struct config_place deeper = schema_element(&place, i);
        struct ca_certificate *found =
            ids->items[i].data ? kong_look_up(&reader->ca_certificates, ids->items[i]) : NULL;
        if (found != NULL)
            tls->authorities[tls->authority_count++] = found;
        else if (ids->items[i].data != NULL && kong_check_id(ids->items[i]) == NULL)
            report_add(reader->report, REPORT_ERROR, &list->entries[i].value->position, deeper.path,
                       "invalid reference 'ca_certificates: %.*s' (no such entry in 'ca_certificates')",
                       SLICE_FORMAT(ids->items[i]));
    }
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

    struct kong_foreign foreign = { &reader->certificates, "client_certificate",
                                    &service->tls.client_certificate };
    kong_refer(reader, &foreign, node, place);
    if (wide->authorities.count > 0)
        kong_later(reader, &(struct kong_later){ NULL, find_authorities, wide, node, place->path });
    struct kong_identity identity = { &reader->services, &service->entity, &wide->common,
                                      service->entity.name, "name" };
    kong_identify(reader, &identity, node, place);

    struct kong_parent inner = { .service = service };
    struct config_place deeper = kong_place(reader, place, "routes");
    kong_read_array(reader, node_find(node, "routes"), &deeper, kong_read_route, &inner);
    deeper = kong_place(reader, place, "plugins");
    kong_read_array(reader, node_find(node, "plugins"), &deeper, kong_read_plugin, &inner);
    deeper = kong_place(reader, place, "filter_chains");
    kong_read_array(reader, node_find(node, "filter_chains"), &deeper, kong_read_filter_chain, &inner);
}
