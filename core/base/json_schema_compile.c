/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a schema of its text. */
#include "core/base/json_schema_tree.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAPPED_MEMBERS = 8 /* from so many on, names are found by a hash */ };

struct compiler {
    struct arena *arena;
    const struct json_schema_options *options;
    enum json_schema_draft draft;
    struct schema_addresses addresses;
    struct map known; /* nodes' addresses -> schemas: references may come back */
    unsigned depth;
    char *reason; /* "" so far */
};

static const struct json_schema *compile(struct compiler *compiler, const struct json_node *node);

/* --- errors --------------------------------------------------------------------------------------------- */

/* The first error counts. */
static void *fail(struct compiler *compiler, const struct json_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void *fail(struct compiler *compiler, const struct json_node *node, const char *format, ...)
{
    char place[120] = "", text[120];
    if (compiler->reason[0] != '\0')
        return NULL;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (json_place(node, place, sizeof(place)) >= sizeof(place))
        memcpy(place + sizeof(place) - 4, "...", 4);
    snprintf(compiler->reason, JSON_SCHEMA_REASON_SIZE, "%s: %s", place[0] ? place : "/", text);
    return NULL;
}

static bool has_failed(const struct compiler *compiler)
{
    return compiler->reason[0] != '\0';
}

static struct slice text_of(struct compiler *compiler, const struct json_node *node,
                            const struct json_value *value)
{
    struct slice text = json_text(compiler->arena, value);
    if (text.data == NULL)
        fail(compiler, node, "out of memory");
    return text;
}

/* --- values of keywords --------------------------------------------------------------------------------- */

typedef void keyword_reader(struct compiler *compiler, const struct json_node *node,
                            struct json_schema *schema);

static uint64_t read_count(struct compiler *compiler, const struct json_node *node)
{
    double number = node->value.kind == JSON_NUMBER ? json_number(node->value.text) : -1;
    if (!(number >= 0) || floor(number) < number || number > 0x1p53)
        fail(compiler, node, "expected a number that counts");
    return number >= 0 && number <= 0x1p53 ? (uint64_t)number : 0;
}

static double read_number(struct compiler *compiler, const struct json_node *node)
{
    if (node->value.kind == JSON_NUMBER)
        return json_number(node->value.text);
    fail(compiler, node, "expected a number");
    return 0;
}

static struct slices read_names(struct compiler *compiler, const struct json_node *node)
{
    struct slices names = { NULL, 0 };
    if (node->value.kind != JSON_ARRAY) {
        fail(compiler, node, "expected an array of strings");
        return names;
    }
    names.items = arena_array(compiler->arena, node->count + 1u, sizeof(*names.items));
    if (names.items == NULL)
        fail(compiler, node, "out of memory");
    for (const struct json_node *one = node->first; one && names.items; one = one->next) {
        if (one->value.kind != JSON_STRING)
            fail(compiler, one, "expected a string");
        else
            names.items[names.count++] = text_of(compiler, one, &one->value);
    }
    return names;
}

static struct schema_list read_list(struct compiler *compiler, const struct json_node *node)
{
    struct schema_list list = { NULL, 0 };
    if (node->value.kind != JSON_ARRAY) {
        fail(compiler, node, "expected an array of schemas");
        return list;
    }
    list.items = arena_array(compiler->arena, node->count + 1u, sizeof(struct json_schema *));
    if (list.items == NULL)
        fail(compiler, node, "out of memory");
    for (const struct json_node *one = node->first; one && list.items; one = one->next)
        list.items[list.count++] = compile(compiler, one);
    return list;
}

static struct schema_members read_members(struct compiler *compiler, const struct json_node *node,
                                          bool names_too)
{
    struct schema_members members = { NULL, 0 };
    if (node->value.kind != JSON_OBJECT) {
        fail(compiler, node, "expected an object of schemas");
        return members;
    }
    members.items = arena_array(compiler->arena, node->count + 1u, sizeof(*members.items));
    if (members.items == NULL)
        fail(compiler, node, "out of memory");
    for (const struct json_node *one = node->first; one && members.items; one = one->next) {
        struct schema_member *member = &members.items[members.count++];
        *member = (struct schema_member){ .name = text_of(compiler, one, &one->name) };
        if (names_too && one->value.kind == JSON_ARRAY)
            member->names = read_names(compiler, one);
        else
            member->schema = compile(compiler, one);
    }
    return members;
}

static void close_regex(void *regex)
{
    regex_close(regex);
}

static void read_pattern_text(struct compiler *compiler, const struct json_node *node, struct slice text,
                              struct schema_pattern *pattern)
{
    char reason[REGEX_REASON_SIZE] = "";
    pattern->text = text;
    struct slice written = schema_pattern_text(compiler->arena, text);
    enum error error = ERROR_MEMORY;
    if (written.data)
        error = regex_compile(&pattern->regex, written, REGEX_ANYWHERE, reason, sizeof(reason));
    if (error != ERROR_OK) {
        fail(compiler, node, "the pattern is not valid: %s", reason);
    } else if (!arena_on_close(compiler->arena, close_regex, &pattern->regex)) {
        regex_close(&pattern->regex);
        fail(compiler, node, "out of memory");
    }
}

/* --- keywords ------------------------------------------------------------------------------------------- */

static void read_type(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    static const char *const names[JSON_TYPE_COUNT] = { "null",   "boolean", "integer", "number",
                                                        "string", "array",   "object" };
    const struct json_node *one = node->value.kind == JSON_ARRAY ? node->first : node;
    for (; one; one = one == node ? NULL : one->next) {
        unsigned type = 0;
        while (type < JSON_TYPE_COUNT &&
               !(one->value.kind == JSON_STRING && json_says(&one->value, slice_of(names[type]))))
            type++;
        if (type == JSON_TYPE_COUNT)
            fail(compiler, one, "expected a type: null, boolean, integer, number, string, array or object");
        schema->types |= 1u << type;
    }
}

static void read_enum(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    if (node->value.kind != JSON_ARRAY)
        fail(compiler, node, "expected an array");
    schema->choices = node;
}

static void read_const(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    (void)compiler;
    schema->constant = node;
}

static void read_multiple(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    schema->multiple = read_number(compiler, node);
    schema->flags |= SCHEMA_HAS_MULTIPLE;
    if (!(schema->multiple > 0))
        fail(compiler, node, "must be greater than 0");
}

/* The stricter of a plain and an exclusive bound counts. */
static void read_minimum(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    double number = read_number(compiler, node);
    if ((schema->flags & SCHEMA_HAS_MINIMUM) && schema->minimum >= number)
        return;
    schema->minimum = number;
    schema->flags = (schema->flags & ~(unsigned)SCHEMA_EXCLUSIVE_MINIMUM) | SCHEMA_HAS_MINIMUM;
}

static void read_maximum(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    double number = read_number(compiler, node);
    if ((schema->flags & SCHEMA_HAS_MAXIMUM) && schema->maximum <= number)
        return;
    schema->maximum = number;
    schema->flags = (schema->flags & ~(unsigned)SCHEMA_EXCLUSIVE_MAXIMUM) | SCHEMA_HAS_MAXIMUM;
}

/* A number of its own; in draft 4 a remark about `minimum`, whatever comes first. */
static void read_exclusive_minimum(struct compiler *compiler, const struct json_node *node,
                                   struct json_schema *schema)
{
    if (compiler->draft == JSON_SCHEMA_DRAFT_4) {
        if (node->value.kind == JSON_TRUE)
            schema->flags |= SCHEMA_EXCLUSIVE_MINIMUM;
        else if (node->value.kind != JSON_FALSE)
            fail(compiler, node, "expected a boolean");
        return;
    }
    double number = read_number(compiler, node);
    if ((schema->flags & SCHEMA_HAS_MINIMUM) && schema->minimum > number)
        return;
    schema->minimum = number;
    schema->flags |= SCHEMA_HAS_MINIMUM | SCHEMA_EXCLUSIVE_MINIMUM;
}

static void read_exclusive_maximum(struct compiler *compiler, const struct json_node *node,
                                   struct json_schema *schema)
{
    if (compiler->draft == JSON_SCHEMA_DRAFT_4) {
        if (node->value.kind == JSON_TRUE)
            schema->flags |= SCHEMA_EXCLUSIVE_MAXIMUM;
        else if (node->value.kind != JSON_FALSE)
            fail(compiler, node, "expected a boolean");
        return;
    }
    double number = read_number(compiler, node);
    if ((schema->flags & SCHEMA_HAS_MAXIMUM) && schema->maximum < number)
        return;
    schema->maximum = number;
    schema->flags |= SCHEMA_HAS_MAXIMUM | SCHEMA_EXCLUSIVE_MAXIMUM;
}

#define COUNT_KEYWORD(name, member)                                                  \
    static void read_##name(struct compiler *compiler, const struct json_node *node, \
                            struct json_schema *schema)                              \
    {                                                                                \
        schema->member = read_count(compiler, node);                                 \
        schema->flags |= SCHEMA_HAS_LENGTHS;                                         \
    }

COUNT_KEYWORD(min_length, min_length)
COUNT_KEYWORD(max_length, max_length)
COUNT_KEYWORD(min_items, min_items)
COUNT_KEYWORD(max_items, max_items)
COUNT_KEYWORD(min_members, min_members)
COUNT_KEYWORD(max_members, max_members)
COUNT_KEYWORD(min_contains, min_contains)
COUNT_KEYWORD(max_contains, max_contains)

#define SCHEMA_KEYWORD(name, member)                                                 \
    static void read_##name(struct compiler *compiler, const struct json_node *node, \
                            struct json_schema *schema)                              \
    {                                                                                \
        schema->member = compile(compiler, node);                                    \
    }

SCHEMA_KEYWORD(contains, contains)
SCHEMA_KEYWORD(other_members, other_members)
SCHEMA_KEYWORD(member_names, member_names)
SCHEMA_KEYWORD(not, not)
SCHEMA_KEYWORD(if, condition)
SCHEMA_KEYWORD(then, then)
SCHEMA_KEYWORD(else, otherwise)

#define LIST_KEYWORD(name)                                                           \
    static void read_##name(struct compiler *compiler, const struct json_node *node, \
                            struct json_schema *schema)                              \
    {                                                                                \
        schema->name = read_list(compiler, node);                                    \
        if (node->count == 0)                                                        \
            fail(compiler, node, "expected at least one schema");                    \
    }

LIST_KEYWORD(all_of)
LIST_KEYWORD(any_of)
LIST_KEYWORD(one_of)

static void read_unique(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    if (node->value.kind == JSON_TRUE)
        schema->flags |= SCHEMA_UNIQUE;
    else if (node->value.kind != JSON_FALSE)
        fail(compiler, node, "expected a boolean");
}

static void read_pattern(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    schema->pattern = arena_alloc_zero(compiler->arena, sizeof(*schema->pattern));
    if (node->value.kind != JSON_STRING)
        fail(compiler, node, "expected a string");
    else if (schema->pattern == NULL)
        fail(compiler, node, "out of memory");
    else
        read_pattern_text(compiler, node, text_of(compiler, node, &node->value), schema->pattern);
}

static void read_lua_pattern(struct compiler *compiler, const struct json_node *node,
                             struct json_schema *schema)
{
    if (compiler->options->knows_lua_patterns && node->value.kind == JSON_STRING)
        schema->lua_pattern = text_of(compiler, node, &node->value);
}

static void read_not_lua_pattern(struct compiler *compiler, const struct json_node *node,
                                 struct json_schema *schema)
{
    if (compiler->options->knows_lua_patterns && node->value.kind == JSON_STRING)
        schema->not_lua_pattern = text_of(compiler, node, &node->value);
}

static void read_format(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    if (node->value.kind != JSON_STRING)
        fail(compiler, node, "expected a string");
    else if (compiler->options->checks_formats)
        schema->format = json_format_find(text_of(compiler, node, &node->value));
}

/* Of 2020-12: `items` is for what follows `prefixItems`; before, an array of schemas had that place. */
static void read_items(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    if (node->value.kind == JSON_ARRAY && compiler->draft < JSON_SCHEMA_DRAFT_2020_12)
        schema->prefix = read_list(compiler, node);
    else
        schema->items = compile(compiler, node);
}

static void read_prefix(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    schema->prefix = read_list(compiler, node);
}

/* Only beside an array in `items`. */
static void read_other_items(struct compiler *compiler, const struct json_node *node,
                             struct json_schema *schema)
{
    const struct json_node *items = json_member_of(node->parent, SLICE("items"));
    if (items && items->value.kind == JSON_ARRAY)
        schema->items = compile(compiler, node);
}

static void read_properties(struct compiler *compiler, const struct json_node *node,
                            struct json_schema *schema)
{
    schema->members = read_members(compiler, node, false);
    if (schema->members.count < MAPPED_MEMBERS)
        return;
    map_init(&schema->by_name, compiler->arena);
    for (uint32_t i = 0; i < schema->members.count; i++)
        if (!map_add(&schema->by_name, schema->members.items[i].name, &schema->members.items[i], NULL))
            fail(compiler, node, "out of memory");
}

static void read_patterns(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    struct schema_patterns *patterns = &schema->patterns;
    if (node->value.kind != JSON_OBJECT) {
        fail(compiler, node, "expected an object of schemas");
        return;
    }
    patterns->items = arena_alloc_zero(compiler->arena, (node->count + 1u) * sizeof(*patterns->items));
    if (patterns->items == NULL)
        fail(compiler, node, "out of memory");
    for (const struct json_node *one = node->first; one && !has_failed(compiler); one = one->next) {
        struct schema_pattern *pattern = &patterns->items[patterns->count++];
        read_pattern_text(compiler, one, text_of(compiler, one, &one->name), pattern);
        pattern->schema = compile(compiler, one);
    }
}

static void read_required(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    schema->required = read_names(compiler, node);
}

static void read_dependencies(struct compiler *compiler, const struct json_node *node,
                              struct json_schema *schema)
{
    struct schema_members old = schema->dependencies, more = read_members(compiler, node, true);
    struct schema_member *all = arena_array(compiler->arena, old.count + more.count + 1u, sizeof(*all));
    if (all == NULL) {
        fail(compiler, node, "out of memory");
        return;
    }
    if (old.count)
        memcpy(all, old.items, old.count * sizeof(*all));
    if (more.count)
        memcpy(all + old.count, more.items, more.count * sizeof(*all));
    schema->dependencies = (struct schema_members){ all, old.count + more.count };
}

static void read_reference(struct compiler *compiler, const struct json_node *node,
                           struct json_schema *schema)
{
    if (node->value.kind != JSON_STRING) {
        fail(compiler, node, "expected a string");
        return;
    }
    struct slice text = text_of(compiler, node, &node->value);
    const struct json_node *target = schema_addresses_find(&compiler->addresses, node->parent, text);
    if (target == NULL)
        fail(compiler, node, "%.*s is not in this document, and others are not fetched", SLICE_FORMAT(text));
    else
        schema->reference = compile(compiler, target);
}

static void read_unsupported(struct compiler *compiler, const struct json_node *node,
                             struct json_schema *schema)
{
    (void)schema;
    fail(compiler, node, "not supported");
}

#define SINCE(draft) JSON_SCHEMA_DRAFT_##draft

static const struct {
    const char *name;
    keyword_reader *read;
    enum json_schema_draft first, last;
} keywords[] = {
    { "type", read_type, SINCE(4), SINCE(2020_12) },
    { "enum", read_enum, SINCE(4), SINCE(2020_12) },
    { "const", read_const, SINCE(6), SINCE(2020_12) },
    { "multipleOf", read_multiple, SINCE(4), SINCE(2020_12) },
    { "minimum", read_minimum, SINCE(4), SINCE(2020_12) },
    { "maximum", read_maximum, SINCE(4), SINCE(2020_12) },
    { "exclusiveMinimum", read_exclusive_minimum, SINCE(4), SINCE(2020_12) }, /* behind minimum */
    { "exclusiveMaximum", read_exclusive_maximum, SINCE(4), SINCE(2020_12) },
    { "minLength", read_min_length, SINCE(4), SINCE(2020_12) },
    { "maxLength", read_max_length, SINCE(4), SINCE(2020_12) },
    { "pattern", read_pattern, SINCE(4), SINCE(2020_12) },
    { "luaPattern", read_lua_pattern, SINCE(4), SINCE(2020_12) },
    { "notLuaPattern", read_not_lua_pattern, SINCE(4), SINCE(2020_12) },
    { "format", read_format, SINCE(4), SINCE(2020_12) },
    { "items", read_items, SINCE(4), SINCE(2020_12) },
    { "prefixItems", read_prefix, SINCE(2020_12), SINCE(2020_12) },
    { "additionalItems", read_other_items, SINCE(4), SINCE(2019_09) },
    { "minItems", read_min_items, SINCE(4), SINCE(2020_12) },
    { "maxItems", read_max_items, SINCE(4), SINCE(2020_12) },
    { "uniqueItems", read_unique, SINCE(4), SINCE(2020_12) },
    { "contains", read_contains, SINCE(6), SINCE(2020_12) },
    { "minContains", read_min_contains, SINCE(2019_09), SINCE(2020_12) },
    { "maxContains", read_max_contains, SINCE(2019_09), SINCE(2020_12) },
    { "properties", read_properties, SINCE(4), SINCE(2020_12) },
    { "patternProperties", read_patterns, SINCE(4), SINCE(2020_12) },
    { "additionalProperties", read_other_members, SINCE(4), SINCE(2020_12) },
    { "propertyNames", read_member_names, SINCE(6), SINCE(2020_12) },
    { "required", read_required, SINCE(4), SINCE(2020_12) },
    { "minProperties", read_min_members, SINCE(4), SINCE(2020_12) },
    { "maxProperties", read_max_members, SINCE(4), SINCE(2020_12) },
    { "dependencies", read_dependencies, SINCE(4), SINCE(7) },
    { "dependentSchemas", read_dependencies, SINCE(2019_09), SINCE(2020_12) },
    { "dependentRequired", read_dependencies, SINCE(2019_09), SINCE(2020_12) },
    { "allOf", read_all_of, SINCE(4), SINCE(2020_12) },
    { "anyOf", read_any_of, SINCE(4), SINCE(2020_12) },
    { "oneOf", read_one_of, SINCE(4), SINCE(2020_12) },
    { "not", read_not, SINCE(4), SINCE(2020_12) },
    { "if", read_if, SINCE(7), SINCE(2020_12) },
    { "then", read_then, SINCE(7), SINCE(2020_12) },
    { "else", read_else, SINCE(7), SINCE(2020_12) },
    { "unevaluatedItems", read_unsupported, SINCE(2019_09), SINCE(2020_12) },
    { "unevaluatedProperties", read_unsupported, SINCE(2019_09), SINCE(2020_12) },
    { "$recursiveRef", read_unsupported, SINCE(2019_09), SINCE(2019_09) },
    { "$dynamicRef", read_unsupported, SINCE(2020_12), SINCE(2020_12) },
};

/* --- schemas -------------------------------------------------------------------------------------------- */

static void read_keywords(struct compiler *compiler, const struct json_node *node, struct json_schema *schema)
{
    const struct json_node *reference = json_member_of(node, SLICE("$ref"));
    if (reference)
        read_reference(compiler, reference, schema);
    if (reference && compiler->draft < JSON_SCHEMA_DRAFT_2019_09)
        return; /* what stands beside it is nothing, until then */
    for (size_t i = 0; i < COUNT_OF(keywords) && !has_failed(compiler); i++) {
        if (compiler->draft < keywords[i].first || compiler->draft > keywords[i].last)
            continue;
        const struct json_node *value = json_member_of(node, slice_of(keywords[i].name));
        if (value)
            keywords[i].read(compiler, value, schema);
    }
}

static struct json_schema *new_schema(struct compiler *compiler, const struct json_node *node)
{
    struct json_schema *schema = arena_alloc_zero(compiler->arena, sizeof(*schema));
    if (schema == NULL)
        return fail(compiler, node, "out of memory");
    schema->max_length = schema->max_items = schema->max_members = schema->max_contains = UINT64_MAX;
    schema->min_contains = 1;
    if (compiler->draft == JSON_SCHEMA_DRAFT_4)
        schema->flags |= SCHEMA_STRICT_INTEGER;
    return schema;
}

static const struct json_schema *compile(struct compiler *compiler, const struct json_node *node)
{
    /* The node's address is the key; a view of it lives as long as the node. */
    struct slice key = { (const char *)&node->value.text.data, sizeof(node->value.text.data) };
    struct json_schema *schema = map_find(&compiler->known, key);
    if (schema || has_failed(compiler))
        return schema;
    bool boolean = node->value.kind == JSON_TRUE || node->value.kind == JSON_FALSE;
    bool additional =
        node->name.kind != JSON_ABSENT && (json_says(&node->name, SLICE("additionalProperties")) ||
                                           json_says(&node->name, SLICE("additionalItems")));
    if (node->value.kind != JSON_OBJECT &&
        !(boolean && (compiler->draft > JSON_SCHEMA_DRAFT_4 || additional)))
        return fail(compiler, node, "expected a schema");
    if (compiler->depth == JSON_SCHEMA_DEPTH_MAX)
        return fail(compiler, node, "nested too deeply");
    schema = new_schema(compiler, node);
    if (schema == NULL)
        return NULL;
    if (boolean) {
        schema->flags |= node->value.kind == JSON_FALSE ? SCHEMA_NEVER : 0;
        return schema;
    }
    if (!map_add(&compiler->known, key, schema, NULL))
        return fail(compiler, node, "out of memory");
    compiler->depth++;
    read_keywords(compiler, node, schema);
    compiler->depth--;
    return has_failed(compiler) ? NULL : schema;
}

static enum json_schema_draft draft_of(const struct json_node *root, enum json_schema_draft fallback)
{
    static const char *const parts[] = { "draft-04", "draft-06", "draft-07", "2019-09", "2020-12" };
    const struct json_node *node = json_member_of(root, SLICE("$schema"));
    for (unsigned i = 0; node && node->value.kind == JSON_STRING && i < COUNT_OF(parts); i++)
        if (memmem(node->value.text.data, node->value.text.size, parts[i], strlen(parts[i])))
            return (enum json_schema_draft)i;
    return fallback;
}

/* A chain of references that ends nowhere. */
static bool is_circular(const struct json_schema *schema)
{
    unsigned steps = 0;
    while (schema && schema->reference && steps++ < JSON_SCHEMA_DEPTH_MAX)
        schema = schema->reference;
    return steps > JSON_SCHEMA_DEPTH_MAX;
}

const struct json_schema *json_schema_compile(struct arena *arena, struct slice text,
                                              const struct json_schema_options *options,
                                              char reason[JSON_SCHEMA_REASON_SIZE])
{
    static const struct json_tree_limits limits = { JSON_SCHEMA_DEPTH_MAX, JSON_SCHEMA_NODES_MAX };
    struct json_node *root;
    struct compiler compiler = { .arena = arena, .options = options, .reason = reason };
    reason[0] = '\0';
    enum json_reading reading = json_tree_read(arena, text, &limits, &root);
    if (reading != JSON_READ) {
        snprintf(reason, JSON_SCHEMA_REASON_SIZE, "%s",
                 reading == JSON_INVALID     ? "it is not valid JSON"
                 : reading == JSON_TOO_LARGE ? "it is too long"
                                             : "out of memory");
        return NULL;
    }
    compiler.draft = draft_of(root, options->draft);
    compiler.addresses = (struct schema_addresses){ .arena = arena, .root = root, .draft = compiler.draft };
    map_init(&compiler.known, arena);
    schema_addresses_collect(&compiler.addresses);
    if (compiler.addresses.failed)
        return fail(&compiler, root, "out of memory");
    const struct json_schema *schema = compile(&compiler, root);
    if (schema && is_circular(schema))
        return fail(&compiler, root, "its reference leads to itself");
    return has_failed(&compiler) ? NULL : schema;
}
