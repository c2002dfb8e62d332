/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/query.h"

static char next_character(struct slice *text)
{
    char c = text->data[0];
    int high = text->size >= 3 ? slice_hex_value(text->data[1]) : -1;
    int low = text->size >= 3 ? slice_hex_value(text->data[2]) : -1;
    if (c == '%' && high >= 0 && low >= 0) {
        *text = slice_from(*text, 3);
        return (char)(high << 4 | low);
    }
    *text = slice_from(*text, 1);
    return c == '+' ? ' ' : c;
}

bool query_names(struct slice escaped, struct slice name)
{
    size_t i = 0;
    while (escaped.size > 0 && i < name.size)
        if (next_character(&escaped) != name.data[i++])
            return false;
    return escaped.size == 0 && i == name.size;
}

struct slice query_unescape(struct arena *arena, struct slice escaped)
{
    if (escaped.size == 0 ||
        (memchr(escaped.data, '%', escaped.size) == NULL && memchr(escaped.data, '+', escaped.size) == NULL))
        return escaped;
    char *plain = arena_alloc(arena, escaped.size);
    size_t size = 0;
    while (plain != NULL && escaped.size > 0)
        plain[size++] = next_character(&escaped);
    return (struct slice){ plain, size };
}

struct slice query_without(struct arena *arena, struct slice query, struct slice name)
{
    char *kept = arena_alloc(arena, query.size + 1);
    size_t size = 0;
    bool first = true;
    while (kept != NULL && query.data != NULL) {
        struct slice value, pair = slice_split(query, '&', &query);
        if (slice_equal(slice_split(pair, '=', &value), name))
            continue;
        if (!first)
            kept[size++] = '&';
        first = false;
        if (pair.size > 0)
            memcpy(kept + size, pair.data, pair.size);
        size += pair.size;
    }
    return (struct slice){ kept, size };
}

struct slice query_find(struct arena *arena, struct slice query, struct slice name)
{
    while (query.data) {
        struct slice rest, value, one = slice_split(query, '&', &rest);
        struct slice key = slice_split(one, '=', &value);
        if (query_names(key, name))
            return value.data ? query_unescape(arena, value) : SLICE("");
        query = rest;
    }
    return (struct slice){ NULL, 0 };
}

static bool is_unreserved(char c)
{
    char lower = slice_lower(c);
    return (lower >= 'a' && lower <= 'z') || slice_is_digit(c) || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

struct slice query_escape(struct arena *arena, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = text.size <= SIZE_MAX / 4 ? arena_alloc(arena, text.size * 3 + 1) : NULL;
    size_t size = 0;
    for (size_t i = 0; out && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (is_unreserved(text.data[i])) {
            out[size++] = text.data[i];
            continue;
        }
        out[size++] = '%';
        out[size++] = digits[c >> 4];
        out[size++] = digits[c & 15];
    }
    return (struct slice){ out, size };
}
