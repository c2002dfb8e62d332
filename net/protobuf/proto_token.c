/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_token.h"

static void step(struct proto_scanner *scanner)
{
    if (*scanner->at++ == '\n') {
        scanner->line++;
        scanner->column = 1;
    } else {
        scanner->column++;
    }
}

static bool sees(const struct proto_scanner *scanner, const char *text)
{
    size_t size = strlen(text);
    return (size_t)(scanner->end - scanner->at) >= size && memcmp(scanner->at, text, size) == 0;
}

static void skip_comment(struct proto_scanner *scanner)
{
    bool line = scanner->at[1] == '/';
    step(scanner);
    step(scanner);
    while (scanner->at < scanner->end && !(line ? *scanner->at == '\n' : sees(scanner, "*/")))
        step(scanner);
    if (line)
        return;
    if (scanner->at == scanner->end) {
        scanner->reason = "a comment has no end";
        return;
    }
    step(scanner);
    step(scanner);
}

static void skip_space(struct proto_scanner *scanner)
{
    while (scanner->at < scanner->end && scanner->reason == NULL) {
        char c = *scanner->at;
        if (sees(scanner, "//") || sees(scanner, "/*"))
            skip_comment(scanner);
        else if (c == ' ' || (c >= '\t' && c <= '\r'))
            step(scanner);
        else
            return;
    }
}

static bool is_letter(char c)
{
    return c == '_' || (slice_lower(c) >= 'a' && slice_lower(c) <= 'z');
}

static bool is_word(char c)
{
    return is_letter(c) || slice_is_digit(c);
}

static void read_word(struct proto_scanner *scanner)
{
    const char *begin = scanner->at;
    while (scanner->at < scanner->end && is_word(*scanner->at))
        step(scanner);
    scanner->token.kind = PROTO_WORD;
    scanner->token.text = (struct slice){ begin, (size_t)(scanner->at - begin) };
}

static bool to_integer(struct slice text, uint64_t *number)
{
    unsigned base = 10;
    size_t from = 0;
    if (text.size > 1 && text.data[0] == '0') {
        base = slice_lower(text.data[1]) == 'x' ? 16 : 8;
        from = base == 16 ? 2 : 1;
    }
    *number = 0;
    for (size_t i = from; i < text.size; i++) {
        int digit = slice_hex_value(text.data[i]);
        if (digit < 0 || (unsigned)digit >= base || __builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, (uint64_t)digit, number))
            return false;
    }
    return text.size > from;
}

static void read_number(struct proto_scanner *scanner)
{
    const char *begin = scanner->at;
    bool is_float = false, hex = sees(scanner, "0x") || sees(scanner, "0X");
    while (scanner->at < scanner->end && (is_word(*scanner->at) || *scanner->at == '.')) {
        bool exponent = !hex && slice_lower(*scanner->at) == 'e';
        is_float |= exponent || *scanner->at == '.';
        step(scanner);
        if (exponent && (sees(scanner, "+") || sees(scanner, "-")))
            step(scanner);
    }
    scanner->token.text = (struct slice){ begin, (size_t)(scanner->at - begin) };
    scanner->token.kind = is_float ? PROTO_FLOAT_NUMBER : PROTO_INTEGER;
    if (!is_float && !to_integer(scanner->token.text, &scanner->token.number))
        scanner->reason = "no valid number";
}

/* Octal and hexadecimal escapes: up to `most` digits. */
static char read_coded(struct proto_scanner *scanner, unsigned base, unsigned most)
{
    unsigned value = 0;
    for (unsigned i = 0; i < most && scanner->at < scanner->end; i++) {
        int digit = slice_hex_value(*scanner->at);
        if (digit < 0 || (unsigned)digit >= base)
            break;
        value = value * base + (unsigned)digit;
        step(scanner);
    }
    return (char)(unsigned char)value;
}

static char read_escape(struct proto_scanner *scanner)
{
    static const char names[] = "abfnrtv\\'\"?", meant[] = "\a\b\f\n\r\t\v\\'\"?";
    char c = *scanner->at;
    const char *found = c ? strchr(names, c) : NULL;
    if (c >= '0' && c <= '7')
        return read_coded(scanner, 8, 3);
    step(scanner);
    if (c == 'x' || c == 'X')
        return read_coded(scanner, 16, 2);
    if (found == NULL)
        scanner->reason = "no such escape";
    return found ? meant[found - names] : '\0';
}

/* One literal into `out`, which has room for it. */
static size_t read_literal(struct proto_scanner *scanner, char *out)
{
    char quote = *scanner->at;
    size_t size = 0;
    step(scanner);
    while (scanner->at < scanner->end && *scanner->at != quote && *scanner->at != '\n' && !scanner->reason) {
        char c = *scanner->at;
        step(scanner);
        if (c == '\\' && scanner->at < scanner->end)
            c = read_escape(scanner);
        out[size++] = c;
    }
    if (scanner->at == scanner->end || *scanner->at != quote)
        scanner->reason = scanner->reason ? scanner->reason : "a string has no end";
    else
        step(scanner);
    return size;
}

static void read_text(struct proto_scanner *scanner)
{
    size_t bound = 1, left = (size_t)(scanner->end - scanner->at);
    while (bound < left && scanner->at[bound] != *scanner->at && scanner->at[bound] != '\n')
        bound += scanner->at[bound] == '\\' ? 2 : 1;
    char *out = arena_alloc(scanner->arena, bound + 1);
    if (out == NULL) {
        scanner->reason = "out of memory";
        return;
    }
    size_t size = read_literal(scanner, out);
    scanner->token.kind = PROTO_TEXT;
    scanner->token.text = (struct slice){ out, size };
}

static void read_one(struct proto_scanner *scanner)
{
    skip_space(scanner);
    scanner->token =
        (struct proto_token){ PROTO_END, SLICE(""), 0, { scanner->file, scanner->line, scanner->column } };
    if (scanner->reason || scanner->at == scanner->end)
        return;
    char c = *scanner->at;
    bool fraction = c == '.' && scanner->end - scanner->at > 1 && slice_is_digit(scanner->at[1]);
    if (is_letter(c)) {
        read_word(scanner);
    } else if (slice_is_digit(c) || fraction) {
        read_number(scanner);
    } else if (c == '"' || c == '\'') {
        read_text(scanner);
    } else if (c > ' ' && c < 0x7f) {
        scanner->token.kind = PROTO_SYMBOL;
        scanner->token.text = (struct slice){ scanner->at, 1 };
        step(scanner);
    } else {
        scanner->reason = "a character that has no place here";
    }
}

void proto_scanner_next(struct proto_scanner *scanner)
{
    read_one(scanner);
    if (scanner->reason)
        scanner->token.kind = PROTO_END;
}

void proto_scanner_init(struct proto_scanner *scanner, const char *file, struct slice text,
                        struct arena *arena)
{
    *scanner = (struct proto_scanner){
        .at = text.data, .end = text.data + text.size, .file = file, .line = 1, .column = 1, .arena = arena
    };
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        scanner->at += 3;
    proto_scanner_next(scanner);
}
