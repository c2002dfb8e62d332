/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's request-transformer: headers, query, body, method and path of a request, changed on the way to the
 * upstream. */
#include "plugins/request_transformer.h"

#include "config/kong/checks.h"
#include "core/base/path.h"
#include "plugins/plugins.h"
#include "plugins/query_arguments.h"

/* --- configuration -------------------------------------------------------------------------------------- */

#define EDIT(member) offsetof(struct request_edits, member)
#define ENTRIES .type = FIELD_STRINGS, .flags = FIELD_VAULT, .fallback = ""

static const struct field remove_fields[] = {
    { .name = "headers", .offset = EDIT(headers), ENTRIES, .help = "names" },
    { .name = "querystring", .offset = EDIT(querystring), ENTRIES, .help = "names" },
    { .name = "body", .offset = EDIT(body), ENTRIES, .help = "names: of JSON members, form fields, parts" },
};

static const struct field edit_fields[] = {
    { .name = "headers",
      .offset = EDIT(headers),
      ENTRIES,
      .check = transformer_check_entry,
      .help = "name:value" },
    { .name = "querystring",
      .offset = EDIT(querystring),
      ENTRIES,
      .check = transformer_check_entry,
      .help = "name:value" },
    { .name = "body", .offset = EDIT(body), ENTRIES, .check = transformer_check_entry, .help = "name:value" },
};

static const struct field replace_fields[] = {
    { .name = "uri", .type = FIELD_STRING, .offset = EDIT(uri), .help = "the path sent upstream" },
    { .name = "headers",
      .offset = EDIT(headers),
      ENTRIES,
      .check = transformer_check_entry,
      .help = "name:value" },
    { .name = "querystring",
      .offset = EDIT(querystring),
      ENTRIES,
      .check = transformer_check_entry,
      .help = "name:value" },
    { .name = "body", .offset = EDIT(body), ENTRIES, .check = transformer_check_entry, .help = "name:value" },
};

#define EDITS(table) \
    { .fields = table, .field_count = COUNT_OF(table), .struct_size = sizeof(struct request_edits) }

static const struct schema remove_schema = EDITS(remove_fields);
static const struct schema edit_schema = EDITS(edit_fields);
static const struct schema replace_schema = EDITS(replace_fields);

#define SECTION(edit) .type = FIELD_RECORD, .offset = offsetof(struct request_transformer_config, edits[edit])

static const struct field config_fields[] = {
    { .name = "http_method",
      .type = FIELD_STRING,
      .offset = offsetof(struct request_transformer_config, http_method),
      .check = kong_check_method,
      .help = "the method sent upstream" },
    { .name = "remove", SECTION(TRANSFORMER_REMOVE), .record = &remove_schema, .help = "what goes" },
    { .name = "rename", SECTION(TRANSFORMER_RENAME), .record = &edit_schema, .help = "old name:new name" },
    { .name = "replace",
      SECTION(TRANSFORMER_REPLACE),
      .record = &replace_schema,
      .help = "only what is there" },
    { .name = "add", SECTION(TRANSFORMER_ADD), .record = &edit_schema, .help = "only what is not there" },
    { .name = "append", SECTION(TRANSFORMER_APPEND), .record = &edit_schema, .help = "one more" },
};

static void warn_of_own_fields(const struct request_edits *edits, const struct transformer_reading *reading)
{
    for (uint32_t i = 0; i < edits->header_entries.count; i++) {
        struct slice name = edits->header_entries.items[i].name;
        bool host = reading->edit == TRANSFORMER_REPLACE && slice_equal_nocase(name, SLICE("host"));
        struct config_place list = schema_place(reading->place, "headers");
        if (!host && request_transformer_is_own_field(name))
            report_add(list.report, REPORT_WARNING, reading->node ? &reading->node->position : list.position,
                       list.path, "%.*s is written by the gateway itself: the entry is without effect",
                       SLICE_FORMAT(name));
    }
}

static void prepare_edits(struct request_transformer_config *config, enum transformer_edit edit,
                          const struct node *node, const struct config_place *place)
{
    struct request_edits *edits = &config->edits[edit];
    const char *name = transformer_edit_names[edit];
    struct config_place deeper = schema_place(place, name);
    struct transformer_reading reading = { .place = &deeper,
                                           .node = node ? node_find(node, name) : NULL,
                                           .field = "headers",
                                           .edit = edit,
                                           .are_headers = true,
                                           .roots = request_transformer_roots,
                                           .template_count = &config->template_count };
    transformer_read(&reading, &edits->headers, &edits->header_entries);
    warn_of_own_fields(edits, &reading);
    reading.are_headers = false;
    reading.field = "querystring";
    transformer_read(&reading, &edits->querystring, &edits->query_entries);
    reading.field = "body";
    transformer_read(&reading, &edits->body, &edits->body_entries);
    config->edits_query |= edits->query_entries.count > 0;
    config->edits_body |= edits->body_entries.count > 0;
    if (edits->uri.data == NULL)
        return;
    reading.field = "uri";
    config->uri = (struct transformer_entry){ .value = edits->uri,
                                              .template = transformer_template(&reading, edits->uri) };
    if (config->uri.template)
        config->uri.number = config->template_count++;
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    static const char *const bodiless[] = { "GET", "HEAD", "TRACE" };
    struct request_transformer_config *config = value;
    config->template_count = 0;
    config->uri = (struct transformer_entry){ .template = NULL };
    config->edits_query = config->edits_body = config->method_is_bodiless = false;
    for (size_t i = 0; i < COUNT_OF(bodiless); i++)
        config->method_is_bodiless |= slice_equal(config->http_method, slice_of(bodiless[i]));
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT; edit++)
        prepare_edits(config, (enum transformer_edit)edit, node, place);
}

/* --- path ----------------------------------------------------------------------------------------------- */

/* What follows a "?" goes to the query, before what the client asked for. */
static bool edit_uri(const struct request_transformer_config *config, struct exchange *exchange,
                     const struct slice *values)
{
    struct arena *arena = exchange_arena(exchange);
    struct slice query, uri = request_transformer_value(&config->uri, values);
    struct slice path = slice_split(uri, '?', &query), client = exchange_query(exchange);
    bool has_query = query.data != NULL;
    if (uri.size == 0)
        return true;
    if (path_escape(arena, path, &path) != ERROR_OK ||
        (has_query && path_escape(arena, query, &query) != ERROR_OK))
        return false;
    if (path.size == 0 || path.data[0] != '/')
        path = arena_format(arena, "/%.*s", SLICE_FORMAT(path));
    if (has_query && client.size > 0)
        query = arena_format(arena, "%.*s&%.*s", SLICE_FORMAT(query), SLICE_FORMAT(client));
    if (path.data == NULL || (has_query && query.data == NULL))
        return false;
    exchange_set_upstream_path(exchange, path);
    if (has_query)
        exchange_set_upstream_query(exchange, query);
    return true;
}

/* --- body ----------------------------------------------------------------------------------------------- */

static bool change_body(const struct request_transformer_config *config, struct body_arguments *arguments,
                        const struct slice *values)
{
    /* The parts of multipart are renamed before any are removed. */
    static const enum transformer_edit usual[] = { TRANSFORMER_REMOVE, TRANSFORMER_RENAME,
                                                   TRANSFORMER_REPLACE, TRANSFORMER_ADD, TRANSFORMER_APPEND };
    static const enum transformer_edit parts[] = { TRANSFORMER_RENAME, TRANSFORMER_REMOVE,
                                                   TRANSFORMER_REPLACE, TRANSFORMER_ADD, TRANSFORMER_APPEND };
    const enum transformer_edit *order = arguments->kind == BODY_ARGUMENTS_MULTIPART ? parts : usual;
    bool changed = false;
    for (size_t i = 0; i < COUNT_OF(usual); i++) {
        const struct transformer_entries *entries = &config->edits[order[i]].body_entries;
        for (uint32_t j = 0; j < entries->count; j++) {
            struct slice value = request_transformer_value(&entries->items[j], values);
            struct transformer_change change = { order[i], entries->items[j].name, value, BODY_VALUE_TEXT };
            if (value.data || order[i] == TRANSFORMER_REMOVE)
                changed |= transformer_change_body(arguments, &change);
        }
    }
    return changed;
}

static bool is_json(const struct message *request)
{
    struct slice rest, type = message_find(request, HEADER_CONTENT_TYPE);
    return slice_equal_nocase(slice_trim(slice_split(type, ';', &rest)), SLICE("application/json"));
}

/* False: out of memory. */
static bool edit_body(const struct request_transformer_config *config, struct exchange *exchange,
                      const struct slice *values, struct slice body)
{
    struct body_arguments arguments;
    const struct message *request = exchange_request(exchange);
    if (body.size == 0 && is_json(request))
        body = SLICE("{}");
    body_arguments_open(&arguments, request, body);
    bool good = true;
    if (arguments.kind != BODY_ARGUMENTS_NONE && change_body(config, &arguments, values) &&
        !arguments.failed) {
        struct slice text = body_arguments_write(&arguments);
        good = text.data && exchange_set_body(exchange, text);
    }
    good &= !arguments.failed;
    body_arguments_close(&arguments);
    return good;
}

/* --- query ---------------------------------------------------------------------------------------------- */

static void change_query(struct query_arguments *arguments, enum transformer_edit edit, struct slice name,
                         struct slice value)
{
    if (edit == TRANSFORMER_REMOVE)
        query_arguments_remove(arguments, name);
    else if (value.data == NULL)
        return;
    else if (edit == TRANSFORMER_RENAME)
        query_arguments_rename(arguments, name, value);
    else if (edit == TRANSFORMER_REPLACE)
        query_arguments_replace(arguments, name, value);
    else if (edit == TRANSFORMER_ADD)
        query_arguments_add(arguments, name, value);
    else
        query_arguments_append(arguments, name, value);
}

/* All of it is written afresh, as Kong does. `form`: a body whose fields come along. */
static bool edit_query(const struct request_transformer_config *config, struct exchange *exchange,
                       const struct slice *values, struct slice form)
{
    struct slice query = exchange_query(exchange);
    struct query_arguments arguments = { .arena = exchange_arena(exchange) };
    query_arguments_read(&arguments, query);
    query_arguments_read(&arguments, form);
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT; edit++) {
        const struct transformer_entries *entries = &config->edits[edit].query_entries;
        for (uint32_t i = 0; i < entries->count; i++)
            change_query(&arguments, (enum transformer_edit)edit, entries->items[i].name,
                         request_transformer_value(&entries->items[i], values));
    }
    struct slice written = query_arguments_write(&arguments);
    if (written.data == NULL)
        return false;
    if (written.size > 0 || query.size > 0)
        exchange_set_upstream_query(exchange, written.size > 0 ? written : (struct slice){ NULL, 0 });
    return true;
}

/* --- phases --------------------------------------------------------------------------------------------- */

static bool is_form(const struct message *request)
{
    struct slice rest, type = message_find(request, HEADER_CONTENT_TYPE);
    return slice_equal_nocase(slice_trim(slice_split(type, ';', &rest)),
                              SLICE("application/x-www-form-urlencoded"));
}

static bool transform_head(const struct request_transformer_config *config, struct exchange *exchange,
                           struct request_transformer_exchange *state)
{
    if (request_transformer_render(config, exchange, &state->values) != TEMPLATE_RENDERED ||
        !edit_uri(config, exchange, state->values))
        return false;
    if (config->http_method.data) {
        state->form_to_query = config->method_is_bodiless && is_form(exchange_request(exchange));
        exchange_set_upstream_method(exchange, config->http_method);
    }
    state->step = TRANSFORM_REST;
    return request_transformer_edit_headers(config, exchange, state->values);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct request_transformer_config *config = call->config;
    struct request_transformer_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    struct slice body = { NULL, 0 };
    if (state->step == TRANSFORM_HEAD && !transform_head(config, exchange, state))
        return exchange_respond_failure(exchange);
    if (config->edits_body || state->form_to_query) {
        enum body_reading reading = exchange_read_body(exchange, UINT64_MAX, &body);
        if (reading == BODY_LATER)
            return VERDICT_READ_BODY;
        if (reading == BODY_FAILED)
            return exchange_respond_failure(exchange);
        if (reading == BODY_TOO_LONG) /* it passes as it is */
            body.data = NULL;
    }
    /* The query first: the body's memory may go when another one is set. */
    if ((config->edits_query || state->form_to_query) &&
        !edit_query(config, exchange, state->values, state->form_to_query ? body : (struct slice){ NULL, 0 }))
        return exchange_respond_failure(exchange);
    if (config->edits_body && body.data && !edit_body(config, exchange, state->values, body))
        return exchange_respond_failure(exchange);
    return VERDICT_CONTINUE;
}

const struct plugin request_transformer_plugin = {
    .kind = { .name = "request-transformer",
              .priority = 801,
              .config = { .name = "request-transformer",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct request_transformer_config),
                          .check = check_config } },
    .on = { [PHASE_ACCESS] = on_access },
    .exchange_state_size = sizeof(struct request_transformer_exchange),
};
