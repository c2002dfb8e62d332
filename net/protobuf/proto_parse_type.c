/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and enums of a .proto file. */
#include "net/protobuf/proto_load.h"
#include "net/protobuf/proto_parse.h"

#include <stdlib.h>

enum { NUMBER_MAX = 536870911, RESERVED_FROM = 19000, RESERVED_TO = 19999 };

static const char *const type_names[PROTO_TYPE_COUNT] = {
    [PROTO_DOUBLE] = "double",     [PROTO_FLOAT] = "float",   [PROTO_INT64] = "int64",
    [PROTO_UINT64] = "uint64",     [PROTO_INT32] = "int32",   [PROTO_FIXED64] = "fixed64",
    [PROTO_FIXED32] = "fixed32",   [PROTO_BOOL] = "bool",     [PROTO_STRING] = "string",
    [PROTO_BYTES] = "bytes",       [PROTO_UINT32] = "uint32", [PROTO_SFIXED32] = "sfixed32",
    [PROTO_SFIXED64] = "sfixed64", [PROTO_SINT32] = "sint32", [PROTO_SINT64] = "sint64",
};

static enum proto_type scalar_named(struct slice name)
{
    for (int type = 0; type < PROTO_TYPE_COUNT; type++)
        if (type_names[type] && slice_equal(name, slice_of(type_names[type])))
            return (enum proto_type)type;
    return PROTO_UNRESOLVED;
}

static const struct node_position *here(const struct proto_parser *parser)
{
    return &parser->scanner.token.position;
}

/* --- names ---------------------------------------------------------------------------------------------- */

static void declare(struct proto_parser *parser, struct proto_symbol symbol,
                    const struct node_position *position)
{
    struct proto_symbol *kept = arena_alloc(parser->all->arena, sizeof(*kept));
    void *existing = NULL;
    if (kept)
        *kept = symbol;
    if (kept == NULL || !map_add(&parser->all->symbols, symbol.name, kept, &existing))
        proto_fail(parser, position, "out of memory");
    else if (existing)
        proto_fail(parser, position, "\"%.*s\" is declared twice", SLICE_FORMAT(symbol.name));
}

static struct proto_message *open_message(struct proto_parser *parser, struct slice name,
                                          const struct node_position *position)
{
    struct proto_declared *all = parser->all;
    struct proto_message *message = arena_alloc_zero(all->arena, sizeof(*message));
    struct proto_message **list = proto_append(all->arena, all->messages, &all->message_count, sizeof(*list));
    if (message == NULL || list == NULL) {
        proto_fail(parser, position, "out of memory");
        all->message_count = 0;
        return NULL;
    }
    all->messages = list;
    list[all->message_count - 1] = message;
    message->name = name;
    declare(parser, (struct proto_symbol){ .name = name, .message = message }, position);
    return message;
}

/* lowerCamelCase, as descriptors have it. */
static struct slice json_name_of(struct proto_parser *parser, struct slice name)
{
    char *out = arena_alloc(parser->all->arena, name.size + 1);
    size_t size = 0;
    bool upper = false;
    for (size_t i = 0; out && i < name.size; i++) {
        char c = name.data[i];
        if (c != '_')
            out[size++] = upper && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        upper = c == '_';
    }
    if (out == NULL)
        proto_fail(parser, here(parser), "out of memory");
    return (struct slice){ out, size };
}

/* --- fields --------------------------------------------------------------------------------------------- */

static struct proto_field *add_field(struct proto_parser *parser, struct proto_message *message)
{
    uint32_t count = message->count;
    struct proto_field *list = count < PROTO_FIELDS_MAX
                                   ? proto_append(parser->all->arena, message->fields, &count, sizeof(*list))
                                   : NULL;
    if (list == NULL) {
        proto_fail(parser, here(parser), "too many fields");
        return NULL;
    }
    message->fields = list;
    message->count = count;
    return &list[count - 1];
}

/* From its name on. */
static void parse_rest_of_field(struct proto_parser *parser, struct proto_field *field)
{
    int64_t number = 0;
    field->position = *here(parser);
    field->name = proto_word(parser);
    proto_expect(parser, "=");
    struct node_position position = *here(parser);
    if (parser->failed || !proto_number(parser, 1, NUMBER_MAX, &number))
        return;
    if (number >= RESERVED_FROM && number <= RESERVED_TO)
        proto_fail(parser, &position, "field numbers 19000 to 19999 are reserved");
    field->number = (uint32_t)number;
    field->json_name = json_name_of(parser, field->name);
    field->packed = parser->proto3;
    proto_field_options(parser, field);
    if (proto_sees(parser, "{"))
        proto_fail(parser, here(parser), "groups are not supported");
    proto_expect(parser, ";");
}

static void set_type(struct proto_field *field, struct slice name)
{
    field->type = scalar_named(name);
    field->type_name = name;
}

enum field_label { LABEL_NONE, LABEL_OPTIONAL, LABEL_REQUIRED, LABEL_REPEATED, LABEL_ONEOF };

static void parse_field(struct proto_parser *parser, struct proto_message *message, enum field_label label)
{
    struct node_position position = *here(parser);
    struct slice type = proto_name(parser);
    if (!parser->failed && slice_equal(type, SLICE("group")))
        proto_fail(parser, &position, "groups are not supported");
    if (!parser->failed && !parser->proto3 && label == LABEL_NONE)
        proto_fail(parser, &position, "expected \"optional\", \"required\" or \"repeated\"");
    struct proto_field *field = parser->failed ? NULL : add_field(parser, message);
    if (field == NULL)
        return;
    set_type(field, type);
    field->repeated = label == LABEL_REPEATED;
    field->presence = label != LABEL_NONE && label != LABEL_REPEATED;
    parse_rest_of_field(parser, field);
    field->position = position;
}

static bool is_key(enum proto_type type)
{
    return type != PROTO_UNRESOLVED && type != PROTO_DOUBLE && type != PROTO_FLOAT && type != PROTO_BYTES;
}

/* map<key, value> stands for a repeated message of the two. */
static void parse_map(struct proto_parser *parser, struct proto_message *message)
{
    struct node_position position = *here(parser);
    struct slice key = proto_expect(parser, "<") ? proto_word(parser) : SLICE("");
    if (!parser->failed && !is_key(scalar_named(key)))
        proto_fail(parser, &position, "keys of maps are integers, booleans or strings");
    proto_expect(parser, ",");
    struct slice value = proto_name(parser);
    proto_expect(parser, ">");
    struct proto_field *field = parser->failed ? NULL : add_field(parser, message);
    if (field == NULL)
        return;
    parse_rest_of_field(parser, field);
    struct slice entry_name = { NULL, 0 };
    if (!parser->failed)
        entry_name = arena_format(parser->all->arena, "%.*s.%.*s@entry", SLICE_FORMAT(message->name),
                                  SLICE_FORMAT(field->name));
    struct proto_message *entry = entry_name.data ? open_message(parser, entry_name, &field->position) : NULL;
    struct proto_field *fields = entry ? arena_alloc_zero(parser->all->arena, 2 * sizeof(*fields)) : NULL;
    if (fields == NULL) {
        proto_fail(parser, &position, "out of memory");
        return;
    }
    fields[0] = (struct proto_field){ SLICE("key"), SLICE("key"), .number = 1, .position = position };
    fields[1] = (struct proto_field){ SLICE("value"), SLICE("value"), .number = 2, .position = position };
    set_type(&fields[0], key);
    set_type(&fields[1], value);
    entry->fields = fields;
    entry->count = 2;
    field->type = PROTO_MESSAGE;
    field->message = entry;
    field->repeated = field->map = true;
}

/* --- messages ------------------------------------------------------------------------------------------- */

static void skip_to_semicolon(struct proto_parser *parser)
{
    while (!parser->failed && !proto_accept(parser, ";")) {
        if (parser->scanner.token.kind == PROTO_END || proto_sees(parser, "{") || proto_sees(parser, "}"))
            proto_expect(parser, ";");
        else if (proto_sees(parser, "["))
            proto_field_options(parser, NULL);
        else
            proto_scanner_next(&parser->scanner);
    }
}

static void parse_oneof(struct proto_parser *parser, struct proto_message *message)
{
    proto_word(parser);
    proto_expect(parser, "{");
    while (!parser->failed && !proto_accept(parser, "}")) {
        if (proto_accept(parser, ";"))
            continue;
        if (proto_accept(parser, "option"))
            proto_option_statement(parser, NULL);
        else
            parse_field(parser, message, LABEL_ONEOF);
    }
}

/* The next word is one that begins a field "map<...>", and not a type of that name. */
static bool begins_map(struct proto_parser *parser)
{
    const struct proto_scanner *scanner = &parser->scanner;
    const char *at = scanner->at;
    while (at < scanner->end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return proto_sees(parser, "map") && at < scanner->end && *at == '<';
}

static void parse_member(struct proto_parser *parser, struct proto_message *message)
{
    if (proto_accept(parser, ";"))
        return;
    if (begins_map(parser)) {
        proto_accept(parser, "map");
        parse_map(parser, message);
    } else if (proto_accept(parser, "message")) {
        proto_parse_message(parser, message->name);
    } else if (proto_accept(parser, "enum")) {
        proto_parse_enum(parser, message->name);
    } else if (proto_accept(parser, "oneof")) {
        parse_oneof(parser, message);
    } else if (proto_accept(parser, "option")) {
        proto_option_statement(parser, NULL);
    } else if (proto_accept(parser, "extend")) {
        proto_skip_extend(parser);
    } else if (proto_accept(parser, "extensions") || proto_accept(parser, "reserved")) {
        skip_to_semicolon(parser);
    } else if (proto_accept(parser, "repeated")) {
        parse_field(parser, message, LABEL_REPEATED);
    } else if (proto_accept(parser, "optional")) {
        parse_field(parser, message, LABEL_OPTIONAL);
    } else if (proto_accept(parser, "required")) {
        parse_field(parser, message, LABEL_REQUIRED);
    } else {
        parse_field(parser, message, LABEL_NONE);
    }
}

static int compare_fields(const void *a, const void *b)
{
    const struct proto_field *left = a, *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

void proto_parse_message(struct proto_parser *parser, struct slice scope)
{
    struct node_position position = *here(parser);
    struct slice name = proto_word(parser);
    if (name.data)
        name = proto_join(parser, scope, name);
    if (++parser->depth > PROTO_NESTING_MAX)
        proto_fail(parser, &position, "messages are nested too deep");
    struct proto_message *message = parser->failed ? NULL : open_message(parser, name, &position);
    proto_expect(parser, "{");
    while (message && !parser->failed && !proto_accept(parser, "}"))
        parse_member(parser, message);
    parser->depth--;
    if (parser->failed || message->count == 0)
        return;
    qsort(message->fields, message->count, sizeof(*message->fields), compare_fields);
    for (uint32_t i = 1; i < message->count; i++)
        if (message->fields[i].number == message->fields[i - 1].number)
            proto_fail(parser, &message->fields[i].position, "field number %u stands twice",
                       message->fields[i].number);
}

/* Nothing that is transcoded here knows extensions. */
void proto_skip_extend(struct proto_parser *parser)
{
    struct proto_message nobody = { .name = SLICE("") };
    proto_name(parser);
    proto_expect(parser, "{");
    while (!parser->failed && !proto_accept(parser, "}")) {
        if (proto_accept(parser, ";"))
            continue;
        if (!proto_accept(parser, "optional") && !proto_accept(parser, "required"))
            proto_accept(parser, "repeated");
        parse_field(parser, &nobody, LABEL_OPTIONAL);
    }
}

/* --- enums ---------------------------------------------------------------------------------------------- */

static void parse_enum_value(struct proto_parser *parser, struct proto_enum *enumeration)
{
    int64_t number = 0;
    struct node_position position = *here(parser);
    struct slice name = proto_word(parser);
    proto_expect(parser, "=");
    if (parser->failed || !proto_number(parser, INT32_MIN, INT32_MAX, &number))
        return;
    proto_field_options(parser, NULL);
    proto_expect(parser, ";");
    if (parser->proto3 && enumeration->count == 0 && number != 0)
        proto_fail(parser, &position, "the first value of an enum is 0 in proto3");
    struct proto_enum_value *list =
        proto_append(parser->all->arena, enumeration->values, &enumeration->count, sizeof(*list));
    if (list == NULL) {
        proto_fail(parser, &position, "out of memory");
        enumeration->count = 0;
        return;
    }
    enumeration->values = list;
    list[enumeration->count - 1] = (struct proto_enum_value){ name, (int32_t)number };
}

void proto_parse_enum(struct proto_parser *parser, struct slice scope)
{
    struct node_position position = *here(parser);
    struct slice name = proto_word(parser);
    struct proto_declared *all = parser->all;
    struct proto_enum *enumeration = arena_alloc_zero(all->arena, sizeof(*enumeration));
    if (name.data == NULL || enumeration == NULL) {
        proto_fail(parser, &position, "out of memory");
        return;
    }
    enumeration->name = proto_join(parser, scope, name);
    enumeration->is_null_value = slice_equal(enumeration->name, SLICE("google.protobuf.NullValue"));
    declare(parser, (struct proto_symbol){ .name = enumeration->name, .enumeration = enumeration },
            &position);
    proto_expect(parser, "{");
    while (!parser->failed && !proto_accept(parser, "}")) {
        if (proto_accept(parser, ";"))
            continue;
        if (proto_accept(parser, "option"))
            proto_option_statement(parser, NULL);
        else if (proto_accept(parser, "reserved"))
            skip_to_semicolon(parser);
        else
            parse_enum_value(parser, enumeration);
    }
    if (!parser->failed && enumeration->count == 0)
        proto_fail(parser, &position, "an enum needs a value");
}
