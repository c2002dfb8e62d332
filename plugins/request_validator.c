/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's request-validator: requests whose body or parameters do not fit a schema are refused. */
#include "plugins/request_validator.h"

#include "core/io/shard.h"
#include "plugins/plugins.h"

#include <stdio.h>

/* --- configuration -------------------------------------------------------------------------------------- */

enum validator_version {
    VERSION_KONG,
    VERSION_DRAFT_4,
    VERSION_DRAFT_7,
    VERSION_DRAFT_2019_09,
    VERSION_DRAFT_2020_12
};

struct request_validator_config {
    struct slice body_schema;
    int version; /* enum validator_version */
    struct slices allowed_content_types;
    bool content_type_parameter_validation, verbose_response;
    /* prepared */
    const struct json_schema *body; /* NULL: any */
    struct validator_parameter *parameters;
    uint32_t parameter_count;
};

struct request_validator_shard {
    struct regex_scratch scratch;
};

static const char *const version_names[] = { "kong", "draft4", "draft7", "draft201909", "draft202012", NULL };
static const char *const place_names[] = { "query", "header", "path", NULL };
static const char *const style_names[] = { "label",          "form",          "matrix",     "simple",
                                           "spaceDelimited", "pipeDelimited", "deepObject", NULL };

#define PARAMETER(member) offsetof(struct validator_parameter, member)

static const struct field parameter_fields[] = {
    { "in", FIELD_CHOICE, PARAMETER(in), .flags = FIELD_REQUIRED, .choices = place_names,
      .help = "query, header or path: a named group of the route's regular expression" },
    { "name", FIELD_STRING, PARAMETER(name), .flags = FIELD_REQUIRED, .help = "its name" },
    { "required", FIELD_BOOLEAN, PARAMETER(required), .flags = FIELD_REQUIRED, .help = "must it be there" },
    { "style", FIELD_CHOICE, PARAMETER(style), .choices = style_names,
      .help = "how arrays and objects are written (OpenAPI); form in the query, else simple" },
    { "explode", FIELD_BOOLEAN, PARAMETER(explode), .help = "is each value written on its own (OpenAPI)" },
    { "schema", FIELD_STRING, PARAMETER(schema_text), .help = "JSON Schema of its value" },
};

static const struct schema parameter_schema = { .name = "parameter_schema",
                                                .fields = parameter_fields,
                                                .field_count = COUNT_OF(parameter_fields),
                                                .struct_size = sizeof(struct validator_parameter) };

#define OFFSET(member) offsetof(struct request_validator_config, member)

static const struct field config_fields[] = {
    { "body_schema", FIELD_STRING, OFFSET(body_schema), .help = "what JSON bodies must be like; a text" },
    { "version", FIELD_CHOICE, OFFSET(version), .choices = version_names, .fallback = "kong",
      .help = "the language of body_schema: Kong's own or a draft of JSON Schema" },
    { "allowed_content_types", FIELD_STRINGS, OFFSET(allowed_content_types), .fallback = "application/json",
      .help = "with a body_schema: other Content-Types are refused" },
    { "content_type_parameter_validation", FIELD_BOOLEAN, OFFSET(content_type_parameter_validation),
      .fallback = "true", .help = "the parameter of Content-Type (charset=...) must be as allowed, too" },
    { "verbose_response", FIELD_BOOLEAN, OFFSET(verbose_response), .fallback = "false",
      .help = "tell the client what does not fit, and where" },
};

static const char *const read_by_check[] = { "parameter_schema", NULL };

static const struct json_schema *compile(const struct config_place *place, const struct node *node,
                                         const char *field, struct slice text, enum json_schema_draft draft)
{
    struct json_schema_options options = { .draft = draft,
                                           .checks_formats = draft <= JSON_SCHEMA_DRAFT_7,
                                           .knows_lua_patterns = false };
    char reason[JSON_SCHEMA_REASON_SIZE];
    const struct json_schema *schema = json_schema_compile(place->arena, text, &options, reason);
    if (schema == NULL)
        schema_error(place, node, field, "the schema cannot be used: %s", reason);
    return schema;
}

static void prepare_body(struct request_validator_config *config, const struct node *node,
                         const struct config_place *place)
{
    static const enum json_schema_draft drafts[] = { [VERSION_DRAFT_4] = JSON_SCHEMA_DRAFT_4,
                                                     [VERSION_DRAFT_7] = JSON_SCHEMA_DRAFT_7,
                                                     [VERSION_DRAFT_2019_09] = JSON_SCHEMA_DRAFT_2019_09,
                                                     [VERSION_DRAFT_2020_12] = JSON_SCHEMA_DRAFT_2020_12 };
    if (config->version != VERSION_KONG) {
        config->body = compile(place, node, "body_schema", config->body_schema, drafts[config->version]);
        return;
    }
    const char *reason;
    struct slice text = validator_translate(place->arena, config->body_schema, &reason);
    struct json_schema_options options = { JSON_SCHEMA_DRAFT_7, true, true };
    char why[JSON_SCHEMA_REASON_SIZE];
    if (text.data)
        config->body = json_schema_compile(place->arena, text, &options, why);
    if (config->body == NULL)
        schema_error(place, node, "body_schema", "the schema cannot be used: %s", text.data ? why : reason);
}

static void read_parameter(struct validator_parameter *parameter, const struct node *node,
                           const struct config_place *place)
{
    if (!schema_read(&parameter_schema, node, place, parameter))
        return;
    if (parameter->schema_text.data)
        parameter->schema = compile(place, node, "schema", parameter->schema_text, JSON_SCHEMA_DRAFT_4);
    bool query = parameter->in == PARAMETER_QUERY;
    if (parameter->style >= 0 && parameter->schema_text.data && node_find(node, "explode") == NULL)
        schema_error(place, node, "", "explode is required when schema and style are set");
    bool fits = parameter->style < 0 || parameter->style == STYLE_SIMPLE || parameter->in == PARAMETER_PATH;
    if (query)
        fits = parameter->style < 0 || parameter->style == STYLE_FORM ||
               parameter->style >= STYLE_SPACE_DELIMITED;
    else if (parameter->in == PARAMETER_PATH)
        fits = parameter->style < 0 || parameter->style == STYLE_SIMPLE || parameter->style == STYLE_LABEL ||
               parameter->style == STYLE_MATRIX;
    if (!fits)
        schema_error(place, node, "style", "not a style of what is in: %s", place_names[parameter->in]);
    if (node_find(node, "explode") == NULL)
        parameter->explode = query; /* form is exploded where nothing else is said (OpenAPI) */
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct request_validator_config *config = value;
    const struct node *list = node ? node_find(node, "parameter_schema") : NULL;
    config->body = NULL;
    config->parameters = NULL;
    config->parameter_count = 0;
    if (list && list->kind == NODE_NULL)
        list = NULL;
    if (config->body_schema.data)
        prepare_body(config, node, place);
    if (list && list->kind != NODE_SEQUENCE) {
        schema_error(place, node, "parameter_schema", "expected an array");
        return;
    }
    if (config->body_schema.data == NULL && (list == NULL || list->count == 0))
        schema_error(place, node, "",
                     "at least one of these fields must be non-empty: 'body_schema', 'parameter_schema'");
    if (list == NULL)
        return;
    config->parameters = arena_alloc_zero(place->arena, (list->count + 1u) * sizeof(*config->parameters));
    if (config->parameters == NULL)
        schema_error(place, node, "parameter_schema", "out of memory");
    struct config_place deeper = schema_place(place, "parameter_schema");
    for (uint32_t i = 0; i < list->count && config->parameters; i++) {
        struct config_place element = schema_element(&deeper, i);
        read_parameter(&config->parameters[config->parameter_count++], list->entries[i].value, &element);
    }
}

/* --- Content-Type --------------------------------------------------------------------------------------- */

static bool same_parameter(struct slice a, struct slice b)
{
    struct slice first, second;
    struct slice name = slice_trim(slice_split(a, '=', &first)),
                 other = slice_trim(slice_split(b, '=', &second));
    if (!slice_equal_nocase(name, other))
        return false;
    first = slice_trim(first);
    second = slice_trim(second);
    return slice_equal_nocase(name, SLICE("charset")) ? slice_equal_nocase(first, second)
                                                      : slice_equal(first, second);
}

/* Only the first parameter counts, as in Kong. */
static bool is_allowed(const struct request_validator_config *config, struct slice content_type)
{
    struct slice parameter, type = slice_trim(slice_split(content_type, ';', &parameter));
    for (uint32_t i = 0; i < config->allowed_content_types.count; i++) {
        struct slice wanted, rest;
        struct slice allowed = slice_trim(slice_split(config->allowed_content_types.items[i], ';', &wanted));
        if (slice_equal(allowed, SLICE("*/*")))
            return true;
        if (!slice_equal_nocase(allowed, type))
            continue;
        if (!config->content_type_parameter_validation || (parameter.data == NULL && wanted.data == NULL))
            return true;
        if (parameter.data && wanted.data &&
            same_parameter(slice_split(parameter, ';', &rest), slice_split(wanted, ';', &rest)))
            return true;
    }
    return false;
}

static bool is_json(struct slice content_type)
{
    struct slice rest;
    return slice_equal_nocase(slice_trim(slice_split(content_type, ';', &rest)), SLICE("application/json"));
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* {"message": text} */
static enum verdict refuse(struct exchange *exchange, int status, struct slice text)
{
    static const char head[] = "{\"message\":\"";
    char *json = arena_alloc(exchange_arena(exchange), sizeof(head) + 2 + text.size * JSON_ESCAPED_MAX);
    if (json == NULL)
        return exchange_respond_failure(exchange);
    memcpy(json, head, sizeof(head) - 1);
    size_t size = sizeof(head) - 1;
    size += json_escape(text, json + size);
    json[size++] = '"';
    json[size++] = '}';
    return exchange_respond_json(exchange, status, (struct slice){ json, size });
}

enum validator_result validator_check_value(struct validator_run *run, const struct json_schema *schema,
                                            const struct json_node *value, struct slice *reason)
{
    struct json_schema_fault fault;
    *reason = SLICE("too complex to be validated");
    switch (json_schema_validate(schema, value, &run->arena, run->scratch, &fault)) {
    case JSON_SCHEMA_VALID: return VALIDATOR_GOOD;
    case JSON_SCHEMA_NO_MEMORY: return VALIDATOR_NO_MEMORY;
    case JSON_SCHEMA_TOO_COMPLEX: return VALIDATOR_BAD;
    case JSON_SCHEMA_WRONG: break;
    }
    *reason = arena_format(&run->arena, "%s%s%s", fault.place, fault.place[0] ? ": " : "", fault.reason);
    return reason->data ? VALIDATOR_BAD : VALIDATOR_NO_MEMORY;
}

static enum verdict check_parameters(struct validator_run *run, const struct request_validator_config *config)
{
    for (uint32_t i = 0; i < config->parameter_count; i++) {
        const struct validator_parameter *parameter = &config->parameters[i];
        struct slice reason;
        enum validator_result result = validator_check_parameter(run, parameter, &reason);
        if (result == VALIDATOR_NO_MEMORY)
            return exchange_respond_failure(run->exchange);
        if (result == VALIDATOR_GOOD)
            continue;
        if (!config->verbose_response)
            return refuse(run->exchange, 400, SLICE("request param doesn't conform to schema"));
        struct slice text =
            arena_format(&run->arena, "%s '%.*s' validation failed: %.*s", place_names[parameter->in],
                         SLICE_FORMAT(parameter->name), SLICE_FORMAT(reason));
        return text.data ? refuse(run->exchange, 400, text) : exchange_respond_failure(run->exchange);
    }
    return VERDICT_CONTINUE;
}

static enum verdict check_json(struct validator_run *run, const struct request_validator_config *config,
                               struct slice body)
{
    static const struct json_tree_limits limits = { JSON_SCHEMA_DEPTH_MAX, VALIDATOR_NODES_MAX };
    struct json_node *root;
    struct slice reason = SLICE("request body is not valid JSON");
    enum validator_result result = VALIDATOR_BAD;
    enum json_reading reading = json_tree_read(&run->arena, body, &limits, &root);
    if (reading == JSON_READ)
        result = validator_check_value(run, config->body, root, &reason);
    else if (reading == JSON_TOO_LARGE)
        return refuse(run->exchange, 413, SLICE("request body is too large to be validated"));
    if (result == VALIDATOR_NO_MEMORY || reading == JSON_NO_MEMORY)
        return exchange_respond_failure(run->exchange);
    if (result == VALIDATOR_GOOD)
        return VERDICT_CONTINUE;
    return refuse(run->exchange, 400,
                  config->verbose_response ? reason : SLICE("request body doesn't conform to schema"));
}

static enum verdict check_body(struct validator_run *run, const struct request_validator_config *config)
{
    struct slice body, type = message_find(exchange_request(run->exchange), HEADER_CONTENT_TYPE);
    if (type.size == 0)
        type = SLICE("application/json");
    if (!is_allowed(config, type))
        return refuse(run->exchange, 400, SLICE("specified Content-Type is not allowed"));
    if (!is_json(type))
        return VERDICT_CONTINUE;
    switch (exchange_read_body(run->exchange, UINT64_MAX, &body)) {
    case BODY_LATER: return VERDICT_READ_BODY;
    case BODY_TOO_LONG: return refuse(run->exchange, 413, SLICE("request body is too large to be validated"));
    case BODY_FAILED: return exchange_respond_failure(run->exchange);
    case BODY_READ: break;
    }
    return check_json(run, config, body);
}

static enum verdict on_access(const struct plugin_call *call)
{
    enum { RUN_BYTES_MAX = 128 * 1024 * 1024 };
    const struct request_validator_config *config = call->config;
    struct request_validator_shard *shard = call->shard_state;
    struct validator_run run = { .exchange = call->exchange, .scratch = &shard->scratch };
    arena_init(&run.arena, NULL, 0, RUN_BYTES_MAX);
    enum verdict verdict = check_parameters(&run, config);
    if (verdict == VERDICT_CONTINUE && config->body)
        verdict = check_body(&run, config);
    arena_deinit(&run.arena);
    return verdict;
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    (void)shard;
    (void)process_state;
    return regex_scratch_init(&((struct request_validator_shard *)shard_state)->scratch);
}

static void shard_state_close(void *shard_state)
{
    regex_scratch_deinit(&((struct request_validator_shard *)shard_state)->scratch);
}

const struct plugin request_validator_plugin = {
    .kind = { .name = "request-validator",
              .priority = 999,
              .config = { .name = "request-validator",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct request_validator_config),
                          .check = check_config,
                          .others = read_by_check } },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct request_validator_shard),
    .shard_open = shard_state_open,
    .shard_close = shard_state_close,
};
