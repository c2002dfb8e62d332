/* SPDX-License-Identifier: Apache-2.0 */
/* request_parameters of an integration: what can be said without looking into the request. */
#include "config/aws/compile.h"

struct parameter {
    struct aws_reader *reader;
    const struct aws_target *target;
    const struct node_entry *entry;
    struct slice operation, name; /* `append`; of the header or argument */
    struct slice value;
    struct header_edit *edits; /* room for all */
    struct slice *path;
};

static bool refuse(const struct parameter *parameter, const char *reason)
{
    const struct aws_object *object = &parameter->target->route->integration->object;
    struct slice path = report_join(&parameter->reader->report->arena, object->address, "request_parameters");
    path = path.data ? report_join(&parameter->reader->report->arena, path.data, parameter->entry->key.data)
                     : path;
    report_add(parameter->reader->report, REPORT_ERROR, &parameter->entry->key_position,
               path.data ? path.data : "", "%s", reason);
    return false;
}

/* Names that the gateway alone sets (API Gateway, "Reserved headers"). */
static bool is_reserved(struct slice name)
{
    static const char *const names[] = {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-location",
        "forwarded",
        "keep-alive",
        "origin",
        "te",
        "trailers",
        "proxy-authenticate",
        "upgrade",
        "proxy-authorization",
        "via",
        "transfer-encoding",
        "x-forwarded-for",
        "host",
        "x-forwarded-host",
        "x-forwarded-proto",
    };
    static const char *const prefixes[] = { "access-control-", "apigw-", "x-amz-", "x-amzn-" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal_nocase(name, slice_of(names[i])))
            return true;
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        size_t size = strlen(prefixes[i]);
        if (name.size >= size && slice_equal_nocase((struct slice){ name.data, size }, slice_of(prefixes[i])))
            return true;
    }
    return false;
}

static bool is_plain(struct slice value)
{
    for (size_t i = 0; i < value.size; i++)
        if ((unsigned char)value.data[i] < ' ' || value.data[i] == 0x7f)
            return false;
    return true;
}

static bool add_header(struct parameter *parameter)
{
    struct header_edits *edits = &parameter->target->action->request;
    struct arena *arena = &parameter->reader->model->arena;
    if (!action_is_field_name(parameter->name) || !is_plain(parameter->value))
        return refuse(parameter, "no name or no value of a header");
    if (is_reserved(parameter->name))
        return refuse(parameter, "this header cannot be mapped");
    enum header_edit_kind kind = HEADER_EDIT_REMOVE;
    if (slice_equal(parameter->operation, SLICE("append")))
        kind = HEADER_EDIT_APPEND;
    else if (slice_equal(parameter->operation, SLICE("overwrite")))
        kind = HEADER_EDIT_SET;
    parameter->edits[edits->count++] =
        (struct header_edit){ kind, arena_copy(arena, parameter->name), arena_copy(arena, parameter->value) };
    edits->items = parameter->edits;
    return true;
}

/* $request.path.x and ${request.path.x} become {x}. */
static bool overwrite_path(struct parameter *parameter)
{
    struct slice text = parameter->value, out = SLICE("");
    if (!slice_equal(parameter->operation, SLICE("overwrite")))
        return refuse(parameter, "a path can only be overwritten");
    if (slice_equal(text, SLICE("$request.path"))) {
        *parameter->path = text;
        return true;
    }
    if (slice_starts_with(text, SLICE("$request.path.")))
        text = aws_text(parameter->reader, "/${request.path.%.*s}", (int)text.size - 14, text.data + 14);
    const char *at;
    while ((at = memmem(text.data, text.size, "${request.path.", 15)) != NULL) {
        size_t before = (size_t)(at - text.data);
        out = aws_text(parameter->reader, "%.*s%.*s{", SLICE_FORMAT(out), (int)before, text.data);
        text = slice_from(text, before + 15);
    }
    out = aws_text(parameter->reader, "%.*s%.*s", SLICE_FORMAT(out), SLICE_FORMAT(text));
    if (out.size == 0 || out.data[0] != '/' || memchr(out.data, '$', out.size) || !is_plain(out))
        return refuse(parameter, "expected $request.path, or a path that begins with / and may hold "
                                 "${request.path.NAME}; others: not supported yet");
    *parameter->path = out;
    return true;
}

static bool is_operation(struct slice text)
{
    return slice_equal(text, SLICE("append")) || slice_equal(text, SLICE("overwrite")) ||
           slice_equal(text, SLICE("remove"));
}

static bool add_parameter(struct parameter *parameter)
{
    struct slice where;
    const struct node *value = parameter->entry->value;
    parameter->operation = slice_split(parameter->entry->key, ':', &where);
    if (where.data == NULL || !is_operation(parameter->operation) || value->kind != NODE_STRING)
        return refuse(parameter, "expected append:, overwrite: or remove: and header.NAME, querystring.NAME "
                                 "or path, with a text");
    parameter->value =
        aws_with_stage_variables(parameter->reader, parameter->target, "request_parameters", value->text);
    if (parameter->value.data == NULL)
        return false;
    if (slice_equal(where, SLICE("path")))
        return overwrite_path(parameter);
    if (parameter->value.size && memchr(parameter->value.data, '$', parameter->value.size))
        return refuse(parameter, "values of the request: not supported yet");
    if (slice_starts_with(where, SLICE("header."))) {
        parameter->name = slice_from(where, 7);
        return add_header(parameter);
    }
    return refuse(parameter, slice_starts_with(where, SLICE("querystring."))
                                 ? "querystring: not supported yet"
                                 : "expected header.NAME, querystring.NAME or path");
}

bool aws_set_parameters(struct aws_reader *reader, const struct aws_target *target, struct slice *path)
{
    const struct node *node = target->route->integration->request_parameters;
    if (node == NULL)
        return true;
    struct parameter parameter = { .reader = reader, .target = target, .path = path };
    parameter.edits = aws_take(reader, &reader->model->arena, node->count * sizeof(struct header_edit));
    bool good = parameter.edits != NULL;
    for (uint32_t i = 0; good && i < node->count; i++) {
        parameter.entry = &node->entries[i];
        good = add_parameter(&parameter);
    }
    return good;
}
