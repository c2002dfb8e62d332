/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's own language for schemas, an array of fields each with its attributes, as JSON Schema. */
#include "plugins/request_validator.h"

struct translation {
    struct arena *arena;
    const char *reason; /* NULL so far */
    char *text;
    size_t size, capacity;
    unsigned depth;
};

enum { TRANSLATION_DEPTH_MAX = 24 };

static void fail(struct translation *out, const char *reason)
{
    if (out->reason == NULL)
        out->reason = reason;
}

static void put(struct translation *out, struct slice text)
{
    if (out->size + text.size > out->capacity) {
        size_t capacity = (out->size + text.size) * 2 + 256;
        char *grown = arena_alloc(out->arena, capacity);
        if (grown == NULL) {
            fail(out, "out of memory");
            return;
        }
        if (out->size)
            memcpy(grown, out->text, out->size);
        out->text = grown;
        out->capacity = capacity;
    }
    if (text.size)
        memcpy(out->text + out->size, text.data, text.size);
    out->size += text.size;
}

#define PUT(out, literal) put(out, SLICE(literal))

/* As it was written, quotes included. */
static struct slice written(const struct json_node *node)
{
    if (node->value.kind != JSON_STRING)
        return node->value.text;
    return (struct slice){ node->value.text.data - 1, node->value.text.size + 2 };
}

static const char *type_of(const struct json_node *field)
{
    static const char *const types[] = { "string", "number", "integer", "boolean", "array",
                                         "set",    "map",    "record",  "any",     NULL };
    const struct json_node *type = json_member_of(field, SLICE("type"));
    for (size_t i = 0; type && type->value.kind == JSON_STRING && types[i]; i++)
        if (json_says(&type->value, slice_of(types[i])))
            return types[i];
    return NULL;
}

static void put_field(struct translation *out, const struct json_node *field);
static void put_record(struct translation *out, const struct json_node *fields);

/* ,"keyword":value */
static void put_keyword(struct translation *out, const char *keyword, struct slice value)
{
    PUT(out, ",\"");
    put(out, slice_of(keyword));
    PUT(out, "\":");
    put(out, value);
}

/* --- attributes ----------------------------------------------------------------------------------------- */

static void put_length(struct translation *out, const struct json_node *value, const char *type, bool least,
                       bool most)
{
    bool text = strcmp(type, "string") == 0, map = strcmp(type, "map") == 0 || strcmp(type, "record") == 0;
    if (least)
        put_keyword(out, text ? "minLength" : map ? "minProperties" : "minItems", written(value));
    if (most)
        put_keyword(out, text ? "maxLength" : map ? "maxProperties" : "maxItems", written(value));
}

/* The pattern of a rule {pattern, err}, or of a text. */
static const struct json_node *pattern_of(const struct json_node *rule)
{
    const struct json_node *pattern =
        rule->value.kind == JSON_OBJECT ? json_member_of(rule, SLICE("pattern")) : rule;
    return pattern && pattern->value.kind == JSON_STRING ? pattern : NULL;
}

/* [{"luaPattern":...},...] of a list of rules. */
static void put_patterns(struct translation *out, const struct json_node *list, const char *keyword)
{
    PUT(out, "[");
    for (const struct json_node *rule = list->first; rule; rule = rule->next) {
        const struct json_node *pattern = pattern_of(rule);
        if (pattern == NULL) {
            fail(out, "expected a pattern");
            return;
        }
        put(out, rule == list->first ? SLICE("{\"") : SLICE(",{\""));
        put(out, slice_of(keyword));
        PUT(out, "\":");
        put(out, written(pattern));
        PUT(out, "}");
    }
    PUT(out, "]");
}

/* A value that is written as a text without what patterns mean by it. */
static void put_prefix(struct translation *out, const struct json_node *value)
{
    struct slice text = json_text(out->arena, &value->value);
    char *escaped = arena_alloc(out->arena, text.size * 2 + 1);
    char *quoted = arena_alloc(out->arena, text.size * 2 * JSON_ESCAPED_MAX + 1);
    size_t size = 0;
    if (text.data == NULL || escaped == NULL || quoted == NULL) {
        fail(out, "out of memory");
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] && strchr("\\^$.|?*+()[]{}/-", text.data[i]))
            escaped[size++] = '\\';
        escaped[size++] = text.data[i];
    }
    size = json_escape((struct slice){ escaped, size }, quoted);
    PUT(out, "{\"pattern\":\"^");
    put(out, (struct slice){ quoted, size });
    PUT(out, "\"}");
}

/* Rules that may stand several times: each is a schema of its own in allOf. */
static bool put_rule(struct translation *out, const struct json_node *attribute)
{
    static const char *const plain[][3] = {
        { "eq", "{\"const\":", "}" },
        { "ne", "{\"not\":{\"const\":", "}}" },
        { "one_of", "{\"enum\":", "}" },
        { "not_one_of", "{\"not\":{\"enum\":", "}}" },
        { "gt", "{\"exclusiveMinimum\":", "}" },
        { "match", "{\"luaPattern\":", "}" },
        { "not_match", "{\"notLuaPattern\":", "}" },
        { "contains", "{\"contains\":{\"const\":", "}}" },
    };
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (json_says(&attribute->name, slice_of(plain[i][0]))) {
            PUT(out, ",");
            put(out, slice_of(plain[i][1]));
            put(out, written(attribute));
            put(out, slice_of(plain[i][2]));
            return true;
        }
    if (json_says(&attribute->name, SLICE("match_all")) || json_says(&attribute->name, SLICE("match_none"))) {
        PUT(out, ",{\"allOf\":");
        put_patterns(out, attribute,
                     json_says(&attribute->name, SLICE("match_all")) ? "luaPattern" : "notLuaPattern");
        PUT(out, "}");
        return true;
    }
    const struct json_node *patterns = json_member_of(attribute, SLICE("patterns"));
    if (json_says(&attribute->name, SLICE("match_any")) && patterns) {
        PUT(out, ",{\"anyOf\":");
        put_patterns(out, patterns, "luaPattern");
        PUT(out, "}");
        return true;
    }
    if (json_says(&attribute->name, SLICE("starts_with")) && attribute->value.kind == JSON_STRING) {
        PUT(out, ",");
        put_prefix(out, attribute);
        return true;
    }
    return false;
}

static bool put_attribute(struct translation *out, const struct json_node *attribute, const char *type)
{
    const struct json_value *name = &attribute->name;
    if (json_says(name, SLICE("len_min")) || json_says(name, SLICE("len_max")) ||
        json_says(name, SLICE("len_eq"))) {
        put_length(out, attribute, type, !json_says(name, SLICE("len_max")),
                   !json_says(name, SLICE("len_min")));
        return true;
    }
    if (json_says(name, SLICE("between")) && attribute->count == 2) {
        put_keyword(out, "minimum", written(attribute->first));
        put_keyword(out, "maximum", written(attribute->first->next));
        return true;
    }
    if (json_says(name, SLICE("uuid")) || json_says(name, SLICE("is_regex"))) {
        if (attribute->value.kind == JSON_TRUE)
            put_keyword(out, "format",
                        json_says(name, SLICE("uuid")) ? SLICE("\"uuid\"") : SLICE("\"regex\""));
        return true;
    }
    if (json_says(name, SLICE("timestamp"))) {
        if (attribute->value.kind == JSON_TRUE)
            put_keyword(out, "minimum", SLICE("0"));
        return true;
    }
    return false;
}

/* --- what is in others ---------------------------------------------------------------------------------- */

static void put_inner(struct translation *out, const struct json_node *field, const char *type)
{
    const struct json_node *elements = json_member_of(field, SLICE("elements"));
    const struct json_node *keys = json_member_of(field, SLICE("keys"));
    const struct json_node *values = json_member_of(field, SLICE("values"));
    const struct json_node *fields = json_member_of(field, SLICE("fields"));
    if (strcmp(type, "set") == 0)
        PUT(out, ",\"uniqueItems\":true");
    if (elements) {
        PUT(out, ",\"items\":");
        put_field(out, elements);
    }
    if (keys) {
        PUT(out, ",\"propertyNames\":");
        put_field(out, keys);
    }
    if (values) {
        PUT(out, ",\"additionalProperties\":");
        put_field(out, values);
    }
    if (fields) {
        PUT(out, ",\"allOf\":[");
        put_record(out, fields);
        PUT(out, "]");
    }
}

static bool is_known_aside(const struct json_node *attribute)
{
    static const char *const names[] = { "type",     "required", "default",     "elements",
                                         "keys",     "values",   "fields",      "err",
                                         "abstract", "auto",     "description", "nilable" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_says(&attribute->name, slice_of(names[i])))
            return true;
    return false;
}

static const char *json_type(const char *type)
{
    if (strcmp(type, "set") == 0)
        return "array";
    return strcmp(type, "map") == 0 || strcmp(type, "record") == 0 ? "object" : type;
}

/* The schema of a value that is there. */
static void put_value(struct translation *out, const struct json_node *field)
{
    const char *type = type_of(field);
    if (type == NULL) {
        fail(out, "a field needs a type: string, number, integer, boolean, array, set, map, record or any");
        return;
    }
    PUT(out, "{\"title\":\"\"");
    if (strcmp(type, "any") != 0) {
        PUT(out, ",\"type\":\"");
        put(out, slice_of(json_type(type)));
        PUT(out, "\"");
    }
    put_inner(out, field, type);
    for (const struct json_node *one = field->first; one; one = one->next)
        (void)put_attribute(out, one, type);
    PUT(out, ",\"if\":true,\"then\":{\"allOf\":[true");
    for (const struct json_node *one = field->first; one; one = one->next)
        if (!put_rule(out, one) && !is_known_aside(one) &&
            !put_attribute(&(struct translation){ .arena = out->arena }, one, type))
            fail(out, "a field has an attribute that is not known");
    PUT(out, "]}}");
}

/* What is not required may be null. */
static void put_field(struct translation *out, const struct json_node *field)
{
    const struct json_node *required = json_member_of(field, SLICE("required"));
    if (field->value.kind != JSON_OBJECT || out->depth == TRANSLATION_DEPTH_MAX) {
        fail(out, field->value.kind == JSON_OBJECT ? "nested too deeply" : "a field is not an object");
        return;
    }
    out->depth++;
    if (required && required->value.kind == JSON_TRUE) {
        put_value(out, field);
    } else {
        PUT(out, "{\"if\":{\"not\":{\"type\":\"null\"}},\"then\":");
        put_value(out, field);
        PUT(out, "}");
    }
    out->depth--;
}

/* [{"name": {...}}, ...] */
static void put_record(struct translation *out, const struct json_node *fields)
{
    bool first = true;
    if (fields->value.kind != JSON_ARRAY) {
        fail(out, "expected an array of fields");
        return;
    }
    PUT(out, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (const struct json_node *one = fields->first; one; one = one->next) {
        if (one->value.kind != JSON_OBJECT || one->count != 1) {
            fail(out, "each field is an object with one member, the field's name");
            return;
        }
        put(out, one == fields->first ? SLICE("\"") : SLICE(",\""));
        put(out, one->first->name.text);
        PUT(out, "\":");
        put_field(out, one->first);
    }
    PUT(out, "},\"required\":[");
    for (const struct json_node *one = fields->first; one; one = one->next) {
        const struct json_node *required = json_member_of(one->first, SLICE("required"));
        if (required == NULL || required->value.kind != JSON_TRUE)
            continue;
        put(out, first ? SLICE("\"") : SLICE(",\""));
        put(out, one->first->name.text);
        PUT(out, "\"");
        first = false;
    }
    PUT(out, "]}");
}

struct slice validator_translate(struct arena *arena, struct slice text, const char **reason)
{
    static const struct json_tree_limits limits = { JSON_SCHEMA_DEPTH_MAX, JSON_SCHEMA_NODES_MAX };
    struct translation out = { .arena = arena };
    struct json_node *root;
    enum json_reading reading = json_tree_read(arena, text, &limits, &root);
    if (reading != JSON_READ)
        fail(&out, reading == JSON_NO_MEMORY ? "out of memory" : "it is not valid JSON");
    else
        put_record(&out, root);
    *reason = out.reason;
    return out.reason ? (struct slice){ NULL, 0 } : (struct slice){ out.text, out.size };
}
