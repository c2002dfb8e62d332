/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a compiled schema to a value. */
#include "core/base/json_schema_tree.h"

#include "core/base/hash.h"
#include "core/base/lua_pattern.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct validation {
    struct arena *arena;
    struct regex_scratch *scratch;
    struct json_schema_fault *fault; /* of the first that fails; NULL inside of anyOf and the like */
    uint32_t steps, depth;
    enum json_schema_result trouble; /* VALID: none */
};

static bool apply(struct validation *run, const struct json_schema *schema, const struct json_node *value);

/* --- the books ------------------------------------------------------------------------------------------ */

static bool step(struct validation *run)
{
    if (run->steps++ < JSON_SCHEMA_STEPS_MAX)
        return true;
    run->trouble = JSON_SCHEMA_TOO_COMPLEX;
    return false;
}

/* Cut between characters, so that the message stays UTF-8. */
static void end_at_character(char *text)
{
    size_t size = strlen(text), last = size;
    while (last > 0 && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
        last--;
    if (last == 0)
        return;
    unsigned char lead = (unsigned char)text[last - 1];
    size_t wanted = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size - (last - 1) < wanted)
        text[last - 1] = '\0';
}

/* Always false, so that a check can end with it. */
static bool fail(struct validation *run, const struct json_node *value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct validation *run, const struct json_node *value, const char *format, ...)
{
    struct json_schema_fault *fault = run->fault;
    if (fault == NULL || fault->reason[0] != '\0')
        return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->reason, sizeof(fault->reason), format, arguments);
    va_end(arguments);
    fault->place[0] = '\0';
    json_place(value, fault->place, sizeof(fault->place));
    end_at_character(fault->place);
    end_at_character(fault->reason);
    return false;
}

/* Without a word about why. */
static bool would_pass(struct validation *run, const struct json_schema *schema,
                       const struct json_node *value)
{
    struct json_schema_fault *fault = run->fault;
    run->fault = NULL;
    bool good = apply(run, schema, value);
    run->fault = fault;
    return good;
}

static struct slice text_of(struct validation *run, const struct json_value *string)
{
    struct slice text = json_text(run->arena, string);
    if (text.data == NULL)
        run->trouble = JSON_SCHEMA_NO_MEMORY;
    return text;
}

/* --- equality ------------------------------------------------------------------------------------------- */

static bool equal(struct validation *run, const struct json_node *a, const struct json_node *b);

static bool equal_members(struct validation *run, const struct json_node *a, const struct json_node *b)
{
    for (const struct json_node *one = a->first; one; one = one->next) {
        const struct json_node *other = NULL;
        struct slice name = text_of(run, &one->name);
        for (const struct json_node *candidate = b->first; candidate && name.data;
             candidate = candidate->next) {
            if (!step(run))
                return false;
            if (json_says(&candidate->name, name))
                other = candidate;
        }
        if (other == NULL || !equal(run, one, other))
            return false;
    }
    return true;
}

static bool equal_numbers(struct slice a, struct slice b)
{
    double first = json_number(a), second = json_number(b);
    return slice_equal(a, b) || (!(first < second) && !(first > second) && !isinf(first));
}

/* The depth is that of the texts, which is bounded. */
static bool equal(struct validation *run, const struct json_node *a, const struct json_node *b)
{
    if (!step(run) || a->value.kind != b->value.kind || a->count != b->count)
        return false;
    if (a->value.kind == JSON_NUMBER)
        return equal_numbers(a->value.text, b->value.text);
    if (a->value.kind == JSON_STRING) {
        struct slice text = text_of(run, &a->value);
        return text.data && json_says(&b->value, text);
    }
    if (a->value.kind == JSON_OBJECT)
        return equal_members(run, a, b);
    const struct json_node *other = b->first;
    for (const struct json_node *one = a->first; one; one = one->next, other = other->next)
        if (!equal(run, one, other))
            return false;
    return true;
}

/* Equal values have equal hashes. */
static uint64_t hash_value(struct validation *run, const struct json_node *node)
{
    uint64_t hash = (uint64_t)node->value.kind * UINT64_C(0x9e3779b97f4a7c15);
    double number;
    (void)step(run);
    if (node->value.kind == JSON_NUMBER) {
        number = json_number(node->value.text) + 0.0; /* no -0 */
        return isinf(number) ? hash : hash ^ hash_of((struct slice){ (const char *)&number, sizeof(number) });
    }
    if (node->value.kind == JSON_STRING) {
        struct slice text = text_of(run, &node->value);
        return text.data ? hash ^ hash_of(text) : 0;
    }
    for (const struct json_node *one = node->first; one && run->trouble == JSON_SCHEMA_VALID;
         one = one->next) {
        uint64_t inner = hash_value(run, one);
        if (node->value.kind == JSON_ARRAY) {
            hash = hash * 31 + inner;
            continue;
        }
        struct slice name = text_of(run, &one->name);
        if (name.data)
            hash += hash_of(name) ^ (inner * 31); /* in any order */
    }
    return hash;
}

/* --- scalars -------------------------------------------------------------------------------------------- */

static bool is_integer(const struct json_schema *schema, struct slice text)
{
    bool plain = true;
    for (size_t i = 0; i < text.size; i++)
        plain &= slice_is_digit(text.data[i]) || text.data[i] == '-';
    if (plain || (schema->flags & SCHEMA_STRICT_INTEGER))
        return plain;
    double number = json_number(text);
    return isinf(number) || !(floor(number) < number);
}

static const char *const type_names[JSON_TYPE_COUNT] = { "null",   "boolean", "integer", "number",
                                                         "string", "array",   "object" };

static enum json_schema_type type_of(enum json_kind kind)
{
    switch (kind) {
    case JSON_NULL: return JSON_TYPE_NULL;
    case JSON_FALSE:
    case JSON_TRUE: return JSON_TYPE_BOOLEAN;
    case JSON_NUMBER: return JSON_TYPE_NUMBER;
    case JSON_STRING: return JSON_TYPE_STRING;
    case JSON_ARRAY: return JSON_TYPE_ARRAY;
    default: return JSON_TYPE_OBJECT;
    }
}

static bool check_type(struct validation *run, const struct json_schema *schema,
                       const struct json_node *value)
{
    enum json_schema_type type = type_of(value->value.kind);
    if (schema->types >> type & 1)
        return true;
    if (type == JSON_TYPE_NUMBER && (schema->types >> JSON_TYPE_INTEGER & 1) &&
        is_integer(schema, value->value.text))
        return true;
    char wanted[80] = "";
    size_t used = 0;
    for (unsigned i = 0; i < JSON_TYPE_COUNT; i++)
        if (schema->types >> i & 1)
            used += (size_t)snprintf(wanted + used, sizeof(wanted) - used, "%s%s", used ? " or " : "",
                                     type_names[i]);
    return fail(run, value, "wrong type: expected %s, got %s", wanted, type_names[type]);
}

static bool check_choices(struct validation *run, const struct json_schema *schema,
                          const struct json_node *value)
{
    for (const struct json_node *one = schema->choices ? schema->choices->first : NULL; one; one = one->next)
        if (equal(run, one, value))
            return true;
    return schema->choices == NULL || fail(run, value, "matches none of the enum values");
}

static bool is_multiple(double number, double of)
{
    double quotient = number / of;
    if (isinf(quotient))
        return !(fmod(number, of) > 0) && !(fmod(number, of) < 0);
    double nearest = round(quotient), gap = fabs(quotient - nearest);
    return gap <= 1e-9 * (fabs(quotient) > 1 ? fabs(quotient) * 1e-6 : 1);
}

static bool check_number(struct validation *run, const struct json_schema *schema,
                         const struct json_node *value)
{
    double number = json_number(value->value.text);
    if (value->value.text.data[0] == '-' && isinf(number))
        number = -INFINITY;
    bool low = (schema->flags & SCHEMA_HAS_MINIMUM) && number < schema->minimum;
    bool high = (schema->flags & SCHEMA_HAS_MAXIMUM) && number > schema->maximum;
    if (schema->flags & SCHEMA_EXCLUSIVE_MINIMUM)
        low = (schema->flags & SCHEMA_HAS_MINIMUM) && !(number > schema->minimum);
    if (schema->flags & SCHEMA_EXCLUSIVE_MAXIMUM)
        high = (schema->flags & SCHEMA_HAS_MAXIMUM) && !(number < schema->maximum);
    if (low)
        return fail(run, value, "expected %s to be %s than %.15g", "a number",
                    schema->flags & SCHEMA_EXCLUSIVE_MINIMUM ? "greater" : "no less", schema->minimum);
    if (high)
        return fail(run, value, "expected %s to be %s than %.15g", "a number",
                    schema->flags & SCHEMA_EXCLUSIVE_MAXIMUM ? "smaller" : "no greater", schema->maximum);
    if ((schema->flags & SCHEMA_HAS_MULTIPLE) && !is_multiple(number, schema->multiple))
        return fail(run, value, "expected a multiple of %.15g", schema->multiple);
    return true;
}

static uint64_t count_characters(struct slice text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static bool lua_matches(struct slice text, struct slice pattern)
{
    struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
    return lua_pattern_match(text, pattern, 0, &match) == LUA_MATCHED;
}

static bool check_string(struct validation *run, const struct json_schema *schema,
                         const struct json_node *value)
{
    bool looks = (schema->flags & SCHEMA_HAS_LENGTHS) || schema->pattern || schema->format ||
                 schema->lua_pattern.data || schema->not_lua_pattern.data;
    struct slice text = looks ? text_of(run, &value->value) : SLICE("");
    if (!looks || text.data == NULL)
        return !looks;
    uint64_t length = count_characters(text);
    if (length < schema->min_length)
        return fail(run, value, "string too short, expected at least %llu",
                    (unsigned long long)schema->min_length);
    if (length > schema->max_length)
        return fail(run, value, "string too long, expected at most %llu",
                    (unsigned long long)schema->max_length);
    if (schema->pattern && !regex_match(&schema->pattern->regex, text, run->scratch))
        return fail(run, value, "failed to match pattern %.*s", SLICE_FORMAT(schema->pattern->text));
    if (schema->lua_pattern.data && !lua_matches(text, schema->lua_pattern))
        return fail(run, value, "failed to match pattern %.*s", SLICE_FORMAT(schema->lua_pattern));
    if (schema->not_lua_pattern.data && lua_matches(text, schema->not_lua_pattern))
        return fail(run, value, "must not match pattern %.*s", SLICE_FORMAT(schema->not_lua_pattern));
    if (schema->format && !json_format_check(schema->format, text))
        return fail(run, value, "expected valid %s", json_format_name(schema->format));
    return true;
}

/* --- arrays --------------------------------------------------------------------------------------------- */

struct hashed {
    uint64_t hash;
    const struct json_node *node;
};

static int compare_hashed(const void *a, const void *b)
{
    uint64_t first = ((const struct hashed *)a)->hash, second = ((const struct hashed *)b)->hash;
    return first < second ? -1 : first > second;
}

static bool check_unique(struct validation *run, const struct json_node *value)
{
    struct hashed *items = arena_array(run->arena, value->count, sizeof(*items));
    uint32_t count = 0;
    if (items == NULL) {
        run->trouble = JSON_SCHEMA_NO_MEMORY;
        return false;
    }
    for (const struct json_node *one = value->first; one; one = one->next)
        items[count++] = (struct hashed){ hash_value(run, one), one };
    qsort(items, count, sizeof(*items), compare_hashed);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i + 1; j < count && items[j].hash == items[i].hash; j++)
            if (equal(run, items[i].node, items[j].node))
                return fail(run, value, "expected unique items");
    return true;
}

static bool check_contains(struct validation *run, const struct json_schema *schema,
                           const struct json_node *value)
{
    uint64_t count = 0;
    for (const struct json_node *one = value->first; one; one = one->next)
        count += would_pass(run, schema->contains, one);
    if (count < schema->min_contains)
        return fail(run, value, "contains too few items of the wanted kind");
    return count <= schema->max_contains || fail(run, value, "contains too many items of the wanted kind");
}

static bool check_array(struct validation *run, const struct json_schema *schema,
                        const struct json_node *value)
{
    uint32_t index = 0;
    if (value->count < schema->min_items)
        return fail(run, value, "expect array to have at least %llu items",
                    (unsigned long long)schema->min_items);
    if (value->count > schema->max_items)
        return fail(run, value, "expect array to have at most %llu items",
                    (unsigned long long)schema->max_items);
    for (const struct json_node *one = value->first; one; one = one->next, index++) {
        const struct json_schema *wanted =
            index < schema->prefix.count ? schema->prefix.items[index] : schema->items;
        if (wanted && !apply(run, wanted, one))
            return false;
    }
    if ((schema->flags & SCHEMA_UNIQUE) && value->count > 1 && !check_unique(run, value))
        return false;
    return schema->contains == NULL || check_contains(run, schema, value);
}

/* --- objects -------------------------------------------------------------------------------------------- */

static const struct json_schema *find_member(const struct json_schema *schema, struct slice name)
{
    if (schema->by_name.capacity > 0) {
        const struct schema_member *member = map_find(&schema->by_name, name);
        return member ? member->schema : NULL;
    }
    for (uint32_t i = 0; i < schema->members.count; i++)
        if (slice_equal(schema->members.items[i].name, name))
            return schema->members.items[i].schema;
    return NULL;
}

static bool check_name(struct validation *run, const struct json_schema *schema,
                       const struct json_node *member)
{
    struct json_node name = { .value = member->name, .parent = member->parent, .name = member->name };
    return would_pass(run, schema->member_names, &name) ||
           fail(run, member->parent, "the name %.*s is not allowed", SLICE_FORMAT(member->name.text));
}

static bool check_member(struct validation *run, const struct json_schema *schema,
                         const struct json_node *member)
{
    struct slice name = text_of(run, &member->name);
    bool known = false;
    if (name.data == NULL || (schema->member_names && !check_name(run, schema, member)))
        return false;
    const struct json_schema *wanted = find_member(schema, name);
    if (wanted) {
        known = true;
        if (!apply(run, wanted, member))
            return false;
    }
    for (uint32_t i = 0; i < schema->patterns.count; i++) {
        if (!step(run))
            return false;
        if (!regex_match(&schema->patterns.items[i].regex, name, run->scratch))
            continue;
        known = true;
        if (!apply(run, schema->patterns.items[i].schema, member))
            return false;
    }
    if (known || schema->other_members == NULL)
        return true;
    if (schema->other_members->flags & SCHEMA_NEVER)
        return fail(run, member->parent, "additional properties forbidden, found %.*s", SLICE_FORMAT(name));
    return apply(run, schema->other_members, member);
}

static bool check_names(struct validation *run, const struct slices *names, const struct json_node *value)
{
    for (uint32_t i = 0; i < names->count; i++) {
        run->steps += value->count;
        if (!step(run))
            return false;
        if (json_member_of(value, names->items[i]) == NULL)
            return fail(run, value, "property %.*s is required", SLICE_FORMAT(names->items[i]));
    }
    return true;
}

static bool check_object(struct validation *run, const struct json_schema *schema,
                         const struct json_node *value)
{
    if (!check_names(run, &schema->required, value))
        return false;
    if (value->count < schema->min_members)
        return fail(run, value, "expect object to have at least %llu properties",
                    (unsigned long long)schema->min_members);
    if (value->count > schema->max_members)
        return fail(run, value, "expect object to have at most %llu properties",
                    (unsigned long long)schema->max_members);
    bool looks =
        schema->members.count || schema->patterns.count || schema->other_members || schema->member_names;
    for (const struct json_node *one = looks ? value->first : NULL; one; one = one->next)
        if (!check_member(run, schema, one))
            return false;
    for (uint32_t i = 0; i < schema->dependencies.count; i++) {
        const struct schema_member *member = &schema->dependencies.items[i];
        if (json_member_of(value, member->name) == NULL)
            continue;
        if (member->schema ? !apply(run, member->schema, value) : !check_names(run, &member->names, value))
            return false;
    }
    return true;
}

/* --- schemas of schemas --------------------------------------------------------------------------------- */

static bool check_lists(struct validation *run, const struct json_schema *schema,
                        const struct json_node *value)
{
    for (uint32_t i = 0; i < schema->all_of.count; i++)
        if (!apply(run, schema->all_of.items[i], value))
            return false;
    uint32_t good = 0;
    for (uint32_t i = 0; i < schema->any_of.count && good == 0; i++)
        good += would_pass(run, schema->any_of.items[i], value);
    if (schema->any_of.count > 0 && good == 0)
        return fail(run, value, "object needs to match at least one of the anyOf schemas");
    good = 0;
    for (uint32_t i = 0; i < schema->one_of.count && good < 2; i++)
        good += would_pass(run, schema->one_of.items[i], value);
    return schema->one_of.count == 0 || good == 1 ||
           fail(run, value, "value should match exactly one schema, but matches %s",
                good ? "several" : "none");
}

static bool check_conditions(struct validation *run, const struct json_schema *schema,
                             const struct json_node *value)
{
    if (schema->not&&would_pass(run, schema->not, value))
        return fail(run, value, "value must not match the schema in not");
    if (schema->condition == NULL)
        return true;
    const struct json_schema *next =
        would_pass(run, schema->condition, value) ? schema->then : schema->otherwise;
    return next == NULL || apply(run, next, value);
}

static bool check_kind(struct validation *run, const struct json_schema *schema,
                       const struct json_node *value)
{
    switch (value->value.kind) {
    case JSON_NUMBER: return check_number(run, schema, value);
    case JSON_STRING: return check_string(run, schema, value);
    case JSON_ARRAY: return check_array(run, schema, value);
    case JSON_OBJECT: return check_object(run, schema, value);
    default: return true;
    }
}

static bool check_all(struct validation *run, const struct json_schema *schema, const struct json_node *value)
{
    if (schema->flags & SCHEMA_NEVER)
        return fail(run, value, "nothing is allowed here");
    if (schema->reference && !apply(run, schema->reference, value))
        return false;
    if (schema->types && !check_type(run, schema, value))
        return false;
    if (!check_choices(run, schema, value))
        return false;
    if (schema->constant && !equal(run, schema->constant, value))
        return fail(run, value, "matches not the const value");
    return check_kind(run, schema, value) && check_lists(run, schema, value) &&
           check_conditions(run, schema, value);
}

/* When a limit was reached, everything fails, and so does `not`: the trouble is asked for at the end. */
static bool apply(struct validation *run, const struct json_schema *schema, const struct json_node *value)
{
    if (run->depth == JSON_SCHEMA_DEPTH_MAX)
        run->trouble = JSON_SCHEMA_TOO_COMPLEX;
    if (run->trouble != JSON_SCHEMA_VALID || !step(run))
        return false;
    run->depth++;
    bool good = check_all(run, schema, value);
    run->depth--;
    return good && run->trouble == JSON_SCHEMA_VALID;
}

enum json_schema_result json_schema_validate(const struct json_schema *schema, const struct json_node *value,
                                             struct arena *arena, struct regex_scratch *scratch,
                                             struct json_schema_fault *fault)
{
    struct validation run = { .arena = arena, .scratch = scratch, .fault = fault };
    fault->place[0] = fault->reason[0] = '\0';
    bool good = apply(&run, schema, value);
    if (run.trouble != JSON_SCHEMA_VALID)
        return run.trouble;
    return good ? JSON_SCHEMA_VALID : JSON_SCHEMA_WRONG;
}

/* --- questions ------------------------------------------------------------------------------------------ */

static const struct json_schema *behind_references(const struct json_schema *schema)
{
    for (unsigned i = 0; schema && schema->reference && schema->types == 0 && i < JSON_SCHEMA_DEPTH_MAX; i++)
        schema = schema->reference;
    return schema;
}

unsigned json_schema_types(const struct json_schema *schema)
{
    return behind_references(schema)->types;
}

const struct json_schema *json_schema_of_items(const struct json_schema *schema)
{
    return behind_references(schema)->items;
}

const struct json_schema *json_schema_of_member(const struct json_schema *schema, struct slice name)
{
    schema = behind_references(schema);
    const struct json_schema *member = find_member(schema, name);
    return member ? member : schema->other_members;
}
