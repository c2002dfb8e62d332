/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/exchange_edit.h"

#include "net/proxy/exchange_steps.h"
#include "net/proxy/forward.h"

/* --- the request ---------------------------------------------------------------------------------------- */

bool exchange_add_upstream_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return message_add(&exchange->request, name, value);
}

void exchange_set_upstream_method(struct exchange *exchange, struct slice method)
{
    exchange->upstream_method = method;
}

void exchange_set_upstream_path(struct exchange *exchange, struct slice path)
{
    exchange->upstream_path = path;
}

struct slice exchange_upstream_path(struct exchange *exchange)
{
    struct slice path = { NULL, 0 };
    if (exchange->service == NULL || !forward_path(exchange, &path))
        return (struct slice){ NULL, 0 };
    return path;
}

void exchange_set_upstream_host(struct exchange *exchange, struct slice host)
{
    exchange->upstream_host = host;
}

void exchange_set_service(struct exchange *exchange, const struct service *service)
{
    CHECK(exchange->balancer == NULL);
    exchange->service = &exchange->snapshot->services[service->entity.index];
}

bool exchange_can_reach(const struct exchange *exchange, const struct service *service)
{
    struct proxy *proxy = exchange->proxy;
    const struct upstream *upstream = service->upstream;
    const struct balancer *balancer =
        exchange->snapshot->balancers[proxy->shard->index][upstream->entity.index];
    if (balancer == NULL)
        balancer = balancer_find(&proxy->balancers, exchange->snapshot, upstream);
    return balancer && balancer->healthy && balancer->usable_count > 0;
}

/* --- edits of the response ------------------------------------------------------------------------------ */

static inline struct header_edit *find_edit(const struct exchange *exchange, struct slice name)
{
    if (!(exchange->edited & message_name_bit(name)))
        return NULL;
    for (uint32_t i = 0; i < exchange->edit_count; i++)
        if (slice_equal_nocase(exchange->edits[i].name, name))
            return &exchange->edits[i];
    return NULL;
}

bool exchange_hides_header(const struct exchange *exchange, struct slice name)
{
    const struct header_edit *edit = find_edit(exchange, name);
    return edit && edit->kind != HEADER_EDIT_APPEND; /* an edit that replaces is the first of its name */
}

static bool grow_edits(struct exchange *exchange)
{
    size_t capacity = exchange->edit_capacity ? (size_t)exchange->edit_capacity * 2 : 8;
    struct header_edit *edits = arena_alloc(&exchange->arena, capacity * sizeof(*edits));
    if (edits == NULL)
        return false;
    if (exchange->edit_count)
        memcpy(edits, exchange->edits, exchange->edit_count * sizeof(*edits));
    exchange->edits = edits;
    exchange->edit_capacity = (uint32_t)capacity;
    return true;
}

/* Edits of these are without effect. */
static bool frames(struct slice name)
{
    return slice_equal_nocase(name, SLICE("content-length")) ||
           slice_equal_nocase(name, SLICE("transfer-encoding"));
}

static bool push_edit(struct exchange *exchange, enum header_edit_kind kind, struct slice name,
                      struct slice value)
{
    if (frames(name))
        return true;
    if (exchange->edit_count == exchange->edit_capacity && !grow_edits(exchange))
        return false;
    exchange->edits[exchange->edit_count++] = (struct header_edit){ kind, name, value };
    exchange->edited |= message_name_bit(name);
    return true;
}

/* Instead of every other one of that name. */
static __attribute__((noinline)) bool replace_edits(struct exchange *exchange, enum header_edit_kind kind,
                                                    struct slice name, struct slice value)
{
    struct header_edit *first = find_edit(exchange, name);
    if (first == NULL)
        return push_edit(exchange, kind, name, value);
    *first = (struct header_edit){ kind, name, value };
    uint32_t kept = (uint32_t)(first - exchange->edits) + 1;
    for (uint32_t i = kept; i < exchange->edit_count; i++)
        if (!slice_equal_nocase(exchange->edits[i].name, name))
            exchange->edits[kept++] = exchange->edits[i];
    exchange->edit_count = kept;
    return true;
}

/* Mostly there is none of that name: plugins set several, at each request. */
bool exchange_set_response_header(struct exchange *exchange, struct slice name, struct slice value)
{
    uint64_t bit = message_name_bit(name);
    bool frames_maybe =
        name.size == sizeof("content-length") - 1 || name.size == sizeof("transfer-encoding") - 1;
    if ((exchange->edited & bit) || frames_maybe)
        return replace_edits(exchange, HEADER_EDIT_SET, name, value);
    if (exchange->edit_count == exchange->edit_capacity && !grow_edits(exchange))
        return false;
    exchange->edits[exchange->edit_count++] = (struct header_edit){ HEADER_EDIT_SET, name, value };
    exchange->edited |= bit;
    return true;
}

static bool set_one_by_one(struct exchange *exchange, const struct header_edit *edits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!exchange_set_response_header(exchange, edits[i].name, edits[i].value))
            return false;
    return true;
}

bool exchange_set_response_headers(struct exchange *exchange, const struct header_edit *edits, uint32_t count,
                                   uint64_t bits)
{
    if (exchange->edited & bits)
        return set_one_by_one(exchange, edits, count);
    while (exchange->edit_capacity - exchange->edit_count < count)
        if (!grow_edits(exchange))
            return false;
    memcpy(exchange->edits + exchange->edit_count, edits, count * sizeof(*edits));
    exchange->edit_count += count;
    exchange->edited |= bits;
    return true;
}

bool exchange_remove_response_header(struct exchange *exchange, struct slice name)
{
    return replace_edits(exchange, HEADER_EDIT_REMOVE, name, (struct slice){ NULL, 0 });
}

bool exchange_add_response_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return push_edit(exchange, HEADER_EDIT_APPEND, name, value);
}

/* --- the response --------------------------------------------------------------------------------------- */

int exchange_response_status(const struct exchange *exchange)
{
    return exchange->answer.status ? exchange->answer.status : exchange->response.status;
}

void exchange_set_response_status(struct exchange *exchange, int status)
{
    CHECK(status >= 200 && status <= 599);
    if (exchange->answer.status) {
        exchange->answer.status = status;
        return;
    }
    exchange->response.status = status;
    exchange->response.reason = (struct slice){ NULL, 0 };
}

bool exchange_response_is_own(const struct exchange *exchange)
{
    return exchange->answer.status != 0;
}

struct slice exchange_own_body(const struct exchange *exchange)
{
    return exchange->answer.body;
}

/* The received field, or that of the gateway's own answer, at `index`. */
static bool field_at(const struct exchange *exchange, uint32_t index, struct header *header)
{
    if (exchange->answer.status == 0) {
        if (index < exchange->response.header_count)
            *header = exchange->response.headers[index];
        return index < exchange->response.header_count;
    }
    *header = (struct header){ .id = HEADER_CONTENT_TYPE };
    header->value = exchange->answer.content_type;
    if (header->value.data)
        header->name = SLICE("Content-Type");
    return index == 0;
}

bool exchange_next_response_header(const struct exchange *exchange, uint32_t *cursor, struct header *header)
{
    uint32_t index = *cursor;
    for (; field_at(exchange, index, header); index++) {
        if (header->name.data == NULL || exchange_hides_header(exchange, header->name))
            continue;
        *cursor = index + 1;
        return true;
    }
    uint32_t received = exchange->answer.status ? 1 : exchange->response.header_count;
    for (; index - received < exchange->edit_count; index++) {
        const struct header_edit *edit = &exchange->edits[index - received];
        if (edit->kind == HEADER_EDIT_REMOVE)
            continue;
        *header = (struct header){ edit->name, edit->value, message_header_id(edit->name) };
        *cursor = index + 1;
        return true;
    }
    return false;
}

struct slice exchange_response_header(const struct exchange *exchange, struct slice name)
{
    struct header header;
    for (uint32_t cursor = 0; exchange_next_response_header(exchange, &cursor, &header);)
        if (slice_equal_nocase(header.name, name))
            return header.value;
    return (struct slice){ NULL, 0 };
}
