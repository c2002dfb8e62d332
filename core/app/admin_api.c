/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to the function that answers it. */
#include "core/app/admin_audit.h"

#include "core/base/query.h"

#include <stdio.h>

enum { CALL_ARENA_BYTES = 256 * 1024 * 1024 };

static const struct admin_endpoint *const tables[] = {
    admin_node_endpoints,   admin_config_endpoints, admin_schema_endpoints, admin_debug_endpoints,
    admin_health_endpoints, admin_tag_endpoints,    admin_ui_endpoints,
};

/* In the order of an Allow header. */
static const struct {
    const char *name;
    unsigned method;
} methods[] = {
    { "DELETE", ADMIN_DELETE }, { "GET", ADMIN_GET },   { "HEAD", ADMIN_GET }, { "OPTIONS", 0 },
    { "PATCH", ADMIN_PATCH },   { "POST", ADMIN_POST }, { "PUT", ADMIN_PUT },
};

struct slice admin_parameter(const struct admin_call *call, const char *name)
{
    return call->query.data ? query_find(call->arena, call->query, slice_of(name))
                            : (struct slice){ NULL, 0 };
}

/* In a path a plus is a plus. */
static struct slice unescape(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; copy && i < text.size; i++) {
        int high = i + 2 < text.size && text.data[i] == '%' ? slice_hex_value(text.data[i + 1]) : -1;
        int low = high >= 0 ? slice_hex_value(text.data[i + 2]) : -1;
        copy[size++] = low >= 0 ? (char)(high * 16 + low) : text.data[i];
        i += low >= 0 ? 2 : 0;
    }
    if (copy)
        copy[size] = '\0';
    return (struct slice){ copy, copy ? size : 0 };
}

/* False: no endpoint has so many segments. */
static bool split_path(struct admin_call *call)
{
    struct slice rest = call->path.size ? slice_from(call->path, 1) : call->path;
    call->segment_count = 0;
    while (rest.data && rest.size) {
        if (call->segment_count == ADMIN_SEGMENTS_MAX)
            return false;
        struct slice segment = slice_split(rest, '/', &rest);
        segment = unescape(call->arena, segment);
        if (segment.data == NULL || segment.size == 0)
            return false;
        call->segments[call->segment_count++] = segment;
    }
    return true;
}

static bool fits(const struct admin_call *call, const char *pattern)
{
    struct slice rest = slice_from(slice_of(pattern), 1);
    for (unsigned i = 0; i < call->segment_count; i++) {
        if (rest.data == NULL || rest.size == 0)
            return false;
        struct slice wanted = slice_split(rest, '/', &rest);
        if (!slice_equal(wanted, SLICE("{}")) && !slice_equal(wanted, call->segments[i]))
            return false;
    }
    return rest.data == NULL || rest.size == 0;
}

static const struct admin_endpoint *find_endpoint(const struct admin_call *call)
{
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (const struct admin_endpoint *one = tables[i]; one->path; one++)
            if (fits(call, one->path) && (one->on_status || call->request->side == ADMIN_SIDE_ADMIN))
                return one;
    return NULL;
}

static const char *allow_text(struct arena *arena, unsigned allowed)
{
    struct slice text = SLICE("");
    for (size_t i = 0; i < COUNT_OF(methods) && text.data; i++)
        if (methods[i].method == 0 || methods[i].method & allowed)
            text = arena_format(arena, "%s%s%s", text.data, text.size ? ", " : "", methods[i].name);
    return text.data;
}

static void answer_options(struct admin_call *call, unsigned allowed)
{
    const char *text = allow_text(call->arena, allowed);
    admin_empty(call->answer, 204);
    if (text)
        snprintf(call->answer->allow, sizeof(call->answer->allow), "%s", text);
}

/* 0: one that no endpoint has. */
static unsigned method_of(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_equal(name, slice_of(methods[i].name)))
            return methods[i].method;
    return 0;
}

static void dispatch(struct admin_call *call)
{
    struct slice method = call->request->message->method;
    const struct admin_endpoint *endpoint = split_path(call) ? find_endpoint(call) : NULL;
    unsigned allowed = endpoint ? endpoint->methods : 0;
    bool entities =
        endpoint == NULL && call->request->side == ADMIN_SIDE_ADMIN && admin_entities_methods(call, &allowed);
    if (endpoint == NULL && !entities) {
        admin_not_found(call);
    } else if (slice_equal(method, SLICE("OPTIONS"))) {
        answer_options(call, allowed);
    } else if (!(method_of(method) & allowed)) {
        admin_method_refused(call);
        if (call->request->side == ADMIN_SIDE_STATUS)
            snprintf(call->answer->allow, sizeof(call->answer->allow), "GET, HEAD");
    } else {
        call->method = method_of(method);
        if (endpoint)
            endpoint->handler(call);
        else
            admin_entities_answer(call);
    }
}

void admin_api_answer(const struct admin_node *node, const struct admin_request *request,
                      struct admin_answer *answer)
{
    char memory[4096];
    struct arena arena;
    arena_init(&arena, memory, sizeof(memory), CALL_ARENA_BYTES);
    struct admin_call call = { .node = node, .request = request, .answer = answer, .arena = &arena };
    call.path = slice_split(request->message->origin_form, '?', &call.query);
    if (call.path.size > 1 && call.path.data[call.path.size - 1] == '/')
        call.path.size--;
    *answer = (struct admin_answer){ .status = 503 };
    dispatch(&call);
    admin_audit(node, request, answer);
    arena_deinit(&arena);
}
