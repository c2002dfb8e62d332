/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"

#include "config/scalar.h"

#include <yaml.h>

static uint32_t line_of(yaml_mark_t mark)
{
    return (uint32_t)mark.line + 1;
}

static uint32_t column_of(yaml_mark_t mark)
{
    return (uint32_t)mark.column + 1;
}

static struct slice copy_name(struct builder *builder, const yaml_char_t *name)
{
    return arena_copy(builder->arena, slice_of((const char *)name));
}

/* Bytes that are no text come with an offset in the file only. */
static bool fail_at_offset(struct builder *builder, struct slice text, const yaml_parser_t *parser)
{
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < parser->problem_offset && i < text.size; i++) {
        if (text.data[i] == '\n')
            line++, column = 0;
        column += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return builder_fail(builder, line, column, "%s", parser->problem);
}

static bool fail_parse(struct builder *builder, struct slice text, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR || parser->problem == NULL)
        return builder_fail(builder, line_of(parser->mark), column_of(parser->mark), "out of memory");
    if (parser->error == YAML_READER_ERROR)
        return fail_at_offset(builder, text, parser);
    return builder_fail(builder, line_of(parser->problem_mark), column_of(parser->problem_mark), "%s%s%s",
                        parser->context ? parser->context : "", parser->context ? ", " : "", parser->problem);
}

/* Gives a tagged scalar its kind; false for a tag or a value that the core schema does not know. */
static bool apply_tag(struct node *node, const char *tag)
{
    static const struct {
        const char *tag;
        enum node_kind kind;
    } rows[] = {
        { YAML_NULL_TAG, NODE_NULL },    { YAML_BOOL_TAG, NODE_BOOLEAN }, { YAML_INT_TAG, NODE_NUMBER },
        { YAML_FLOAT_TAG, NODE_NUMBER }, { YAML_STR_TAG, NODE_STRING },   { "!", NODE_STRING },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].tag, tag) != 0)
            continue;
        if (rows[i].kind == NODE_STRING)
            return true;
        scalar_resolve(node);
        return node->kind == rows[i].kind;
    }
    return false;
}

static bool read_scalar(struct builder *builder, const yaml_event_t *event)
{
    uint32_t line = line_of(event->start_mark), column = column_of(event->start_mark);
    struct node *node = builder_node(builder, NODE_STRING, line, column);
    if (node == NULL)
        return false;
    node->text = arena_copy(
        builder->arena, (struct slice){ (const char *)event->data.scalar.value, event->data.scalar.length });
    if (node->text.data == NULL)
        return builder_fail(builder, line, column, "out of memory");
    if (strlen(node->text.data) != node->text.size)
        return builder_fail(builder, line, column, "a NUL character is not allowed");
    const char *tag = (const char *)event->data.scalar.tag;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (tag != NULL && !apply_tag(node, tag))
        return builder_fail(builder, line, column, "unknown tag or value of another type: %s", tag);
    if (tag == NULL && plain && builder_merge_key(builder, node))
        return true;
    if (tag == NULL && plain)
        scalar_resolve(node);
    return builder_scalar(builder, node, copy_name(builder, event->data.scalar.anchor));
}

static bool read_begin(struct builder *builder, const yaml_event_t *event)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    uint32_t line = line_of(event->start_mark), column = column_of(event->start_mark);
    const char *tag =
        (const char *)(mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (tag != NULL && strcmp(tag, mapping ? YAML_MAP_TAG : YAML_SEQ_TAG) != 0 && strcmp(tag, "!") != 0)
        return builder_fail(builder, line, column, "unknown tag: %s", tag);
    struct node *node = builder_node(builder, mapping ? NODE_MAPPING : NODE_SEQUENCE, line, column);
    const yaml_char_t *anchor =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    return node != NULL && builder_begin(builder, node, copy_name(builder, anchor));
}

static bool take_document(struct builder *builder, struct documents *out)
{
    struct node *root = builder_take(builder);
    if (root == NULL)
        return true;
    /* Full at 0 and at each power of two: the array doubles. */
    if ((out->count & (out->count - 1)) == 0) {
        struct node **items = arena_array(builder->arena, out->count * 2u + 1, sizeof(*items));
        if (items == NULL)
            return builder_fail(builder, root->position.line, root->position.column, "out of memory");
        if (out->count)
            memcpy(items, out->items, out->count * sizeof(*items));
        out->items = items;
    }
    out->items[out->count++] = root;
    return true;
}

static bool read_event(struct builder *builder, const yaml_event_t *event, struct documents *out)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT: return read_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return read_begin(builder, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return builder_end(builder);
    case YAML_ALIAS_EVENT:
        return builder_alias(builder, slice_of((const char *)event->data.alias.anchor),
                             line_of(event->start_mark), column_of(event->start_mark));
    case YAML_DOCUMENT_END_EVENT: return take_document(builder, out);
    default: return true;
    }
}

bool yaml_read(struct builder *builder, struct slice text, struct documents *out)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return builder_fail(builder, 1, 1, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.size);
    bool good = true, end = false;
    while (good && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            good = fail_parse(builder, text, &parser);
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        good = read_event(builder, &event, out);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return good;
}
