/* SPDX-License-Identifier: Apache-2.0 */
/* Texts: quoted ones, heredocs and those of JSON, with what stands in ${}. */
#include "config/hcl/parser.h"

#include <stdlib.h>

/* The literal characters between two expressions, as they are gathered. */
struct gathered {
    char *data;
    size_t size, capacity;
};

static bool gather(struct hcl_parser *parser, struct gathered *text, const char *bytes, size_t size)
{
    if (size > text->capacity - text->size) {
        size_t larger = text->capacity * 2 + size + 64;
        char *grown = realloc(text->data, larger);
        if (grown == NULL)
            return hcl_fail(parser, "out of memory");
        text->data = grown;
        text->capacity = larger;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    return true;
}

struct node *hcl_new_text(struct hcl_parser *parser, struct slice text)
{
    struct node *node = arena_alloc_zero(parser->reading->arena, sizeof(*node));
    if (node == NULL)
        return hcl_fail(parser, "out of memory"), NULL;
    node->kind = NODE_STRING;
    node->position = hcl_place(parser);
    node->text = arena_copy(parser->reading->arena, text.data ? text : SLICE(""));
    if (node->text.data == NULL)
        return hcl_fail(parser, "out of memory"), NULL;
    return node;
}

void hcl_move(struct hcl_expression *expression, struct node_position position)
{
    expression->position = position;
    if (expression->kind == HCL_VALUE) /* the node was made with it */
        ((struct node *)(uintptr_t)expression->value)->position = position;
}

/* A template being read. */
struct template
{
    struct hcl_parser *parser;
    struct hcl_expression *whole, **end;
    struct gathered text;
};

static bool add_part(struct template *template, struct hcl_expression *part)
{
    if (part == NULL)
        return false;
    *template->end = part;
    template->end = &part->next;
    return true;
}

static bool flush(struct template *template)
{
    if (template->text.size == 0)
        return true;
    struct hcl_expression *part = hcl_new(template->parser, HCL_VALUE);
    struct slice text = { template->text.data, template->text.size };
    struct node *node = part ? hcl_new_text(template->parser, text) : NULL;
    if (node == NULL)
        return false;
    node->position = part->position = template->whole->position;
    part->value = node;
    template->text.size = 0;
    return add_part(template, part);
}

/* What cannot be computed is only an error for who asks: other resources may hold anything. */
static bool add_unknown(struct template *template, struct slice what)
{
    struct hcl_expression *part = hcl_new(template->parser, HCL_UNKNOWN);
    if (part)
        part->text = what;
    return add_part(template, part);
}

/* Behind ${ to behind its }. */
static bool read_interpolation(struct template *template)
{
    struct hcl_parser *parser = template->parser;
    if (!flush(template) || !hcl_enter(parser))
        return false;
    bool trims = hcl_take(parser, "~");
    parser->brackets++;
    bool good = add_part(template, hcl_read_expression(parser));
    parser->brackets--;
    hcl_leave(parser);
    trims |= good && hcl_take(parser, "~");
    if (good && !hcl_take(parser, "}"))
        return hcl_fail(parser, "expected '}' behind the expression");
    return good && (!trims || add_unknown(template, SLICE("'~' beside an expression")));
}

/* Behind %{ to behind its }, which may stand in texts inside. */
static bool read_directive(struct template *template)
{
    struct hcl_parser *parser = template->parser;
    bool quoted = false;
    if (!flush(template) || !add_unknown(template, SLICE("directives '%{'")))
        return false;
    while (parser->next < parser->end && (quoted || *parser->next != '}')) {
        bool escape = quoted && *parser->next == '\\';
        quoted ^= *parser->next == '"';
        hcl_advance(parser);
        if (escape)
            hcl_advance(parser);
    }
    return hcl_take(parser, "}") || hcl_fail(parser, "a directive without its }");
}

static size_t write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = size; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(leads[size] | code);
    return size;
}

/* What follows \u or \U: `digits` hexadecimal ones. */
static bool read_code(struct template *template, int digits)
{
    struct hcl_parser *parser = template->parser;
    uint32_t code = 0;
    char bytes[4];
    for (int i = 0; i < digits; i++, parser->next++) {
        int digit = slice_hex_value(hcl_peek(parser));
        if (digit < 0)
            return hcl_fail(parser, "expected %d hexadecimal digits", digits);
        code = code << 4 | (uint32_t)digit;
    }
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return hcl_fail(parser, "this is the number of no character");
    return gather(parser, &template->text, bytes, write_utf8(bytes, code));
}

static bool read_escape(struct template *template)
{
    static const char from[] = "ntr\"\\", to[] = "\n\t\r\"\\";
    struct hcl_parser *parser = template->parser;
    char c = hcl_peek(parser);
    const char *found = c ? strchr(from, c) : NULL;
    if (c == 'u' || c == 'U') {
        parser->next++;
        return read_code(template, c == 'u' ? 4 : 8);
    }
    if (found == NULL)
        return hcl_fail(parser, "invalid escape in a text");
    parser->next++;
    return gather(parser, &template->text, &to[found - from], 1);
}

/* One step: an expression, an escape or a character. */
static bool read_piece(struct template *template, enum hcl_template_end end, uint32_t indent)
{
    struct hcl_parser *parser = template->parser;
    if (hcl_take(parser, "$${"))
        return gather(parser, &template->text, "${", 2);
    if (hcl_take(parser, "%%{"))
        return gather(parser, &template->text, "%{", 2);
    if (hcl_take(parser, "${"))
        return read_interpolation(template);
    if (hcl_take(parser, "%{"))
        return read_directive(template);
    if (end == HCL_AT_QUOTE && hcl_take(parser, "\\"))
        return read_escape(template);
    if (end == HCL_AT_QUOTE && hcl_peek(parser) == '\n')
        return hcl_fail(parser, "a text without an end");
    const char *at = parser->next;
    bool line_end = *at == '\n';
    hcl_advance(parser);
    if (!gather(parser, &template->text, at, 1))
        return false;
    for (uint32_t i = 0; line_end && i < indent && (hcl_peek(parser) == ' ' || hcl_peek(parser) == '\t'); i++)
        parser->next++;
    return true;
}

/* A template of one text is that text; of one expression, that one. */
static struct hcl_expression *simplify(struct template *template)
{
    struct hcl_expression *whole = template->whole;
    if (whole->first == NULL) {
        whole->kind = HCL_VALUE;
        whole->value = hcl_new_text(template->parser, SLICE(""));
        return whole->value ? whole : NULL;
    }
    if (whole->first->next == NULL) {
        whole->first->position = whole->position;
        return whole->first;
    }
    return whole;
}

struct hcl_expression *hcl_read_template(struct hcl_parser *parser, enum hcl_template_end end,
                                         uint32_t indent)
{
    struct template template = { .parser = parser, .whole = hcl_new(parser, HCL_TEMPLATE) };
    if (template.whole == NULL)
        return NULL;
    template.end = &template.whole->first;
    bool good = true;
    for (uint32_t i = 0; i < indent && (hcl_peek(parser) == ' ' || hcl_peek(parser) == '\t'); i++)
        parser->next++;
    while (good && parser->next < parser->end && (end != HCL_AT_QUOTE || *parser->next != '"'))
        good = read_piece(&template, end, indent);
    if (good && end == HCL_AT_QUOTE)
        good = hcl_take(parser, "\"") || hcl_fail(parser, "a text without an end");
    good = good && flush(&template);
    free(template.text.data);
    return good && !parser->failed ? simplify(&template) : NULL;
}

/* --- heredocs ------------------------------------------------------------------------------------------- */

struct heredoc {
    const char *end, *after; /* of its lines; behind the mark */
    uint32_t indent; /* of the least indented line, the one of the mark included */
};

static bool find_end(const struct hcl_parser *parser, struct slice mark, struct heredoc *out)
{
    const char *line = parser->next;
    out->indent = UINT32_MAX;
    while (line < parser->end) {
        const char *end = memchr(line, '\n', (size_t)(parser->end - line));
        end = end ? end : parser->end;
        struct slice text = slice_trim((struct slice){ line, (size_t)(end - line) });
        if (text.size && text.data[text.size - 1] == '\r')
            text.size--;
        uint32_t indent = text.size ? (uint32_t)(text.data - line) : UINT32_MAX;
        out->indent = indent < out->indent ? indent : out->indent;
        if (slice_equal(text, mark)) {
            out->end = line;
            out->after = text.data + text.size;
            return true;
        }
        line = end + 1;
    }
    return false;
}

struct hcl_expression *hcl_read_heredoc(struct hcl_parser *parser)
{
    bool indented = hcl_take(parser, "-");
    struct slice mark = hcl_take_name(parser);
    struct heredoc heredoc;
    if (mark.data == NULL)
        return hcl_fail(parser, "expected the mark of a text, as in <<EOF"), NULL;
    hcl_take(parser, "\r");
    if (hcl_peek(parser) != '\n')
        return hcl_fail(parser, "expected the end of the line behind <<%.*s", SLICE_FORMAT(mark)), NULL;
    hcl_advance(parser);
    if (!find_end(parser, mark, &heredoc))
        return hcl_fail(parser, "a text without its %.*s", SLICE_FORMAT(mark)), NULL;
    const char *end = parser->end;
    uint32_t brackets = parser->brackets;
    parser->end = heredoc.end;
    parser->brackets = 0;
    struct hcl_expression *text =
        hcl_read_template(parser, HCL_AT_END_OF_HEREDOC, indented ? heredoc.indent : 0);
    parser->brackets = brackets;
    parser->end = end;
    if (text)
        parser->next = heredoc.after;
    return text;
}
