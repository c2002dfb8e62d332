/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of gRPC in the bodies that carry them, for grpc-gateway and grpc-web: each has five bytes before
 * it, flags and its length. Belongs to one exchange; its shard's. */
#pragma once

#include "core/io/block.h"
#include "net/protobuf/proto_json.h"
#include "net/proxy/exchange.h"

enum {
    GRPC_HEAD_BYTES = 5,
    GRPC_COMPRESSED = 1, /* flags */
    GRPC_TRAILERS = 0x80, /* of grpc-web */
    GRPC_MESSAGE_BYTES_MAX = 16 * 1024 * 1024
};

/* The part of a message that has not been followed by the rest yet. Zeroed: empty. */
struct grpc_messages {
    char *data;
    size_t size, capacity;
};

/* False: enough, or it cannot be done. */
typedef bool grpc_message_fn(void *owner, unsigned flags, struct slice message);

/* Calls `take` for each message that is complete now. False: `take` said so, a message is too long, or there
 * is no memory. */
bool grpc_messages_take(struct grpc_messages *messages, struct slice piece, grpc_message_fn *take,
                        void *owner) MUST_CHECK;
void grpc_messages_close(struct grpc_messages *messages);

void grpc_write_head(char out[GRPC_HEAD_BYTES], unsigned flags, size_t size);

/* The first message of a whole body; absent: there is none. */
struct slice grpc_first_message(struct slice body);

/* Makes the request one of gRPC with this message, for this method (its path). False: out of memory. */
bool grpc_become_call(struct exchange *exchange, struct slice path, struct slice message) MUST_CHECK;

/* The fields of a request's head that a gRPC server needs. False: out of memory. */
bool grpc_set_fields(struct exchange *exchange) MUST_CHECK;

/* JSON to a message behind what is in reading->out; what is no JSON at all has a reason too. */
bool grpc_read_json(struct proto_reading *reading, const struct proto_message *message, struct slice json,
                    const struct proto_field *field) MUST_CHECK;
