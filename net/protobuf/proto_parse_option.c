/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a .proto file: google.api.http, and what changes how fields are written; all else is read
 * over. */
#include "net/protobuf/proto_load.h"
#include "net/protobuf/proto_parse.h"

static const struct node_position *here(const struct proto_parser *parser)
{
    return &parser->scanner.token.position;
}

/* --- values --------------------------------------------------------------------------------------------- */

static void skip_value(struct proto_parser *parser);

/* From behind "{" or "[" to its end, whatever it is. */
static void skip_braces(struct proto_parser *parser, const char *end)
{
    if (++parser->depth > PROTO_NESTING_MAX)
        proto_fail(parser, here(parser), "options are nested too deep");
    while (!parser->failed && !proto_accept(parser, end)) {
        if (parser->scanner.token.kind == PROTO_END || proto_sees(parser, "}") || proto_sees(parser, "]"))
            proto_expect(parser, end);
        else
            skip_value(parser);
    }
    parser->depth--;
}

static void skip_value(struct proto_parser *parser)
{
    if (proto_accept(parser, "{"))
        skip_braces(parser, "}");
    else if (proto_accept(parser, "["))
        skip_braces(parser, "]");
    else if (parser->scanner.token.kind == PROTO_END || proto_sees(parser, ";"))
        proto_expect(parser, "a value");
    else
        proto_scanner_next(&parser->scanner);
}

static void skip_constant(struct proto_parser *parser)
{
    if (!proto_accept(parser, "-"))
        proto_accept(parser, "+");
    bool text = parser->scanner.token.kind == PROTO_TEXT;
    if (text)
        (void)proto_string(parser);
    else if (parser->scanner.token.kind == PROTO_WORD)
        (void)proto_name(parser);
    else
        skip_value(parser);
}

/* (a.b).c.d; the part in parentheses, or the first word, is *first and the rest *rest. */
static void parse_option_name(struct proto_parser *parser, struct slice *first, struct slice *rest)
{
    bool extension = proto_accept(parser, "(");
    *rest = (struct slice){ NULL, 0 };
    *first = extension ? proto_name(parser) : proto_word(parser);
    if (extension)
        proto_expect(parser, ")");
    while (!parser->failed && proto_accept(parser, ".")) {
        if (proto_accept(parser, "(")) {
            *rest = proto_name(parser);
            proto_expect(parser, ")");
        } else {
            *rest = proto_word(parser);
        }
    }
    if (extension && first->size > 0 && first->data[0] == '.')
        *first = slice_from(*first, 1);
}

/* --- google.api.http ------------------------------------------------------------------------------------ */

static struct proto_binding *add_binding(struct proto_parser *parser, struct proto_method *method)
{
    struct proto_binding *list =
        proto_append(parser->all->arena, method->bindings, &method->binding_count, sizeof(*list));
    if (list == NULL) {
        method->binding_count = 0;
        proto_fail(parser, here(parser), "out of memory");
        return NULL;
    }
    method->bindings = list;
    list[method->binding_count - 1].position = *here(parser);
    return &list[method->binding_count - 1];
}

static struct slice method_named(struct slice name)
{
    static const struct {
        const char *field, *method;
    } known[] = {
        { "get", "GET" }, { "put", "PUT" }, { "post", "POST" }, { "delete", "DELETE" }, { "patch", "PATCH" }
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_equal(name, slice_of(known[i].field)))
            return slice_of(known[i].method);
    return (struct slice){ NULL, 0 };
}

static void parse_custom(struct proto_parser *parser, struct proto_binding *binding)
{
    proto_accept(parser, ":");
    proto_expect(parser, "{");
    while (!parser->failed && !proto_accept(parser, "}")) {
        struct slice name = proto_word(parser);
        proto_accept(parser, ":");
        struct slice value = proto_string(parser);
        if (slice_equal(name, SLICE("kind")))
            binding->method = value;
        else
            binding->path = value;
        if (!proto_accept(parser, ","))
            proto_accept(parser, ";");
    }
}

static void parse_rule(struct proto_parser *parser, struct proto_method *method, bool additional);

static void parse_additional(struct proto_parser *parser, struct proto_method *method)
{
    proto_accept(parser, ":");
    if (!proto_accept(parser, "[")) {
        parse_rule(parser, method, true);
        return;
    }
    while (!parser->failed && !proto_accept(parser, "]")) {
        parse_rule(parser, method, true);
        proto_accept(parser, ",");
    }
}

/* A field of the rule whose place in the list is `index`: the list may move. */
static void parse_rule_field(struct proto_parser *parser, struct proto_method *method, uint32_t index)
{
    struct proto_binding *binding = &method->bindings[index];
    struct node_position position = *here(parser);
    struct slice name = proto_word(parser);
    if (slice_equal(name, SLICE("custom"))) {
        parse_custom(parser, binding);
        return;
    }
    proto_accept(parser, ":");
    struct slice value = proto_string(parser);
    if (parser->failed)
        return;
    struct slice verb = method_named(name);
    if (verb.data && binding->method.data) {
        proto_fail(parser, &position, "a second pattern");
    } else if (verb.data) {
        binding->method = verb;
        binding->path = value;
    } else if (slice_equal(name, SLICE("body"))) {
        binding->body = value.size > 0 ? value : binding->body;
    } else if (slice_equal(name, SLICE("response_body"))) {
        binding->response_body = value.size > 0 ? value : binding->response_body;
    } else if (!slice_equal(name, SLICE("selector"))) {
        proto_fail(parser, &position, "google.api.http has no field \"%.*s\"", SLICE_FORMAT(name));
    }
}

static void parse_rule(struct proto_parser *parser, struct proto_method *method, bool additional)
{
    struct node_position position = *here(parser);
    if (!proto_expect(parser, "{") || add_binding(parser, method) == NULL)
        return;
    uint32_t index = method->binding_count - 1;
    while (!parser->failed && !proto_accept(parser, "}")) {
        if (proto_sees(parser, "additional_bindings") && !additional) {
            proto_scanner_next(&parser->scanner);
            parse_additional(parser, method);
        } else {
            parse_rule_field(parser, method, index);
        }
        if (!proto_accept(parser, ","))
            proto_accept(parser, ";");
    }
    if (!parser->failed && method->bindings[index].method.data == NULL)
        proto_fail(parser, &position, "a rule needs get, put, post, delete, patch or custom");
}

/* option (google.api.http).get = "/v1/x"; several of them make one rule. */
static void parse_rule_part(struct proto_parser *parser, struct proto_method *method, struct slice field)
{
    struct node_position position = *here(parser);
    struct slice value = proto_string(parser), verb = method_named(field);
    struct proto_binding *binding = method->bindings ? method->bindings : add_binding(parser, method);
    if (parser->failed || binding == NULL)
        return;
    if (verb.data) {
        binding->method = verb;
        binding->path = value;
    } else if (slice_equal(field, SLICE("body"))) {
        binding->body = value;
    } else if (slice_equal(field, SLICE("response_body"))) {
        binding->response_body = value;
    } else {
        proto_fail(parser, &position, "google.api.http has no field \"%.*s\" that can be set so",
                   SLICE_FORMAT(field));
    }
}

void proto_option_statement(struct proto_parser *parser, struct proto_method *method)
{
    struct slice first, rest;
    parse_option_name(parser, &first, &rest);
    bool http = method && slice_equal(first, SLICE("google.api.http"));
    proto_expect(parser, "=");
    if (parser->failed)
        return;
    if (http && rest.data)
        parse_rule_part(parser, method, rest);
    else if (http)
        parse_rule(parser, method, false);
    else
        skip_constant(parser);
    proto_expect(parser, ";");
}

/* --- fields --------------------------------------------------------------------------------------------- */

static void parse_field_option(struct proto_parser *parser, struct proto_field *field)
{
    struct slice first, rest;
    parse_option_name(parser, &first, &rest);
    proto_expect(parser, "=");
    if (parser->failed)
        return;
    if (field && slice_equal(first, SLICE("json_name"))) {
        field->json_name = proto_string(parser);
    } else if (field && slice_equal(first, SLICE("packed"))) {
        field->packed = proto_sees(parser, "true");
        skip_constant(parser);
    } else {
        skip_constant(parser);
    }
}

void proto_field_options(struct proto_parser *parser, struct proto_field *field)
{
    if (!proto_accept(parser, "["))
        return;
    do
        parse_field_option(parser, field);
    while (!parser->failed && proto_accept(parser, ","));
    proto_expect(parser, "]");
}
