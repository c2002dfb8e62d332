/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/grpc_messages.h"

#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"

#include <stdio.h>
#include <stdlib.h>

enum { JSON_DEPTH = 128, FIRST_CAPACITY = 1024 };

void grpc_write_head(char out[GRPC_HEAD_BYTES], unsigned flags, size_t size)
{
    out[0] = (char)flags;
    for (int i = 1; i < GRPC_HEAD_BYTES; i++)
        out[i] = (char)(unsigned char)(size >> (8 * (GRPC_HEAD_BYTES - 1 - i)));
}

static size_t size_in(const char *head)
{
    size_t size = 0;
    for (int i = 1; i < GRPC_HEAD_BYTES; i++)
        size = size << 8 | (unsigned char)head[i];
    return size;
}

/* Takes one message off the front; false: it is not complete. *too_long: it never will be. */
static bool take_one(struct slice *rest, unsigned *flags, struct slice *message, bool *too_long)
{
    if (rest->size < GRPC_HEAD_BYTES)
        return false;
    size_t size = size_in(rest->data);
    *too_long = size > GRPC_MESSAGE_BYTES_MAX;
    if (*too_long || rest->size - GRPC_HEAD_BYTES < size)
        return false;
    *flags = (unsigned char)rest->data[0];
    *message = (struct slice){ rest->data + GRPC_HEAD_BYTES, size };
    *rest = slice_from(*rest, GRPC_HEAD_BYTES + size);
    return true;
}

static bool keep(struct grpc_messages *messages, struct slice piece)
{
    size_t wanted = messages->size + piece.size;
    if (wanted > messages->capacity) {
        size_t capacity = messages->capacity ? messages->capacity : FIRST_CAPACITY;
        while (capacity < wanted)
            capacity *= 2;
        char *data = realloc(messages->data, capacity);
        if (data == NULL)
            return false;
        messages->data = data;
        messages->capacity = capacity;
    }
    if (piece.size)
        memcpy(messages->data + messages->size, piece.data, piece.size);
    messages->size = wanted;
    return true;
}

/* Mostly a message comes in one piece and is not copied. */
bool grpc_messages_take(struct grpc_messages *messages, struct slice piece, grpc_message_fn *take,
                        void *owner)
{
    bool kept = messages->size > 0, too_long = false;
    unsigned flags;
    struct slice message, rest = piece;
    if (kept) {
        if (!keep(messages, piece))
            return false;
        rest = (struct slice){ messages->data, messages->size };
    }
    while (take_one(&rest, &flags, &message, &too_long))
        if (!take(owner, flags, message))
            return false;
    if (too_long)
        return false;
    if (!kept)
        return rest.size == 0 || keep(messages, rest);
    if (rest.size)
        memmove(messages->data, rest.data, rest.size);
    messages->size = rest.size;
    return true;
}

void grpc_messages_close(struct grpc_messages *messages)
{
    free(messages->data);
    *messages = (struct grpc_messages){ NULL, 0, 0 };
}

struct slice grpc_first_message(struct slice body)
{
    struct slice message = { NULL, 0 };
    unsigned flags;
    bool too_long;
    if (!take_one(&body, &flags, &message, &too_long) || flags & GRPC_COMPRESSED)
        return (struct slice){ NULL, 0 };
    return message;
}

bool grpc_set_fields(struct exchange *exchange)
{
    exchange_remove_upstream_header(exchange, SLICE("grpc-encoding"));
    exchange_remove_upstream_header(exchange, SLICE("grpc-accept-encoding"));
    return exchange_set_upstream_header(exchange, SLICE("Content-Type"), SLICE("application/grpc")) &&
           exchange_set_upstream_header(exchange, SLICE("TE"), SLICE("trailers"));
}

bool grpc_become_call(struct exchange *exchange, struct slice path, struct slice message)
{
    char *framed = arena_alloc(exchange_arena(exchange), GRPC_HEAD_BYTES + message.size);
    if (framed == NULL || !grpc_set_fields(exchange))
        return false;
    grpc_write_head(framed, 0, message.size);
    if (message.size)
        memcpy(framed + GRPC_HEAD_BYTES, message.data, message.size);
    exchange_set_upstream_method(exchange, SLICE("POST"));
    exchange_set_upstream_path(exchange, path);
    exchange_set_upstream_query(exchange, (struct slice){ NULL, 0 });
    return exchange_set_body(exchange, (struct slice){ framed, GRPC_HEAD_BYTES + message.size });
}

bool grpc_read_json(struct proto_reading *reading, const struct proto_message *message, struct slice json,
                    const struct proto_field *field)
{
    static const struct json_tree_limits limits = { JSON_DEPTH, PROTO_NODES_MAX };
    struct json_node *root = NULL;
    enum json_reading result = json_tree_read(reading->arena, json, &limits, &root);
    if (result == JSON_READ)
        return field ? proto_read_member(reading, field, root) : proto_read_json(reading, message, root);
    snprintf(reading->reason, sizeof(reading->reason), "%s",
             result == JSON_INVALID ? "the body is no valid JSON" : "the body is too large");
    return false;
}
