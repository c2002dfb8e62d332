/* SPDX-License-Identifier: Apache-2.0 */
/* Filters and the FilterPolicies that apply them. A JWT Filter becomes an instance of the plugin
 * jwt-authorizer on each route that a policy's rule covers. */
#include "config/emissary/parts.h"

static const char jwt_plugin[] = "jwt-authorizer";

/* --- Filter ----------------------------------------------------------------------------------------- */

/* How a value is written for the plugin. */
enum conversion { AS_IT_IS, AS_LIST, AS_SECONDS, AS_MILLISECONDS };

/* Fields of a JWT Filter, and what the plugin calls them; those it does not know are not supported. */
static const struct jwt_field {
    const char *name, *option;
    enum node_kind kind;
    enum conversion conversion;
    const char *usual; /* the value that changes nothing, or NULL */
} jwt_fields[] = {
    { "jwksURI", "jwks_uri", NODE_STRING, AS_IT_IS, NULL },
    { "issuer", "issuer", NODE_STRING, AS_IT_IS, NULL },
    { "audience", "audience", NODE_STRING, AS_LIST, NULL },
    { "validAlgorithms", "algorithms", NODE_SEQUENCE, AS_IT_IS, NULL },
    { "requireAudience", "require_audience", NODE_BOOLEAN, AS_IT_IS, "false" },
    { "requireIssuer", "require_issuer", NODE_BOOLEAN, AS_IT_IS, "false" },
    { "requireExpiresAt", "require_expires", NODE_BOOLEAN, AS_IT_IS, "false" },
    { "requireNotBefore", "require_not_before", NODE_BOOLEAN, AS_IT_IS, "false" },
    { "requireIssuedAt", "require_issued_at", NODE_BOOLEAN, AS_IT_IS, "false" },
    { "leewayForExpiresAt", "leeway_expires", NODE_STRING, AS_SECONDS, NULL },
    { "leewayForNotBefore", "leeway_not_before", NODE_STRING, AS_SECONDS, NULL },
    { "leewayForIssuedAt", "leeway_issued_at", NODE_STRING, AS_SECONDS, NULL },
    { "maxStale", "jwks_stale", NODE_STRING, AS_MILLISECONDS, NULL },
    { "insecureTLS", "insecure_tls", NODE_BOOLEAN, AS_IT_IS, "false" },
    { "renegotiateTLS", "renegotiate_tls", NODE_STRING, AS_IT_IS, "never" },
    { "injectRequestHeaders", "inject_request_headers", NODE_SEQUENCE, AS_IT_IS, NULL },
    { "errorResponse", "error_response", NODE_MAPPING, AS_IT_IS, NULL },
};

/* What Edge Stack asks of tokens unless the Filter says otherwise. */
static const char *const lenient_options[] = { "require_issuer", "require_audience", "require_expires" };

/* The issuer, when none is named. */
static const char provider_field[] = "providerURL";

static const char *const filter_kinds[] = { "JWT", "OAuth2", "APIKey", "External", "Plugin", NULL };

static const struct emissary_refused no_fields[] = { { NULL, NULL } };
static const char *const filter_others[] = {
    "APIKey", "External", "JWT", "OAuth2", "Plugin", "ambassadorId", "ambassador_id", NULL,
};

static const struct jwt_field *find_field(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(jwt_fields); i++)
        if (slice_equal(name, slice_of(jwt_fields[i].name)))
            return &jwt_fields[i];
    return NULL;
}

/* The only part of it that is done is the realm. */
static void check_error_response(const struct node *record, const struct config_place *place)
{
    for (uint32_t i = 0; i < record->count; i++)
        if (!slice_equal(record->entries[i].key, SLICE("realm")))
            schema_error(place, record, record->entries[i].key.data, "not supported yet");
}

static void check_jwt_field(const struct plugin_kind *plugin, const struct node_entry *entry,
                            const struct config_place *place)
{
    struct config_place deeper = schema_place(place, entry->key.data);
    const struct node *value = entry->value;
    bool provider = slice_equal(entry->key, slice_of(provider_field));
    const struct jwt_field *field = find_field(entry->key);
    enum node_kind kind = field ? field->kind : NODE_STRING;
    int64_t ms;
    if (field == NULL && !provider) {
        report_add(place->report, REPORT_WARNING, &entry->key_position, deeper.path, "unknown field");
    } else if (value->kind == NODE_NULL) {
        return;
    } else if (value->kind != kind) {
        report_add(place->report, REPORT_ERROR, &value->position, deeper.path, "expected %s",
                   node_kind_name(kind));
    } else if (field && field->conversion >= AS_SECONDS && !kube_duration(value->text, &ms)) {
        report_add(place->report, REPORT_ERROR, &value->position, deeper.path, "expected a duration like 5s");
    } else if (field && slice_equal(entry->key, SLICE("errorResponse"))) {
        check_error_response(value, &deeper);
    } else if (field && plugin && !schema_find(&plugin->config, slice_of(field->option)) &&
               !(field->usual && slice_equal(value->text, slice_of(field->usual)))) {
        report_add(place->report, REPORT_ERROR, &value->position, deeper.path, "not supported yet");
    }
}

static void check_algorithms(const struct node *jwt, const struct config_place *place)
{
    const struct node *list = node_find(jwt, "validAlgorithms");
    struct config_place deeper = schema_place(place, "validAlgorithms");
    for (uint32_t i = 0; list && list->kind == NODE_SEQUENCE && i < list->count; i++) {
        const struct node *one = list->entries[i].value;
        struct config_place element = schema_element(&deeper, i);
        if (one->kind == NODE_STRING && slice_equal(one->text, SLICE("none")))
            report_add(place->report, REPORT_ERROR, &one->position, element.path,
                       "none: tokens without signature are not supported");
    }
}

static void check_jwt(struct emissary_reader *reader, const struct node *jwt,
                      const struct config_place *place)
{
    const struct plugin_kind *plugin = kube_plugin_kind(reader->kube, jwt_plugin);
    if (jwt->kind != NODE_MAPPING) {
        report_add(place->report, REPORT_ERROR, &jwt->position, place->path, "expected a record");
        return;
    }
    for (uint32_t i = 0; i < jwt->count; i++)
        check_jwt_field(plugin, &jwt->entries[i], place);
    check_algorithms(jwt, place);
    const struct node *uri = node_find(jwt, "jwksURI");
    if (uri == NULL)
        schema_error(place, jwt, "jwksURI", "required field missing");
    else if (uri->kind == NODE_STRING && !slice_starts_with(uri->text, SLICE("http://")) &&
             !slice_starts_with(uri->text, SLICE("https://")))
        schema_error(place, jwt, "jwksURI", "expected a URL of http or https");
}

static void read_filter(struct emissary_reader *reader, const struct kube_object *object)
{
    struct config_place place = kube_place(reader->kube, object, "spec");
    struct schema schema = { .name = "Filter" };
    char nothing;
    unsigned count = 0;
    schema.others = emissary_others(reader->kube, object, no_fields, filter_others);
    if (schema.others == NULL || !schema_read(&schema, object->spec, &place, &nothing))
        return;
    for (const char *const *kind = filter_kinds; *kind; kind++) {
        bool given = emissary_is_given(object->spec, *kind);
        if (given && kind != filter_kinds)
            schema_error(&place, object->spec, *kind, "not supported yet");
        count += given;
    }
    if (count != 1)
        kube_complain(reader->kube, object, REPORT_ERROR,
                      "needs exactly one of JWT, OAuth2, APIKey, External and Plugin");
    struct config_place deeper = schema_place(&place, "JWT");
    if (emissary_is_given(object->spec, "JWT"))
        check_jwt(reader, node_find(object->spec, "JWT"), &deeper);
}

/* --- FilterPolicy ----------------------------------------------------------------------------------- */

struct rule_record {
    struct slice host, path;
};
static const struct field rule_fields[] = {
    { "host", FIELD_STRING, offsetof(struct rule_record, host), .fallback = "*" },
    { "path", FIELD_STRING, offsetof(struct rule_record, path), .fallback = "*" },
};
static const struct emissary_refused refused_rules[] = { { "precedence", "0" }, { NULL, NULL } };
static const char *const rule_others[] = { "filters", "precedence", NULL };
static const struct schema rule_schema = {
    "rules", rule_fields, COUNT_OF(rule_fields), sizeof(struct rule_record), NULL, rule_others
};

struct reference_record {
    struct slice name, namespace, on_deny, on_allow;
};
static const struct field reference_fields[] = {
    { "name", FIELD_STRING, offsetof(struct reference_record, name), .flags = FIELD_REQUIRED },
    { "namespace", FIELD_STRING, offsetof(struct reference_record, namespace) },
    { "onDeny", FIELD_STRING, offsetof(struct reference_record, on_deny), .fallback = "break" },
    { "onAllow", FIELD_STRING, offsetof(struct reference_record, on_allow), .fallback = "continue" },
};
static const struct emissary_refused refused_references[] = { { "ifRequestHeader", "*" }, { NULL, NULL } };
static const char *const reference_others[] = { "arguments", "ifRequestHeader", NULL };
static const struct schema reference_schema = {
    "filters", reference_fields, COUNT_OF(reference_fields), sizeof(struct reference_record),
    NULL,      reference_others
};

static const char *const policy_others[] = { "rules", "ambassador_id", "ambassadorId", NULL };

static void read_arguments(struct emissary_reader *reader, const struct node *node,
                           const struct config_place *place, struct emissary_policy *policy)
{
    const struct node *arguments = node_find(node, "arguments");
    struct config_place deeper = schema_place(place, "arguments");
    if (!emissary_is_given(node, "arguments"))
        return;
    if (arguments->kind != NODE_MAPPING) {
        schema_error(place, node, "arguments", "expected a record");
        return;
    }
    for (uint32_t i = 0; i < arguments->count; i++)
        if (!slice_equal(arguments->entries[i].key, SLICE("scope")))
            schema_error(&deeper, arguments, arguments->entries[i].key.data, "not supported yet");
    emissary_read_texts(reader, arguments, "scope", &deeper, &policy->scopes);
}

static void read_reference(struct emissary_reader *reader, const struct node *node,
                           const struct config_place *place, struct emissary_policy *policy)
{
    struct reference_record read;
    if (!schema_read(&reference_schema, node, place, &read))
        return;
    emissary_refuse(refused_references, node, place);
    if (!slice_equal(read.on_deny, SLICE("break")))
        schema_error(place, node, "onDeny", "'%.*s': not supported yet", SLICE_FORMAT(read.on_deny));
    if (!slice_equal(read.on_allow, SLICE("continue")) && !slice_equal(read.on_allow, SLICE("break")))
        schema_error(place, node, "onAllow", "expected one of: break, continue");
    struct slice namespace = read.namespace.data ? read.namespace : policy->object->namespace;
    policy->filter = kube_find(reader->kube, KUBE_EMISSARY, "Filter", namespace, read.name);
    policy->filter_node = node;
    if (policy->filter == NULL || !emissary_is_ours(reader, policy->filter))
        schema_error(place, node, "name", "there is no Filter '%.*s' in the namespace '%.*s'",
                     SLICE_FORMAT(read.name), SLICE_FORMAT(namespace));
    else if (emissary_is_given(policy->filter->spec, "JWT") && !kube_plugin_kind(reader->kube, jwt_plugin))
        schema_error(place, node, "name", "%s needs the plugin %s, which is not there", policy->filter->path,
                     jwt_plugin);
    read_arguments(reader, node, place, policy);
}

static void read_rule(struct emissary_reader *reader, const struct kube_object *object,
                      const struct node *node, const struct config_place *place)
{
    struct rule_record read;
    struct emissary_policy *policy = kube_take(reader->kube, sizeof(*policy));
    struct emissary_policy **items = model_reserve(reader->kube->model, reader->policies.items,
                                                   reader->policies.count, &reader->policies.capacity);
    if (!policy || !items || !schema_read(&rule_schema, node, place, &read))
        return;
    emissary_refuse(refused_rules, node, place);
    *policy = (struct emissary_policy){ .object = object, .host = read.host, .path = read.path };
    const struct node *filters = node_find(node, "filters");
    struct config_place deeper = schema_place(place, "filters");
    struct config_place first = schema_element(&deeper, 0);
    if (emissary_is_given(node, "filters") && filters->kind != NODE_SEQUENCE)
        schema_error(place, node, "filters", "expected an array");
    else if (filters && filters->count > 1)
        schema_error(place, node, "filters", "more than one filter in a rule: not supported yet");
    else if (filters && filters->count == 1)
        read_reference(reader, filters->entries[0].value, &first, policy);
    reader->policies.items = items;
    items[reader->policies.count++] = policy;
}

static void read_policy(struct emissary_reader *reader, const struct kube_object *object)
{
    struct config_place place = kube_place(reader->kube, object, "spec");
    struct schema schema = { .name = "FilterPolicy" };
    char nothing;
    schema.others = emissary_others(reader->kube, object, no_fields, policy_others);
    const struct node *rules = node_find(object->spec, "rules");
    struct config_place deeper = schema_place(&place, "rules");
    if (schema.others == NULL || !schema_read(&schema, object->spec, &place, &nothing))
        return;
    if (rules == NULL || rules->kind != NODE_SEQUENCE) {
        schema_error(&place, object->spec, "rules", "expected an array");
        return;
    }
    for (uint32_t i = 0; i < rules->count; i++) {
        struct config_place element = schema_element(&deeper, i);
        read_rule(reader, object, rules->entries[i].value, &element);
    }
}

void emissary_read_policies(struct emissary_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    for (uint32_t i = 0; i < kube->object_count && !kube->out_of_memory; i++) {
        const struct kube_object *object = kube->objects[i];
        if (!emissary_is_ours(reader, object))
            continue;
        if (kube_is(object, KUBE_EMISSARY, "Filter"))
            read_filter(reader, object);
        else if (kube_is(object, KUBE_EMISSARY, "FilterPolicy"))
            read_policy(reader, object);
    }
}

/* --- plugin instances ------------------------------------------------------------------------------- */

/* The configuration of the plugin, written as nodes, so that its own table checks it. */
struct writing {
    struct emissary_reader *reader;
    struct node *record;
    const struct node *near; /* whose position the nodes get */
    uint32_t capacity;
};

static struct node *add_option(struct writing *writing, const char *name, const struct node *like)
{
    struct node *value = kube_take_scratch(writing->reader->kube, sizeof(*value));
    if (value == NULL || writing->record->count == writing->capacity)
        return NULL;
    *value = *like;
    writing->record->entries[writing->record->count++] =
        (struct node_entry){ slice_of(name), like->position, value };
    return value;
}

static void add_text(struct writing *writing, const char *name, struct slice text)
{
    struct node like = { .kind = NODE_STRING, .position = writing->near->position, .text = text };
    (void)add_option(writing, name, &like);
}

static void add_list(struct writing *writing, const char *name, const struct slices *texts)
{
    struct kube_reader *kube = writing->reader->kube;
    struct node like = { .kind = NODE_SEQUENCE, .position = writing->near->position };
    struct node *items = kube_take_scratch(kube, (texts->count + 1u) * sizeof(*items));
    like.entries = kube_take_scratch(kube, (texts->count + 1u) * sizeof(*like.entries));
    for (uint32_t i = 0; items && like.entries && i < texts->count; i++) {
        items[i] = (struct node){ .kind = NODE_STRING, .position = like.position, .text = texts->items[i] };
        like.entries[like.count++].value = &items[i];
    }
    (void)add_option(writing, name, &like);
}

static void add_number(struct writing *writing, const char *name, int64_t number)
{
    struct node like = { .kind = NODE_NUMBER,
                         .position = writing->near->position,
                         .number = (double)number,
                         .is_integer = true,
                         .integer = number };
    like.text = arena_format(&writing->reader->kube->scratch, "%lld", (long long)number);
    if (like.text.data)
        (void)add_option(writing, name, &like);
    else
        kube_fail_memory(writing->reader->kube);
}

static void write_field(struct writing *writing, const struct jwt_field *field, const struct node *value)
{
    struct slice text = value->text;
    struct slices one = { &text, 1 };
    int64_t ms = 0;
    switch (field->conversion) {
    case AS_LIST: add_list(writing, field->option, &one); break;
    case AS_SECONDS:
        if (kube_duration(text, &ms))
            add_number(writing, field->option, (ms + 999) / 1000);
        break;
    case AS_MILLISECONDS:
        if (kube_duration(text, &ms))
            add_text(writing, field->option,
                     arena_format(&writing->reader->kube->scratch, "%lldms", (long long)ms));
        break;
    case AS_IT_IS:
    default: (void)add_option(writing, field->option, value); break;
    }
}

static void write_fields(struct writing *writing, const struct plugin_kind *plugin, const struct node *jwt)
{
    for (uint32_t i = 0; i < jwt->count; i++) {
        const struct jwt_field *field = find_field(jwt->entries[i].key);
        if (field && jwt->entries[i].value->kind == field->kind &&
            schema_find(&plugin->config, slice_of(field->option)))
            write_field(writing, field, jwt->entries[i].value);
    }
    for (size_t i = 0; i < COUNT_OF(lenient_options); i++) {
        struct node no = { .kind = NODE_BOOLEAN, .position = jwt->position, .text = SLICE("false") };
        struct slice name = slice_of(lenient_options[i]);
        if (schema_find(&plugin->config, name) && !node_find(writing->record, name.data))
            (void)add_option(writing, name.data, &no);
    }
}

/* "name.namespace", unless the Filter names it. */
static void write_realm(struct writing *writing, const struct plugin_kind *plugin,
                        const struct kube_object *filter, const struct node *jwt)
{
    const struct node *named = node_find(node_find(jwt, "errorResponse"), "realm");
    struct slice realm = arena_format(&writing->reader->kube->scratch, "%.*s.%.*s",
                                      SLICE_FORMAT(filter->name), SLICE_FORMAT(filter->namespace));
    if (named && named->kind == NODE_STRING)
        realm = named->text;
    if (realm.data && schema_find(&plugin->config, SLICE("realm")))
        add_text(writing, "realm", realm);
}

static void *write_config(struct emissary_reader *reader, const struct emissary_policy *policy,
                          const struct plugin_kind *plugin)
{
    const struct node *jwt = node_find(policy->filter->spec, "JWT");
    struct node record = { .kind = NODE_MAPPING, .position = jwt->position };
    struct writing writing = { reader, &record, policy->filter_node, jwt->count + 8u };
    void *config = kube_take(reader->kube, plugin->config.struct_size);
    record.entries = kube_take_scratch(reader->kube, writing.capacity * sizeof(*record.entries));
    if (config == NULL || record.entries == NULL)
        return NULL;
    write_fields(&writing, plugin, jwt);
    write_realm(&writing, plugin, policy->filter, jwt);
    const struct node *provider = node_find(jwt, provider_field);
    if (provider && provider->kind == NODE_STRING && !node_find(jwt, "issuer"))
        add_text(&writing, "issuer", provider->text);
    if (policy->scopes.count)
        add_list(&writing, "scopes", &policy->scopes);
    add_text(&writing, "style", SLICE("envoy"));
    struct config_place place = kube_place(reader->kube, policy->filter, "spec");
    place = schema_place(&place, "JWT");
    place.unknown = REPORT_ERROR;
    schema_read(&plugin->config, &record, &place, config);
    return config;
}

void emissary_apply_policy(struct emissary_reader *reader, struct emissary_policy *policy,
                           struct route *route)
{
    const struct kube_object *filter = policy->filter;
    const struct node *jwt = filter ? node_find(filter->spec, "JWT") : NULL;
    struct kube_plugin plugin = { filter, kube_plugin_kind(reader->kube, jwt_plugin), policy->config };
    if (plugin.kind == NULL || jwt == NULL || jwt->kind != NODE_MAPPING)
        return;
    if (plugin.config == NULL)
        plugin.config = policy->config = write_config(reader, policy, plugin.kind);
    if (plugin.config)
        (void)kube_add_plugin(reader->kube, &plugin, route);
}

/* --- shadows ---------------------------------------------------------------------------------------- */

void emissary_apply_shadow(struct emissary_reader *reader, struct emissary_group *group, struct route *route)
{
    const struct emissary_mapping *shadow = group->shadow;
    struct config_place place = kube_place(reader->kube, shadow->object, "spec");
    struct kube_mirror mirror = { .object = shadow->object,
                                  .spot = { &place, shadow->object->spec, "shadow" },
                                  .service = shadow->upstream,
                                  .host = "shadow",
                                  .percentage =
                                      shadow->weight == INTEGER_NULL ? 100 : (double)shadow->weight };
    if (group->copies.kind == NULL)
        kube_make_mirror(reader->kube, &mirror, &group->copies);
    if (group->copies.config)
        (void)kube_add_plugin(reader->kube, &group->copies, route);
}
