/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/grpc_bindings.h"

enum { VARIABLES_MAX = REGEX_GROUPS_MAX - 1 };

/* Template = "/" Segments [ Verb ]; Segments = Segment { "/" Segment }; Segment = "*" | "**" | LITERAL |
 * Variable; Variable = "{" FieldPath [ "=" Segments ] "}"; Verb = ":" LITERAL (google/api/http.proto) */
struct reader {
    struct slice rest;
    char *out; /* the regular expression, with room for all of it */
    size_t size;
    struct slice variables[VARIABLES_MAX];
    uint32_t variable_count;
    bool inside; /* of a variable */
};

enum { WORST_GROWTH = 8 /* bytes of expression for one of the template */ };

static void put(struct reader *reader, struct slice text)
{
    memcpy(reader->out + reader->size, text.data, text.size);
    reader->size += text.size;
}

static bool accept(struct reader *reader, struct slice text)
{
    if (!slice_starts_with(reader->rest, text))
        return false;
    reader->rest = slice_from(reader->rest, text.size);
    return true;
}

static bool is_literal(char c)
{
    return c != '\0' && !strchr("/{}=*:?#", c) && (unsigned char)c > ' ';
}

static bool read_literal(struct reader *reader)
{
    size_t size = 0;
    for (; size < reader->rest.size && is_literal(reader->rest.data[size]); size++) {
        if (strchr("\\^$.|?*+()[]{}", reader->rest.data[size]))
            put(reader, SLICE("\\"));
        put(reader, (struct slice){ reader->rest.data + size, 1 });
    }
    reader->rest = slice_from(reader->rest, size);
    return size > 0;
}

static bool read_segments(struct reader *reader);

static bool read_variable(struct reader *reader)
{
    size_t size = 0;
    while (size < reader->rest.size && reader->rest.data[size] != '=' && reader->rest.data[size] != '}')
        size++;
    if (reader->inside || size == 0 || reader->variable_count == VARIABLES_MAX)
        return false;
    reader->variables[reader->variable_count++] = (struct slice){ reader->rest.data, size };
    reader->rest = slice_from(reader->rest, size);
    reader->inside = true;
    put(reader, SLICE("("));
    bool good = true;
    if (accept(reader, SLICE("=")))
        good = read_segments(reader);
    else
        put(reader, SLICE("[^/]+"));
    put(reader, SLICE(")"));
    reader->inside = false;
    return good && accept(reader, SLICE("}"));
}

static bool read_segment(struct reader *reader)
{
    if (accept(reader, SLICE("**"))) {
        put(reader, SLICE(".*"));
        return true;
    }
    if (accept(reader, SLICE("*"))) {
        put(reader, SLICE("[^/]+"));
        return true;
    }
    return accept(reader, SLICE("{")) ? read_variable(reader) : read_literal(reader);
}

static bool read_segments(struct reader *reader)
{
    do {
        if (!read_segment(reader))
            return false;
        if (reader->rest.size == 0 || reader->rest.data[0] != '/')
            return true;
        put(reader, SLICE("/"));
    } while (accept(reader, SLICE("/")));
    return true;
}

static bool read_template(struct reader *reader)
{
    put(reader, SLICE("/"));
    if (!accept(reader, SLICE("/")) || (reader->rest.size > 0 && !read_segments(reader)))
        return false;
    if (accept(reader, SLICE(":"))) {
        put(reader, SLICE(":"));
        if (!read_literal(reader))
            return false;
    }
    return reader->rest.size == 0;
}

bool grpc_leads_to_field(const struct proto_message *message, struct slice path)
{
    struct slice rest, name = slice_split(path, '.', &rest);
    for (;;) {
        const struct proto_field *field = proto_field_named(message, name);
        if (field == NULL || field->map)
            return false;
        if (rest.data == NULL)
            return field->type != PROTO_MESSAGE || field->message->known != PROTO_PLAIN;
        if (field->type != PROTO_MESSAGE || field->repeated)
            return false;
        message = field->message;
        name = slice_split(rest, '.', &rest);
    }
}

/* --- one binding ---------------------------------------------------------------------------------------- */

static void complain(const struct config_place *place, const struct grpc_binding *binding, const char *reason,
                     struct slice what)
{
    report_add(place->report, REPORT_ERROR, &binding->rule->position, place->path, "%s \"%.*s\"", reason,
               SLICE_FORMAT(what));
}

static void close_regex(void *regex)
{
    regex_close(regex);
}

static bool compile_path(struct grpc_binding *binding, const struct config_place *place)
{
    struct slice template = binding->rule->path;
    struct reader reader = { .rest = template };
    char reason[REGEX_REASON_SIZE];
    reader.out = arena_alloc(place->arena, WORST_GROWTH * template.size + 16);
    if (reader.out == NULL || !read_template(&reader)) {
        complain(place, binding, "no valid path template:", template);
        return false;
    }
    binding->variable_count = reader.variable_count;
    binding->variables = arena_array(place->arena, reader.variable_count + 1, sizeof(struct slice));
    struct slice pattern = { reader.out, reader.size };
    if (binding->variables == NULL ||
        regex_compile(&binding->path, pattern, REGEX_WHOLE, reason, sizeof(reason)) != ERROR_OK) {
        complain(place, binding, "no valid path template:", template);
        return false;
    }
    memcpy(binding->variables, reader.variables, reader.variable_count * sizeof(struct slice));
    if (arena_on_close(place->arena, close_regex, &binding->path))
        return true;
    regex_close(&binding->path);
    return false;
}

static void find_fields(struct grpc_binding *binding, const struct config_place *place)
{
    const struct proto_binding *rule = binding->rule;
    const struct proto_method *method = binding->method;
    for (uint32_t i = 0; i < binding->variable_count; i++)
        if (!grpc_leads_to_field(method->input, binding->variables[i]))
            complain(place, binding, "the message has no such field:", binding->variables[i]);
    if (rule->body.data && !slice_equal(rule->body, SLICE("*"))) {
        binding->body = proto_field_named(method->input, rule->body);
        if (binding->body == NULL)
            complain(place, binding, "the message has no such field:", rule->body);
    }
    if (rule->response_body.data) {
        binding->response_body = proto_field_named(method->output, rule->response_body);
        if (binding->response_body == NULL)
            complain(place, binding, "the message has no such field:", rule->response_body);
    }
}

void grpc_bindings_make(struct grpc_bindings *bindings, const struct proto_schema *schema,
                        const struct config_place *place)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->method_count; i++)
        count += schema->method_list[i]->binding_count;
    *bindings = (struct grpc_bindings){ NULL, 0 };
    bindings->items = arena_alloc_zero(place->arena, (count + 1) * sizeof(*bindings->items));
    for (uint32_t i = 0; bindings->items && i < schema->method_count; i++) {
        const struct proto_method *method = schema->method_list[i];
        for (uint32_t j = 0; j < method->binding_count; j++) {
            struct grpc_binding *binding = &bindings->items[bindings->count];
            binding->method = method;
            binding->rule = &method->bindings[j];
            if (compile_path(binding, place))
                bindings->count++;
            find_fields(binding, place);
        }
    }
}

enum grpc_finding grpc_bindings_find(const struct grpc_bindings *bindings, struct slice method,
                                     struct slice path, struct regex_scratch *scratch,
                                     const struct grpc_binding **found)
{
    enum grpc_finding finding = GRPC_NO_METHOD;
    for (uint32_t i = 0; i < bindings->count; i++) {
        const struct grpc_binding *binding = &bindings->items[i];
        if (!slice_equal(binding->rule->method, method))
            continue;
        finding = GRPC_NO_PATH;
        *found = binding;
        if (regex_match(&binding->path, path, scratch))
            return GRPC_FOUND;
    }
    return finding;
}
