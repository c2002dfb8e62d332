/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json_tree.h"

#include <stdio.h>

struct reader {
    struct json_cursor cursor;
    struct arena *arena;
    const struct json_tree_limits *limits;
    uint32_t nodes, depth;
    struct json_node *open; /* the innermost array or object */
    struct json_node *last; /* its last child; NULL: none yet */
    struct json_node *root;
};

/* A node behind `last`. */
static enum json_reading add_node(struct reader *reader, struct json_node **added)
{
    if (reader->nodes == reader->limits->nodes)
        return JSON_TOO_LARGE;
    struct json_node *node = arena_alloc_zero(reader->arena, sizeof(*node));
    if (node == NULL)
        return JSON_NO_MEMORY;
    reader->nodes++;
    node->parent = reader->open;
    if (reader->open == NULL)
        reader->root = node;
    else if (reader->last)
        reader->last->next = node;
    else
        reader->open->first = node;
    if (reader->open)
        reader->open->count++;
    reader->last = node;
    *added = node;
    return JSON_READ;
}

/* The end of the innermost array or object is behind the cursor. */
static void close_node(struct reader *reader)
{
    struct json_node *node = reader->open;
    node->value.text.size = (size_t)(reader->cursor.at - node->value.text.data);
    reader->last = node;
    reader->open = node->parent;
    reader->depth--;
}

/* A value, of which only the opening when it is an array or object. */
static enum json_reading read_node(struct reader *reader)
{
    struct json_cursor *cursor = &reader->cursor;
    struct json_value name = { .kind = JSON_ABSENT };
    struct json_node *node;
    if (reader->open && reader->open->value.kind == JSON_OBJECT && !json_read_name(cursor, &name))
        return JSON_INVALID;
    enum json_reading reading = add_node(reader, &node);
    if (reading != JSON_READ)
        return reading;
    node->name = name;
    json_skip_space(cursor);
    const char *start = cursor->at;
    bool object = json_skip(cursor, '{');
    if (!object && !json_skip(cursor, '['))
        return json_read_scalar(cursor, &node->value) ? JSON_READ : JSON_INVALID;
    if (reader->depth == reader->limits->depth)
        return JSON_INVALID;
    node->value = (struct json_value){ .kind = object ? JSON_OBJECT : JSON_ARRAY, .text = { start, 0 } };
    reader->depth++;
    reader->open = node;
    reader->last = NULL;
    return JSON_READ;
}

/* Behind a value or an opening: closes what ends here. False: broken. */
static bool close_what_ends(struct reader *reader)
{
    struct json_cursor *cursor = &reader->cursor;
    for (;;) {
        json_skip_space(cursor);
        if (reader->open == NULL)
            return true;
        if (json_skip(cursor, reader->open->value.kind == JSON_OBJECT ? '}' : ']'))
            close_node(reader);
        else
            return reader->last == NULL || json_skip(cursor, ',');
    }
}

enum json_reading json_tree_read(struct arena *arena, struct slice text,
                                 const struct json_tree_limits *limits, struct json_node **root)
{
    struct reader reader = { .cursor = { text.data, text.data + text.size },
                             .arena = arena,
                             .limits = limits };
    *root = NULL;
    do {
        enum json_reading reading = read_node(&reader);
        if (reading != JSON_READ)
            return reading;
        if (!close_what_ends(&reader))
            return JSON_INVALID;
    } while (reader.open);
    if (reader.cursor.at != reader.cursor.end)
        return JSON_INVALID;
    *root = reader.root;
    return JSON_READ;
}

struct slice json_text(struct arena *arena, const struct json_value *string)
{
    if (!string->escaped)
        return string->text.data ? string->text : SLICE("");
    char *out = arena_alloc(arena, string->text.size);
    return (struct slice){ out, out ? json_unescape(string->text, out) : 0 };
}

/* Of the escape at the beginning, as it is written. */
static size_t escape_size(const char *escape)
{
    if (escape[1] != 'u')
        return 2;
    return slice_lower(escape[2]) == 'd' && slice_hex_value(escape[3]) >= 8 && slice_hex_value(escape[3]) < 12
               ? 12
               : 6;
}

bool json_says(const struct json_value *string, struct slice text)
{
    struct slice rest = string->text;
    if (!string->escaped)
        return slice_equal(rest, text);
    while (rest.size > 0) {
        char character[12];
        struct slice said = { rest.data, 1 };
        size_t size = 1;
        if (rest.data[0] == '\\') {
            size = escape_size(rest.data);
            said = (struct slice){ character, json_unescape((struct slice){ rest.data, size }, character) };
        }
        if (!slice_starts_with(text, said))
            return false;
        text = slice_from(text, said.size);
        rest = slice_from(rest, size);
    }
    return text.size == 0;
}

const struct json_node *json_member_of(const struct json_node *object, struct slice name)
{
    const struct json_node *found = NULL;
    for (const struct json_node *member = object->value.kind == JSON_OBJECT ? object->first : NULL; member;
         member = member->next)
        if (json_says(&member->name, name))
            found = member;
    return found;
}

size_t json_place(const struct json_node *node, char *out, size_t size)
{
    if (node->parent == NULL) {
        out[0] = '\0';
        return 0;
    }
    size_t used = json_place(node->parent, out, size);
    if (used >= size)
        return used;
    if (node->name.kind != JSON_ABSENT)
        return used + (size_t)snprintf(out + used, size - used, "/%.*s", SLICE_FORMAT(node->name.text));
    unsigned index = 0;
    for (const struct json_node *one = node->parent->first; one != node; one = one->next)
        index++;
    return used + (size_t)snprintf(out + used, size - used, "/%u", index);
}
