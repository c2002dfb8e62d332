/* SPDX-License-Identifier: Apache-2.0 */
/* The resources of Terraform's AWS provider that make an HTTP API, by tables of their attributes. */
#include "config/aws/resources.h"

#include <math.h>

/* What Terraform itself, or the state it writes, says beside the attributes. */
#define COMMON "id", "region", "tags", "tags_all", "timeouts"

/* --- blocks --------------------------------------------------------------------------------------------- */

const struct node *aws_block(struct aws_reader *reader, const struct aws_object *object, const char *name)
{
    const struct node *node = node_find(object->node, name);
    if (node && node->kind == NODE_SEQUENCE && node->count == 1)
        node = node->entries[0].value;
    if (node == NULL || node->kind == NODE_NULL || (node->kind == NODE_SEQUENCE && node->count == 0))
        return NULL;
    if (node->kind == NODE_MAPPING)
        return node;
    aws_refuse(reader, object, name,
               node->kind == NODE_SEQUENCE ? "only one such block is allowed" : "expected a block");
    return NULL;
}

static bool read(struct aws_reader *reader, const struct schema *schema, const struct aws_object *object,
                 void *value)
{
    struct config_place place = aws_place(reader, object);
    return schema_read(schema, object->node, &place, value);
}

static void refuse_all(struct aws_reader *reader, const struct aws_object *object, const char *const *names)
{
    for (; *names; names++)
        if (node_find(object->node, *names))
            aws_refuse(reader, object, *names, "not supported yet");
}

/* --- API ------------------------------------------------------------------------------------------------ */

static const char *check_protocol(struct slice text)
{
    if (slice_equal(text, SLICE("HTTP")))
        return NULL;
    return slice_equal(text, SLICE("WEBSOCKET")) ? "WebSocket APIs: not supported yet"
                                                 : "expected HTTP or WEBSOCKET";
}

#define API(member) offsetof(struct aws_api, member)
static const struct field api_fields[] = {
    { "name", FIELD_STRING, API(name), FIELD_REQUIRED },
    { "protocol_type", FIELD_STRING, API(protocol), FIELD_REQUIRED, .check = check_protocol },
    { "disable_execute_api_endpoint", FIELD_BOOLEAN, API(disabled), .fallback = "false" },
    { "target", FIELD_STRING, API(target) },
    { "route_key", FIELD_STRING, API(route_key) },
    { "body", FIELD_STRING, API(body) },
    { "credentials_arn", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
};
static const char *const api_others[] = {
    COMMON,
    "arn",
    "api_endpoint",
    "execution_arn",
    "description",
    "version",
    "ip_address_type",
    "api_key_selection_expression",
    "route_selection_expression",
    "fail_on_warnings",
    "cors_configuration",
    NULL,
};
static const struct schema api_schema = { "aws_apigatewayv2_api", api_fields, COUNT_OF(api_fields),
                                          sizeof(struct aws_api), NULL,       api_others };

static void read_body(struct aws_reader *reader, struct aws_api *api)
{
    struct document_reading reading = { &document_default_limits, &reader->scratch, reader->report };
    struct documents documents;
    const char *file =
        aws_text(reader, "%s (body of %s)", api->object.node->position.file, api->object.address).data;
    if (!document_read_text(api->body, file, &reading, &documents))
        return;
    if (documents.count == 1 && node_find(documents.items[0], "openapi"))
        aws_read_openapi(reader, documents.items[0], api);
    else
        aws_refuse(reader, &api->object, "body", "expected an OpenAPI 3 definition");
}

static void add_api(struct aws_reader *reader, const struct aws_object *object)
{
    struct aws_api *api = aws_take(reader, &reader->scratch, sizeof(*api));
    if (api == NULL)
        return;
    bool good = read(reader, &api_schema, object, api);
    api->object = *object;
    api->cors = aws_block(reader, object, "cors_configuration");
    api->cors_path = aws_text(reader, "%s.cors_configuration", object->address).data;
    aws_add(reader, &reader->apis, api);
    if (good && api->body.data)
        read_body(reader, api);
}

/* --- route ---------------------------------------------------------------------------------------------- */

static const char *check_authorization(struct slice text)
{
    if (slice_equal(text, SLICE("NONE")) || slice_equal(text, SLICE("JWT")))
        return NULL;
    if (slice_equal(text, SLICE("AWS_IAM")) || slice_equal(text, SLICE("CUSTOM")))
        return "{}: not supported yet";
    return "expected NONE, JWT, AWS_IAM or CUSTOM";
}

#define ROUTE(member) offsetof(struct aws_route, member)
static const struct field route_fields[] = {
    { "api_id", FIELD_STRING, ROUTE(api_id), FIELD_REQUIRED },
    { "route_key", FIELD_STRING, ROUTE(route_key), FIELD_REQUIRED },
    { "target", FIELD_STRING, ROUTE(target) },
    { "authorization_type", FIELD_STRING, ROUTE(authorization), .check = check_authorization,
      .fallback = "NONE" },
    { "authorizer_id", FIELD_STRING, ROUTE(authorizer_id) },
    { "authorization_scopes", FIELD_STRINGS, ROUTE(scopes) },
    { "model_selection_expression", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "route_response_selection_expression", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
};
static const char *const route_others[] = {
    COMMON, "operation_name", "api_key_required", "request_parameter", "request_models", NULL,
};
static const struct schema route_schema = { "aws_apigatewayv2_route", route_fields, COUNT_OF(route_fields),
                                            sizeof(struct aws_route), NULL,         route_others };

static void add_route(struct aws_reader *reader, const struct aws_object *object)
{
    static const char *const unsupported[] = { "request_parameter", "request_models", NULL };
    struct aws_route *route = aws_take(reader, &reader->scratch, sizeof(*route));
    if (route == NULL)
        return;
    read(reader, &route_schema, object, route);
    route->object = *object;
    route->number = reader->routes.count;
    refuse_all(reader, object, unsupported);
    const struct node *key = node_find(object->node, "api_key_required");
    if (key && !(key->kind == NODE_BOOLEAN && !key->boolean))
        aws_refuse(reader, object, "api_key_required", "not supported for HTTP APIs");
    aws_add(reader, &reader->routes, route);
}

/* --- integration ---------------------------------------------------------------------------------------- */

static const char *check_integration(struct slice text)
{
    static const char *const known[] = { "AWS", "AWS_PROXY", "HTTP", "MOCK" };
    if (slice_equal(text, SLICE("HTTP_PROXY")))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_equal(text, slice_of(known[i])))
            return "{} integrations: not supported yet";
    return "expected HTTP_PROXY";
}

static const char *check_connection(struct slice text)
{
    bool good = slice_equal(text, SLICE("INTERNET")) || slice_equal(text, SLICE("VPC_LINK"));
    return good ? NULL : "expected INTERNET or VPC_LINK";
}

static const char *check_method(struct slice text)
{
    static const char *const known[] = { "ANY", "GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS" };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_equal(text, slice_of(known[i])))
            return NULL;
    return "expected a method or ANY";
}

#define INTEGRATION(member) offsetof(struct aws_integration, member)
static const struct field integration_fields[] = {
    { "api_id", FIELD_STRING, INTEGRATION(api_id), FIELD_REQUIRED },
    { "integration_type", FIELD_STRING, INTEGRATION(type), FIELD_REQUIRED, .check = check_integration },
    { "integration_uri", FIELD_STRING, INTEGRATION(uri), FIELD_REQUIRED },
    { "integration_method", FIELD_STRING, INTEGRATION(method), .check = check_method, .fallback = "ANY" },
    { "connection_type", FIELD_STRING, INTEGRATION(connection_type), .check = check_connection,
      .fallback = "INTERNET" },
    { "timeout_milliseconds", FIELD_INTEGER, INTEGRATION(timeout_ms), .min = 50, .max = 30000,
      .fallback = "30000" },
    { "credentials_arn", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "integration_subtype", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "content_handling_strategy", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "template_selection_expression", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
};
static const char *const integration_others[] = {
    COMMON,
    "description",
    "connection_id",
    "payload_format_version",
    "passthrough_behavior",
    "integration_response_selection_expression",
    "request_parameters",
    "response_parameters",
    "request_templates",
    "tls_config",
    NULL,
};
static const struct schema integration_schema = {
    "aws_apigatewayv2_integration",
    integration_fields,
    COUNT_OF(integration_fields),
    sizeof(struct aws_integration),
    NULL,
    integration_others,
};

static void add_integration(struct aws_reader *reader, const struct aws_object *object)
{
    static const char *const unsupported[] = { "response_parameters", "request_templates", "tls_config",
                                               NULL };
    struct aws_integration *integration = aws_take(reader, &reader->scratch, sizeof(*integration));
    if (integration == NULL)
        return;
    read(reader, &integration_schema, object, integration);
    integration->object = *object;
    integration->request_parameters = aws_block(reader, object, "request_parameters");
    refuse_all(reader, object, unsupported);
    aws_add(reader, &reader->integrations, integration);
}

/* --- authorizer ----------------------------------------------------------------------------------------- */

static const char *check_authorizer(struct slice text)
{
    if (slice_equal(text, SLICE("JWT")))
        return NULL;
    return slice_equal(text, SLICE("REQUEST")) ? "REQUEST authorizers: not supported yet"
                                               : "expected JWT or REQUEST";
}

#define AUTHORIZER(member) offsetof(struct aws_authorizer, member)
static const struct field authorizer_fields[] = {
    { "api_id", FIELD_STRING, AUTHORIZER(api_id), FIELD_REQUIRED },
    { "authorizer_type", FIELD_STRING, AUTHORIZER(type), FIELD_REQUIRED, .check = check_authorizer },
    { "name", FIELD_STRING, AUTHORIZER(name), FIELD_REQUIRED },
    { "identity_sources", FIELD_STRINGS, AUTHORIZER(identity_sources), .max = 1 },
    { "authorizer_uri", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "authorizer_credentials_arn", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "authorizer_payload_format_version", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
};
static const char *const authorizer_others[] = {
    COMMON, "jwt_configuration", "authorizer_result_ttl_in_seconds", "enable_simple_responses", NULL,
};
static const struct schema authorizer_schema = {
    "aws_apigatewayv2_authorizer",
    authorizer_fields,
    COUNT_OF(authorizer_fields),
    sizeof(struct aws_authorizer),
    NULL,
    authorizer_others,
};

static const struct field jwt_fields[] = {
    { "issuer", FIELD_STRING, AUTHORIZER(issuer), FIELD_REQUIRED },
    { "audience", FIELD_STRINGS, AUTHORIZER(audience), FIELD_REQUIRED, .min = 1 },
};
static const struct schema jwt_schema = { "jwt_configuration", jwt_fields, COUNT_OF(jwt_fields),
                                          sizeof(struct aws_authorizer) };

void aws_read_jwt(struct aws_reader *reader, struct aws_authorizer *authorizer, const char *name)
{
    struct aws_authorizer jwt = { 0 };
    const struct node *block = aws_block(reader, &authorizer->object, name);
    if (block == NULL) {
        aws_refuse(reader, &authorizer->object, name, "required field missing");
        return;
    }
    struct config_place place = aws_place(reader, &authorizer->object);
    place = schema_place(&place, name);
    schema_read(&jwt_schema, block, &place, &jwt);
    authorizer->issuer = jwt.issuer;
    authorizer->audience = jwt.audience;
}

static void add_authorizer(struct aws_reader *reader, const struct aws_object *object)
{
    struct aws_authorizer *authorizer = aws_take(reader, &reader->scratch, sizeof(*authorizer));
    if (authorizer == NULL)
        return;
    bool good = read(reader, &authorizer_schema, object, authorizer);
    authorizer->object = *object;
    if (good)
        aws_read_jwt(reader, authorizer, "jwt_configuration");
    aws_add(reader, &reader->authorizers, authorizer);
}

/* --- stage ---------------------------------------------------------------------------------------------- */

#define STAGE(member) offsetof(struct aws_stage, member)
static const struct field stage_fields[] = {
    { "api_id", FIELD_STRING, STAGE(api_id), FIELD_REQUIRED },
    { "name", FIELD_STRING, STAGE(name), FIELD_REQUIRED, .alias = "stage_name" },
    { "client_certificate_id", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
};
static const char *const stage_others[] = {
    COMMON,
    "arn",
    "execution_arn",
    "invoke_url",
    "auto_deploy",
    "deployment_id",
    "description",
    "stage_variables",
    "default_route_settings",
    "route_settings",
    "access_log_settings",
    NULL,
};
static const struct schema stage_schema = { "aws_apigatewayv2_stage", stage_fields, COUNT_OF(stage_fields),
                                            sizeof(struct aws_stage), NULL,         stage_others };

#define SETTINGS(member) offsetof(struct aws_route_settings, member)
static const struct field settings_fields[] = {
    { "route_key", FIELD_STRING, SETTINGS(route_key) },
    { "throttling_rate_limit", FIELD_NUMBER, SETTINGS(throttle.rate), .max = 1e9 },
    { "throttling_burst_limit", FIELD_INTEGER, SETTINGS(throttle.burst), .max = 1e6 },
};
static const char *const settings_others[] = { "detailed_metrics_enabled", "data_trace_enabled",
                                               "logging_level", NULL };
static const struct schema settings_schema_of_routes = {
    "route_settings", settings_fields, COUNT_OF(settings_fields), sizeof(struct aws_route_settings), NULL,
    settings_others
};

/* Requests are counted with their routes anyway; what else is written about them is not. */
static void check_settings(const struct node *node, const struct config_place *place)
{
    const struct node *trace = node_find(node, "data_trace_enabled");
    const struct node *level = node_find(node, "logging_level");
    if (trace && !(trace->kind == NODE_BOOLEAN && !trace->boolean))
        schema_error(place, node, "data_trace_enabled", "not supported for HTTP APIs");
    if (level && !(level->kind == NODE_STRING && slice_equal(level->text, SLICE("OFF"))))
        schema_error(place, node, "logging_level", "not supported for HTTP APIs");
}

static void read_settings(struct aws_reader *reader, const struct aws_stage *stage, const struct node *node,
                          const char *name, struct aws_route_settings *settings)
{
    struct config_place place = aws_place(reader, &stage->object);
    place = schema_place(&place, name);
    schema_read(&settings_schema_of_routes, node, &place, settings);
    settings->throttle.node = node;
    settings->throttle.path = place.path;
    if (node && node->kind == NODE_MAPPING)
        check_settings(node, &place);
}

static void read_route_settings(struct aws_reader *reader, struct aws_stage *stage)
{
    const struct node *list = node_find(stage->object.node, "route_settings");
    for (uint32_t i = 0; list && i < (list->kind == NODE_SEQUENCE ? list->count : 1u); i++) {
        const struct node *one = list->kind == NODE_SEQUENCE ? list->entries[i].value : list;
        struct aws_route_settings *settings = aws_take(reader, &reader->scratch, sizeof(*settings));
        if (settings == NULL)
            return;
        read_settings(reader, stage, one, "route_settings", settings);
        if (settings->route_key.data == NULL)
            aws_refuse(reader, &stage->object, "route_settings", "route_key: required field missing");
        aws_add(reader, &stage->route_settings, settings);
    }
}

static void add_stage(struct aws_reader *reader, const struct aws_object *object)
{
    static const char *const unsupported[] = { "access_log_settings", NULL };
    struct aws_stage *stage = aws_take(reader, &reader->scratch, sizeof(*stage));
    struct aws_route_settings all = { .throttle = { .rate = NAN, .burst = INTEGER_NULL } };
    if (stage == NULL)
        return;
    read(reader, &stage_schema, object, stage);
    stage->object = *object;
    stage->variables = aws_block(reader, object, "stage_variables");
    const struct node *block = aws_block(reader, object, "default_route_settings");
    if (block)
        read_settings(reader, stage, block, "default_route_settings", &all);
    stage->throttle = all.throttle;
    read_route_settings(reader, stage);
    refuse_all(reader, object, unsupported);
    aws_add(reader, &reader->stages, stage);
}

/* --- domains -------------------------------------------------------------------------------------------- */

#define DOMAIN(member) offsetof(struct aws_domain, member)
static const struct field domain_fields[] = {
    { "domain_name", FIELD_STRING, DOMAIN(name), FIELD_REQUIRED },
};
static const char *const domain_others[] = {
    COMMON,
    "arn",
    "api_mapping_selection_expression",
    "domain_name_configuration",
    "mutual_tls_authentication",
    "routing_mode",
    NULL,
};
static const struct schema domain_schema = {
    "aws_apigatewayv2_domain_name", domain_fields, COUNT_OF(domain_fields),
    sizeof(struct aws_domain),      NULL,          domain_others
};

static void add_domain(struct aws_reader *reader, const struct aws_object *object)
{
    static const char *const unsupported[] = { "mutual_tls_authentication", NULL };
    struct aws_domain *domain = aws_take(reader, &reader->scratch, sizeof(*domain));
    if (domain == NULL)
        return;
    read(reader, &domain_schema, object, domain);
    domain->object = *object;
    refuse_all(reader, object, unsupported);
    const struct node *mode = node_find(object->node, "routing_mode");
    if (mode && !(mode->kind == NODE_STRING && slice_equal(mode->text, SLICE("API_MAPPING_ONLY"))))
        aws_refuse(reader, object, "routing_mode", "not supported yet, but API_MAPPING_ONLY");
    if (node_find(object->node, "domain_name_configuration"))
        aws_warn(reader, object, "domain_name_configuration",
                 "its certificate is not used: the name is served as the listeners are");
    aws_add(reader, &reader->domains, domain);
}

#define MAPPING(member) offsetof(struct aws_mapping, member)
static const char *check_mapping_key(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = slice_lower(text.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("$-_.+!*'()/", c))
            return "letters, digits and any of $-_.+!*'()/ only";
    }
    bool slashes = text.size && (text.data[0] == '/' || text.data[text.size - 1] == '/' ||
                                 memmem(text.data, text.size, "//", 2));
    return text.size > 300 ? "at most 300 characters" : slashes ? "a slash only between segments" : NULL;
}

static const struct field mapping_fields[] = {
    { "api_id", FIELD_STRING, MAPPING(api_id), FIELD_REQUIRED },
    { "domain_name", FIELD_STRING, MAPPING(domain_name), FIELD_REQUIRED },
    { "stage", FIELD_STRING, MAPPING(stage_name), FIELD_REQUIRED },
    { "api_mapping_key", FIELD_STRING, MAPPING(key), .check = check_mapping_key },
};
static const char *const mapping_others[] = { COMMON, NULL };
static const struct schema mapping_schema = {
    "aws_apigatewayv2_api_mapping", mapping_fields, COUNT_OF(mapping_fields),
    sizeof(struct aws_mapping),     NULL,           mapping_others
};

static void add_mapping(struct aws_reader *reader, const struct aws_object *object)
{
    struct aws_mapping *mapping = aws_take(reader, &reader->scratch, sizeof(*mapping));
    if (mapping == NULL)
        return;
    read(reader, &mapping_schema, object, mapping);
    mapping->object = *object;
    aws_add(reader, &reader->mappings, mapping);
}

/* --- all ------------------------------------------------------------------------------------------------ */

/* They say nothing that a gateway could do: deployments are what is declared, a link only names a network. */
static void add_nothing(struct aws_reader *reader, const struct aws_object *object)
{
    (void)reader;
    (void)object;
}

bool aws_is_api_type(struct slice type)
{
    return slice_starts_with(type, SLICE("aws_apigatewayv2_")) ||
           slice_starts_with(type, SLICE("aws_api_gateway_"));
}

/* States hold every attribute: what is empty is not set. */
enum { TIDY_DEPTH_MAX = 64 };

static const struct node *tidy(struct aws_reader *reader, const struct node *node, int depth)
{
    struct node *copy = aws_take(reader, &reader->scratch, sizeof(*copy));
    struct node_entry *entries = aws_take(reader, &reader->scratch, (node->count + 1u) * sizeof(*entries));
    if (copy == NULL || entries == NULL)
        return node;
    if (depth == TIDY_DEPTH_MAX)
        report_add(reader->report, REPORT_ERROR, &node->position, "", "nested deeper than %d levels", depth);
    *copy = *node;
    copy->entries = entries;
    copy->count = 0;
    for (uint32_t i = 0; depth < TIDY_DEPTH_MAX && i < node->count; i++) {
        const struct node *value = node->entries[i].value;
        bool collection = value->kind == NODE_SEQUENCE || value->kind == NODE_MAPPING;
        if (collection)
            value = tidy(reader, value, depth + 1);
        bool empty = (collection && value->count == 0) || value->kind == NODE_NULL ||
                     (value->kind == NODE_STRING && value->text.size == 0);
        if (node->kind == NODE_MAPPING && empty)
            continue;
        entries[copy->count] = node->entries[i];
        entries[copy->count++].value = (struct node *)(uintptr_t)value;
    }
    return copy;
}

void aws_add_resource(struct aws_reader *reader, const struct aws_resource *resource)
{
    static const struct {
        const char *type;
        void (*add)(struct aws_reader *reader, const struct aws_object *object);
    } rows[] = {
        { "aws_apigatewayv2_api", add_api },
        { "aws_apigatewayv2_api_mapping", add_mapping },
        { "aws_apigatewayv2_authorizer", add_authorizer },
        { "aws_apigatewayv2_deployment", add_nothing },
        { "aws_apigatewayv2_domain_name", add_domain },
        { "aws_apigatewayv2_integration", add_integration },
        { "aws_apigatewayv2_route", add_route },
        { "aws_apigatewayv2_stage", add_stage },
        { "aws_apigatewayv2_vpc_link", add_nothing },
    };
    struct aws_object object = resource->object;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!slice_equal(resource->type, slice_of(rows[i].type)))
            continue;
        object.node = tidy(reader, object.node, 0);
        rows[i].add(reader, &object);
        return;
    }
    if (slice_starts_with(resource->type, SLICE("aws_api_gateway_")))
        aws_refuse(reader, &object, "", "REST APIs: not supported yet");
    else if (aws_is_api_type(resource->type))
        aws_refuse(reader, &object, "", "%.*s: not supported yet", SLICE_FORMAT(resource->type));
}
