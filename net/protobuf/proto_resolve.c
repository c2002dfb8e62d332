/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_resolve.h"

struct resolver {
    struct proto_declared *all;
    const struct config_place *place;
};

static bool fail(const struct resolver *resolver, const struct node_position *position, const char *reason,
                 struct slice name)
{
    report_add(resolver->place->report, REPORT_ERROR, position, resolver->place->path, "%s \"%.*s\"", reason,
               SLICE_FORMAT(name));
    return false;
}

static bool out_of_memory(const struct resolver *resolver)
{
    static const struct node_position nowhere = { "", 0, 0 };
    return fail(resolver, &nowhere, "out of memory in", SLICE("a .proto file"));
}

/* From the innermost scope outwards. */
static const struct proto_symbol *look_up(const struct resolver *resolver, struct slice scope,
                                          struct slice name)
{
    char full[2048];
    const struct map *symbols = &resolver->all->symbols;
    if (name.size > 0 && name.data[0] == '.')
        return map_find(symbols, slice_from(name, 1));
    while (scope.size > 0) {
        size_t size = scope.size + 1 + name.size;
        if (size <= sizeof(full)) {
            memcpy(full, scope.data, scope.size);
            full[scope.size] = '.';
            memcpy(full + scope.size + 1, name.data, name.size);
            const struct proto_symbol *found = map_find(symbols, (struct slice){ full, size });
            if (found)
                return found;
        }
        const char *dot = memrchr(scope.data, '.', scope.size);
        scope.size = dot ? (size_t)(dot - scope.data) : 0;
    }
    return map_find(symbols, name);
}

static enum proto_known known_named(struct slice name)
{
    static const struct {
        const char *name;
        enum proto_known known;
    } names[] = {
        { "Timestamp", PROTO_TIMESTAMP }, { "Duration", PROTO_DURATION },   { "FieldMask", PROTO_FIELD_MASK },
        { "Struct", PROTO_STRUCT },       { "Value", PROTO_VALUE },         { "ListValue", PROTO_LIST_VALUE },
        { "DoubleValue", PROTO_WRAPPER }, { "FloatValue", PROTO_WRAPPER },  { "Int64Value", PROTO_WRAPPER },
        { "UInt64Value", PROTO_WRAPPER }, { "Int32Value", PROTO_WRAPPER },  { "UInt32Value", PROTO_WRAPPER },
        { "BoolValue", PROTO_WRAPPER },   { "StringValue", PROTO_WRAPPER }, { "BytesValue", PROTO_WRAPPER },
    };
    struct slice package = SLICE("google.protobuf.");
    for (size_t i = 0; slice_starts_with(name, package) && i < COUNT_OF(names); i++)
        if (slice_equal(slice_from(name, package.size), slice_of(names[i].name)))
            return names[i].known;
    return PROTO_PLAIN;
}

/* A known type that somebody declares differently is a plain one. */
static bool has_known_shape(const struct proto_message *message, enum proto_known known)
{
    const struct proto_field *first = message->count ? &message->fields[0] : NULL;
    switch (known) {
    case PROTO_TIMESTAMP:
    case PROTO_DURATION:
        return message->count == 2 && first->type == PROTO_INT64 && message->fields[1].type == PROTO_INT32 &&
               first->number == 1 && message->fields[1].number == 2;
    case PROTO_FIELD_MASK:
        return message->count == 1 && first->type == PROTO_STRING && first->repeated && first->number == 1;
    case PROTO_WRAPPER:
        return message->count == 1 && first->number == 1 && !first->repeated && first->type != PROTO_MESSAGE;
    case PROTO_STRUCT: return message->count == 1 && first->number == 1 && first->map;
    case PROTO_LIST_VALUE:
        return message->count == 1 && first->number == 1 && first->repeated && first->type == PROTO_MESSAGE;
    case PROTO_VALUE: return message->count == 6 && message->fields[5].number == 6;
    default: return false;
    }
}

/* --- messages ------------------------------------------------------------------------------------------- */

static bool resolve_field(const struct resolver *resolver, struct slice scope, struct proto_field *field)
{
    if (field->type == PROTO_UNRESOLVED) {
        const struct proto_symbol *symbol = look_up(resolver, scope, field->type_name);
        if (symbol == NULL)
            return fail(resolver, &field->position, "nobody declares", field->type_name);
        field->message = symbol->message;
        field->enumeration = symbol->enumeration;
        field->type = symbol->message ? PROTO_MESSAGE : PROTO_ENUM;
    }
    if (field->type == PROTO_MESSAGE || field->type == PROTO_STRING || field->type == PROTO_BYTES)
        field->packed = false;
    field->packed &= field->repeated;
    field->presence |= field->type == PROTO_MESSAGE && !field->repeated;
    return true;
}

static bool index_names(const struct resolver *resolver, struct proto_message *message)
{
    map_init(&message->names, resolver->all->arena);
    for (uint32_t i = 0; i < message->count; i++) {
        struct proto_field *field = &message->fields[i];
        void *existing = NULL;
        if (!map_add(&message->names, field->name, field, &existing))
            return out_of_memory(resolver);
        if (existing && existing != field)
            return fail(resolver, &field->position, "a second field", field->name);
    }
    for (uint32_t i = 0; i < message->count; i++)
        if (!map_add(&message->names, message->fields[i].json_name, &message->fields[i], NULL))
            return out_of_memory(resolver);
    return true;
}

static struct slice scope_of(const struct proto_message *message)
{
    struct slice scope = message->name;
    if (slice_ends_with(scope, SLICE("@entry"))) { /* of a map: types are looked up around it */
        const char *dot = memrchr(scope.data, '.', scope.size);
        scope.size = dot ? (size_t)(dot - scope.data) : 0;
    }
    return scope;
}

static bool resolve_messages(const struct resolver *resolver)
{
    for (uint32_t i = 0; i < resolver->all->message_count; i++) {
        struct proto_message *message = resolver->all->messages[i];
        for (uint32_t j = 0; j < message->count; j++)
            if (!resolve_field(resolver, scope_of(message), &message->fields[j]))
                return false;
        if (!index_names(resolver, message))
            return false;
    }
    for (uint32_t i = 0; i < resolver->all->message_count; i++) {
        struct proto_message *message = resolver->all->messages[i];
        enum proto_known known = known_named(message->name);
        message->known = has_known_shape(message, known) ? known : PROTO_PLAIN;
    }
    return true;
}

/* --- methods -------------------------------------------------------------------------------------------- */

static bool find_type(const struct resolver *resolver, const struct proto_method *method, struct slice name,
                      const struct proto_message **message)
{
    struct slice scope = slice_from(method->path, 1), rest;
    scope = slice_split(scope, '/', &rest);
    const struct proto_symbol *symbol = look_up(resolver, scope, name);
    *message = symbol ? symbol->message : NULL;
    return *message || fail(resolver, &method->position, "nobody declares a message", name);
}

static bool index_all(const struct resolver *resolver, struct proto_schema *schema)
{
    struct proto_declared *all = resolver->all;
    map_init(&schema->messages, all->arena);
    map_init(&schema->enums, all->arena);
    map_init(&schema->methods, all->arena);
    for (uint32_t i = 0; i < all->message_count; i++)
        if (!map_add(&schema->messages, all->messages[i]->name, all->messages[i], NULL))
            return out_of_memory(resolver);
    for (uint32_t i = 0; i < all->method_count; i++) {
        struct proto_method *method = all->methods[i];
        void *existing = NULL;
        if (!find_type(resolver, method, method->input_name, &method->input) ||
            !find_type(resolver, method, method->output_name, &method->output))
            return false;
        if (!map_add(&schema->methods, method->path, method, &existing))
            return out_of_memory(resolver);
        if (existing)
            return fail(resolver, &method->position, "a second method", method->name);
    }
    schema->method_list = all->methods;
    schema->method_count = all->method_count;
    return true;
}

const struct proto_schema *proto_resolve(struct proto_declared *all, const struct config_place *place)
{
    struct resolver resolver = { all, place };
    struct proto_schema *schema = arena_alloc_zero(all->arena, sizeof(*schema));
    if (schema == NULL) {
        out_of_memory(&resolver);
        return NULL;
    }
    bool good = resolve_messages(&resolver) && index_all(&resolver, schema);
    return good ? schema : NULL;
}

/* --- questions ------------------------------------------------------------------------------------------ */

const struct proto_message *proto_find_message(const struct proto_schema *schema, struct slice name)
{
    return map_find(&schema->messages, name);
}

const struct proto_method *proto_find_method(const struct proto_schema *schema, struct slice path)
{
    return map_find(&schema->methods, path);
}

const struct proto_field *proto_field_named(const struct proto_message *message, struct slice name)
{
    return map_find(&message->names, name);
}

const struct proto_field *proto_field_numbered(const struct proto_message *message, uint32_t number)
{
    uint32_t low = 0, high = message->count;
    if (number > 0 && number <= message->count && message->fields[number - 1].number == number)
        return &message->fields[number - 1]; /* mostly they are numbered without gaps */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (message->fields[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < message->count && message->fields[low].number == number ? &message->fields[low] : NULL;
}
