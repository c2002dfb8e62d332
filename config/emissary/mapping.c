/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings, one by one. */
#include "config/emissary/parts.h"

#define AT(member) offsetof(struct emissary_mapping, member)
#define MILLISECONDS_MAX 1e12

static const struct field rewrite_fields[] = {
    { "pattern", FIELD_STRING, 0, .flags = FIELD_REQUIRED },
    { "substitution", FIELD_STRING, sizeof(struct slice), .flags = FIELD_REQUIRED | FIELD_EMPTY },
};
static const struct schema rewrite_schema = { "regex_rewrite", rewrite_fields, COUNT_OF(rewrite_fields),
                                              2 * sizeof(struct slice) };

static const struct field mapping_fields[] = {
    { "prefix", FIELD_STRING, AT(prefix), .flags = FIELD_REQUIRED },
    { "prefix_exact", FIELD_BOOLEAN, AT(prefix_exact), .fallback = "false" },
    { "prefix_regex", FIELD_BOOLEAN, AT(prefix_regex), .fallback = "false" },
    { "case_sensitive", FIELD_BOOLEAN, AT(case_sensitive), .fallback = "true" },
    { "rewrite", FIELD_STRING, AT(rewrite), .flags = FIELD_EMPTY, .help = "\"/\" when absent, \"\": none" },
    { "regex_rewrite", FIELD_RECORD, AT(regex_rewrite), .record = &rewrite_schema },
    { "hostname", FIELD_STRING, AT(hostname) },
    { "host", FIELD_STRING, AT(host), .help = "older hostname" },
    { "host_regex", FIELD_BOOLEAN, AT(host_regex), .fallback = "false" },
    { "method", FIELD_STRING, AT(method) },
    { "method_regex", FIELD_BOOLEAN, AT(method_regex), .fallback = "false" },
    { "regex_headers", FIELD_MAP, AT(regex_headers), .flags = FIELD_SINGLE },
    { "regex_query_parameters", FIELD_MAP, AT(regex_query), .flags = FIELD_SINGLE },
    { "precedence", FIELD_INTEGER, AT(precedence), .min = -1e9, .max = 1e9, .fallback = "0" },
    { "weight", FIELD_INTEGER, AT(weight), .max = 100 },
    { "service", FIELD_STRING, AT(service), .flags = FIELD_REQUIRED },
    { "resolver", FIELD_STRING, AT(resolver) },
    { "host_rewrite", FIELD_STRING, AT(host_rewrite) },
    { "auto_host_rewrite", FIELD_BOOLEAN, AT(auto_host_rewrite), .fallback = "false" },
    { "host_redirect", FIELD_BOOLEAN, AT(host_redirect), .fallback = "false" },
    { "path_redirect", FIELD_STRING, AT(path_redirect) },
    { "prefix_redirect", FIELD_STRING, AT(prefix_redirect), .flags = FIELD_EMPTY },
    { "regex_redirect", FIELD_RECORD, AT(regex_redirect), .record = &rewrite_schema },
    { "redirect_response_code", FIELD_INTEGER, AT(redirect_code), .fallback = "301" },
    { "timeout_ms", FIELD_INTEGER, AT(timeout_ms), .max = MILLISECONDS_MAX, .help = "0: none" },
    { "idle_timeout_ms", FIELD_INTEGER, AT(idle_timeout_ms), .max = MILLISECONDS_MAX },
    { "connect_timeout_ms", FIELD_INTEGER, AT(connect_timeout_ms), .min = 1, .max = MILLISECONDS_MAX,
      .fallback = "3000" },
    { "allow_upgrade", FIELD_STRINGS, AT(allow_upgrade),
      .help = "protocols that a connection may become: websocket, spdy/3.1" },
    { "use_websocket", FIELD_BOOLEAN, AT(use_websocket), .fallback = "false",
      .help = "short for allow_upgrade: [websocket]" },
    { "bypass_auth", FIELD_BOOLEAN, AT(bypass_auth), .fallback = "false" },
    { "shadow", FIELD_BOOLEAN, AT(shadow), .fallback = "false",
      .help = "gets copies of what the others with the same conditions get" },
};

static const struct emissary_refused refused[] = {
    { "add_linkerd_headers", "false" },
    { "auth_context_extensions", "*" },
    { "bypass_error_response_overrides", "false" },
    { "cluster_idle_timeout_ms", "*" },
    { "cluster_max_connection_lifetime_ms", "*" },
    { "cluster_tag", NULL },
    { "cors", "*" },
    { "dns_type", "strict_dns" },
    { "docs", NULL },
    { "enable_ipv4", "true" },
    { "enable_ipv6", "false" },
    { "envoy_override", "*" },
    { "error_response_overrides", "*" },
    { "grpc", "false" },
    { "health_checks", "*" },
    { "keepalive", "*" },
    { "labels", "*" },
    { "modules", "*" },
    { "outlier_detection", "*" },
    { "priority", "default" },
    { "respect_dns_ttl", "false" },
    { "stats_name", NULL },
    { "tls", "false" },
    { "v2BoolHeaders", "*" },
    { "v2BoolQueryParameters", "*" },
    { "v2ExplicitTLS", "*" },
    { NULL, NULL },
};

static const char *const read_elsewhere[] = {
    "add_request_headers",     "add_response_headers", "ambassadorId",
    "ambassador_id",           "circuit_breakers",     "headers",
    "load_balancer",           "query_parameters",     "remove_request_headers",
    "remove_response_headers", "retry_policy",         NULL,
};

const struct schema emissary_mapping_schema = {
    .name = "Mapping",
    .fields = mapping_fields,
    .field_count = COUNT_OF(mapping_fields),
    .struct_size = sizeof(struct emissary_mapping),
    .others = read_elsewhere,
};

/* --- conditions ------------------------------------------------------------------------------------- */

/* Texts by name; true asks for presence, in the older versions only. An absent value stands for that. */
static void read_values(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                        const char *field, struct schema_map *map)
{
    const struct kube_object *object = mapping->object;
    const struct node *node = node_find(object->spec, field);
    struct config_place place = kube_place(reader->kube, object, "spec");
    struct config_place deeper = schema_place(&place, field);
    bool old = slice_equal(object->version, SLICE("v2")) || slice_equal(object->version, SLICE("v1"));
    *map = (struct schema_map){ 0 };
    if (!emissary_is_given(object->spec, field))
        return;
    if (node->kind != NODE_MAPPING) {
        schema_error(&place, object->spec, field, "expected a map");
        return;
    }
    map->entries = kube_take(reader->kube, (node->count + 1u) * sizeof(*map->entries));
    for (uint32_t i = 0; map->entries && i < node->count; i++) {
        const struct node *value = node->entries[i].value;
        struct slice *text = kube_take(reader->kube, sizeof(*text));
        bool presence = old && value->kind == NODE_BOOLEAN && value->boolean;
        struct config_place one = schema_place(&deeper, node->entries[i].key.data);
        if (text == NULL)
            return;
        if (value->kind == NODE_STRING)
            *text = arena_copy(place.arena, value->text);
        else if (!presence)
            report_add(place.report, REPORT_ERROR, &value->position, one.path, "expected a string");
        map->entries[map->count++] =
            (struct schema_map_entry){ arena_copy(place.arena, node->entries[i].key), { text, 1 } };
    }
}

static void add_condition(struct emissary_conditions *list, uint64_t *weight,
                          const struct emissary_condition *condition)
{
    list->items[list->count++] = *condition;
    *weight += condition->name.size + (condition->value.data ? condition->value.size : 1) + condition->regex;
}

static void add_map(struct emissary_conditions *list, uint64_t *weight, const struct schema_map *map,
                    bool regex)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct schema_map_entry *entry = &map->entries[i];
        struct emissary_condition one = { entry->name, entry->values.items[0], regex };
        add_condition(list, weight, &one);
    }
}

/* In the order in which Emissary lists them: it is part of the sort key. */
static void list_conditions(struct emissary_reader *reader, struct emissary_mapping *mapping)
{
    struct emissary_conditions *headers = &mapping->header_list, *query = &mapping->query_list;
    size_t header_count = mapping->headers.count + mapping->regex_headers.count + 2u;
    size_t query_count = mapping->query.count + mapping->regex_query.count + 1u;
    headers->items = kube_take(reader->kube, header_count * sizeof(*headers->items));
    query->items = kube_take(reader->kube, query_count * sizeof(*query->items));
    if (!headers->items || !query->items)
        return;
    add_map(headers, &mapping->header_weight, &mapping->headers, false);
    add_map(headers, &mapping->header_weight, &mapping->regex_headers, true);
    struct emissary_condition authority = { SLICE(":authority"), mapping->domain, mapping->host_regex };
    struct emissary_condition method = { SLICE(":method"), mapping->method, mapping->method_regex };
    if (mapping->domain.data)
        add_condition(headers, &mapping->header_weight, &authority);
    if (mapping->method.data)
        add_condition(headers, &mapping->header_weight, &method);
    add_map(query, &mapping->query_weight, &mapping->query, false);
    add_map(query, &mapping->query_weight, &mapping->regex_query, true);
}

/* --- checks ----------------------------------------------------------------------------------------- */

static void check_redirect(const struct emissary_mapping *mapping, const struct config_place *place)
{
    static const int64_t codes[] = { 301, 302, 303, 307, 308 };
    const struct node *spec = mapping->object->spec;
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        known = known || codes[i] == mapping->redirect_code;
    if (!known)
        schema_error(place, spec, "redirect_response_code", "expected one of: 301, 302, 303, 307, 308");
    unsigned ways = 0;
    static const char *const fields[] = { "path_redirect", "prefix_redirect", "regex_redirect" };
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        ways += emissary_is_given(spec, fields[i]);
        if (emissary_is_given(spec, fields[i]) && !mapping->host_redirect)
            schema_error(place, spec, fields[i], "needs host_redirect: true");
    }
    if (ways > 1)
        schema_error(place, spec, "host_redirect",
                     "only one of path_redirect, prefix_redirect and regex_redirect may be there");
}

/* \0 to \9 in a substitution. */
static void check_groups(struct slice substitution, const struct regex *regex, const struct kube_spot *spot)
{
    for (size_t i = 0; i + 1 < substitution.size; i++) {
        char next = substitution.data[i + 1];
        if (substitution.data[i] != '\\')
            continue;
        if (next >= '0' && next <= '9' && (uint32_t)(next - '0') > regex->group_count)
            schema_error(spot->place, spot->node, spot->field, "the pattern has no group %c", next);
        i++;
    }
}

static void check_regexes(struct emissary_reader *reader, struct emissary_mapping *mapping,
                          const struct config_place *place)
{
    const struct node *spec = mapping->object->spec;
    struct kube_spot prefix = { place, spec, "prefix" }, rewrite = { place, spec, "regex_rewrite" },
                     redirect = { place, spec, "regex_redirect" };
    struct kube_spot host = { place, spec, "host" }, method = { place, spec, "method" };
    if (mapping->host_regex && mapping->host.data)
        (void)kube_regex(reader->kube, mapping->host, REGEX_WHOLE, &host);
    if (mapping->method_regex && mapping->method.data)
        (void)kube_regex(reader->kube, mapping->method, REGEX_WHOLE, &method);
    if (mapping->prefix_regex)
        mapping->path_regex = kube_regex(reader->kube, mapping->prefix, REGEX_WHOLE, &prefix);
    if (mapping->regex_rewrite.pattern.data)
        mapping->rewrite_regex =
            kube_regex(reader->kube, mapping->regex_rewrite.pattern, REGEX_ANYWHERE, &rewrite);
    if (mapping->rewrite_regex)
        check_groups(mapping->regex_rewrite.substitution, mapping->rewrite_regex, &rewrite);
    if (mapping->regex_redirect.pattern.data && mapping->host_redirect)
        mapping->rewrite_regex =
            kube_regex(reader->kube, mapping->regex_redirect.pattern, REGEX_ANYWHERE, &redirect);
}

static void check_mapping(struct emissary_reader *reader, struct emissary_mapping *mapping,
                          const struct config_place *place)
{
    const struct node *spec = mapping->object->spec;
    if (mapping->prefix_exact && mapping->prefix_regex)
        schema_error(place, spec, "prefix_exact", "stands beside prefix_regex");
    if (!mapping->prefix_regex && mapping->prefix.data[0] != '/')
        schema_error(place, spec, "prefix", "should start with /");
    const char *reason = mapping->hostname.data ? emissary_check_hostname(mapping->hostname) : NULL;
    if (reason)
        schema_error(place, spec, "hostname", "%s", reason);
    if (mapping->hostname.data && mapping->host.data) {
        struct config_place deeper = schema_place(place, "host");
        report_add(place->report, REPORT_WARNING, &node_find(spec, "host")->position, deeper.path,
                   "stands beside hostname, which wins");
    }
    if (mapping->host_rewrite.data && mapping->auto_host_rewrite)
        schema_error(place, spec, "host_rewrite", "stands beside auto_host_rewrite");
    if (!action_is_host(mapping->host_rewrite))
        schema_error(place, spec, "host_rewrite", "no name of a host");
    if (mapping->rewrite.data && mapping->regex_rewrite.pattern.data) {
        struct config_place deeper = schema_place(place, "rewrite");
        report_add(place->report, REPORT_WARNING, &node_find(spec, "rewrite")->position, deeper.path,
                   "stands beside regex_rewrite, which wins");
    }
    check_redirect(mapping, place);
    check_regexes(reader, mapping, place);
}

/* --- all -------------------------------------------------------------------------------------------- */

static void read_parts(struct emissary_reader *reader, struct emissary_mapping *mapping,
                       const struct config_place *place)
{
    const struct node *spec = mapping->object->spec;
    const struct emissary_module *module = &reader->module;
    read_values(reader, mapping, "headers", &mapping->headers);
    read_values(reader, mapping, "query_parameters", &mapping->query);
    mapping->has_retry = emissary_read_retry(reader, spec, place, &mapping->retry);
    mapping->has_balance = emissary_read_balance(reader, spec, place, &mapping->balance);
    mapping->has_circuit = emissary_read_circuit(reader, spec, place, &mapping->circuit);
    if (!mapping->has_retry)
        mapping->retry = module->retry;
    if (!mapping->has_balance)
        mapping->balance = module->balance;
    if (!mapping->has_circuit)
        mapping->circuit = module->circuit;
    if (!emissary_read_headers(reader, spec, "add_request_headers", place, &mapping->add_request))
        mapping->add_request = module->request;
    if (!emissary_read_headers(reader, spec, "add_response_headers", place, &mapping->add_response))
        mapping->add_response = module->response;
    emissary_read_texts(reader, spec, "remove_request_headers", place, &mapping->remove_request);
    emissary_read_texts(reader, spec, "remove_response_headers", place, &mapping->remove_response);
}

static void settle(struct emissary_reader *reader, struct emissary_mapping *mapping)
{
    const struct kube_object *object = mapping->object;
    bool old_host = mapping->hostname.data == NULL;
    mapping->domain = old_host ? mapping->host : mapping->hostname;
    mapping->host_regex = old_host && mapping->host_regex && mapping->host.data;
    if (mapping->domain.data && !mapping->host_regex)
        mapping->domain = kube_lower(reader->kube, mapping->domain);
    mapping->name = arena_format(&reader->kube->model->arena, "%.*s/%.*s", SLICE_FORMAT(object->namespace),
                                 SLICE_FORMAT(object->name));
    if (mapping->name.data == NULL)
        kube_fail_memory(reader->kube);
    if (mapping->timeout_ms == INTEGER_NULL)
        mapping->timeout_ms = reader->module.timeout_ms;
    if (mapping->idle_timeout_ms == INTEGER_NULL)
        mapping->idle_timeout_ms = 0;
    if (mapping->resolver.data == NULL)
        mapping->resolver = reader->module.resolver;
    list_conditions(reader, mapping);
}

static void read_mapping(struct emissary_reader *reader, const struct kube_object *object)
{
    struct kube_reader *kube = reader->kube;
    struct emissary_mapping *mapping = kube_take(kube, sizeof(*mapping));
    struct emissary_mapping **items = model_reserve(kube->model, reader->mappings.items,
                                                    reader->mappings.count, &reader->mappings.capacity);
    struct config_place place = kube_place(kube, object, "spec");
    uint32_t before = kube->report->error_count;
    struct schema schema = emissary_mapping_schema;
    schema.others = emissary_others(kube, object, refused, read_elsewhere);
    emissary_refuse(refused, object->spec, &place);
    if (!mapping || !items || !schema.others || !schema_read(&schema, object->spec, &place, mapping))
        return;
    mapping->object = object;
    read_parts(reader, mapping, &place);
    check_mapping(reader, mapping, &place);
    settle(reader, mapping);
    if (!mapping->host_redirect || mapping->shadow)
        mapping->upstream = emissary_service(reader, mapping);
    if (kube->report->error_count != before || kube->out_of_memory)
        return;
    reader->mappings.items = items;
    items[reader->mappings.count++] = mapping;
}

void emissary_read_mappings(struct emissary_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    for (uint32_t i = 0; i < kube->object_count && !kube->out_of_memory; i++)
        if (kube_is(kube->objects[i], KUBE_EMISSARY, "Mapping") && emissary_is_ours(reader, kube->objects[i]))
            read_mapping(reader, kube->objects[i]);
}
