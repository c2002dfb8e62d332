/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_wire.h"

enum { FIRST_BYTES = 256, VARINT_BYTES_MAX = 10, GROUPS_MAX = 64, FIELD_MAX = 536870911 };

/* --- writing -------------------------------------------------------------------------------------------- */

static bool grow(struct proto_buffer *buffer, size_t size)
{
    size_t wanted = buffer->size + size, capacity = buffer->capacity ? buffer->capacity : FIRST_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    char *data = wanted <= buffer->limit ? arena_alloc(buffer->arena, capacity) : NULL;
    if (data == NULL)
        return false;
    if (buffer->size)
        memcpy(data, buffer->data, buffer->size);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

char *proto_reserve(struct proto_buffer *buffer, size_t size)
{
    if (!buffer->failed && size <= buffer->limit &&
        (size <= buffer->capacity - buffer->size || grow(buffer, size)))
        return buffer->data + buffer->size;
    buffer->failed = true;
    return NULL;
}

void proto_put(struct proto_buffer *buffer, struct slice text)
{
    char *out = text.size ? proto_reserve(buffer, text.size) : NULL;
    if (out == NULL)
        return;
    memcpy(out, text.data, text.size);
    buffer->size += text.size;
}

void proto_put_byte(struct proto_buffer *buffer, char c)
{
    proto_put(buffer, (struct slice){ &c, 1 });
}

static size_t write_varint(char *out, uint64_t number)
{
    size_t size = 0;
    for (; number >= 0x80; number >>= 7)
        out[size++] = (char)(unsigned char)(number | 0x80);
    out[size++] = (char)number;
    return size;
}

void proto_put_varint(struct proto_buffer *buffer, uint64_t number)
{
    char bytes[VARINT_BYTES_MAX];
    proto_put(buffer, (struct slice){ bytes, write_varint(bytes, number) });
}

void proto_put_fixed(struct proto_buffer *buffer, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        proto_put_byte(buffer, (char)(unsigned char)(number >> (8 * i)));
}

void proto_put_tag(struct proto_buffer *buffer, uint32_t number, enum proto_wire_type type)
{
    proto_put_varint(buffer, (uint64_t)number << 3 | (uint64_t)type);
}

size_t proto_open(const struct proto_buffer *buffer)
{
    return buffer->size;
}

void proto_close(struct proto_buffer *buffer, size_t start)
{
    char length[VARINT_BYTES_MAX];
    size_t size = write_varint(length, buffer->size - start);
    if (proto_reserve(buffer, size) == NULL)
        return;
    memmove(buffer->data + start + size, buffer->data + start, buffer->size - start);
    memcpy(buffer->data + start, length, size);
    buffer->size += size;
}

/* --- reading -------------------------------------------------------------------------------------------- */

bool proto_take_varint(struct slice *rest, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < rest->size && i < VARINT_BYTES_MAX; i++) {
        unsigned char c = (unsigned char)rest->data[i];
        if (i == VARINT_BYTES_MAX - 1 && c > 1)
            return false; /* more than 64 bits */
        *number |= (uint64_t)(c & 0x7f) << (7 * i);
        if (c < 0x80) {
            *rest = slice_from(*rest, i + 1);
            return true;
        }
    }
    return false;
}

static bool take_fixed(struct slice *rest, unsigned bytes, uint64_t *number)
{
    if (rest->size < bytes)
        return false;
    *number = 0;
    for (unsigned i = 0; i < bytes; i++)
        *number |= (uint64_t)(unsigned char)rest->data[i] << (8 * i);
    *rest = slice_from(*rest, bytes);
    return true;
}

static bool take_one(struct slice *rest, struct proto_record *record)
{
    uint64_t tag, size;
    if (!proto_take_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
        return false;
    record->field = (uint32_t)(tag >> 3);
    record->type = (enum proto_wire_type)(tag & 7);
    switch (record->type) {
    case PROTO_WIRE_VARINT: return proto_take_varint(rest, &record->number);
    case PROTO_WIRE_64: return take_fixed(rest, 8, &record->number);
    case PROTO_WIRE_32: return take_fixed(rest, 4, &record->number);
    case PROTO_WIRE_GROUP:
    case PROTO_WIRE_GROUP_END: return true;
    case PROTO_WIRE_BYTES:
        if (!proto_take_varint(rest, &size) || size > rest->size)
            return false;
        record->bytes = (struct slice){ rest->data, (size_t)size };
        *rest = slice_from(*rest, (size_t)size);
        return true;
    }
    return false;
}

/* What stands between the two tags of a group, groups within it too. */
static bool skip_group(struct slice *rest, uint32_t field)
{
    uint32_t open[GROUPS_MAX] = { field };
    unsigned depth = 1;
    while (depth > 0) {
        struct proto_record record;
        if (!take_one(rest, &record))
            return false;
        if (record.type == PROTO_WIRE_GROUP && depth == GROUPS_MAX)
            return false;
        if (record.type == PROTO_WIRE_GROUP)
            open[depth++] = record.field;
        else if (record.type == PROTO_WIRE_GROUP_END && open[--depth] != record.field)
            return false;
    }
    return true;
}

bool proto_next(struct slice *rest, struct proto_record *record, bool *broken)
{
    *broken = false;
    if (rest->size == 0)
        return false;
    *broken = !take_one(rest, record) || record->type == PROTO_WIRE_GROUP_END ||
              (record->type == PROTO_WIRE_GROUP && !skip_group(rest, record->field));
    return !*broken;
}
