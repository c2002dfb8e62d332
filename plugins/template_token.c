/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/template_token.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *tree_fail_at(struct parser *parser, size_t at, const char *format, ...)
{
    struct template_error *error = parser->parse->error;
    if (error->reason[0] != '\0')
        return NULL;
    va_list arguments;
    error->offset = at;
    va_start(arguments, format);
    vsnprintf(error->reason, sizeof(error->reason), format, arguments);
    va_end(arguments);
    return NULL;
}

void *tree_fail(struct parser *parser, const char *reason)
{
    return tree_fail_at(parser, parser->token.at, "%s", reason);
}

static bool begins_name(char c)
{
    return (slice_lower(c) >= 'a' && slice_lower(c) <= 'z') || c == '_';
}

static char character(const struct parser *parser, size_t at)
{
    struct slice text = parser->parse->text;
    return at < text.size ? text.data[at] : '\0';
}

static struct token bad_token(struct parser *parser, size_t at, const char *reason)
{
    tree_fail_at(parser, at, "%s", reason);
    return (struct token){ .kind = TOKEN_BAD, .at = at };
}

/* \n, \120 and \x78; returns how many characters were read, 0 for an unknown escape. */
static size_t read_escape(const struct parser *parser, size_t at, char *out)
{
    static const char names[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
    char c = character(parser, at);
    const char *name = c ? strchr(names, c) : NULL;
    if (name) {
        *out = values[name - names];
        return 1;
    }
    if (c == 'x' && slice_hex_value(character(parser, at + 1)) >= 0 &&
        slice_hex_value(character(parser, at + 2)) >= 0) {
        *out = (char)(slice_hex_value(character(parser, at + 1)) << 4 |
                      slice_hex_value(character(parser, at + 2)));
        return 3;
    }
    if (!slice_is_digit(c)) {
        *out = c;
        return c == '\\' || c == '"' || c == '\'' || c == '\n' ? 1 : 0;
    }
    unsigned value = 0;
    size_t size = 0;
    while (size < 3 && slice_is_digit(character(parser, at + size)))
        value = value * 10 + (unsigned)(character(parser, at + size++) - '0');
    *out = (char)value;
    return value <= 255 ? size : 0;
}

static struct token read_string(struct parser *parser, size_t start)
{
    struct tree_parse *parse = parser->parse;
    char quote = character(parser, start), *out = arena_alloc(parse->arena, parse->text.size - start);
    size_t size = 0, at = start + 1;
    if (out == NULL)
        return bad_token(parser, start, "out of memory");
    while (at < parse->text.size && parse->text.data[at] != quote) {
        if (parse->text.data[at] == '\n')
            return bad_token(parser, start, "the string does not end");
        if (parse->text.data[at] != '\\') {
            out[size++] = parse->text.data[at++];
            continue;
        }
        size_t read = read_escape(parser, at + 1, &out[size++]);
        if (read == 0)
            return bad_token(parser, at, "an unknown escape");
        at += read + 1;
    }
    if (at == parse->text.size)
        return bad_token(parser, start, "the string does not end");
    parse->at = at + 1;
    return (struct token){ .kind = TOKEN_STRING, .at = start, .text = { out, size } };
}

/* [[...]] */
static struct token read_long_string(struct parser *parser, size_t start)
{
    struct slice rest = slice_from(parser->parse->text, start + 2);
    const char *end = memmem(rest.data, rest.size, "]]", 2);
    if (end == NULL)
        return bad_token(parser, start, "the string does not end");
    parser->parse->at = (size_t)(end - parser->parse->text.data) + 2;
    if (rest.size && rest.data[0] == '\n')
        rest = slice_from(rest, 1);
    return (
        struct token){ .kind = TOKEN_STRING, .at = start, .text = { rest.data, (size_t)(end - rest.data) } };
}

static struct token read_number(struct parser *parser, size_t start)
{
    char copy[40], *end;
    size_t at = start;
    while (slice_is_digit(character(parser, at)) || begins_name(character(parser, at)) ||
           (character(parser, at) == '.' && character(parser, at + 1) != '.') ||
           ((character(parser, at) == '+' || character(parser, at) == '-') && at > start &&
            slice_lower(character(parser, at - 1)) == 'e' &&
            slice_lower(character(parser, start + 1)) != 'x'))
        at++;
    if (at - start >= sizeof(copy))
        return bad_token(parser, start, "the number is too long");
    memcpy(copy, parser->parse->text.data + start, at - start);
    copy[at - start] = '\0';
    double number = strtod(copy, &end);
    if (*end != '\0')
        return bad_token(parser, start, "a malformed number");
    parser->parse->at = at;
    return (struct token){ .kind = TOKEN_NUMBER, .at = start, .number = number };
}

static struct token read_symbol(struct parser *parser, size_t start)
{
    static const char *const doubles[] = { "==", "~=", "<=", ">=", ".." };
    struct slice rest = slice_from(parser->parse->text, start);
    size_t size = 1;
    for (size_t i = 0; i < COUNT_OF(doubles); i++)
        if (slice_starts_with(rest, slice_of(doubles[i])))
            size = 2;
    parser->parse->at = start + size;
    return (struct token){ .kind = TOKEN_SYMBOL, .at = start, .text = { rest.data, size } };
}

static void skip_space(struct parser *parser)
{
    struct tree_parse *parse = parser->parse;
    while (parse->at < parse->text.size) {
        char c = parse->text.data[parse->at];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            parse->at++;
        } else if (c == '-' && character(parser, parse->at + 1) == '-') {
            const char *end = memchr(parse->text.data + parse->at, '\n', parse->text.size - parse->at);
            parse->at = end ? (size_t)(end - parse->text.data) : parse->text.size;
        } else {
            return;
        }
    }
}

void tree_next_token(struct parser *parser)
{
    struct tree_parse *parse = parser->parse;
    skip_space(parser);
    size_t start = parse->at, at = start;
    char c = character(parser, start);
    if (start == parse->text.size)
        parser->token = (struct token){ .kind = TOKEN_END, .at = start };
    else if (begins_name(c)) {
        while (begins_name(character(parser, at)) || slice_is_digit(character(parser, at)))
            at++;
        parse->at = at;
        parser->token = (struct token){ .kind = TOKEN_NAME,
                                        .at = start,
                                        .text = { parse->text.data + start, at - start } };
    } else if (slice_is_digit(c) || (c == '.' && slice_is_digit(character(parser, start + 1))))
        parser->token = read_number(parser, start);
    else if (c == '"' || c == '\'')
        parser->token = read_string(parser, start);
    else if (c == '[' && character(parser, start + 1) == '[')
        parser->token = read_long_string(parser, start);
    else
        parser->token = read_symbol(parser, start);
}

bool tree_is_word(const struct parser *parser, const char *word)
{
    return (parser->token.kind == TOKEN_NAME || parser->token.kind == TOKEN_SYMBOL) &&
           slice_equal(parser->token.text, slice_of(word));
}

bool tree_skip_word(struct parser *parser, const char *word)
{
    if (!tree_is_word(parser, word))
        return false;
    tree_next_token(parser);
    return true;
}

bool tree_expect(struct parser *parser, const char *word)
{
    if (tree_skip_word(parser, word))
        return true;
    tree_fail_at(parser, parser->token.at, "expected '%s'", word);
    return false;
}

bool tree_is_keyword(struct slice name)
{
    static const char *const keywords[] = { "and", "break",    "do",     "else", "elseif", "end",   "false",
                                            "for", "function", "if",     "in",   "local",  "nil",   "not",
                                            "or",  "repeat",   "return", "then", "true",   "until", "while" };
    for (size_t i = 0; i < COUNT_OF(keywords); i++)
        if (slice_equal(name, slice_of(keywords[i])))
            return true;
    return false;
}
