/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json_scan.h"

struct scanner {
    struct json_cursor cursor;
    struct json_member *wanted;
    size_t wanted_count;
    struct slice names[JSON_SCAN_MEMBERS_MAX]; /* of the top-level object, unescaped */
    size_t name_count;
    char unescaped[JSON_SCAN_ESCAPED_NAMES_MAX];
    size_t unescaped_size;
};

/* Keeps a top-level name. False when it was there, or a limit is reached. */
static bool keep_name(struct scanner *scanner, const struct json_value *name, struct slice *kept)
{
    struct slice text = name->text;
    if (scanner->name_count == JSON_SCAN_MEMBERS_MAX)
        return false;
    if (name->escaped) {
        if (text.size > sizeof(scanner->unescaped) - scanner->unescaped_size)
            return false;
        char *to = scanner->unescaped + scanner->unescaped_size;
        text = (struct slice){ to, json_unescape(text, to) };
        scanner->unescaped_size += text.size;
    }
    for (size_t i = 0; i < scanner->name_count; i++)
        if (slice_equal(scanner->names[i], text))
            return false;
    scanner->names[scanner->name_count++] = *kept = text;
    return true;
}

static void keep_value(struct scanner *scanner, struct slice name, const struct json_value *value)
{
    for (size_t i = 0; i < scanner->wanted_count; i++)
        if (slice_equal(scanner->wanted[i].name, name)) {
            scanner->wanted[i].value = *value;
            return;
        }
}

/* The members of the top-level object; the cursor stands behind the brace. */
static bool scan_members(struct scanner *scanner)
{
    struct json_cursor *cursor = &scanner->cursor;
    json_skip_space(cursor);
    if (json_skip(cursor, '}'))
        return true;
    do {
        struct json_value name, value;
        struct slice kept;
        if (!json_read_name(cursor, &name) || !keep_name(scanner, &name, &kept) ||
            !json_read_value(cursor, JSON_SCAN_DEPTH_MAX - 1, &value))
            return false;
        keep_value(scanner, kept, &value);
    } while (json_skip(cursor, ','));
    return json_skip(cursor, '}');
}

bool json_scan(struct slice text, struct json_member *wanted, size_t count, enum json_kind *root)
{
    struct scanner scanner; /* not cleared: names and unescaped are large, and used up to their counts only */
    struct json_cursor *cursor = &scanner.cursor;
    struct json_value value;
    scanner.cursor = (struct json_cursor){ text.data, text.data + text.size };
    scanner.wanted = wanted;
    scanner.wanted_count = count;
    scanner.name_count = scanner.unescaped_size = 0;
    for (size_t i = 0; i < count; i++)
        wanted[i].value = (struct json_value){ .kind = JSON_ABSENT };
    json_skip_space(cursor);
    bool good;
    if (json_skip(cursor, '{')) {
        *root = JSON_OBJECT;
        good = scan_members(&scanner);
        json_skip_space(cursor);
    } else {
        good = json_read_value(cursor, JSON_SCAN_DEPTH_MAX, &value);
        *root = value.kind;
    }
    return good && cursor->at == cursor->end;
}

/* The text was found valid as a part of another. */
bool json_array_next(struct slice *rest, struct json_value *element)
{
    *element = (struct json_value){ .kind = JSON_ABSENT };
    if (rest->size < 2)
        return false;
    struct json_cursor cursor = { rest->data + 1,
                                  rest->data + rest->size }; /* behind the bracket or a comma */
    bool found = json_read_value(&cursor, JSON_SCAN_DEPTH_MAX, element);
    *rest = (struct slice){ cursor.at, found ? (size_t)(cursor.end - cursor.at) : 0 };
    return found;
}

static bool end_object(struct json_cursor *cursor, struct json_object *object)
{
    bool good = json_skip(cursor, '}');
    json_skip_space(cursor);
    object->broken = !good || cursor->at != cursor->end;
    return false;
}

bool json_object_next(struct json_object *object, struct json_value *name, struct json_value *value)
{
    struct json_cursor cursor = { object->rest.data, object->rest.data + object->rest.size };
    if (!object->begun) {
        json_skip_space(&cursor);
        object->broken = !json_skip(&cursor, '{');
        json_skip_space(&cursor);
    }
    if (object->broken)
        return false;
    bool ends = cursor.at < cursor.end && *cursor.at == '}';
    if (object->begun ? !json_skip(&cursor, ',') : ends)
        return end_object(&cursor, object);
    object->begun = true;
    object->broken =
        !json_read_name(&cursor, name) || !json_read_value(&cursor, JSON_SCAN_DEPTH_MAX - 1, value);
    object->rest = (struct slice){ cursor.at, (size_t)(cursor.end - cursor.at) };
    return !object->broken;
}
