/* SPDX-License-Identifier: Apache-2.0 */
/* Characters, names and bodies. */
#include "config/hcl/parser.h"

#include <stdarg.h>
#include <stdio.h>

struct node_position hcl_place(struct hcl_parser *parser)
{
    for (; parser->mark < parser->next; parser->mark++)
        parser->mark_column += ((unsigned char)*parser->mark & 0xc0) != 0x80;
    return (struct node_position){ parser->file, parser->line, parser->mark_column };
}

bool hcl_fail(struct hcl_parser *parser, const char *format, ...)
{
    if (parser->failed)
        return false;
    parser->failed = true;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct node_position position = hcl_place(parser);
    if (parser->reading->report)
        report_add(parser->reading->report, REPORT_ERROR, &position, "", "%s", text);
    return false;
}

struct hcl_expression *hcl_new(struct hcl_parser *parser, enum hcl_kind kind)
{
    struct hcl_expression *expression = arena_alloc_zero(parser->reading->arena, sizeof(*expression));
    if (expression == NULL)
        return hcl_fail(parser, "out of memory"), NULL;
    expression->kind = kind;
    expression->position = hcl_place(parser);
    if (++parser->expressions > parser->reading->limits->nodes)
        return hcl_fail(parser, "too large: more than %u expressions", parser->reading->limits->nodes), NULL;
    return expression;
}

bool hcl_enter(struct hcl_parser *parser)
{
    if (parser->depth >= parser->reading->limits->depth)
        return hcl_fail(parser, "nested deeper than %u levels", parser->reading->limits->depth);
    parser->depth++;
    return true;
}

void hcl_leave(struct hcl_parser *parser)
{
    parser->depth--;
}

void hcl_advance(struct hcl_parser *parser)
{
    if (parser->next >= parser->end)
        return;
    if (*parser->next++ != '\n')
        return;
    parser->line++;
    parser->mark = parser->next;
    parser->mark_column = 1;
}

bool hcl_take(struct hcl_parser *parser, const char *mark)
{
    size_t size = strlen(mark);
    if ((size_t)(parser->end - parser->next) < size || memcmp(parser->next, mark, size) != 0)
        return false;
    parser->next += size; /* no mark holds a line's end */
    return true;
}

static void skip_line_comment(struct hcl_parser *parser)
{
    while (parser->next < parser->end && *parser->next != '\n')
        parser->next++;
}

static void skip_block_comment(struct hcl_parser *parser)
{
    while (parser->next < parser->end) {
        if (hcl_take(parser, "*/"))
            return;
        hcl_advance(parser);
    }
    hcl_fail(parser, "a comment without its */");
}

void hcl_skip(struct hcl_parser *parser)
{
    for (;;) {
        char c = hcl_peek(parser);
        if (parser->next >= parser->end)
            return;
        if (c == '#' || (c == '/' && hcl_peek_second(parser) == '/'))
            skip_line_comment(parser);
        else if (c == '/' && hcl_peek_second(parser) == '*')
            skip_block_comment(parser);
        else if (c == ' ' || c == '\t' || c == '\r' || (c == '\n' && parser->brackets))
            hcl_advance(parser);
        else
            return;
    }
}

void hcl_skip_lines(struct hcl_parser *parser)
{
    uint32_t before = parser->brackets;
    parser->brackets = 1;
    hcl_skip(parser);
    parser->brackets = before;
}

bool hcl_is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

struct slice hcl_take_name(struct hcl_parser *parser)
{
    const char *start = parser->next;
    if (!hcl_is_name_start(hcl_peek(parser)))
        return (struct slice){ NULL, 0 };
    while (parser->next < parser->end && (hcl_is_name_start(*parser->next) || *parser->next == '-' ||
                                          (*parser->next >= '0' && *parser->next <= '9')))
        parser->next++;
    struct slice name = { start, (size_t)(parser->next - start) };
    struct slice copy = arena_copy(parser->reading->arena, name);
    if (copy.data == NULL)
        hcl_fail(parser, "out of memory");
    return copy;
}

/* --- bodies --------------------------------------------------------------------------------------------- */

static bool read_body(struct hcl_parser *parser, struct hcl_body *body, bool nested);

enum { LABELS_MAX = 8 };

/* "resource" "aws_x" "name": texts without templates, or bare names. */
static bool read_labels(struct hcl_parser *parser, struct hcl_item *item)
{
    struct slice labels[LABELS_MAX];
    while (hcl_peek(parser) != '{') {
        struct slice name = hcl_take_name(parser);
        if (item->labels.count == LABELS_MAX)
            return hcl_fail(parser, "a block has at most %d labels", LABELS_MAX);
        if (name.data == NULL && hcl_take(parser, "\"")) {
            struct hcl_expression *text = hcl_read_template(parser, HCL_AT_QUOTE, 0);
            if (text == NULL)
                return false;
            if (text->kind != HCL_VALUE)
                return hcl_fail(parser, "a label is a plain text");
            name = text->value->text;
        }
        if (name.data == NULL)
            return hcl_fail(parser, parser->next >= parser->end
                                        ? "unexpected end: a block without its {"
                                        : "expected '=' and a value, or a block in braces");
        labels[item->labels.count++] = name;
        hcl_skip(parser);
    }
    if (item->labels.count == 0)
        return true;
    item->labels.items = arena_array(parser->reading->arena, item->labels.count, sizeof(struct slice));
    if (item->labels.items == NULL)
        return hcl_fail(parser, "out of memory");
    memcpy(item->labels.items, labels, item->labels.count * sizeof(*labels));
    return true;
}

static bool read_block(struct hcl_parser *parser, struct hcl_item *item)
{
    struct hcl_body *body = arena_alloc_zero(parser->reading->arena, sizeof(*body));
    if (body == NULL)
        return hcl_fail(parser, "out of memory");
    item->body = body;
    if (!read_labels(parser, item) || !hcl_take(parser, "{") || !hcl_enter(parser))
        return false;
    uint32_t brackets = parser->brackets;
    parser->brackets = 0;
    bool good = read_body(parser, body, true);
    parser->brackets = brackets;
    hcl_leave(parser);
    return good;
}

static bool read_line_end(struct hcl_parser *parser)
{
    hcl_skip(parser);
    char c = hcl_peek(parser);
    if (c == '\n' || c == '}' || parser->next >= parser->end)
        return true;
    return hcl_fail(parser, "expected the end of the line");
}

static struct hcl_item *read_item(struct hcl_parser *parser)
{
    struct hcl_item *item = arena_alloc_zero(parser->reading->arena, sizeof(*item));
    if (item == NULL)
        return hcl_fail(parser, "out of memory"), NULL;
    item->position = hcl_place(parser);
    if (++parser->expressions > parser->reading->limits->nodes)
        return hcl_fail(parser, "too large: more than %u expressions", parser->reading->limits->nodes), NULL;
    item->name = hcl_take_name(parser);
    if (item->name.data == NULL)
        return hcl_fail(parser, "expected a name"), NULL;
    hcl_skip(parser);
    if (hcl_peek(parser) == '=' && hcl_peek_second(parser) != '=') {
        parser->next++;
        item->value = hcl_read_expression(parser);
        return item->value && read_line_end(parser) ? item : NULL;
    }
    return read_block(parser, item) && read_line_end(parser) ? item : NULL;
}

static bool is_twice(const struct hcl_body *body, const struct hcl_item *item)
{
    const struct hcl_item *known = body->first;
    while (known && (known->value == NULL || !slice_equal(known->name, item->name)))
        known = known->next;
    return item->value && known;
}

/* To the brace that ends a block, or to the end of the text. */
static bool read_body(struct hcl_parser *parser, struct hcl_body *body, bool nested)
{
    struct hcl_item **end = &body->first;
    body->position = hcl_place(parser);
    for (;;) {
        hcl_skip_lines(parser);
        if (parser->failed)
            return false;
        if (parser->next >= parser->end)
            return !nested || hcl_fail(parser, "unexpected end: a block without its }");
        if (nested && hcl_take(parser, "}"))
            return true;
        struct hcl_item *item = read_item(parser);
        if (item == NULL)
            return false;
        if (is_twice(body, item) && parser->reading->report) {
            report_add(parser->reading->report, REPORT_ERROR, &item->position, "",
                       "'%.*s' is set twice in one block", SLICE_FORMAT(item->name));
            return !(parser->failed = true);
        }
        *end = item;
        end = &item->next;
    }
}

struct hcl_body *hcl_read(struct slice text, const char *file, const struct document_reading *reading)
{
    struct hcl_parser parser = { .reading = reading, .line = 1, .mark_column = 1 };
    struct hcl_body *body = arena_alloc_zero(reading->arena, sizeof(*body));
    struct slice name = arena_copy(reading->arena, slice_of(file));
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
        text = slice_from(text, 3);
    parser.file = name.data ? name.data : "";
    parser.next = parser.mark = text.data ? text.data : "";
    parser.end = parser.next + text.size;
    if (body == NULL || name.data == NULL)
        return hcl_fail(&parser, "out of memory"), NULL;
    if (text.size > reading->limits->file_bytes)
        return hcl_fail(&parser, "too large: more than %zu bytes", reading->limits->file_bytes), NULL;
    if (text.size && memchr(text.data, '\0', text.size))
        return hcl_fail(&parser, "a NUL byte: this is no text"), NULL;
    return read_body(&parser, body, false) && !parser.failed ? body : NULL;
}

const struct hcl_item *hcl_find(const struct hcl_body *body, const char *name)
{
    for (const struct hcl_item *item = body->first; item; item = item->next)
        if (slice_equal(item->name, slice_of(name)))
            return item;
    return NULL;
}
