/* SPDX-License-Identifier: Apache-2.0 */
/* The letters of expressions: names, operators, literals. */
#include "config/kong/expression_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void set_position(struct kong_parser *parser, size_t at)
{
    const char *text = parser->source->text.data;
    parser->error->line = parser->error->column = 1;
    for (size_t i = 0; i < at && i < parser->source->text.size; i++) {
        parser->error->column++;
        if (text[i] == '\n') {
            parser->error->line++;
            parser->error->column = 1;
        }
    }
}

bool kong_parse_fail(struct kong_parser *parser, size_t at, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    if (parser->failed)
        return false;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    parser->failed = true;
    parser->error->reason = arena_copy(parser->source->arena, slice_of(reason));
    set_position(parser, at);
    return false;
}

bool kong_parse_no_memory(struct kong_parser *parser)
{
    parser->failed = true;
    parser->error->reason = (struct slice){ NULL, 0 };
    return false;
}

static struct slice rest_of(const struct kong_parser *parser)
{
    return slice_from(parser->source->text, parser->at);
}

void kong_parse_space(struct kong_parser *parser)
{
    struct slice text = parser->source->text;
    while (parser->at < text.size && strchr(" \t\r\n", text.data[parser->at]) && text.data[parser->at])
        parser->at++;
}

static bool is_letter(char c)
{
    return slice_lower(c) >= 'a' && slice_lower(c) <= 'z';
}

static bool is_name_byte(char c)
{
    return is_letter(c) || slice_is_digit(c) || c == '_' || c == '.';
}

bool kong_parse_token(struct kong_parser *parser, const char *token)
{
    size_t size = strlen(token);
    struct slice rest = rest_of(parser);
    if (!slice_starts_with(rest, slice_of(token)))
        return false;
    if (is_letter(token[0]) && size < rest.size && is_name_byte(rest.data[size]))
        return false;
    parser->at += size;
    return true;
}

struct slice kong_parse_name(struct kong_parser *parser)
{
    struct slice rest = rest_of(parser);
    size_t size = 0;
    if (rest.size && is_letter(rest.data[0]))
        while (size < rest.size && is_name_byte(rest.data[size]))
            size++;
    parser->at += size;
    return (struct slice){ rest.data, size };
}

/* --- texts ---------------------------------------------------------------------------------------------- */

/* The byte that a backslash and `c` stand for, or -1. */
static int escaped(char c)
{
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return -1;
    }
}

/* Behind the quote. */
static bool parse_quoted(struct kong_parser *parser, struct kong_literal *literal)
{
    struct slice rest = rest_of(parser);
    char *out = arena_alloc(parser->source->arena, rest.size);
    size_t size = 0, i = 0;
    if (out == NULL)
        return kong_parse_no_memory(parser);
    for (; i < rest.size && rest.data[i] != '"'; i++) {
        int byte = (unsigned char)rest.data[i];
        if (byte == '\\') {
            byte = i + 1 < rest.size ? escaped(rest.data[i + 1]) : -1;
            if (byte < 0)
                return kong_parse_fail(parser, parser->at + i, "unknown escape");
            i++;
        }
        out[size++] = (char)byte;
    }
    if (i == rest.size)
        return kong_parse_fail(parser, parser->at + i, "expected \" at the end of a string");
    parser->at += i + 1;
    *literal = (struct kong_literal){ .kind = KONG_TEXT, .text = { out, size } };
    return true;
}

/* Behind r#" */
static bool parse_raw(struct kong_parser *parser, struct kong_literal *literal)
{
    struct slice rest = rest_of(parser);
    const char *end = memmem(rest.data, rest.size, "\"#", 2);
    if (end == NULL)
        return kong_parse_fail(parser, parser->source->text.size, "expected \"# at the end of a raw string");
    *literal = (struct kong_literal){ .kind = KONG_TEXT, .text = { rest.data, (size_t)(end - rest.data) } };
    parser->at += literal->text.size + 2;
    return true;
}

/* --- numbers and addresses ------------------------------------------------------------------------------ */

static bool read_number(struct slice text, int64_t *number)
{
    bool negative = text.size && text.data[0] == '-';
    int base = 10;
    if (negative)
        text = slice_from(text, 1);
    if (slice_starts_with(text, SLICE("0x"))) {
        base = 16;
        text = slice_from(text, 2);
    } else if (text.size > 1 && text.data[0] == '0' && text.data[1] >= '0' && text.data[1] < '8') {
        base = 8;
    }
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = slice_hex_value(text.data[i]);
        if (digit < 0 || digit >= base || __builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, negative ? -digit : digit, number))
            return false;
    }
    return text.size > 0;
}

static bool parse_address(struct kong_parser *parser, size_t at, struct slice word,
                          struct kong_literal *literal)
{
    bool range = memchr(word.data, '/', word.size) != NULL;
    const char *reason = match_range_parse(word, &literal->range);
    literal->kind = range ? KONG_RANGE : KONG_ADDRESS;
    if (reason == NULL && range && match_range_has_host_bits(&literal->range))
        reason = "host part of address was not zero";
    if (reason != NULL)
        return kong_parse_fail(parser, at, "'%.*s': %s", SLICE_FORMAT(word), reason);
    return true;
}

static bool parse_word(struct kong_parser *parser, struct kong_literal *literal)
{
    struct slice rest = rest_of(parser);
    size_t start = parser->at, size = rest.size && rest.data[0] == '-';
    while (size < rest.size && (is_letter(rest.data[size]) || slice_is_digit(rest.data[size]) ||
                                (strchr(":./", rest.data[size]) && rest.data[size])))
        size++;
    struct slice word = { rest.data, size };
    if (size == 0 || (!slice_is_digit(word.data[0]) && word.data[0] != '-' && !memchr(word.data, ':', size)))
        return kong_parse_fail(parser, start, "expected a string, a number, an IP address or a CIDR");
    *literal = (struct kong_literal){ .kind = KONG_NUMBER };
    parser->at += size;
    if (memchr(word.data, ':', size) || memchr(word.data, '.', size))
        return parse_address(parser, start, word, literal);
    if (!read_number(word, &literal->number))
        return kong_parse_fail(parser, start, "'%.*s' is no number of 64 bits", SLICE_FORMAT(word));
    return true;
}

bool kong_parse_literal(struct kong_parser *parser, struct kong_literal *literal)
{
    if (kong_parse_token(parser, "\""))
        return parse_quoted(parser, literal);
    if (slice_starts_with(rest_of(parser), SLICE("r#\""))) {
        parser->at += 3;
        return parse_raw(parser, literal);
    }
    return parse_word(parser, literal);
}
