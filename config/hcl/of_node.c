/* SPDX-License-Identifier: Apache-2.0 */
/* Values of JSON documents as expressions: Terraform's other way to write its files. */
#include "config/hcl/parser.h"

struct conversion {
    const struct document_reading *reading;
    uint32_t depth, expressions;
};

static bool refuse(struct conversion *conversion, const struct node *node, const char *reason)
{
    if (conversion->reading->report)
        report_add(conversion->reading->report, REPORT_ERROR, &node->position, "", "%s", reason);
    return false;
}

static struct hcl_expression *new_expression(struct conversion *conversion, const struct node *node,
                                             enum hcl_kind kind)
{
    struct hcl_expression *expression = arena_alloc_zero(conversion->reading->arena, sizeof(*expression));
    bool good = expression != NULL || refuse(conversion, node, "out of memory");
    if (good && ++conversion->expressions > conversion->reading->limits->nodes)
        good = refuse(conversion, node, "too large: too many expressions");
    if (!good)
        return NULL;
    expression->kind = kind;
    expression->position = node->position;
    return expression;
}

/* The places inside are those of the text without its escapes. */
static struct hcl_expression *of_text(struct conversion *conversion, const struct node *node)
{
    struct hcl_parser parser = {
        .reading = conversion->reading,
        .file = node->position.file,
        .next = node->text.data,
        .end = node->text.data + node->text.size,
        .line = node->position.line,
        .mark = node->text.data,
        .mark_column = node->position.column + 1,
        .expressions = conversion->expressions,
        .depth = conversion->depth,
    };
    struct hcl_expression *text = hcl_read_template(&parser, HCL_AT_END_OF_TEXT, 0);
    conversion->expressions = parser.expressions;
    if (text)
        hcl_move(text, node->position);
    return text;
}

static struct hcl_expression *convert(struct conversion *conversion, const struct node *node);

static struct hcl_expression *of_collection(struct conversion *conversion, const struct node *node)
{
    bool of_keys = node->kind == NODE_MAPPING;
    struct hcl_expression *whole = new_expression(conversion, node, of_keys ? HCL_OBJECT : HCL_TUPLE);
    struct hcl_expression **end = whole ? &whole->first : NULL;
    for (uint32_t i = 0; end && i < node->count; i++) {
        const struct node_entry *entry = &node->entries[i];
        if (of_keys) {
            struct node key = { .kind = NODE_STRING, .position = entry->key_position, .text = entry->key };
            *end = of_text(conversion, &key);
            end = *end ? &(*end)->next : NULL;
        }
        if (end)
            *end = convert(conversion, entry->value);
        end = end && *end ? &(*end)->next : NULL;
    }
    return end ? whole : NULL;
}

static struct hcl_expression *convert(struct conversion *conversion, const struct node *node)
{
    if (node->kind == NODE_STRING)
        return of_text(conversion, node);
    if (node->kind == NODE_SEQUENCE || node->kind == NODE_MAPPING) {
        if (conversion->depth >= conversion->reading->limits->depth)
            return refuse(conversion, node, "nested too deep"), NULL;
        conversion->depth++;
        struct hcl_expression *whole = of_collection(conversion, node);
        conversion->depth--;
        return whole;
    }
    struct hcl_expression *value = new_expression(conversion, node, HCL_VALUE);
    if (value)
        value->value = node;
    return value;
}

struct hcl_expression *hcl_of_node(const struct node *node, const struct document_reading *reading)
{
    struct conversion conversion = { .reading = reading };
    return convert(&conversion, node);
}
