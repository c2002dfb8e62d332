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

static struct header_edit *find_edit(const struct exchange *exchange, struct slice name, uint32_t from)
{
    for (uint32_t i = from; i < exchange->edit_count; i++)
        if (slice_equal_nocase(exchange->edits[i].name, name))
            return &exchange->edits[i];
    return NULL;
}

bool exchange_hides_header(const struct exchange *exchange, struct slice name)
{
    const struct header_edit *edit = find_edit(exchange, name, 0);
    return edit && edit->kind != HEADER_EDIT_APPEND; /* an edit that replaces is the first of its name */
}

static bool push_edit(struct exchange *exchange, const struct header_edit *edit)
{
    enum header_id id = message_header_id(edit->name);
    if (id == HEADER_CONTENT_LENGTH || id == HEADER_TRANSFER_ENCODING)
        return true;
    if (exchange->edit_count == exchange->edit_capacity) {
        uint32_t capacity = exchange->edit_capacity ? exchange->edit_capacity * 2 : 8;
        struct header_edit *edits = arena_array(&exchange->arena, capacity, sizeof(*edits));
        if (edits == NULL)
            return false;
        if (exchange->edit_count)
            memcpy(edits, exchange->edits, exchange->edit_count * sizeof(*edits));
        exchange->edits = edits;
        exchange->edit_capacity = capacity;
    }
    exchange->edits[exchange->edit_count++] = *edit;
    return true;
}

/* Instead of every other one of that name. */
static bool replace_edits(struct exchange *exchange, const struct header_edit *edit)
{
    struct header_edit *first = find_edit(exchange, edit->name, 0);
    if (first == NULL)
        return push_edit(exchange, edit);
    *first = *edit;
    uint32_t kept = (uint32_t)(first - exchange->edits) + 1;
    for (uint32_t i = kept; i < exchange->edit_count; i++)
        if (!slice_equal_nocase(exchange->edits[i].name, edit->name))
            exchange->edits[kept++] = exchange->edits[i];
    exchange->edit_count = kept;
    return true;
}

bool exchange_set_response_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return replace_edits(exchange, &(struct header_edit){ HEADER_EDIT_SET, name, value });
}

bool exchange_remove_response_header(struct exchange *exchange, struct slice name)
{
    return replace_edits(exchange, &(struct header_edit){ .kind = HEADER_EDIT_REMOVE, .name = name });
}

bool exchange_add_response_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return push_edit(exchange, &(struct header_edit){ HEADER_EDIT_APPEND, name, value });
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
