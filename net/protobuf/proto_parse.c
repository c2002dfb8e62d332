/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_parse.h"

#include <stdarg.h>
#include <stdio.h>

enum { REASON_BYTES = 256, NAME_BYTES_MAX = 1024 };

/* --- words ---------------------------------------------------------------------------------------------- */

void proto_fail(struct proto_parser *parser, const struct node_position *position, const char *format, ...)
{
    char reason[REASON_BYTES];
    va_list arguments;
    if (parser->failed)
        return;
    parser->failed = true;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    report_add(parser->place->report, REPORT_ERROR, position, parser->place->path, "%s", reason);
}

static struct proto_token *token_of(struct proto_parser *parser)
{
    return &parser->scanner.token;
}

static void unexpected(struct proto_parser *parser, const char *wanted)
{
    const struct proto_token *token = token_of(parser);
    if (parser->scanner.reason)
        proto_fail(parser, &token->position, "%s", parser->scanner.reason);
    else if (token->kind == PROTO_END)
        proto_fail(parser, &token->position, "expected %s, found the end of the file", wanted);
    else
        proto_fail(parser, &token->position, "expected %s, found \"%.*s\"", wanted,
                   (int)(token->text.size < 64 ? token->text.size : 64), token->text.data);
}

bool proto_sees(const struct proto_parser *parser, const char *text)
{
    const struct proto_token *token = &parser->scanner.token;
    return !parser->failed && (token->kind == PROTO_WORD || token->kind == PROTO_SYMBOL) &&
           slice_equal(token->text, slice_of(text));
}

bool proto_accept(struct proto_parser *parser, const char *text)
{
    if (!proto_sees(parser, text))
        return false;
    proto_scanner_next(&parser->scanner);
    return true;
}

bool proto_expect(struct proto_parser *parser, const char *text)
{
    char wanted[32];
    if (proto_accept(parser, text))
        return true;
    snprintf(wanted, sizeof(wanted), "\"%s\"", text);
    unexpected(parser, wanted);
    return false;
}

struct slice proto_word(struct proto_parser *parser)
{
    struct slice text = token_of(parser)->text;
    if (parser->failed || token_of(parser)->kind != PROTO_WORD) {
        unexpected(parser, "a name");
        return (struct slice){ NULL, 0 };
    }
    proto_scanner_next(&parser->scanner);
    return text;
}

struct slice proto_string(struct proto_parser *parser)
{
    struct slice text = token_of(parser)->text;
    if (parser->failed || token_of(parser)->kind != PROTO_TEXT) {
        unexpected(parser, "a string");
        return (struct slice){ NULL, 0 };
    }
    proto_scanner_next(&parser->scanner);
    while (token_of(parser)->kind == PROTO_TEXT) { /* literals that follow each other are one */
        struct slice more = token_of(parser)->text;
        char *joined = arena_alloc(parser->all->arena, text.size + more.size + 1);
        if (joined == NULL) {
            unexpected(parser, "memory");
            return (struct slice){ NULL, 0 };
        }
        memcpy(joined, text.data, text.size);
        memcpy(joined + text.size, more.data, more.size);
        text = (struct slice){ joined, text.size + more.size };
        proto_scanner_next(&parser->scanner);
    }
    return text;
}

struct slice proto_join(struct proto_parser *parser, struct slice scope, struct slice name)
{
    if (scope.size == 0)
        return name;
    struct slice joined = { NULL, 0 };
    if (scope.size + name.size < NAME_BYTES_MAX)
        joined = arena_format(parser->all->arena, "%.*s.%.*s", SLICE_FORMAT(scope), SLICE_FORMAT(name));
    if (joined.data == NULL)
        proto_fail(parser, &token_of(parser)->position, "a name that is too long");
    return joined;
}

struct slice proto_name(struct proto_parser *parser)
{
    bool absolute = proto_accept(parser, ".");
    struct slice name = proto_word(parser);
    if (absolute && name.data)
        name = arena_format(parser->all->arena, ".%.*s", SLICE_FORMAT(name));
    while (name.data && proto_accept(parser, ".")) {
        struct slice part = proto_word(parser);
        name = part.data ? proto_join(parser, name, part) : part;
    }
    return name;
}

bool proto_number(struct proto_parser *parser, int64_t min, int64_t max, int64_t *number)
{
    struct node_position position = token_of(parser)->position;
    bool negative = proto_accept(parser, "-");
    uint64_t magnitude = token_of(parser)->number;
    if (parser->failed || token_of(parser)->kind != PROTO_INTEGER) {
        unexpected(parser, "an integer");
        return false;
    }
    *number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (magnitude > INT64_MAX || *number < min || *number > max) {
        proto_fail(parser, &position, "expected an integer from %lld to %lld", (long long)min,
                   (long long)max);
        return false;
    }
    proto_scanner_next(&parser->scanner);
    return true;
}

void *proto_append(struct arena *arena, void *items, uint32_t *count, size_t size)
{
    bool full = (*count & (*count - 1)) == 0; /* capacities are powers of two */
    char *list = full ? arena_array(arena, *count ? 2 * (size_t)*count : 1, size) : items;
    if (list == NULL)
        return NULL;
    if (full && *count)
        memcpy(list, items, *count * size);
    memset(list + *count * size, 0, size);
    ++*count;
    return list;
}

/* --- services ------------------------------------------------------------------------------------------- */

static void parse_body_of_method(struct proto_parser *parser, struct proto_method *method)
{
    if (proto_accept(parser, ";") || !proto_expect(parser, "{"))
        return;
    while (!parser->failed && !proto_accept(parser, "}"))
        if (!proto_accept(parser, ";") && proto_expect(parser, "option"))
            proto_option_statement(parser, method);
}

static void parse_method(struct proto_parser *parser, struct slice service)
{
    struct proto_declared *all = parser->all;
    struct proto_method *method = arena_alloc_zero(all->arena, sizeof(*method));
    struct proto_method **list = proto_append(all->arena, all->methods, &all->method_count, sizeof(*list));
    if (method == NULL || list == NULL) {
        proto_fail(parser, &token_of(parser)->position, "out of memory");
        all->method_count = 0;
        return;
    }
    all->methods = list;
    list[all->method_count - 1] = method;
    method->position = token_of(parser)->position;
    method->name = proto_word(parser);
    proto_expect(parser, "(");
    method->client_streams = proto_accept(parser, "stream");
    method->input_name = proto_name(parser);
    proto_expect(parser, ")");
    proto_expect(parser, "returns");
    proto_expect(parser, "(");
    method->server_streams = proto_accept(parser, "stream");
    method->output_name = proto_name(parser);
    proto_expect(parser, ")");
    if (parser->failed)
        return;
    method->path = arena_format(all->arena, "/%.*s/%.*s", SLICE_FORMAT(service), SLICE_FORMAT(method->name));
    if (method->path.data == NULL)
        proto_fail(parser, &method->position, "out of memory");
    parse_body_of_method(parser, method);
}

static void parse_service(struct proto_parser *parser)
{
    struct slice name = proto_word(parser);
    if (name.data)
        name = proto_join(parser, parser->package, name);
    proto_expect(parser, "{");
    while (!parser->failed && !proto_accept(parser, "}")) {
        if (proto_accept(parser, ";"))
            continue;
        if (proto_accept(parser, "option"))
            proto_option_statement(parser, NULL);
        else if (proto_expect(parser, "rpc"))
            parse_method(parser, name);
    }
}

/* --- the file ------------------------------------------------------------------------------------------- */

static void parse_syntax(struct proto_parser *parser)
{
    struct node_position position = token_of(parser)->position;
    if (proto_sees(parser, "edition"))
        proto_fail(parser, &position, "editions are not supported: proto2 and proto3 are");
    if (!proto_accept(parser, "syntax"))
        return; /* proto2 */
    proto_expect(parser, "=");
    position = token_of(parser)->position;
    struct slice name = proto_string(parser);
    parser->proto3 = slice_equal(name, SLICE("proto3"));
    if (!parser->proto3 && !slice_equal(name, SLICE("proto2")))
        proto_fail(parser, &position, "expected \"proto2\" or \"proto3\"");
    proto_expect(parser, ";");
}

static void parse_import(struct proto_parser *parser)
{
    struct node_position position = token_of(parser)->position;
    if (!proto_accept(parser, "public"))
        proto_accept(parser, "weak");
    struct slice name = proto_string(parser);
    proto_expect(parser, ";");
    if (parser->failed)
        return;
    struct proto_import *list =
        proto_append(parser->all->arena, parser->imports, &parser->import_count, sizeof(*list));
    if (list == NULL) {
        proto_fail(parser, &position, "out of memory");
        parser->import_count = 0;
        return;
    }
    parser->imports = list;
    list[parser->import_count - 1] = (struct proto_import){ name, position };
}

static void parse_package(struct proto_parser *parser)
{
    struct node_position position = token_of(parser)->position;
    struct slice name = proto_name(parser);
    if (parser->package.data || (name.data && name.data[0] == '.'))
        proto_fail(parser, &position, parser->package.data ? "a second package" : "expected a name");
    parser->package = name;
    proto_expect(parser, ";");
}

static void parse_statement(struct proto_parser *parser)
{
    if (proto_accept(parser, ";"))
        return;
    if (proto_accept(parser, "import"))
        parse_import(parser);
    else if (proto_accept(parser, "package"))
        parse_package(parser);
    else if (proto_accept(parser, "option"))
        proto_option_statement(parser, NULL);
    else if (proto_accept(parser, "message"))
        proto_parse_message(parser, parser->package);
    else if (proto_accept(parser, "enum"))
        proto_parse_enum(parser, parser->package);
    else if (proto_accept(parser, "extend"))
        proto_skip_extend(parser);
    else if (proto_accept(parser, "service"))
        parse_service(parser);
    else
        unexpected(parser, "a declaration");
}

bool proto_parse(struct proto_parser *parser, const char *file, struct slice text)
{
    proto_scanner_init(&parser->scanner, file, text, parser->all->arena);
    parse_syntax(parser);
    while (!parser->failed && (parser->scanner.token.kind != PROTO_END || parser->scanner.reason))
        parse_statement(parser);
    return !parser->failed;
}
