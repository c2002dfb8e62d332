/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/text.h"

#include "core/base/json_token.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BYTES = 1024 };

void text_init(struct text *text, size_t limit)
{
    *text = (struct text){ .limit = limit };
}

void text_deinit(struct text *text)
{
    free(text->data);
    *text = (struct text){ .limit = text->limit };
}

static bool grow(struct text *text, size_t wanted)
{
    size_t capacity = text->capacity ? text->capacity : FIRST_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (data == NULL)
        return false;
    text->data = data;
    text->capacity = capacity;
    return true;
}

char *text_extend(struct text *text, size_t size)
{
    bool fits = !text->failed && text->limit - text->size >= size;
    if (!fits || (text->capacity - text->size < size && !grow(text, text->size + size))) {
        text->failed = true;
        return NULL;
    }
    char *at = text->data + text->size;
    text->size += size;
    return at;
}

void text_byte(struct text *text, char byte)
{
    char *at = text_extend(text, 1);
    if (at)
        *at = byte;
}

void text_add(struct text *text, struct slice bytes)
{
    char *at = bytes.size ? text_extend(text, bytes.size) : NULL;
    if (at)
        memcpy(at, bytes.data, bytes.size);
}

void text_u64(struct text *text, uint64_t number)
{
    char digits[SLICE_U64_SIZE];
    char *end = slice_write_u64(digits, number);
    text_add(text, (struct slice){ digits, (size_t)(end - digits) });
}

void text_i64(struct text *text, int64_t number)
{
    if (number < 0)
        text_byte(text, '-');
    text_u64(text, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void text_hex(struct text *text, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *at = text_extend(text, bytes.size * 2);
    for (size_t i = 0; at && i < bytes.size; i++) {
        *at++ = digits[(unsigned char)bytes.data[i] >> 4];
        *at++ = digits[bytes.data[i] & 15];
    }
}

void text_format(struct text *text, const char *format, ...)
{
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(piece, sizeof(piece), format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof(piece))
        text->failed = true;
    else
        text_add(text, (struct slice){ piece, (size_t)size });
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

static void add_escape(struct text *text, char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char shorts[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    for (size_t i = 0; i < sizeof(shorts) - 1; i += 2) {
        if (shorts[i + 1] != c)
            continue;
        text_byte(text, '\\');
        text_byte(text, shorts[i]);
        return;
    }
    char escape[] = { '\\', 'u', '0', '0', digits[(unsigned char)c >> 4], digits[c & 15] };
    text_add(text, (struct slice){ escape, sizeof(escape) });
}

void text_quoted(struct text *text, struct slice string)
{
    struct json_cursor cursor = { string.data, string.data + string.size };
    text_byte(text, '"');
    while (cursor.at < cursor.end) {
        const char *from = cursor.at;
        while (cursor.at < cursor.end && is_plain(*cursor.at))
            cursor.at++;
        text_add(text, (struct slice){ from, (size_t)(cursor.at - from) });
        if (cursor.at == cursor.end)
            break;
        from = cursor.at;
        if (!((unsigned char)*from & 0x80)) {
            add_escape(text, *from);
            cursor.at = from + 1;
        } else if (json_skip_character(&cursor)) {
            text_add(text, (struct slice){ from, (size_t)(cursor.at - from) });
        } else {
            text_literal(text, "\\ufffd");
            cursor.at = from + 1;
        }
    }
    text_byte(text, '"');
}

void text_json_name(struct text *text, struct slice name)
{
    if (text->size > 0 && text->data[text->size - 1] != '{')
        text_byte(text, ',');
    text_quoted(text, name);
    text_byte(text, ':');
}

void text_json_string(struct text *text, const char *name, struct slice value)
{
    if (value.data == NULL)
        return;
    text_json_name(text, slice_of(name));
    text_quoted(text, value);
}

void text_json_i64(struct text *text, const char *name, int64_t value)
{
    text_json_name(text, slice_of(name));
    text_i64(text, value);
}

void text_json_bool(struct text *text, const char *name, bool value)
{
    text_json_name(text, slice_of(name));
    text_add(text, value ? SLICE("true") : SLICE("false"));
}
