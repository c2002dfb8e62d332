/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/template_tree.h"

#include <stdio.h>

static struct template_piece *add_piece(struct arena *arena, struct template_piece ***link, struct slice text)
{
    struct template_piece *piece = arena_alloc_zero(arena, sizeof(*piece));
    if (piece == NULL)
        return NULL;
    piece->text = text;
    **link = piece;
    *link = &piece->next;
    return piece;
}

static const struct template *refuse(struct template_error *error, size_t offset, const char *reason)
{
    if (error->reason[0] == '\0') {
        error->offset = offset;
        snprintf(error->reason, sizeof(error->reason), "%s", reason);
    }
    return NULL;
}

const struct template *template_compile(struct arena *arena, struct slice text,
                                        const struct template_root *roots, struct template_error *error)
{
    struct template *template = arena_alloc_zero(arena, sizeof(*template));
    struct tree_parse parse = { .arena = arena, .text = text, .roots = roots, .error = error };
    error->reason[0] = '\0';
    if (template == NULL)
        return refuse(error, 0, "out of memory");
    struct template_piece **link = &template->pieces;
    for (size_t start = 0;;) {
        const char *sign = start < text.size ? memmem(text.data + start, text.size - start, "$(", 2) : NULL;
        size_t end = sign ? (size_t)(sign - text.data) : text.size;
        struct template_piece *piece = add_piece(
            arena, &link, (struct slice){ start < text.size ? text.data + start : "", end - start });
        if (piece == NULL)
            return refuse(error, start, "out of memory");
        if (sign == NULL)
            return template;
        parse.at = end + 2;
        piece->expression = tree_parse(&parse);
        if (piece->expression == NULL)
            return refuse(error, end, "not a known expression");
        if (parse.at == text.size || text.data[parse.at] != ')')
            return refuse(error, parse.at,
                          parse.at == text.size ? "the $( has no )" : "not supported in an expression");
        start = parse.at + 1;
    }
}

struct slice template_constant(const struct template *template)
{
    return template->pieces->expression ? (struct slice){ NULL, 0 } : template->pieces->text;
}

/* The parts one after the other; one alone is not copied. */
static enum template_result join(const struct template *template, const struct slice *parts,
                                 struct arena *arena, struct slice *text)
{
    size_t size = 0, index = 0, used = 0;
    for (const struct template_piece *piece = template->pieces; piece; piece = piece->next)
        size += piece->text.size + (piece->expression ? parts[index++].size : 0);
    if (size > TEMPLATE_TEXT_BYTES_MAX)
        return TEMPLATE_FAILED;
    char *out = arena_alloc(arena, size + 1);
    if (out == NULL)
        return TEMPLATE_OUT_OF_MEMORY;
    index = 0;
    for (const struct template_piece *piece = template->pieces; piece; piece = piece->next) {
        const struct slice both[] = { piece->text, piece->expression ? parts[index++] : SLICE("") };
        for (size_t i = 0; i < COUNT_OF(both); i++) {
            if (both[i].size)
                memcpy(out + used, both[i].data, both[i].size);
            used += both[i].size;
        }
    }
    *text = (struct slice){ out, used };
    return TEMPLATE_RENDERED;
}

/* The value as text; nil and false are none. */
static enum template_result render_expression(const struct tree_node *expression,
                                              const struct template_scope *scope, struct slice *text)
{
    struct template_value value;
    enum template_result result = tree_evaluate(expression, scope, &value);
    *text = SLICE("");
    if (result != TEMPLATE_RENDERED || value.kind == TEMPLATE_NIL || value.kind == TEMPLATE_FALSE)
        return result;
    if (value.kind == TEMPLATE_TRUE)
        *text = SLICE("true");
    else if (!tree_to_text(scope->arena, &value, &result))
        return result;
    else
        *text = value.text;
    return TEMPLATE_RENDERED;
}

enum template_result template_render(const struct template *template, const struct template_scope *scope,
                                     struct slice *text)
{
    const struct template_piece *first = template->pieces;
    *text = first->text;
    if (first->expression == NULL)
        return TEMPLATE_RENDERED;
    if (first->text.size == 0 && first->next->text.size == 0 && first->next->expression == NULL)
        return render_expression(first->expression, scope, text);
    size_t count = 0;
    for (const struct template_piece *piece = first; piece; piece = piece->next)
        count += piece->expression != NULL;
    struct slice *parts = arena_array(scope->arena, count, sizeof(*parts));
    if (parts == NULL)
        return TEMPLATE_OUT_OF_MEMORY;
    count = 0;
    for (const struct template_piece *piece = first; piece->expression; piece = piece->next) {
        enum template_result result = render_expression(piece->expression, scope, &parts[count++]);
        if (result != TEMPLATE_RENDERED)
            return result;
    }
    return join(template, parts, scope->arena, text);
}
