/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json_scan.h"

#include <math.h>
#include <stdlib.h>

struct scanner {
    const char *at, *end;
    struct json_member *wanted;
    size_t wanted_count;
    struct slice names[JSON_SCAN_MEMBERS_MAX]; /* of the top-level object, unescaped */
    size_t name_count;
    char unescaped[JSON_SCAN_ESCAPED_NAMES_MAX];
    size_t unescaped_size;
};

static bool next_is(const struct scanner *scanner, char c)
{
    return scanner->at < scanner->end && *scanner->at == c;
}

static bool skip(struct scanner *scanner, char c)
{
    if (!next_is(scanner, c))
        return false;
    scanner->at++;
    return true;
}

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end &&
           (*scanner->at == ' ' || *scanner->at == '\n' || *scanner->at == '\r' || *scanner->at == '\t'))
        scanner->at++;
}

static bool skip_digits(struct scanner *scanner)
{
    const char *start = scanner->at;
    while (scanner->at < scanner->end && slice_is_digit(*scanner->at))
        scanner->at++;
    return scanner->at > start;
}

/* RFC 8259 section 6 */
static bool scan_number(struct scanner *scanner)
{
    skip(scanner, '-');
    if (!skip(scanner, '0') && !skip_digits(scanner))
        return false;
    if (skip(scanner, '.') && !skip_digits(scanner))
        return false;
    if (!skip(scanner, 'e') && !skip(scanner, 'E'))
        return true;
    if (!skip(scanner, '+'))
        skip(scanner, '-');
    return skip_digits(scanner);
}

static bool scan_word(struct scanner *scanner, struct slice word)
{
    if (!slice_starts_with((struct slice){ scanner->at, (size_t)(scanner->end - scanner->at) }, word))
        return false;
    scanner->at += word.size;
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
static bool scan_unicode_escape(struct scanner *scanner)
{
    int32_t unit = read_unit(scanner->at, scanner->end);
    if (unit < 0 || is_low_surrogate(unit))
        return false;
    scanner->at += 4;
    if (!is_high_surrogate(unit))
        return true;
    if (!skip(scanner, '\\') || !skip(scanner, 'u') ||
        !is_low_surrogate(read_unit(scanner->at, scanner->end)))
        return false;
    scanner->at += 4;
    return true;
}

static bool scan_escape(struct scanner *scanner)
{
    if (scanner->at == scanner->end)
        return false;
    char c = *scanner->at++;
    if (c == 'u')
        return scan_unicode_escape(scanner);
    return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
}

/* One character of more than a byte: shortest form, no surrogates, at most U+10FFFF (RFC 3629 section 4). */
static bool scan_utf8(struct scanner *scanner)
{
    const unsigned char *at = (const unsigned char *)scanner->at;
    size_t left = (size_t)(scanner->end - scanner->at), size;
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
    scanner->at += size;
    return true;
}

static bool scan_string(struct scanner *scanner, struct json_value *value)
{
    if (!skip(scanner, '"'))
        return false;
    const char *start = scanner->at;
    bool escaped = false, good = true;
    while (good && scanner->at < scanner->end && *scanner->at != '"') {
        unsigned char c = (unsigned char)*scanner->at;
        if (c >= 0x80) {
            good = scan_utf8(scanner);
            continue;
        }
        scanner->at++;
        if (c == '\\')
            escaped = good = scan_escape(scanner);
        else
            good = c >= 0x20;
    }
    *value = (struct json_value){ JSON_STRING, escaped, { start, (size_t)(scanner->at - start) } };
    return good && skip(scanner, '"');
}

static bool scan_value(struct scanner *scanner, unsigned depth, struct json_value *value);

static bool scan_array(struct scanner *scanner, unsigned depth)
{
    struct json_value ignored;
    scanner->at++;
    skip_space(scanner);
    if (skip(scanner, ']'))
        return true;
    for (;;) {
        if (!scan_value(scanner, depth + 1, &ignored))
            return false;
        if (skip(scanner, ']'))
            return true;
        if (!skip(scanner, ','))
            return false;
    }
}

/* Name and colon, with the space around them. */
static bool scan_name(struct scanner *scanner, struct json_value *name)
{
    skip_space(scanner);
    if (!scan_string(scanner, name))
        return false;
    skip_space(scanner);
    return skip(scanner, ':');
}

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

static bool scan_member(struct scanner *scanner, unsigned depth)
{
    struct json_value name, value;
    struct slice kept;
    if (!scan_name(scanner, &name))
        return false;
    if (depth > 0)
        return scan_value(scanner, depth + 1, &value);
    if (!keep_name(scanner, &name, &kept) || !scan_value(scanner, depth + 1, &value))
        return false;
    keep_value(scanner, kept, &value);
    return true;
}

static bool scan_object(struct scanner *scanner, unsigned depth)
{
    scanner->at++;
    skip_space(scanner);
    if (skip(scanner, '}'))
        return true;
    do {
        if (!scan_member(scanner, depth))
            return false;
    } while (skip(scanner, ','));
    return skip(scanner, '}');
}

static bool scan_inner(struct scanner *scanner, unsigned depth, struct json_value *value)
{
    switch (*scanner->at) {
    case '"': return scan_string(scanner, value);
    case '{': value->kind = JSON_OBJECT; return depth < JSON_SCAN_DEPTH_MAX && scan_object(scanner, depth);
    case '[': value->kind = JSON_ARRAY; return depth < JSON_SCAN_DEPTH_MAX && scan_array(scanner, depth);
    case 't': value->kind = JSON_TRUE; return scan_word(scanner, SLICE("true"));
    case 'f': value->kind = JSON_FALSE; return scan_word(scanner, SLICE("false"));
    case 'n': value->kind = JSON_NULL; return scan_word(scanner, SLICE("null"));
    default: value->kind = JSON_NUMBER; return scan_number(scanner);
    }
}

/* A value with the space around it. */
static bool scan_value(struct scanner *scanner, unsigned depth, struct json_value *value)
{
    skip_space(scanner);
    const char *start = scanner->at;
    *value = (struct json_value){ .kind = JSON_ABSENT };
    if (start == scanner->end || !scan_inner(scanner, depth, value))
        return false;
    if (value->kind != JSON_STRING)
        value->text = (struct slice){ start, (size_t)(scanner->at - start) };
    skip_space(scanner);
    return true;
}

bool json_scan(struct slice text, struct json_member *wanted, size_t count, enum json_kind *root)
{
    struct scanner scanner; /* not cleared: names and unescaped are large, and used up to their counts only */
    struct json_value value;
    scanner.at = text.data;
    scanner.end = text.data + text.size;
    scanner.wanted = wanted;
    scanner.wanted_count = count;
    scanner.name_count = scanner.unescaped_size = 0;
    for (size_t i = 0; i < count; i++)
        wanted[i].value = (struct json_value){ .kind = JSON_ABSENT };
    bool good = scan_value(&scanner, 0, &value) && scanner.at == scanner.end;
    *root = value.kind;
    return good;
}

/* The text was found valid as a part of another; what is within an element is nobody's top level. */
bool json_array_next(struct slice *rest, struct json_value *element)
{
    struct scanner scanner;
    if (rest->size < 2)
        return false;
    scanner.at = rest->data + 1; /* behind the bracket or a comma */
    scanner.end = rest->data + rest->size;
    scanner.wanted_count = scanner.name_count = scanner.unescaped_size = 0;
    bool found = scan_value(&scanner, 1, element);
    *rest = (struct slice){ scanner.at, found ? (size_t)(scanner.end - scanner.at) : 0 };
    return found;
}

static bool end_object(struct scanner *scanner, struct json_object *object)
{
    bool good = skip(scanner, '}');
    skip_space(scanner);
    object->broken = !good || scanner->at != scanner->end;
    return false;
}

bool json_object_next(struct json_object *object, struct json_value *name, struct json_value *value)
{
    struct scanner scanner;
    scanner.at = object->rest.data;
    scanner.end = object->rest.data + object->rest.size;
    scanner.wanted_count = scanner.name_count = scanner.unescaped_size = 0;
    if (!object->begun) {
        skip_space(&scanner);
        object->broken = !skip(&scanner, '{');
        skip_space(&scanner);
    }
    if (object->broken)
        return false;
    if (object->begun ? !skip(&scanner, ',') : next_is(&scanner, '}'))
        return end_object(&scanner, object);
    object->begun = true;
    object->broken = !scan_name(&scanner, name) || !scan_value(&scanner, 1, value);
    object->rest = (struct slice){ scanner.at, (size_t)(scanner.end - scanner.at) };
    return !object->broken;
}

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
