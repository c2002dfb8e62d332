/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of Protocol Buffers: a growing buffer to write into, and records read one by one. Any thread. */
#pragma once

#include "core/base/arena.h"

enum proto_wire_type {
    PROTO_WIRE_VARINT,
    PROTO_WIRE_64,
    PROTO_WIRE_BYTES,
    PROTO_WIRE_GROUP,
    PROTO_WIRE_GROUP_END,
    PROTO_WIRE_32
};

/* Grows in its arena; once it failed, nothing more is written. */
struct proto_buffer {
    struct arena *arena;
    char *data;
    size_t size, capacity;
    size_t limit; /* bytes */
    bool failed; /* out of memory, or beyond the limit */
};

char *proto_reserve(struct proto_buffer *buffer, size_t size); /* room behind the end; NULL: failed */
void proto_put(struct proto_buffer *buffer, struct slice text);
void proto_put_byte(struct proto_buffer *buffer, char c);
void proto_put_varint(struct proto_buffer *buffer, uint64_t number);
void proto_put_fixed(struct proto_buffer *buffer, uint64_t number, unsigned bytes);
void proto_put_tag(struct proto_buffer *buffer, uint32_t number, enum proto_wire_type type);

/* What is written between the two becomes one piece with its length in front. */
size_t proto_open(const struct proto_buffer *buffer);
void proto_close(struct proto_buffer *buffer, size_t start);

/* One field of a message as it stands on the wire. */
struct proto_record {
    uint32_t field;
    enum proto_wire_type type;
    uint64_t number; /* of VARINT, 64 and 32 */
    struct slice bytes; /* of BYTES */
};

/* Takes the first record off `rest`; groups are skipped and come as PROTO_WIRE_GROUP. False: at the end, or
 * *broken. */
bool proto_next(struct slice *rest, struct proto_record *record, bool *broken);
bool proto_take_varint(struct slice *rest, uint64_t *number);

static inline uint64_t proto_zigzag(int64_t number)
{
    return ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
}

static inline int64_t proto_unzigzag(uint64_t number)
{
    return (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
}
