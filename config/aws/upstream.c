/* SPDX-License-Identifier: Apache-2.0 */
/* An integration's URI as a service, a path and a query. The URI is used as it is written: only the route
 * $default, and integrations over a VPC link, get the path of the request behind it. */
#include "config/aws/compile.h"

#include <math.h>

struct aws_uri {
    struct slice authority, host, path, query; /* path and query may be absent */
    int64_t port;
    bool tls;
};

/* --- stage variables ------------------------------------------------------------------------------------ */

struct slice aws_with_stage_variables(struct aws_reader *reader, const struct aws_target *target,
                                      const char *field, struct slice text)
{
    static const struct slice mark = { "${stageVariables.", 17 };
    const struct aws_object *object = &target->route->integration->object;
    struct slice out = SLICE("");
    for (;;) {
        const char *at = memmem(text.data, text.size, mark.data, mark.size);
        if (at == NULL)
            return aws_text(reader, "%.*s%.*s", SLICE_FORMAT(out), SLICE_FORMAT(text));
        out = aws_text(reader, "%.*s%.*s", SLICE_FORMAT(out), (int)(at - text.data), text.data);
        struct slice rest,
            name = slice_split(slice_from(text, (size_t)(at - text.data) + mark.size), '}', &rest);
        const struct node *value = NULL;
        for (uint32_t i = 0; target->scope->stage->variables && i < target->scope->stage->variables->count;
             i++)
            if (slice_equal(target->scope->stage->variables->entries[i].key, name))
                value = target->scope->stage->variables->entries[i].value;
        if (rest.data == NULL || value == NULL || value->kind != NODE_STRING) {
            aws_refuse(reader, object, field, "the stage '%.*s' has no variable '%.*s'",
                       SLICE_FORMAT(target->scope->stage->name), SLICE_FORMAT(name));
            return (struct slice){ NULL, 0 };
        }
        out = aws_text(reader, "%.*s%.*s", SLICE_FORMAT(out), SLICE_FORMAT(value->text));
        text = rest;
    }
}

/* --- URIs ----------------------------------------------------------------------------------------------- */

/* NAME=HOST[:PORT]: where a name of AWS is found here; absent: nobody says. */
static struct slice find_address(const struct aws_reader *reader, struct slice name)
{
    const struct slices *hosts = &reader->reading->settings->aws_hosts;
    for (uint32_t i = 0; i < hosts->count; i++) {
        struct slice entry = hosts->items[i];
        const char *sign = entry.size ? memrchr(entry.data, '=', entry.size) : NULL;
        if (sign && slice_equal_nocase((struct slice){ entry.data, (size_t)(sign - entry.data) }, name))
            return slice_from(entry, (size_t)(sign - entry.data) + 1);
    }
    return (struct slice){ NULL, 0 };
}

static const char *split_port(struct slice authority, struct slice *host, int64_t *port)
{
    uint64_t number = (uint64_t)*port; /* unless it says another one */
    const char *colon = authority.size ? memrchr(authority.data, ':', authority.size) : NULL;
    const char *bracket = authority.size ? memrchr(authority.data, ']', authority.size) : NULL;
    *host = authority;
    if (colon && (bracket == NULL || colon > bracket)) {
        host->size = (size_t)(colon - authority.data);
        if (!slice_to_u64(slice_from(authority, host->size + 1), &number) || number == 0 || number > 65535)
            return "the port is no number of 1 to 65535";
    }
    if (host->size > 2 && host->data[0] == '[' && host->data[host->size - 1] == ']')
        *host = (struct slice){ host->data + 1, host->size - 2 };
    *port = (int64_t)number;
    return host->size ? NULL : "the URL has no host";
}

static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        char c = slice_lower(host.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("-._:", c))
            return false;
    }
    return true;
}

/* NULL: good, else what is wrong. */
static const char *parse_url(struct slice text, struct aws_uri *uri)
{
    struct slice rest = slice_from(text, uri->tls ? 8 : 7);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?')
        size++;
    uri->authority = (struct slice){ rest.data, size };
    uri->path = slice_split(slice_from(rest, size), '?', &uri->query);
    if (memchr(text.data, '#', text.size) || memchr(uri->authority.data, '@', size))
        return "expected http[s]://HOST[:PORT][/PATH][?QUERY]";
    const char *reason = split_port(uri->authority, &uri->host, &uri->port);
    return reason ? reason : is_host(uri->host) ? NULL : "the URL's host is none";
}

static bool refuse(struct aws_reader *reader, const struct aws_target *target, const char *reason,
                   struct slice uri)
{
    aws_refuse(reader, &target->route->integration->object, "integration_uri", "%s: '%.*s'", reason,
               SLICE_FORMAT(uri));
    return false;
}

/* A name without a URL (an ARN, or what only Terraform knows) must be in aws_hosts. */
static bool read_uri(struct aws_reader *reader, const struct aws_target *target, struct slice text,
                     struct aws_uri *uri)
{
    bool tls = slice_starts_with(text, SLICE("https://"));
    bool is_url = tls || slice_starts_with(text, SLICE("http://"));
    *uri = (struct aws_uri){ .tls = tls, .port = tls ? 443 : 80 };
    const char *reason = is_url ? parse_url(text, uri) : NULL;
    if (reason)
        return refuse(reader, target, reason, text);
    struct slice address = find_address(reader, is_url ? uri->authority : text);
    if (address.data == NULL && is_url)
        address = find_address(reader, uri->host);
    if (address.data) {
        target->action->host = (struct host_edit){ is_url ? HOST_EDIT_TEXT : HOST_EDIT_KEEP,
                                                   arena_copy(&reader->model->arena, uri->authority) };
        uri->port = tls ? 443 : 80;
        return split_port(address, &uri->host, &uri->port) == NULL;
    }
    return is_url || refuse(reader, target,
                            "no URL; say where it is in the setting aws_hosts, as NAME=HOST:PORT", text);
}

/* --- services ------------------------------------------------------------------------------------------- */

static bool set_service(struct aws_reader *reader, const struct aws_target *target, const struct aws_uri *uri,
                        struct slice path)
{
    struct model *model = reader->model;
    const struct aws_integration *integration = target->route->integration;
    struct service *service = aws_take(reader, &model->arena, sizeof(*service));
    struct service **items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    if (service == NULL || items == NULL)
        return aws_fail_memory(reader);
    *service = (struct service){
        .entity = target->out->entity,
        .protocol = uri->tls ? PROTOCOL_HTTPS : PROTOCOL_HTTP,
        .host = arena_copy(&model->arena, uri->host),
        .port = uri->port,
        .path = path.size ? arena_copy(&model->arena, path) : (struct slice){ NULL, 0 },
        .connect_timeout_ms = integration->timeout_ms,
        .write_timeout_ms = integration->timeout_ms,
        .read_timeout_ms = integration->timeout_ms,
        .per_try_timeout_ms = INTEGER_NULL,
        .proxy_protocol = PREAMBLE_AS_SET,
        .retry_budget = { .percent = NAN },
        .tls = { .verify = -1, .verify_depth = INTEGER_NULL },
        .enabled = true,
    };
    service->entity.index = model->services.count;
    model->services.items = items;
    items[model->services.count++] = service;
    target->out->service = service;
    return service->host.data != NULL || aws_fail_memory(reader);
}

/* --- paths ---------------------------------------------------------------------------------------------- */

static bool set_text(struct aws_reader *reader, const struct aws_target *target, enum path_edit_kind kind,
                     struct slice text)
{
    target->action->path.kind = kind;
    target->action->path.text = arena_copy(&reader->model->arena, text);
    return target->action->path.text.data != NULL || aws_fail_memory(reader);
}

/* {name} and {name+} become the names of the rule's groups. */
static bool set_template(struct aws_reader *reader, const struct aws_target *target, const char *field,
                         struct slice text)
{
    struct slice out = SLICE("");
    while (text.data && memchr(text.data, '{', text.size)) {
        struct slice rest, before = slice_split(text, '{', &rest);
        struct slice name = slice_split(rest, '}', &text);
        if (name.size && name.data[name.size - 1] == '+')
            name.size--;
        struct slice group = aws_capture_name(reader, &target->route->key, name);
        if (text.data == NULL || group.data == NULL) {
            aws_refuse(reader, &target->route->integration->object, field,
                       "'{%.*s}' is no variable of the route '%.*s'", SLICE_FORMAT(name),
                       SLICE_FORMAT(target->route->route_key));
            return false;
        }
        out =
            aws_text(reader, "%.*s%.*s{%.*s}", SLICE_FORMAT(out), SLICE_FORMAT(before), SLICE_FORMAT(group));
    }
    out = aws_text(reader, "%.*s%.*s", SLICE_FORMAT(out), SLICE_FORMAT(text));
    return set_text(reader, target, PATH_EDIT_TEMPLATE, out);
}

/* The route's own path, as a template. */
static struct slice own_path(struct aws_reader *reader, const struct aws_route_key *key)
{
    struct slice path = SLICE("");
    for (uint32_t i = 0; i < key->segment_count; i++) {
        const struct aws_segment *segment = &key->segments[i];
        path = segment->kind == AWS_LITERAL
                   ? aws_text(reader, "%.*s/%.*s", SLICE_FORMAT(path), SLICE_FORMAT(segment->text))
                   : aws_text(reader, "%.*s/{%.*s}", SLICE_FORMAT(path), SLICE_FORMAT(segment->text));
    }
    return path.size ? path : SLICE("/");
}

/* `base` and the request's path without the scope's prefix. */
static bool append_request(struct aws_reader *reader, const struct aws_target *target,
                           const struct aws_uri *uri, struct slice base)
{
    const struct aws_route *route = target->route;
    if (route->key.is_default)
        return set_service(reader, target, uri, base);
    if (target->scope->prefix.size == 0) {
        target->out->strip_path = false;
        return set_service(reader, target, uri, base);
    }
    struct slice path =
        aws_text(reader, "%.*s%.*s", SLICE_FORMAT(base), SLICE_FORMAT(own_path(reader, &route->key)));
    return set_service(reader, target, uri, base) && set_template(reader, target, "integration_uri", path);
}

/* A private integration is sent the stage, too, unless the path is mapped. */
static bool set_private(struct aws_reader *reader, const struct aws_target *target, const struct aws_uri *uri)
{
    struct slice stage = target->scope->stage->name, base = uri->path.size > 1 ? uri->path : SLICE("");
    bool named = !slice_equal(stage, SLICE("$default"));
    struct slice prefix = named ? aws_text(reader, "/%.*s", SLICE_FORMAT(stage)) : SLICE("");
    if (slice_equal(prefix, target->scope->prefix)) {
        target->out->strip_path = false;
        return set_service(reader, target, uri, base);
    }
    return append_request(reader, target, uri,
                          aws_text(reader, "%.*s%.*s", SLICE_FORMAT(base), SLICE_FORMAT(prefix)));
}

static bool set_path(struct aws_reader *reader, const struct aws_target *target, const struct aws_uri *uri,
                     struct slice overwritten)
{
    const struct aws_route *route = target->route;
    if (slice_equal(overwritten, SLICE("$request.path")))
        return append_request(reader, target, uri, SLICE(""));
    if (overwritten.data)
        return set_service(reader, target, uri, overwritten) &&
               set_template(reader, target, "request_parameters", overwritten);
    if (slice_equal(route->integration->connection_type, SLICE("VPC_LINK")))
        return set_private(reader, target, uri);
    if (!set_service(reader, target, uri, uri->path))
        return false;
    if (uri->path.size == 0 || !memchr(uri->path.data, '{', uri->path.size))
        return true;
    return set_template(reader, target, "integration_uri", uri->path);
}

/* What goes into a request line as it is written. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return true;
}

static bool set_method(struct aws_reader *reader, const struct aws_target *target)
{
    static const char *const known[] = { "GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS" };
    const struct aws_integration *integration = target->route->integration;
    struct slice method = integration->method;
    if (method.data == NULL || slice_equal(method, SLICE("ANY")))
        return true;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_equal(method, slice_of(known[i]))) {
            target->action->method = slice_of(known[i]);
            return true;
        }
    aws_refuse(reader, &integration->object,
               node_find(integration->object.node, "httpMethod") ? "httpMethod" : "integration_method",
               "expected one of: ANY, GET, PUT, POST, DELETE, PATCH, HEAD, OPTIONS");
    return false;
}

bool aws_set_upstream(struct aws_reader *reader, const struct aws_target *target)
{
    const struct aws_integration *integration = target->route->integration;
    struct aws_uri uri;
    struct slice path = { NULL, 0 };
    struct slice text = aws_with_stage_variables(reader, target, "integration_uri", integration->uri);
    if (text.data == NULL || !read_uri(reader, target, text, &uri))
        return false;
    target->action->timeout_ms = integration->timeout_ms;
    if (!set_method(reader, target))
        return false;
    if (!is_plain(uri.query))
        return refuse(reader, target, "the query holds what no query may", text);
    if (uri.query.size > 0)
        target->action->query = arena_copy(&reader->model->arena, uri.query);
    return aws_set_parameters(reader, target, &path) && set_path(reader, target, &uri, path);
}
