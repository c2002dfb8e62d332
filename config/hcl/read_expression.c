/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions, from the loosest operator to single values. */
#include "config/hcl/parser.h"

#include "config/scalar.h"

static struct hcl_expression *over(struct hcl_parser *parser, enum hcl_kind kind,
                                   struct hcl_expression *first)
{
    struct hcl_expression *whole = first ? hcl_new(parser, kind) : NULL;
    if (whole) {
        whole->first = first;
        whole->position = first->position;
    }
    return whole;
}

/* --- collections ---------------------------------------------------------------------------------------- */

/* `for k, v in` or `for v in`. */
static bool read_for_names(struct hcl_parser *parser, struct hcl_expression *loop)
{
    hcl_skip(parser);
    loop->text = hcl_take_name(parser);
    hcl_skip(parser);
    if (loop->text.data && hcl_take(parser, ",")) {
        hcl_skip(parser);
        loop->second_text = hcl_take_name(parser);
        hcl_skip(parser);
        if (loop->second_text.data == NULL)
            return hcl_fail(parser, "expected a name");
    }
    if (loop->text.data == NULL || !slice_equal(hcl_take_name(parser), SLICE("in")))
        return hcl_fail(parser, "expected 'for NAME in ...' or 'for KEY, NAME in ...'");
    return true;
}

static struct hcl_expression **add_read(struct hcl_parser *parser, struct hcl_expression **end)
{
    *end = end ? hcl_read_expression(parser) : NULL;
    return *end ? &(*end)->next : NULL;
}

static bool take_word(struct hcl_parser *parser, const char *word)
{
    const char *before = parser->next;
    if (slice_equal(hcl_take_name(parser), slice_of(word)))
        return true;
    parser->next = before;
    return false;
}

/* Behind `for`, to behind the bracket that ends it. */
static struct hcl_expression *read_for(struct hcl_parser *parser, bool of_object)
{
    struct hcl_expression *loop = hcl_new(parser, HCL_FOR);
    if (loop == NULL || !read_for_names(parser, loop))
        return NULL;
    struct hcl_expression **end = add_read(parser, &loop->first);
    if (end == NULL)
        return NULL;
    if (!hcl_take(parser, ":"))
        return hcl_fail(parser, "expected ':'"), NULL;
    end = add_read(parser, end);
    if (end && of_object) {
        loop->has_key = true;
        if (!hcl_take(parser, "=>"))
            return hcl_fail(parser, "expected '=>'"), NULL;
        end = add_read(parser, end);
        loop->expands = end && hcl_take(parser, "...");
        hcl_skip(parser);
    }
    if (end && take_word(parser, "if")) {
        loop->has_condition = true;
        end = add_read(parser, end);
    }
    if (end == NULL)
        return NULL;
    if (!hcl_take(parser, of_object ? "}" : "]"))
        return hcl_fail(parser, "expected '%c'", of_object ? '}' : ']'), NULL;
    return loop;
}

/* Elements up to `end`, which is taken. */
static bool read_elements(struct hcl_parser *parser, struct hcl_expression *whole, const char *mark)
{
    struct hcl_expression **end = &whole->first;
    hcl_skip(parser);
    while (!hcl_take(parser, mark)) {
        struct hcl_expression *element = hcl_read_expression(parser);
        if (element == NULL)
            return false;
        *end = element;
        end = &element->next;
        if (whole->kind == HCL_CALL && hcl_take(parser, "..."))
            whole->expands = true;
        hcl_skip(parser);
        if (!hcl_take(parser, ",")) {
            hcl_skip(parser);
            return hcl_take(parser, mark) || hcl_fail(parser, "expected ',' or '%s'", mark);
        }
        hcl_skip(parser);
    }
    return true;
}

static struct hcl_expression *read_tuple(struct hcl_parser *parser)
{
    hcl_skip(parser);
    if (take_word(parser, "for"))
        return read_for(parser, false);
    struct hcl_expression *tuple = hcl_new(parser, HCL_TUPLE);
    return tuple && read_elements(parser, tuple, "]") ? tuple : NULL;
}

/* A bare name is the key; anything else is computed. */
static struct hcl_expression *read_key(struct hcl_parser *parser)
{
    const char *before = parser->next;
    struct node_position position = hcl_place(parser);
    struct slice name = hcl_take_name(parser);
    hcl_skip(parser);
    if (name.data &&
        (hcl_peek(parser) == ':' || (hcl_peek(parser) == '=' && hcl_peek_second(parser) != '='))) {
        struct hcl_expression *key = hcl_new(parser, HCL_VALUE);
        if (key)
            key->value = hcl_new_text(parser, name);
        if (key == NULL || key->value == NULL)
            return NULL;
        hcl_move(key, position);
        return key;
    }
    parser->next = before;
    return hcl_read_expression(parser);
}

/* Entries end with a comma or a line's end. */
static bool read_entries(struct hcl_parser *parser, struct hcl_expression *object)
{
    struct hcl_expression **end = &object->first;
    for (;;) {
        parser->brackets++;
        hcl_skip(parser);
        parser->brackets--;
        if (hcl_take(parser, "}"))
            return true;
        struct hcl_expression *key = read_key(parser);
        if (key == NULL)
            return false;
        hcl_skip(parser);
        if (!hcl_take(parser, "=") && !hcl_take(parser, ":"))
            return hcl_fail(parser, "expected '=' behind the key");
        key->next = hcl_read_expression(parser);
        if (key->next == NULL)
            return false;
        *end = key;
        end = &key->next->next;
        hcl_skip(parser);
        char c = hcl_peek(parser);
        if (c != '}' && c != '\n' && !hcl_take(parser, ","))
            return hcl_fail(parser, "expected ',', '}' or the end of the line");
    }
}

static struct hcl_expression *read_object(struct hcl_parser *parser)
{
    hcl_skip_lines(parser);
    if (take_word(parser, "for"))
        return read_for(parser, true);
    struct hcl_expression *object = hcl_new(parser, HCL_OBJECT);
    uint32_t brackets = parser->brackets;
    parser->brackets = 0;
    bool good = object && read_entries(parser, object);
    parser->brackets = brackets;
    return good ? object : NULL;
}

/* --- single values -------------------------------------------------------------------------------------- */

static struct hcl_expression *read_number(struct hcl_parser *parser)
{
    struct hcl_expression *number = hcl_new(parser, HCL_VALUE);
    const char *start = parser->next;
    while (parser->next < parser->end) {
        char c = *parser->next;
        bool sign = (c == '+' || c == '-') && (parser->next[-1] == 'e' || parser->next[-1] == 'E');
        bool point = c == '.' && hcl_peek_second(parser) >= '0' && hcl_peek_second(parser) <= '9';
        if (!(c >= '0' && c <= '9') && c != 'e' && c != 'E' && !sign && !point)
            break;
        parser->next++;
    }
    struct node *node =
        number ? hcl_new_text(parser, (struct slice){ start, (size_t)(parser->next - start) }) : NULL;
    if (node == NULL)
        return NULL;
    node->position = number->position;
    number->value = node;
    return scalar_number(node) ? number : (hcl_fail(parser, "this is no number"), NULL);
}

static struct hcl_expression *read_call(struct hcl_parser *parser, struct hcl_expression *call)
{
    call->kind = HCL_CALL;
    parser->brackets++;
    bool good = read_elements(parser, call, ")");
    parser->brackets--;
    return good ? call : NULL;
}

/* true, false, null, a function or the beginning of a reference. */
static struct hcl_expression *read_word(struct hcl_parser *parser)
{
    struct hcl_expression *word = hcl_new(parser, HCL_NAME);
    if (word == NULL)
        return NULL;
    word->text = hcl_take_name(parser);
    if (word->text.data == NULL)
        return NULL;
    while (hcl_take(parser, "::")) { /* of a provider */
        struct slice name = hcl_take_name(parser);
        word->text =
            arena_format(parser->reading->arena, "%.*s::%.*s", SLICE_FORMAT(word->text), SLICE_FORMAT(name));
        if (name.data == NULL || word->text.data == NULL)
            return hcl_fail(parser, "expected a name behind '::'"), NULL;
    }
    if (hcl_take(parser, "("))
        return read_call(parser, word);
    bool is_true = slice_equal(word->text, SLICE("true"));
    bool is_null = slice_equal(word->text, SLICE("null"));
    if (!is_true && !is_null && !slice_equal(word->text, SLICE("false")))
        return word;
    struct node *node = hcl_new_text(parser, word->text);
    if (node == NULL)
        return NULL;
    node->kind = is_null ? NODE_NULL : NODE_BOOLEAN;
    node->boolean = is_true;
    node->position = word->position;
    word->kind = HCL_VALUE;
    word->value = node;
    return word;
}

static struct hcl_expression *read_in_brackets(struct hcl_parser *parser, const char *opening)
{
    struct hcl_expression *inner = NULL;
    struct node_position position = hcl_place(parser);
    hcl_take(parser, opening);
    parser->brackets++;
    switch (opening[0]) {
    case '[': inner = read_tuple(parser); break;
    case '{': inner = read_object(parser); break;
    case '(':
        inner = hcl_read_expression(parser);
        if (inner && !hcl_take(parser, ")")) {
            hcl_fail(parser, "expected ')'");
            inner = NULL;
        }
        break;
    }
    parser->brackets--;
    if (inner)
        inner->position = position;
    return inner;
}

static struct hcl_expression *read_primary(struct hcl_parser *parser)
{
    char c = hcl_peek(parser);
    struct node_position position = hcl_place(parser);
    struct hcl_expression *text = NULL;
    if (c == '(' || c == '[' || c == '{')
        return read_in_brackets(parser, c == '(' ? "(" : c == '[' ? "[" : "{");
    if (c >= '0' && c <= '9')
        return read_number(parser);
    if (hcl_is_name_start(c))
        return read_word(parser);
    if (hcl_take(parser, "\""))
        text = hcl_read_template(parser, HCL_AT_QUOTE, 0);
    else if (hcl_take(parser, "<<"))
        text = hcl_read_heredoc(parser);
    else
        hcl_fail(parser,
                 parser->next >= parser->end ? "unexpected end: a value is expected" : "a value is expected");
    if (text)
        hcl_move(text, position);
    return text;
}

/* --- what stands behind a value ------------------------------------------------------------------------- */

static struct hcl_expression *read_steps(struct hcl_parser *parser, struct hcl_expression *of);

/* The rest of the steps belongs to each element. */
static struct hcl_expression *read_splat(struct hcl_parser *parser, struct hcl_expression *of)
{
    struct hcl_expression *splat = over(parser, HCL_SPLAT, of);
    struct hcl_expression *item = splat ? hcl_new(parser, HCL_ITEM) : NULL;
    if (item == NULL || !hcl_enter(parser))
        return NULL;
    of->next = read_steps(parser, item);
    hcl_leave(parser);
    return of->next ? splat : NULL;
}

/* `[` was taken. */
static struct hcl_expression *read_index(struct hcl_parser *parser, struct hcl_expression *of)
{
    struct hcl_expression *index = over(parser, HCL_INDEX, of);
    if (index == NULL)
        return NULL;
    parser->brackets++;
    of->next = hcl_read_expression(parser);
    parser->brackets--;
    if (of->next == NULL)
        return NULL;
    return hcl_take(parser, "]") ? index : (hcl_fail(parser, "expected ']'"), NULL);
}

/* `.` was taken: a name, or a number as in older texts. */
static struct hcl_expression *read_attribute(struct hcl_parser *parser, struct hcl_expression *of)
{
    struct hcl_expression *step = over(parser, HCL_ATTRIBUTE, of);
    const char *start = parser->next;
    if (step == NULL)
        return NULL;
    step->text = hcl_take_name(parser);
    while (step->text.data == NULL && hcl_peek(parser) >= '0' && hcl_peek(parser) <= '9')
        parser->next++;
    if (step->text.data == NULL && parser->next > start)
        step->text =
            arena_copy(parser->reading->arena, (struct slice){ start, (size_t)(parser->next - start) });
    return step->text.data ? step : (hcl_fail(parser, "expected a name behind '.'"), NULL);
}

static struct hcl_expression *read_steps(struct hcl_parser *parser, struct hcl_expression *of)
{
    while (of && !parser->failed) {
        bool point = hcl_peek(parser) == '.' && hcl_peek_second(parser) != '.';
        if (hcl_take(parser, "[*]") || (point && hcl_take(parser, ".*")))
            return read_splat(parser, of);
        if (point && hcl_take(parser, "."))
            of = read_attribute(parser, of);
        else if (hcl_take(parser, "["))
            of = read_index(parser, of);
        else
            return of;
    }
    return of;
}

static struct hcl_expression *read_unary(struct hcl_parser *parser)
{
    hcl_skip(parser);
    char c = hcl_peek(parser);
    if (c != '-' && (c != '!' || hcl_peek_second(parser) == '='))
        return read_steps(parser, read_primary(parser));
    struct hcl_expression *unary = hcl_new(parser, HCL_UNARY);
    if (unary == NULL || !hcl_enter(parser))
        return NULL;
    parser->next++;
    unary->text = c == '-' ? SLICE("-") : SLICE("!");
    unary->first = read_unary(parser);
    hcl_leave(parser);
    return unary->first ? unary : NULL;
}

/* --- operators ------------------------------------------------------------------------------------------ */

enum { LEVELS = 6, PER_LEVEL = 4 };

/* From the loosest level on; longer marks before those they begin with. */
static const char *const operators[LEVELS][PER_LEVEL] = {
    { "||" }, { "&&" }, { "==", "!=" }, { "<=", ">=", "<", ">" }, { "+", "-" }, { "*", "/", "%" },
};

static const char *take_operator(struct hcl_parser *parser, int level)
{
    hcl_skip(parser);
    for (int i = 0; i < PER_LEVEL && operators[level][i]; i++)
        if (hcl_take(parser, operators[level][i]))
            return operators[level][i];
    return NULL;
}

static struct hcl_expression *read_level(struct hcl_parser *parser, int level)
{
    if (level == LEVELS)
        return read_unary(parser);
    struct hcl_expression *left = read_level(parser, level + 1);
    const char *mark;
    while (left && (mark = take_operator(parser, level)) != NULL) {
        struct hcl_expression *both = over(parser, HCL_BINARY, left);
        if (both == NULL)
            return NULL;
        both->text = slice_of(mark);
        left->next = read_level(parser, level + 1);
        left = left->next ? both : NULL;
    }
    return left;
}

static struct hcl_expression *read_choice(struct hcl_parser *parser, struct hcl_expression *condition)
{
    struct hcl_expression *choice = over(parser, HCL_CONDITION, condition);
    if (choice == NULL)
        return NULL;
    condition->next = hcl_read_expression(parser);
    if (condition->next == NULL)
        return NULL;
    if (!hcl_take(parser, ":"))
        return hcl_fail(parser, "expected ':'"), NULL;
    condition->next->next = hcl_read_expression(parser);
    return condition->next->next ? choice : NULL;
}

struct hcl_expression *hcl_read_expression(struct hcl_parser *parser)
{
    if (!hcl_enter(parser))
        return NULL;
    struct hcl_expression *expression = read_level(parser, 0);
    hcl_skip(parser);
    if (expression && hcl_take(parser, "?"))
        expression = read_choice(parser, expression);
    hcl_skip(parser);
    hcl_leave(parser);
    return parser->failed ? NULL : expression;
}
