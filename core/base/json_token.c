/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json_token.h"

#include <math.h>
#include <stdlib.h>

static bool next_is(const struct json_cursor *cursor, char c)
{
    return cursor->at < cursor->end && *cursor->at == c;
}

bool json_skip(struct json_cursor *cursor, char c)
{
    if (!next_is(cursor, c))
        return false;
    cursor->at++;
    return true;
}

void json_skip_space(struct json_cursor *cursor)
{
    while (cursor->at < cursor->end &&
           (*cursor->at == ' ' || *cursor->at == '\n' || *cursor->at == '\r' || *cursor->at == '\t'))
        cursor->at++;
}

static bool skip_digits(struct json_cursor *cursor)
{
    const char *start = cursor->at;
    while (cursor->at < cursor->end && slice_is_digit(*cursor->at))
        cursor->at++;
    return cursor->at > start;
}

/* RFC 8259 section 6 */
static bool scan_number(struct json_cursor *cursor)
{
    json_skip(cursor, '-');
    if (!json_skip(cursor, '0') && !skip_digits(cursor))
        return false;
    if (json_skip(cursor, '.') && !skip_digits(cursor))
        return false;
    if (!json_skip(cursor, 'e') && !json_skip(cursor, 'E'))
        return true;
    if (!json_skip(cursor, '+'))
        json_skip(cursor, '-');
    return skip_digits(cursor);
}

static bool scan_word(struct json_cursor *cursor, struct slice word)
{
    if (!slice_starts_with((struct slice){ cursor->at, (size_t)(cursor->end - cursor->at) }, word))
        return false;
    cursor->at += word.size;
    return true;
}

/* The four digits of \uXXXX, or -1. */
static int32_t read_unit(const char *at, const char *end)
{
    int32_t unit = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = slice_hex_value(at[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* Behind the "\u": half a surrogate pair alone stands for no character. */
static bool scan_unicode_escape(struct json_cursor *cursor)
{
    int32_t unit = read_unit(cursor->at, cursor->end);
    if (unit < 0 || is_low_surrogate(unit))
        return false;
    cursor->at += 4;
    if (!is_high_surrogate(unit))
        return true;
    if (!json_skip(cursor, '\\') || !json_skip(cursor, 'u') ||
        !is_low_surrogate(read_unit(cursor->at, cursor->end)))
        return false;
    cursor->at += 4;
    return true;
}

static bool scan_escape(struct json_cursor *cursor)
{
    if (cursor->at == cursor->end)
        return false;
    char c = *cursor->at++;
    if (c == 'u')
        return scan_unicode_escape(cursor);
    return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
}

/* One character of more than a byte: shortest form, no surrogates, at most U+10FFFF (RFC 3629 section 4). */
bool json_skip_character(struct json_cursor *cursor)
{
    const unsigned char *at = (const unsigned char *)cursor->at;
    size_t left = (size_t)(cursor->end - cursor->at), size;
    unsigned char low = 0x80, high = 0xbf;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        size = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        size = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        size = 4;
    else
        return false;
    if (at[0] == 0xe0)
        low = 0xa0;
    else if (at[0] == 0xed)
        high = 0x9f;
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f;
    if (left < size || at[1] < low || at[1] > high)
        return false;
    for (size_t i = 2; i < size; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return false;
    cursor->at += size;
    return true;
}

bool json_read_string(struct json_cursor *cursor, struct json_value *value)
{
    if (!json_skip(cursor, '"'))
        return false;
    const char *start = cursor->at;
    bool escaped = false, good = true;
    while (good && cursor->at < cursor->end && *cursor->at != '"') {
        unsigned char c = (unsigned char)*cursor->at;
        if (c >= 0x80) {
            good = json_skip_character(cursor);
            continue;
        }
        cursor->at++;
        if (c == '\\')
            escaped = good = scan_escape(cursor);
        else
            good = c >= 0x20;
    }
    *value = (struct json_value){ JSON_STRING, escaped, { start, (size_t)(cursor->at - start) } };
    return good && json_skip(cursor, '"');
}

bool json_read_scalar(struct json_cursor *cursor, struct json_value *value)
{
    const char *start = cursor->at;
    bool good;
    *value = (struct json_value){ .kind = JSON_ABSENT };
    if (start == cursor->end)
        return false;
    switch (*start) {
    case '"': return json_read_string(cursor, value);
    case 't':
        value->kind = JSON_TRUE;
        good = scan_word(cursor, SLICE("true"));
        break;
    case 'f':
        value->kind = JSON_FALSE;
        good = scan_word(cursor, SLICE("false"));
        break;
    case 'n':
        value->kind = JSON_NULL;
        good = scan_word(cursor, SLICE("null"));
        break;
    default: value->kind = JSON_NUMBER; good = scan_number(cursor);
    }
    value->text = (struct slice){ start, (size_t)(cursor->at - start) };
    return good;
}

bool json_read_name(struct json_cursor *cursor, struct json_value *name)
{
    json_skip_space(cursor);
    if (!json_read_string(cursor, name))
        return false;
    json_skip_space(cursor);
    return json_skip(cursor, ':');
}

/* --- whole values --------------------------------------------------------------------------------------- */

/* Arrays and objects that are open, the innermost last: a bit each, set for objects. */
struct nesting {
    uint64_t objects[JSON_DEPTH_MAX / 64];
    unsigned open, most;
};

static bool is_object(const struct nesting *nesting)
{
    unsigned last = nesting->open - 1;
    return nesting->objects[last / 64] >> last % 64 & 1;
}

/* What comes next, as far as it can be told. */
enum place { PLACE_VALUE, PLACE_BEHIND, PLACE_BROKEN };

static enum place open_container(struct json_cursor *cursor, struct nesting *nesting)
{
    struct json_value name;
    bool object = *cursor->at++ == '{';
    if (nesting->open == nesting->most)
        return PLACE_BROKEN;
    unsigned last = nesting->open++;
    uint64_t bit = UINT64_C(1) << last % 64;
    nesting->objects[last / 64] = (nesting->objects[last / 64] & ~bit) | (object ? bit : 0);
    json_skip_space(cursor);
    if (json_skip(cursor, object ? '}' : ']')) {
        nesting->open--;
        return PLACE_BEHIND;
    }
    return !object || json_read_name(cursor, &name) ? PLACE_VALUE : PLACE_BROKEN;
}

/* Behind a value that is within another. */
static enum place go_on(struct json_cursor *cursor, struct nesting *nesting)
{
    struct json_value name;
    bool object = is_object(nesting);
    json_skip_space(cursor);
    if (json_skip(cursor, ','))
        return !object || json_read_name(cursor, &name) ? PLACE_VALUE : PLACE_BROKEN;
    if (!json_skip(cursor, object ? '}' : ']'))
        return PLACE_BROKEN;
    nesting->open--;
    return PLACE_BEHIND;
}

static enum place begin_value(struct json_cursor *cursor, struct nesting *nesting, struct json_value *scalar)
{
    json_skip_space(cursor);
    if (next_is(cursor, '{') || next_is(cursor, '['))
        return open_container(cursor, nesting);
    return json_read_scalar(cursor, scalar) ? PLACE_BEHIND : PLACE_BROKEN;
}

bool json_read_value(struct json_cursor *cursor, unsigned depth, struct json_value *value)
{
    struct nesting nesting; /* the bits are set as containers are opened */
    struct json_value scalar = { .kind = JSON_ABSENT };
    json_skip_space(cursor);
    const char *start = cursor->at;
    enum json_kind kind = next_is(cursor, '{')   ? JSON_OBJECT
                          : next_is(cursor, '[') ? JSON_ARRAY
                                                 : JSON_ABSENT;
    nesting.open = 0;
    nesting.most = depth;
    enum place place = PLACE_VALUE;
    do
        place = place == PLACE_VALUE ? begin_value(cursor, &nesting, &scalar) : go_on(cursor, &nesting);
    while (place == PLACE_VALUE || (place == PLACE_BEHIND && nesting.open > 0));
    *value = kind == JSON_ABSENT
                 ? scalar
                 : (struct json_value){ .kind = kind, .text = { start, (size_t)(cursor->at - start) } };
    json_skip_space(cursor);
    return place == PLACE_BEHIND;
}

/* --- what values stand for ------------------------------------------------------------------------------ */

static char *write_utf8(int32_t point, char *to)
{
    if (point < 0x80) {
        *to++ = (char)point;
        return to;
    }
    if (point < 0x800)
        *to++ = (char)(0xc0 | point >> 6);
    else if (point < 0x10000) {
        *to++ = (char)(0xe0 | point >> 12);
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
    } else {
        *to++ = (char)(0xf0 | point >> 18);
        *to++ = (char)(0x80 | (point >> 12 & 0x3f));
        *to++ = (char)(0x80 | (point >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (point & 0x3f));
    return to;
}

/* Behind the "\u"; moves *from past the digits. */
static int32_t read_point(const char **from, const char *end)
{
    enum { SECOND_UNIT = 6 };
    int32_t unit = read_unit(*from, end);
    *from += 4;
    if (!is_high_surrogate(unit))
        return unit;
    int32_t low = read_unit(*from + 2, end);
    *from += SECOND_UNIT;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

size_t json_unescape(struct slice text, char *out)
{
    static const char from_letters[] = "bfnrt", to_bytes[] = "\b\f\n\r\t";
    const char *from = text.data, *end = text.data + text.size;
    char *to = out;
    while (from < end) {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        char letter = from[1];
        const char *known = strchr(from_letters, letter);
        from += 2;
        if (letter == 'u')
            to = write_utf8(read_point(&from, end), to);
        else
            *to++ = known ? to_bytes[known - from_letters] : letter;
    }
    return (size_t)(to - out);
}

size_t json_escape(struct slice text, char *out)
{
    static const char digits[] = "0123456789abcdef", letters[] = "btn\0fr"; /* of the bytes from 8 on */
    char *to = out;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        if (c >= 0x20) {
            *to++ = (char)c;
        } else if (c >= '\b' && c <= '\r' && c != '\v') {
            *to++ = letters[c - '\b'];
        } else {
            memcpy(to, "u00", 3);
            to[3] = digits[c >> 4];
            to[4] = digits[c & 15];
            to += 5;
        }
    }
    return (size_t)(to - out);
}

double json_number(struct slice text)
{
    enum { EXACT_DIGITS = 15, LONGEST = 64 };
    char copy[LONGEST + 1];
    int64_t sum = 0;
    size_t i = 0;
    while (i < text.size && i < EXACT_DIGITS && slice_is_digit(text.data[i]))
        sum = sum * 10 + (text.data[i++] - '0');
    if (i == text.size)
        return (double)sum;
    /* Nobody means a number that long: it counts as out of range. */
    if (text.size > LONGEST)
        return INFINITY;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return strtod(copy, NULL);
}
