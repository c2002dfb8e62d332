/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_entities.h"

static const char *const protocols[] = {
    [PROTOCOL_HTTP] = "http", [PROTOCOL_HTTPS] = "https",
    [PROTOCOL_GRPC] = "grpc", [PROTOCOL_GRPCS] = "grpcs",
    [PROTOCOL_TCP] = "tcp",   [PROTOCOL_TLS] = "tls",
    [PROTOCOL_UDP] = "udp",   [PROTOCOL_TLS_PASSTHROUGH] = "tls_passthrough"
};

static void begin_item(struct text *text)
{
    if (text->size > 0 && text->data[text->size - 1] != '[')
        text_byte(text, ',');
}

static void add_array(struct text *text, const char *name, const struct slices *items)
{
    if (items->count == 0)
        return;
    text_json_name(text, slice_of(name));
    text_byte(text, '[');
    for (uint32_t i = 0; i < items->count; i++) {
        begin_item(text);
        text_quoted(text, items->items[i]);
    }
    text_byte(text, ']');
}

static void add_reference(struct text *text, const char *name, const struct entity *entity)
{
    text_json_name(text, slice_of(name));
    text_literal(text, "{\"id\":");
    text_quoted(text, slice_of(entity->id));
    text_byte(text, '}');
}

static void begin_entity(struct text *text, const struct entity *entity, const char *name)
{
    text_literal(text, "{\"id\":");
    text_quoted(text, slice_of(entity->id));
    text_json_string(text, name, entity->name);
    text_json_i64(text, "created_at", entity->created_at_ms / 1000);
    text_json_i64(text, "updated_at", entity->updated_at_ms / 1000);
    add_array(text, "tags", &entity->tags);
    text_json_string(text, "ws_id", SLICE(LOG_WORKSPACE));
}

static void add_protocols(struct text *text, uint64_t bits)
{
    text_json_name(text, SLICE("protocols"));
    text_byte(text, '[');
    for (unsigned i = 0; i < COUNT_OF(protocols); i++) {
        if (!(bits >> i & 1))
            continue;
        begin_item(text);
        text_quoted(text, slice_of(protocols[i]));
    }
    text_byte(text, ']');
}

static void add_headers(struct text *text, const struct schema_map *headers)
{
    if (headers->count == 0)
        return;
    text_json_name(text, SLICE("headers"));
    text_byte(text, '{');
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct schema_map_entry *entry = &headers->entries[i];
        text_json_name(text, entry->name);
        text_byte(text, '[');
        for (uint32_t k = 0; k < entry->values.count; k++) {
            begin_item(text);
            text_quoted(text, entry->values.items[k]);
        }
        text_byte(text, ']');
    }
    text_byte(text, '}');
}

static void add_endpoints(struct text *text, const char *name, const struct route_endpoints *endpoints)
{
    if (endpoints->count == 0)
        return;
    text_json_name(text, slice_of(name));
    text_byte(text, '[');
    for (uint32_t i = 0; i < endpoints->count; i++) {
        begin_item(text);
        text_byte(text, '{');
        text_json_string(text, "ip", endpoints->items[i].ip);
        if (endpoints->items[i].port != INTEGER_NULL)
            text_json_i64(text, "port", endpoints->items[i].port);
        text_byte(text, '}');
    }
    text_byte(text, ']');
}

void log_route(struct text *text, const struct route *route)
{
    begin_entity(text, &route->entity, "name");
    add_protocols(text, route->protocols);
    add_array(text, "methods", &route->methods);
    add_array(text, "hosts", &route->hosts);
    add_array(text, "paths", &route->paths);
    add_array(text, "snis", &route->snis);
    add_headers(text, &route->headers);
    add_endpoints(text, "sources", &route->sources);
    add_endpoints(text, "destinations", &route->destinations);
    if (route->expression.data) {
        text_json_string(text, "expression", route->expression);
        text_json_i64(text, "priority", route->priority);
    } else {
        text_json_i64(text, "regex_priority", route->regex_priority);
        text_json_string(text, "path_handling",
                         route->path_handling == PATH_HANDLING_V1 ? SLICE("v1") : SLICE("v0"));
    }
    text_json_i64(text, "https_redirect_status_code", route->https_redirect_status_code);
    text_json_bool(text, "strip_path", route->strip_path);
    text_json_bool(text, "preserve_host", route->preserve_host);
    text_json_bool(text, "request_buffering", route->request_buffering);
    text_json_bool(text, "response_buffering", route->response_buffering);
    if (route->service)
        add_reference(text, "service", &route->service->entity);
    text_byte(text, '}');
}

static void add_authorities(struct text *text, const struct upstream_tls *tls)
{
    if (tls->authority_count == 0)
        return;
    text_json_name(text, SLICE("ca_certificates"));
    text_byte(text, '[');
    for (uint32_t i = 0; i < tls->authority_count; i++) {
        begin_item(text);
        text_quoted(text, slice_of(((const struct entity *)tls->authorities[i])->id));
    }
    text_byte(text, ']');
}

void log_service(struct text *text, const struct service *service)
{
    begin_entity(text, &service->entity, "name");
    text_json_string(text, "protocol", slice_of(protocols[service->protocol]));
    text_json_string(text, "host", service->host);
    text_json_i64(text, "port", service->port);
    text_json_string(text, "path", service->path);
    text_json_i64(text, "retries", service->retries);
    text_json_i64(text, "connect_timeout", service->connect_timeout_ms);
    text_json_i64(text, "write_timeout", service->write_timeout_ms);
    text_json_i64(text, "read_timeout", service->read_timeout_ms);
    text_json_bool(text, "enabled", service->enabled);
    if (service->tls.verify >= 0)
        text_json_bool(text, "tls_verify", service->tls.verify != 0);
    if (service->tls.verify_depth != INTEGER_NULL)
        text_json_i64(text, "tls_verify_depth", service->tls.verify_depth);
    if (service->tls.client_certificate)
        add_reference(text, "client_certificate", (const struct entity *)service->tls.client_certificate);
    add_authorities(text, &service->tls);
    text_byte(text, '}');
}

void log_consumer(struct text *text, const struct consumer *consumer)
{
    begin_entity(text, &consumer->entity, "username");
    text_json_string(text, "custom_id", consumer->custom_id);
    text_byte(text, '}');
}
