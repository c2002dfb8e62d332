/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's response-transformer: headers of a response, and members of the JSON object that is its body. */
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "plugins/plugins.h"
#include "plugins/transformer.h"

#include "core/base/json_scan.h"
#include "core/io/shard.h"

#include <stdlib.h>

enum {
    /* A longer body passes as it is. */
    RESPONSE_TRANSFORMER_BODY_BYTES_MAX = 8 * 1024 * 1024,
    FIRST_BYTES = 4096
};

/* --- configuration -------------------------------------------------------------------------------------- */

struct response_edits {
    struct slices headers, json, json_types;
    struct transformer_entries header_entries, json_entries; /* prepared */
    enum body_value *types; /* of the entries; the values are written so */
};

struct response_transformer_config {
    struct response_edits edits[TRANSFORMER_EDIT_COUNT];
    bool edits_json; /* prepared */
};

static const char *check_type(struct slice text)
{
    return slice_equal(text, SLICE("boolean")) || slice_equal(text, SLICE("number")) ||
                   slice_equal(text, SLICE("string"))
               ? NULL
               : "expected one of: boolean, number, string";
}

#define EDIT(member) offsetof(struct response_edits, member)
#define ENTRIES .type = FIELD_STRINGS, .fallback = ""

static const struct field remove_fields[] = {
    { .name = "headers", .offset = EDIT(headers), ENTRIES, .help = "names" },
    { .name = "json", .offset = EDIT(json), ENTRIES, .help = "names of members" },
};

#define NAMES_AND_VALUES                    \
    { .name = "headers",                    \
      .offset = EDIT(headers),              \
      ENTRIES,                              \
      .check = transformer_check_entry,     \
      .help = "name:value" },               \
        { .name = "json",                   \
          .offset = EDIT(json),             \
          ENTRIES,                          \
          .check = transformer_check_entry, \
          .help = "name:value, of members" }

static const struct field rename_fields[] = { NAMES_AND_VALUES };
static const struct field edit_fields[] = {
    NAMES_AND_VALUES,
    { .name = "json_types",
      .offset = EDIT(json_types),
      ENTRIES,
      .check = check_type,
      .help = "for each of json what its value is: boolean, number or string; string when it is not said" },
};

#define EDITS(table) \
    { .fields = table, .field_count = COUNT_OF(table), .struct_size = sizeof(struct response_edits) }

static const struct schema remove_schema = EDITS(remove_fields);
static const struct schema rename_schema = EDITS(rename_fields);
static const struct schema edit_schema = EDITS(edit_fields);

#define SECTION(edit) \
    .type = FIELD_RECORD, .offset = offsetof(struct response_transformer_config, edits[edit])

static const struct field config_fields[] = {
    { .name = "remove", SECTION(TRANSFORMER_REMOVE), .record = &remove_schema, .help = "what goes" },
    { .name = "rename", SECTION(TRANSFORMER_RENAME), .record = &rename_schema, .help = "old name:new name" },
    { .name = "replace", SECTION(TRANSFORMER_REPLACE), .record = &edit_schema, .help = "only what is there" },
    { .name = "add", SECTION(TRANSFORMER_ADD), .record = &edit_schema, .help = "only what is not there" },
    { .name = "append", SECTION(TRANSFORMER_APPEND), .record = &edit_schema, .help = "one more" },
};

/* The number as JSON writes it; absent: it is none. */
static struct slice json_number_text(struct slice text)
{
    enum json_kind root;
    text = slice_trim(text);
    if (!json_scan(text, NULL, 0, &root) || root != JSON_NUMBER)
        return (struct slice){ NULL, 0 };
    return text;
}

/* Writes the values as JSON where a type asks for it. */
static void prepare_types(struct response_edits *edits, const struct transformer_reading *reading)
{
    struct arena *arena = reading->place->arena;
    edits->types = arena_array(arena, edits->json_entries.count, sizeof(*edits->types));
    if (edits->types == NULL && edits->json_entries.count > 0) {
        schema_error(reading->place, reading->node, reading->field, "out of memory");
        edits->json_entries.count = 0;
    }
    for (uint32_t i = 0; i < edits->json_entries.count; i++) {
        struct transformer_entry *entry = &edits->json_entries.items[i];
        struct slice type = i < edits->json_types.count ? edits->json_types.items[i] : SLICE("string");
        edits->types[i] = BODY_VALUE_TEXT;
        if (entry->value.data == NULL || slice_equal(type, SLICE("string")))
            continue;
        edits->types[i] = BODY_VALUE_JSON;
        if (slice_equal(type, SLICE("boolean"))) {
            entry->value = slice_equal(entry->value, SLICE("true")) ? SLICE("true") : SLICE("false");
            continue;
        }
        struct slice number = json_number_text(entry->value);
        if (number.data == NULL) {
            struct config_place list = schema_place(reading->place, "json");
            report_add(list.report, REPORT_WARNING,
                       reading->node ? &reading->node->position : reading->place->position, list.path,
                       "%.*s is no number: the entry is without effect", SLICE_FORMAT(entry->value));
        }
        entry->value = number;
    }
}

static void check_config(void *value, const struct node *node, const struct config_place *place)
{
    struct response_transformer_config *config = value;
    config->edits_json = false;
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT; edit++) {
        struct response_edits *edits = &config->edits[edit];
        struct config_place deeper = schema_place(place, transformer_edit_names[edit]);
        struct transformer_reading reading = { .place = &deeper,
                                               .node = node ? node_find(node, transformer_edit_names[edit])
                                                            : NULL,
                                               .field = "headers",
                                               .edit = (enum transformer_edit)edit,
                                               .are_headers = true };
        transformer_read(&reading, &edits->headers, &edits->header_entries);
        reading.are_headers = false;
        reading.field = "json";
        transformer_read(&reading, &edits->json, &edits->json_entries);
        prepare_types(edits, &reading);
        config->edits_json |= edits->json_entries.count > 0;
    }
}

/* --- headers -------------------------------------------------------------------------------------------- */

/* What the gateway says about itself, and how the body is framed, is not the plugin's to change. */
static bool is_own_field(struct slice name)
{
    static const char *const latencies[] = { "x-kong-upstream-latency", "x-kong-proxy-latency",
                                             "x-kong-response-latency", "x-kong-upstream-status" };
    enum header_id id = message_header_id(name);
    for (size_t i = 0; i < COUNT_OF(latencies); i++)
        if (slice_equal_nocase(name, slice_of(latencies[i])))
            return true;
    return id == HEADER_VIA || id == HEADER_CONNECTION || id == HEADER_KEEP_ALIVE || id == HEADER_UPGRADE ||
           id == HEADER_CONTENT_LENGTH || id == HEADER_TRANSFER_ENCODING || id == HEADER_X_KONG_REQUEST_ID;
}

static bool rename_header(struct exchange *exchange, struct slice name, struct slice new_name)
{
    struct header header;
    uint32_t cursor = 0, count = 0, index = 0;
    if (slice_equal_nocase(name, new_name) || !exchange_response_header(exchange, name).data)
        return true;
    while (exchange_next_response_header(exchange, &cursor, &header))
        count += slice_equal_nocase(header.name, name);
    struct slice *values = arena_array(exchange_arena(exchange), count, sizeof(*values));
    cursor = 0;
    while (values && exchange_next_response_header(exchange, &cursor, &header))
        if (slice_equal_nocase(header.name, name) && index < count)
            values[index++] = header.value;
    bool good = values && exchange_remove_response_header(exchange, name) &&
                (index == 0 || exchange_set_response_header(exchange, new_name, values[0]));
    for (uint32_t i = 1; good && i < index; i++)
        good = exchange_add_response_header(exchange, new_name, values[i]);
    return good;
}

static bool edit_header(struct exchange *exchange, enum transformer_edit edit, struct slice name,
                        struct slice value)
{
    if (is_own_field(name))
        return true;
    if (edit == TRANSFORMER_REMOVE)
        return exchange_remove_response_header(exchange, name);
    if (value.data == NULL)
        return true;
    if (edit == TRANSFORMER_RENAME)
        return is_own_field(value) || rename_header(exchange, name, value);
    if (edit == TRANSFORMER_APPEND)
        return exchange_add_response_header(exchange, name, value);
    bool there = exchange_response_header(exchange, name).data != NULL;
    return there != (edit == TRANSFORMER_REPLACE) || exchange_set_response_header(exchange, name, value);
}

static bool edit_headers(const struct response_transformer_config *config, struct exchange *exchange)
{
    bool good = true;
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT; edit++) {
        const struct transformer_entries *entries = &config->edits[edit].header_entries;
        for (uint32_t i = 0; i < entries->count && good; i++)
            good = edit_header(exchange, (enum transformer_edit)edit, entries->items[i].name,
                               entries->items[i].value);
    }
    return good;
}

/* --- body ----------------------------------------------------------------------------------------------- */

struct response_transformer_exchange {
    struct body_filter filter;
    const struct response_transformer_config *config;
    char *body; /* so far; freed at the end of the exchange */
    size_t size, capacity;
    bool passing; /* too long: the rest goes as it comes */
};

static struct response_transformer_exchange *owner_of(struct body_filter *filter)
{
    return (struct response_transformer_exchange *)((char *)filter -
                                                    offsetof(struct response_transformer_exchange, filter));
}

static bool keep(struct response_transformer_exchange *state, struct slice text)
{
    if (state->size + text.size > state->capacity) {
        size_t capacity = state->capacity ? state->capacity : FIRST_BYTES;
        while (capacity < state->size + text.size)
            capacity *= 2;
        char *body = realloc(state->body, capacity);
        if (body == NULL)
            return false;
        state->body = body;
        state->capacity = capacity;
    }
    if (text.size > 0)
        memcpy(state->body + state->size, text.data, text.size);
    state->size += text.size;
    return true;
}

static bool collect(struct body_filter *filter, struct chunk chunk)
{
    struct response_transformer_exchange *state = owner_of(filter);
    struct slice text = chunk_slice(&chunk);
    if (!state->passing && state->size + text.size > RESPONSE_TRANSFORMER_BODY_BYTES_MAX) {
        state->passing = true;
        metric_add(&exchange_shard(filter->exchange)->metrics, METRIC_BODIES_TOO_LONG, 1);
        if (!body_filter_pass_text(filter, (struct slice){ state->body, state->size })) {
            chunk_release(&chunk);
            return false;
        }
    }
    if (state->passing)
        return body_filter_pass(filter, chunk);
    bool good = keep(state, text);
    chunk_release(&chunk);
    return good;
}

static bool change_body(const struct response_transformer_config *config, struct body_arguments *arguments)
{
    bool changed = false;
    for (int edit = 0; edit < TRANSFORMER_EDIT_COUNT; edit++) {
        const struct response_edits *edits = &config->edits[edit];
        for (uint32_t i = 0; i < edits->json_entries.count; i++) {
            const struct transformer_entry *entry = &edits->json_entries.items[i];
            struct transformer_change change = { (enum transformer_edit)edit, entry->name, entry->value,
                                                 edits->types[i] };
            if (entry->value.data || edit == TRANSFORMER_REMOVE)
                changed |= transformer_change_body(arguments, &change);
        }
    }
    return changed;
}

/* What is no object in JSON passes as it is. */
static bool transform(struct body_filter *filter)
{
    struct response_transformer_exchange *state = owner_of(filter);
    struct slice body = { state->body, state->size }, written = body;
    struct body_arguments arguments;
    if (state->passing || state->size == 0)
        return true;
    body_arguments_open_json(&arguments, body);
    if (arguments.kind == BODY_ARGUMENTS_JSON && change_body(state->config, &arguments))
        written = body_arguments_write(&arguments);
    bool good = !arguments.failed && written.data && body_filter_pass_text(filter, written);
    body_arguments_close(&arguments);
    return good;
}

static void discard(struct body_filter *filter)
{
    struct response_transformer_exchange *state = owner_of(filter);
    free(state->body);
    state->body = NULL;
}

static const struct body_filter_ops filter_ops = { .write = collect, .end = transform, .close = discard };

/* application/json, or anything+json. */
static bool is_json(struct slice content_type)
{
    struct slice rest, type = slice_trim(slice_split(content_type, ';', &rest));
    if (slice_equal_nocase(type, SLICE("application/json")))
        return true;
    return type.size > 5 && slice_equal_nocase(slice_from(type, type.size - 5), SLICE("+json"));
}

static enum verdict on_response_head(const struct plugin_call *call)
{
    const struct response_transformer_config *config = call->config;
    struct response_transformer_exchange *state = call->exchange_state;
    struct exchange *exchange = call->exchange;
    if (!edit_headers(config, exchange))
        return exchange_respond_failure(exchange);
    if (!config->edits_json || !is_json(exchange_response_header(exchange, SLICE("Content-Type"))) ||
        exchange_response_header(exchange, SLICE("Content-Encoding")).data)
        return VERDICT_CONTINUE;
    state->config = config;
    state->filter.ops = &filter_ops;
    state->filter.kind = BODY_FILTER_CHANGES;
    exchange_filter_response(exchange, &state->filter);
    return VERDICT_CONTINUE;
}

const struct plugin response_transformer_plugin = {
    .kind = { .name = "response-transformer",
              .priority = 800,
              .config = { .name = "response-transformer",
                          .fields = config_fields,
                          .field_count = COUNT_OF(config_fields),
                          .struct_size = sizeof(struct response_transformer_config),
                          .check = check_config } },
    .on = { [PHASE_RESPONSE_HEAD] = on_response_head },
    .exchange_state_size = sizeof(struct response_transformer_exchange),
};
