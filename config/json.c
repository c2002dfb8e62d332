/* SPDX-License-Identifier: Apache-2.0 */
#include "config/json.h"

#include "config/scalar.h"

struct json {
    struct builder *builder;
    const char *next, *end;
    uint32_t line;
    const char *mark; /* columns are counted from here: a long line is walked once, not once per node */
    uint32_t mark_column;
};

static uint32_t column(struct json *json)
{
    for (; json->mark < json->next; json->mark++)
        json->mark_column += ((unsigned char)*json->mark & 0xc0) != 0x80;
    return json->mark_column;
}

static bool fail(struct json *json, const char *reason)
{
    return builder_fail(json->builder, json->line, column(json), "%s", reason);
}

static char peek(const struct json *json)
{
    return json->next < json->end ? *json->next : '\0';
}

static void skip_space(struct json *json)
{
    for (; json->next < json->end; json->next++) {
        char c = *json->next;
        if (c == '\n') {
            json->line++;
            json->mark = json->next + 1;
            json->mark_column = 1;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
    }
}

/* Four hex digits at json->next; negative when they are not there. */
static int32_t read_hex4(struct json *json)
{
    int32_t value = 0;
    if (json->end - json->next < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = slice_hex_value(json->next[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    json->next += 4;
    return value;
}

static char *write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* What follows `\u`: one unit, or a pair of surrogates. NULL when it is no character. */
static char *read_unicode(struct json *json, char *out)
{
    int32_t high = read_hex4(json);
    if (high <= 0)
        return fail(json, high < 0 ? "invalid \\u escape" : "a NUL character is not allowed"), NULL;
    if (high < 0xd800 || high > 0xdfff)
        return write_utf8(out, (uint32_t)high);
    bool pair = high < 0xdc00 && json->end - json->next >= 6 && json->next[0] == '\\' && json->next[1] == 'u';
    json->next += pair ? 2 : 0;
    int32_t low = pair ? read_hex4(json) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(json, "half of a surrogate pair"), NULL;
    return write_utf8(out, 0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
}

static char *read_escape(struct json *json, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = peek(json);
    json->next += json->next < json->end;
    if (c == 'u')
        return read_unicode(json, out);
    const char *found = c ? strchr(from, c) : NULL;
    if (found == NULL)
        return fail(json, "invalid escape in a string"), NULL;
    *out = to[found - from];
    return out + 1;
}

/* The bytes of one character that is not ASCII, well-formed and shortest (RFC 3629); 0 when it is not. */
static size_t utf8_size(const char *text, size_t size)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t need = c[0] >= 0xc2 && c[0] <= 0xdf ? 2 : (c[0] & 0xf0) == 0xe0 ? 3 : 0;
    if (c[0] >= 0xf0 && c[0] <= 0xf4)
        need = 4;
    if (need == 0 || size < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool beyond = (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf4 && c[1] > 0x8f);
    return overlong || beyond ? 0 : need;
}

/* From after the opening quote to after the closing one. `out` has room: no escape grows. */
static char *read_characters(struct json *json, char *out)
{
    while (json->next < json->end) {
        char c = *json->next;
        size_t size = 1;
        if (c == '"') {
            json->next++;
            return out;
        }
        if (c == '\\') {
            json->next++;
            out = read_escape(json, out);
            if (out == NULL)
                return NULL;
            continue;
        }
        if ((unsigned char)c < ' ')
            return fail(json, "control character in a string"), NULL;
        if ((unsigned char)c >= 0x80)
            size = utf8_size(json->next, (size_t)(json->end - json->next));
        if (size == 0)
            return fail(json, "invalid UTF-8"), NULL;
        memcpy(out, json->next, size);
        out += size;
        json->next += size;
    }
    return fail(json, "a string without an end"), NULL;
}

/* Bytes up to the closing quote, escapes as written. */
static size_t string_bound(const struct json *json)
{
    const char *c = json->next;
    while (c < json->end && *c != '"')
        c += *c == '\\' && c + 1 < json->end ? 2 : 1;
    return (size_t)(c - json->next);
}

static bool read_string(struct json *json)
{
    struct node *node = builder_node(json->builder, NODE_STRING, json->line, column(json));
    if (node == NULL)
        return false;
    json->next++;
    char *text = arena_alloc(json->builder->arena, string_bound(json) + 1);
    if (text == NULL)
        return fail(json, "out of memory");
    char *end = read_characters(json, text);
    if (end == NULL)
        return false;
    *end = '\0';
    node->text = (struct slice){ text, (size_t)(end - text) };
    return builder_scalar(json->builder, node, (struct slice){ NULL, 0 });
}

/* RFC 8259 is narrower than YAML: no leading zero or plus, digits on both sides of the point. */
static bool is_json_number(struct slice text)
{
    size_t at = text.data[0] == '-';
    size_t digits = strspn(text.data + at, "0123456789");
    if (digits == 0 || (digits > 1 && text.data[at] == '0'))
        return false;
    at += digits;
    return text.data[at] != '.' || strspn(text.data + at + 1, "0123456789") > 0;
}

/* true, false, null or a number. */
static bool read_word(struct json *json)
{
    const char *start = json->next;
    struct node *node = builder_node(json->builder, NODE_STRING, json->line, column(json));
    if (node == NULL)
        return false;
    const char *end = start;
    while (end < json->end && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *end) && *end != '\0')
        end++;
    node->text = arena_copy(json->builder->arena, (struct slice){ start, (size_t)(end - start) });
    if (node->text.data == NULL)
        return fail(json, "out of memory");
    if (slice_equal(node->text, SLICE("true")) || slice_equal(node->text, SLICE("false")) ||
        slice_equal(node->text, SLICE("null")))
        scalar_resolve(node);
    else if (!is_json_number(node->text) || !scalar_number(node))
        return fail(json, end == json->end && end == start ? "unexpected end" : "a value is expected");
    json->next = end;
    return builder_scalar(json->builder, node, (struct slice){ NULL, 0 });
}

static bool read_begin(struct json *json)
{
    enum node_kind kind = *json->next == '{' ? NODE_MAPPING : NODE_SEQUENCE;
    struct node *node = builder_node(json->builder, kind, json->line, column(json));
    if (node == NULL || !builder_begin(json->builder, node, (struct slice){ NULL, 0 }))
        return false;
    json->next++;
    return true;
}

static const struct node *open_collection(const struct json *json)
{
    const struct builder *builder = json->builder;
    return builder->depth ? builder->frames[builder->depth - 1].node : NULL;
}

/* "key" and its colon. */
static bool read_key(struct json *json)
{
    if (peek(json) != '"')
        return fail(json, "a key in quotes is expected");
    if (!read_string(json))
        return false;
    skip_space(json);
    if (peek(json) != ':')
        return fail(json, "':' is expected");
    json->next++;
    skip_space(json);
    return true;
}

/* After a complete value: closes what ends here and goes on to the next value, if there is one. */
static bool read_after(struct json *json, bool *more)
{
    for (;;) {
        const struct node *open = open_collection(json);
        skip_space(json);
        *more = open != NULL;
        if (open == NULL)
            return true;
        bool mapping = open->kind == NODE_MAPPING;
        char c = peek(json);
        json->next += c == ',';
        if (c == ',') {
            skip_space(json);
            return !mapping || read_key(json);
        }
        if (c != (mapping ? '}' : ']'))
            return fail(json, mapping ? "',' or '}' is expected" : "',' or ']' is expected");
        json->next++;
        if (!builder_end(json->builder))
            return false;
    }
}

/* One value; of a collection that is not empty only its beginning. */
static bool read_value(struct json *json, bool *complete)
{
    char c = peek(json);
    *complete = true;
    if (c == '"')
        return read_string(json);
    if (c != '{' && c != '[')
        return read_word(json);
    if (!read_begin(json))
        return false;
    skip_space(json);
    if (peek(json) == (c == '{' ? '}' : ']')) {
        json->next++;
        return builder_end(json->builder);
    }
    *complete = false;
    return c == '[' || read_key(json);
}

bool json_read(struct builder *builder, struct slice text)
{
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        text = slice_from(text, 3);
    struct json json = { builder, text.data, text.data + text.size, 1, text.data, 1 };
    bool more = true;
    skip_space(&json);
    while (more) {
        bool complete;
        if (!read_value(&json, &complete))
            return false;
        if (complete && !read_after(&json, &more))
            return false;
    }
    skip_space(&json);
    return json.next == json.end || fail(&json, "unexpected text after the value");
}
