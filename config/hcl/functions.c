/* SPDX-License-Identifier: Apache-2.0 */
/* Which function it is, and those over texts. */
#include "config/hcl/functions.h"

#include "config/scalar.h"

#include <stdio.h>

const struct node *hcl_argument(const struct hcl_call *call, uint32_t number, enum node_kind kind)
{
    const struct node *value = call->arguments[number];
    if (value->kind == kind)
        return value;
    return hcl_refuse(call->evaluation, call->position, "%.*s: argument %u must be %s, not %s",
                      SLICE_FORMAT(call->name), number + 1, node_kind_name(kind),
                      node_kind_name(value->kind));
}

struct slice hcl_text_argument(const struct hcl_call *call, uint32_t number)
{
    const struct node *value = call->arguments[number];
    if (value->kind == NODE_STRING || value->kind == NODE_NUMBER || value->kind == NODE_BOOLEAN)
        return value->text;
    (void)hcl_argument(call, number, NODE_STRING);
    return (struct slice){ NULL, 0 };
}

static const struct node *text_of(const struct hcl_call *call, struct slice text)
{
    if (text.data == NULL)
        return hcl_refuse(call->evaluation, call->position, "out of memory");
    return hcl_make_text(call->evaluation, call->position, text);
}

/* --- letters -------------------------------------------------------------------------------------------- */

static const struct node *fold(const struct hcl_call *call, bool upper)
{
    struct slice text = hcl_text_argument(call, 0);
    struct node *node = text.data ? hcl_make_text(call->evaluation, call->position, text) : NULL;
    char *letters = node ? (char *)(uintptr_t)node->text.data : NULL; /* a copy of ours */
    for (size_t i = 0; letters && i < text.size; i++) {
        if (upper && letters[i] >= 'a' && letters[i] <= 'z')
            letters[i] = (char)(letters[i] - 32);
        else if (!upper)
            letters[i] = slice_lower(letters[i]);
    }
    return node;
}

static const struct node *run_lower(const struct hcl_call *call)
{
    return fold(call, false);
}

static const struct node *run_upper(const struct hcl_call *call)
{
    return fold(call, true);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const struct node *run_trimspace(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0);
    while (text.size && is_blank(text.data[0]))
        text = slice_from(text, 1);
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    return text.data ? text_of(call, text) : NULL;
}

static const struct node *run_trimprefix(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0), prefix = hcl_text_argument(call, 1);
    if (text.data == NULL || prefix.data == NULL)
        return NULL;
    return text_of(call, slice_starts_with(text, prefix) ? slice_from(text, prefix.size) : text);
}

static const struct node *run_trimsuffix(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0), suffix = hcl_text_argument(call, 1);
    if (text.data == NULL || suffix.data == NULL)
        return NULL;
    text.size -= slice_ends_with(text, suffix) ? suffix.size : 0;
    return text_of(call, text);
}

/* --- joining and taking apart --------------------------------------------------------------------------- */

static const struct node *run_join(const struct hcl_call *call)
{
    struct slice between = hcl_text_argument(call, 0), all = SLICE("");
    const struct node *list = hcl_argument(call, 1, NODE_SEQUENCE);
    for (uint32_t i = 0; between.data && list && i < list->count; i++) {
        struct slice one = hcl_text_of(call->evaluation, list->entries[i].value);
        call->evaluation->bytes += all.size; /* every step copies */
        if (one.data == NULL || call->evaluation->bytes > HCL_BYTES_MAX)
            return one.data ? hcl_refuse(call->evaluation, call->position, "too large") : NULL;
        all = arena_format(call->evaluation->arena, "%.*s%.*s%.*s", SLICE_FORMAT(all),
                           i ? (int)between.size : 0, between.data, SLICE_FORMAT(one));
        if (all.data == NULL)
            break;
    }
    return between.data && list ? text_of(call, all) : NULL;
}

static const struct node *run_split(const struct hcl_call *call)
{
    struct slice mark = hcl_text_argument(call, 0), text = hcl_text_argument(call, 1);
    struct hcl_builder list = { call->evaluation, NULL, 0 };
    if (mark.data == NULL || text.data == NULL)
        return NULL;
    if (mark.size == 0)
        return hcl_refuse(call->evaluation, call->position, "split: the separator is empty");
    list.node = hcl_make(call->evaluation, NODE_SEQUENCE, call->position);
    bool good = list.node != NULL;
    while (good) {
        const char *at = memmem(text.data, text.size, mark.data, mark.size);
        struct slice piece = { text.data, at ? (size_t)(at - text.data) : text.size };
        const struct node *node = text_of(call, piece);
        good = node && hcl_append(&list, node);
        if (at == NULL)
            break;
        text = slice_from(text, piece.size + mark.size);
    }
    return good ? list.node : NULL;
}

static const struct node *run_replace(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0), from = hcl_text_argument(call, 1);
    struct slice to = hcl_text_argument(call, 2), out = SLICE("");
    if (text.data == NULL || from.data == NULL || to.data == NULL)
        return NULL;
    if (from.size > 1 && from.data[0] == '/' && from.data[from.size - 1] == '/')
        return hcl_refuse(call->evaluation, call->position, "replace with a regex: not supported yet");
    if (from.size == 0)
        return text_of(call, text);
    for (;;) {
        const char *at = memmem(text.data, text.size, from.data, from.size);
        struct slice piece = { text.data, at ? (size_t)(at - text.data) : text.size };
        call->evaluation->bytes += out.size;
        if (call->evaluation->bytes > HCL_BYTES_MAX)
            return hcl_refuse(call->evaluation, call->position, "too large");
        out = arena_format(call->evaluation->arena, "%.*s%.*s%.*s", SLICE_FORMAT(out), SLICE_FORMAT(piece),
                           at ? (int)to.size : 0, to.data);
        if (at == NULL || out.data == NULL)
            return text_of(call, out);
        text = slice_from(text, piece.size + from.size);
    }
}

/* --- format --------------------------------------------------------------------------------------------- */

/* The text for one verb: %s and %v any, %d a number, %q a text in quotes, %f a number; NULL: reported. */
static const struct node *format_one(const struct hcl_call *call, char verb, uint32_t argument)
{
    if (argument >= call->count)
        return hcl_refuse(call->evaluation, call->position, "format: argument %u is missing", argument + 1);
    const struct node *value = call->arguments[argument];
    if (verb == 'd' && hcl_argument(call, argument, NODE_NUMBER) == NULL)
        return NULL;
    if (verb == 'q') {
        struct slice json = hcl_json_text(call->evaluation, value);
        return json.data ? text_of(call, json) : NULL;
    }
    if (verb == 'v' && (value->kind == NODE_SEQUENCE || value->kind == NODE_MAPPING))
        return text_of(call, hcl_json_text(call->evaluation, value));
    struct slice text = hcl_text_argument(call, argument);
    return text.data ? text_of(call, text) : NULL;
}

static const struct node *run_format(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0), out = SLICE("");
    uint32_t argument = 1;
    for (size_t i = 0; out.data && text.data && i < text.size; i++) {
        struct slice piece = { text.data + i, 1 };
        if (text.data[i] == '%' && i + 1 < text.size && text.data[i + 1] == '%') {
            i++;
        } else if (text.data[i] == '%') {
            char verb = i + 1 < text.size ? text.data[++i] : '\0';
            if (verb == '\0' || !strchr("svdq", verb))
                return hcl_refuse(call->evaluation, call->position, "format: '%%%c': not supported yet",
                                  verb ? verb : '%');
            const struct node *value = format_one(call, verb, argument++);
            if (value == NULL)
                return NULL;
            piece = value->text;
        }
        call->evaluation->bytes += out.size;
        if (call->evaluation->bytes > HCL_BYTES_MAX)
            return hcl_refuse(call->evaluation, call->position, "too large");
        out = arena_format(call->evaluation->arena, "%.*s%.*s", SLICE_FORMAT(out), SLICE_FORMAT(piece));
    }
    return text.data ? text_of(call, out) : NULL;
}

/* --- conversions ---------------------------------------------------------------------------------------- */

static const struct node *run_tostring(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0);
    return text.data ? text_of(call, text) : NULL;
}

static const struct node *run_tonumber(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0);
    struct node *node = text.data ? hcl_make_text(call->evaluation, call->position, text) : NULL;
    if (node == NULL || scalar_number(node))
        return node;
    return hcl_refuse(call->evaluation, call->position, "tonumber: '%.*s' is no number", SLICE_FORMAT(text));
}

static const struct node *run_tobool(const struct hcl_call *call)
{
    struct slice text = hcl_text_argument(call, 0);
    bool yes = slice_equal(text, SLICE("true"));
    if (text.data == NULL || yes || slice_equal(text, SLICE("false")))
        return text.data ? hcl_make_boolean(call->evaluation, call->position, yes) : NULL;
    return hcl_refuse(call->evaluation, call->position, "tobool: neither true nor false");
}

static const struct node *run_jsonencode(const struct hcl_call *call)
{
    struct slice json = hcl_json_text(call->evaluation, call->arguments[0]);
    return json.data ? text_of(call, json) : NULL;
}

static const struct node *run_jsondecode(const struct hcl_call *call)
{
    const struct node *text = hcl_argument(call, 0, NODE_STRING);
    struct document_reading reading = { &document_default_limits, call->evaluation->arena, NULL };
    struct documents documents;
    if (text == NULL)
        return NULL;
    call->evaluation->bytes += text->text.size * 8; /* about what its nodes take */
    if (document_read_text(text->text, "jsondecode.json", &reading, &documents) && documents.count == 1)
        return documents.items[0];
    return hcl_refuse(call->evaluation, call->position, "jsondecode: this is no JSON");
}

const struct hcl_function hcl_text_functions[] = {
    { "format", 1, HCL_ANY_NUMBER, run_format },
    { "join", 2, 2, run_join },
    { "jsondecode", 1, 1, run_jsondecode },
    { "jsonencode", 1, 1, run_jsonencode },
    { "lower", 1, 1, run_lower },
    { "replace", 3, 3, run_replace },
    { "split", 2, 2, run_split },
    { "tobool", 1, 1, run_tobool },
    { "tonumber", 1, 1, run_tonumber },
    { "tostring", 1, 1, run_tostring },
    { "trimprefix", 2, 2, run_trimprefix },
    { "trimspace", 1, 1, run_trimspace },
    { "trimsuffix", 2, 2, run_trimsuffix },
    { "upper", 1, 1, run_upper },
    { NULL, 0, 0, NULL },
};

static const struct hcl_function *find(const struct hcl_function *table, struct slice name)
{
    for (; table->name; table++)
        if (slice_equal(name, slice_of(table->name)))
            return table;
    return NULL;
}

const struct node *hcl_call_function(const struct hcl_call *call)
{
    const struct hcl_function *function = find(hcl_text_functions, call->name);
    if (function == NULL)
        function = find(hcl_collection_functions, call->name);
    if (function == NULL)
        return hcl_refuse(call->evaluation, call->position, "the function '%.*s': not supported yet",
                          SLICE_FORMAT(call->name));
    if (call->count < function->least || (call->count > function->most && function->most != HCL_ANY_NUMBER))
        return hcl_refuse(call->evaluation, call->position, "%s: %u arguments are too %s", function->name,
                          call->count, call->count < function->least ? "few" : "many");
    return function->run(call);
}
