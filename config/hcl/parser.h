/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one reading, shared by the grammars of bodies, expressions and templates, which call each
 * other. Used by config/hcl/read_*.c alone; lives on the stack of hcl_read. */
#pragma once

#include "config/hcl/hcl.h"

struct hcl_parser {
    const struct document_reading *reading;
    const char *file;
    const char *next, *end;
    uint32_t line;
    const char *mark; /* columns are counted from here */
    uint32_t mark_column;
    uint32_t expressions, depth;
    uint32_t brackets; /* open ones: a line's end is a blank then */
    bool failed;
};

/* What ends a template. */
enum hcl_template_end { HCL_AT_QUOTE, HCL_AT_END_OF_HEREDOC, HCL_AT_END_OF_TEXT };

/* Reports, and makes reading end. Always false. */
bool hcl_fail(struct hcl_parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct node_position hcl_place(struct hcl_parser *parser);
struct hcl_expression *hcl_new(struct hcl_parser *parser, enum hcl_kind kind);

/* One level deeper; false when it is one too many. Every true one ends with hcl_leave. */
bool hcl_enter(struct hcl_parser *parser);
void hcl_leave(struct hcl_parser *parser);

static inline char hcl_peek(const struct hcl_parser *parser)
{
    return parser->next < parser->end ? *parser->next : '\0';
}

/* The character behind the next one. */
static inline char hcl_peek_second(const struct hcl_parser *parser)
{
    return parser->end - parser->next > 1 ? parser->next[1] : '\0';
}

void hcl_advance(struct hcl_parser *parser); /* one character, counting lines */
void hcl_skip(struct hcl_parser *parser); /* blanks and comments; line ends too inside of brackets */
void hcl_skip_lines(struct hcl_parser *parser); /* and line ends */
bool hcl_take(struct hcl_parser *parser, const char *mark); /* true when the text goes on with it */
bool hcl_is_name_start(char c);
struct slice hcl_take_name(struct hcl_parser *parser); /* absent when there is none */

struct hcl_expression *hcl_read_expression(struct hcl_parser *parser);
struct hcl_expression *hcl_read_heredoc(struct hcl_parser *parser);

/* From behind the opening quote to behind the closing one, or to the end. `indent`: blanks left out at the
 * beginning of each line. */
struct hcl_expression *hcl_read_template(struct hcl_parser *parser, enum hcl_template_end end,
                                         uint32_t indent);
void hcl_move(struct hcl_expression *expression, struct node_position position); /* it begins there */
struct node *hcl_new_text(struct hcl_parser *parser, struct slice text);
