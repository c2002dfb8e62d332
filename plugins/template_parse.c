/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the part of Lua's expressions that templates know. */
#include "plugins/template_token.h"

static struct tree_node *new_node(struct parser *parser, enum tree_kind kind)
{
    if (parser->parse->nodes++ >= TEMPLATE_NODES_MAX)
        return tree_fail(parser, "the template is too long");
    struct tree_node *node = arena_alloc_zero(parser->parse->arena, sizeof(*node));
    if (node == NULL)
        return tree_fail(parser, "out of memory");
    node->kind = kind;
    return node;
}

static bool enter(struct parser *parser)
{
    if (parser->depth == TEMPLATE_DEPTH_MAX) {
        tree_fail(parser, "the expression is nested too deeply");
        return false;
    }
    parser->depth++;
    return true;
}

/* --- expressions ---------------------------------------------------------------------------------------- */

static struct tree_node *read_expression(struct parser *parser, unsigned above);
static struct tree_node *read_function(struct parser *parser);

static struct tree_node *constant(struct parser *parser, struct template_value value)
{
    struct tree_node *node = new_node(parser, TREE_CONSTANT);
    if (node)
        node->value = value;
    return node;
}

/* name or "name" of a table. */
static struct tree_node *read_key(struct parser *parser)
{
    if (tree_skip_word(parser, "[")) {
        struct tree_node *key = read_expression(parser, 0);
        return key && tree_expect(parser, "]") ? key : NULL;
    }
    tree_next_token(parser); /* "." */
    if (parser->token.kind != TOKEN_NAME || tree_is_keyword(parser->token.text))
        return tree_fail(parser, "expected a name");
    struct template_value name = { .kind = TEMPLATE_STRING, .text = parser->token.text };
    tree_next_token(parser);
    return constant(parser, name);
}

static struct tree_node *read_lookup(struct parser *parser, uint32_t root, struct slice name)
{
    struct tree_node *node = new_node(parser, TREE_LOOKUP);
    if (node == NULL)
        return NULL;
    node->number = root;
    if (!parser->parse->roots[root].is_table)
        return node;
    if (!tree_is_word(parser, ".") && !tree_is_word(parser, "["))
        return tree_fail_at(parser, parser->token.at, "%.*s is a table: say which of its values is meant",
                            SLICE_FORMAT(name));
    node->left = read_key(parser);
    if (node->left && tree_is_word(parser, "[")) /* one of several */
        node->right = read_key(parser);
    return node->left && parser->parse->error->reason[0] == '\0' ? node : NULL;
}

/* The arguments, of which `first` may be there already; the "(" is yet to come. */
static struct tree_node *read_call(struct parser *parser, uint32_t function, struct tree_node *first)
{
    struct tree_node *node = new_node(parser, TREE_CALL), *last = first;
    uint32_t count = first ? 1 : 0;
    size_t at = parser->token.at;
    if (node == NULL || !tree_expect(parser, "("))
        return NULL;
    node->number = function;
    node->left = first;
    for (bool more = !tree_is_word(parser, ")"); more; more = tree_skip_word(parser, ",")) {
        struct tree_node *argument = read_expression(parser, 0);
        if (argument == NULL)
            return NULL;
        if (last)
            last->next = argument;
        else
            node->left = argument;
        last = argument;
        if (++count > TREE_ARGUMENTS_MAX)
            break;
    }
    if (!tree_function_takes(function, count))
        return tree_fail_at(parser, at, "the function does not take so many arguments");
    const char *reason = tree_function_check(function, node->left);
    if (reason)
        return tree_fail_at(parser, at, "%s", reason);
    return tree_expect(parser, ")") ? node : NULL;
}

static struct tree_node *read_named(struct parser *parser)
{
    struct token token = parser->token;
    struct slice name = token.text;
    tree_next_token(parser);
    for (uint32_t i = parser->local_count; i > 0; i--)
        if (slice_equal(parser->locals[i - 1].name, name)) {
            struct tree_node *node = new_node(parser, TREE_LOCAL);
            if (node)
                node->number = parser->locals[i - 1].slot;
            return node;
        }
    for (uint32_t i = 0; parser->parse->roots[i].name; i++)
        if (slice_equal(name, slice_of(parser->parse->roots[i].name)))
            return read_lookup(parser, i, name);
    bool of_strings = slice_equal(name, SLICE("string")) && tree_is_word(parser, ".");
    if (of_strings) {
        tree_next_token(parser);
        token = parser->token;
        tree_next_token(parser);
    }
    uint32_t function = tree_function_find(token.text, of_strings);
    if (function == UINT32_MAX)
        return tree_fail_at(parser, token.at, "unknown name '%.*s%.*s'",
                            SLICE_FORMAT(of_strings ? SLICE("string.") : SLICE("")),
                            SLICE_FORMAT(token.text));
    if (!tree_is_word(parser, "("))
        return tree_fail_at(parser, token.at, "'%.*s' is a function: it can only be called",
                            SLICE_FORMAT(token.text));
    return read_call(parser, function, NULL);
}

static struct tree_node *read_word(struct parser *parser)
{
    if (tree_skip_word(parser, "nil"))
        return constant(parser, (struct template_value){ .kind = TEMPLATE_NIL });
    if (tree_skip_word(parser, "false"))
        return constant(parser, (struct template_value){ .kind = TEMPLATE_FALSE });
    if (tree_skip_word(parser, "true"))
        return constant(parser, (struct template_value){ .kind = TEMPLATE_TRUE });
    if (tree_is_keyword(parser->token.text))
        return tree_fail_at(parser, parser->token.at, "'%.*s' is not supported here",
                            SLICE_FORMAT(parser->token.text));
    return read_named(parser);
}

static struct tree_node *read_parenthesis(struct parser *parser)
{
    if (tree_skip_word(parser, "function"))
        return read_function(parser);
    struct tree_node *node = read_expression(parser, 0);
    return node && tree_expect(parser, ")") ? node : NULL;
}

static struct tree_node *read_primary(struct parser *parser)
{
    struct token token = parser->token;
    struct template_value value = { .kind = TEMPLATE_NUMBER, .number = token.number, .text = token.text };
    if (token.kind == TOKEN_NUMBER || token.kind == TOKEN_STRING) {
        value.kind = token.kind == TOKEN_NUMBER ? TEMPLATE_NUMBER : TEMPLATE_STRING;
        tree_next_token(parser);
        return constant(parser, value);
    }
    if (token.kind == TOKEN_NAME)
        return read_word(parser);
    if (tree_skip_word(parser, "("))
        return read_parenthesis(parser);
    if (token.kind == TOKEN_END)
        return tree_fail(parser, "expected an expression");
    return tree_fail_at(parser, token.at, "'%.*s' is not supported here", SLICE_FORMAT(token.text));
}

/* A value and the methods that are called of it. */
static struct tree_node *read_value(struct parser *parser)
{
    struct tree_node *node = read_primary(parser);
    while (node && tree_skip_word(parser, ":")) {
        uint32_t function =
            parser->token.kind == TOKEN_NAME ? tree_function_find(parser->token.text, true) : UINT32_MAX;
        if (function == UINT32_MAX)
            return tree_fail_at(parser, parser->token.at, "unknown method '%.*s'",
                                SLICE_FORMAT(parser->token.text));
        tree_next_token(parser);
        node = read_call(parser, function, node);
    }
    if (node && (tree_is_word(parser, ".") || tree_is_word(parser, "[") || tree_is_word(parser, "(")))
        return tree_fail_at(parser, parser->token.at, "'%.*s' is not supported here",
                            SLICE_FORMAT(parser->token.text));
    return node;
}

static const struct {
    const char *word;
    enum tree_kind kind;
    uint8_t left, right; /* how strongly it binds: greater right than left groups to the left */
} operators[] = {
    { "or", TREE_OR, 1, 2 },      { "and", TREE_AND, 3, 4 },       { "<", TREE_LESS, 5, 6 },
    { ">", TREE_MORE, 5, 6 },     { "<=", TREE_LESS_EQUAL, 5, 6 }, { ">=", TREE_MORE_EQUAL, 5, 6 },
    { "~=", TREE_UNEQUAL, 5, 6 }, { "==", TREE_EQUAL, 5, 6 },      { "..", TREE_CONCAT, 8, 7 },
    { "+", TREE_ADD, 9, 10 },     { "-", TREE_SUBTRACT, 9, 10 },   { "*", TREE_MULTIPLY, 11, 12 },
    { "/", TREE_DIVIDE, 11, 12 }, { "%", TREE_MODULO, 11, 12 },    { "^", TREE_POWER, 16, 15 },
};

enum { UNARY_BINDS = 14 };

static struct tree_node *read_unary(struct parser *parser)
{
    enum tree_kind kind = tree_is_word(parser, "not") ? TREE_NOT
                          : tree_is_word(parser, "-") ? TREE_NEGATE
                          : tree_is_word(parser, "#") ? TREE_SIZE
                                                      : TREE_CONSTANT;
    if (kind == TREE_CONSTANT)
        return read_value(parser);
    tree_next_token(parser);
    struct tree_node *node = new_node(parser, kind);
    if (node)
        node->left = read_expression(parser, UNARY_BINDS);
    return node && node->left ? node : NULL;
}

static struct tree_node *read_operators(struct parser *parser, unsigned above)
{
    struct tree_node *left = read_unary(parser);
    while (left) {
        size_t i = 0;
        while (i < COUNT_OF(operators) && !tree_is_word(parser, operators[i].word))
            i++;
        if (i == COUNT_OF(operators) || operators[i].left <= above)
            return left;
        tree_next_token(parser);
        struct tree_node *node = new_node(parser, operators[i].kind);
        if (node == NULL)
            return NULL;
        node->left = left;
        node->right = read_expression(parser, operators[i].right);
        left = node->right ? node : NULL;
    }
    return NULL;
}

static struct tree_node *read_expression(struct parser *parser, unsigned above)
{
    if (!enter(parser))
        return NULL;
    struct tree_node *node = read_operators(parser, above);
    parser->depth--;
    return node;
}

/* --- functions that are called at once ------------------------------------------------------------------ */

static struct tree_statement *read_block(struct parser *parser);

static struct tree_statement *new_statement(struct parser *parser, enum statement_kind kind)
{
    if (parser->parse->nodes++ >= TEMPLATE_NODES_MAX)
        return tree_fail(parser, "the template is too long");
    struct tree_statement *statement = arena_alloc_zero(parser->parse->arena, sizeof(*statement));
    if (statement == NULL)
        return tree_fail(parser, "out of memory");
    statement->kind = kind;
    return statement;
}

/* local name = value */
static struct tree_statement *read_local(struct parser *parser)
{
    struct tree_statement *statement = new_statement(parser, STATEMENT_SET);
    struct slice name = parser->token.text;
    if (parser->token.kind != TOKEN_NAME || tree_is_keyword(name))
        return tree_fail(parser, "expected the name of a variable");
    tree_next_token(parser);
    if (statement && tree_skip_word(parser, "="))
        statement->value = read_expression(parser, 0);
    else if (statement)
        statement->value = constant(parser, (struct template_value){ .kind = TEMPLATE_NIL });
    if (statement == NULL || statement->value == NULL)
        return NULL;
    if (parser->local_count == TEMPLATE_SLOTS_MAX || parser->slot_count == TEMPLATE_SLOTS_MAX)
        return tree_fail(parser, "too many variables");
    statement->slot = parser->slot_count++;
    parser->locals[parser->local_count++] = (struct local){ name, statement->slot };
    return statement;
}

/* name = value, of a local variable */
static struct tree_statement *read_assignment(struct parser *parser)
{
    struct tree_statement *statement = new_statement(parser, STATEMENT_SET);
    struct token token = parser->token;
    uint32_t i = parser->local_count;
    while (i > 0 && !(token.kind == TOKEN_NAME && slice_equal(parser->locals[i - 1].name, token.text)))
        i--;
    if (i == 0)
        return tree_fail_at(parser, token.at,
                            "only local, if, return and setting a local variable are supported");
    tree_next_token(parser);
    if (statement == NULL || !tree_expect(parser, "="))
        return NULL;
    statement->slot = parser->locals[i - 1].slot;
    statement->value = read_expression(parser, 0);
    return statement->value ? statement : NULL;
}

/* Behind `if` or `elseif`; takes the `end`. */
static struct tree_statement *read_if(struct parser *parser)
{
    struct tree_statement *statement = new_statement(parser, STATEMENT_IF);
    if (statement == NULL || !enter(parser))
        return NULL;
    statement->value = read_expression(parser, 0);
    if (statement->value == NULL || !tree_expect(parser, "then"))
        return NULL;
    statement->then = read_block(parser);
    bool more = false;
    if (tree_skip_word(parser, "elseif")) {
        statement->otherwise = read_if(parser);
        more = true;
    } else if (tree_skip_word(parser, "else")) {
        statement->otherwise = read_block(parser);
    }
    parser->depth--;
    if (parser->parse->error->reason[0] != '\0' || (!more && !tree_expect(parser, "end")))
        return NULL;
    return statement;
}

static struct tree_statement *read_return(struct parser *parser)
{
    struct tree_statement *statement = new_statement(parser, STATEMENT_RETURN);
    bool empty = tree_is_word(parser, "end") || tree_is_word(parser, ";") || tree_is_word(parser, "else") ||
                 tree_is_word(parser, "elseif");
    if (statement && !empty)
        statement->value = read_expression(parser, 0);
    return statement;
}

/* The statements up to the word that ends the block; NULL: none, or an error. */
static struct tree_statement *read_block(struct parser *parser)
{
    struct tree_statement *first = NULL, **link = &first;
    uint32_t locals = parser->local_count;
    bool returned = false;
    while (!returned && parser->parse->error->reason[0] == '\0' && !tree_is_word(parser, "end") &&
           !tree_is_word(parser, "else") && !tree_is_word(parser, "elseif")) {
        if (tree_skip_word(parser, ";"))
            continue;
        returned = tree_is_word(parser, "return");
        *link = tree_skip_word(parser, "local")    ? read_local(parser)
                : tree_skip_word(parser, "if")     ? read_if(parser)
                : tree_skip_word(parser, "return") ? read_return(parser)
                                                   : read_assignment(parser);
        if (*link == NULL)
            return NULL;
        link = &(*link)->next;
    }
    (void)(returned && tree_skip_word(parser, ";"));
    parser->local_count = locals;
    return first;
}

/* Behind "(function": "() block end)()". */
static struct tree_node *read_function(struct parser *parser)
{
    struct tree_node *node = new_node(parser, TREE_FUNCTION);
    if (parser->in_function)
        return tree_fail(parser, "a function within another is not supported");
    if (node == NULL || !tree_expect(parser, "(") || !tree_expect(parser, ")"))
        return NULL;
    parser->in_function = true;
    node->body = read_block(parser);
    parser->in_function = false;
    if (parser->parse->error->reason[0] != '\0' || !tree_expect(parser, "end") || !tree_expect(parser, ")") ||
        !tree_expect(parser, "(") || !tree_expect(parser, ")"))
        return NULL;
    return node;
}

const struct tree_node *tree_parse(struct tree_parse *parse)
{
    struct parser parser = { .parse = parse };
    tree_next_token(&parser);
    struct tree_node *node = read_expression(&parser, 0);
    if (node == NULL || parse->error->reason[0] != '\0')
        return NULL;
    parse->at = parser.token.at;
    return node;
}
