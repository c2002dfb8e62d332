/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of messages to JSON. */
#include "core/base/json_token.h"
#include "core/crypto/base64.h"
#include "net/protobuf/proto_json.h"
#include "net/protobuf/proto_json_known.h"
#include "net/protobuf/proto_text.h"

#include <inttypes.h>
#include <stdio.h>

#define NONE UINT32_MAX

enum { NUMBER_BYTES = 32 };

struct writing {
    struct proto_buffer *out;
    struct arena *arena;
    unsigned depth;
    bool quoting; /* the key of a map is written: always a string */
};

/* The records of one message, those of each field as a list in their order. */
struct item {
    struct proto_record record;
    uint32_t next;
};

struct found {
    uint32_t first, last;
};

struct content {
    struct item *items;
    struct found *fields;
    uint32_t count, capacity;
};

static enum proto_writing_result write_message(struct writing *writing, const struct proto_message *message,
                                               struct slice bytes);

/* --- what is there -------------------------------------------------------------------------------------- */

static bool is_packable(enum proto_type type)
{
    return proto_wire_type_of(type) != PROTO_WIRE_BYTES;
}

static bool fits(const struct proto_field *field, const struct proto_record *record)
{
    return record->type == proto_wire_type_of(field->type) ||
           (record->type == PROTO_WIRE_BYTES && field->repeated && is_packable(field->type));
}

static bool keep(struct writing *writing, struct content *content, const struct proto_record *record,
                 struct found *found)
{
    if (content->count == content->capacity) {
        uint32_t capacity = content->capacity ? 2 * content->capacity : 16;
        struct item *items =
            capacity <= PROTO_NODES_MAX ? arena_array(writing->arena, capacity, sizeof(*items)) : NULL;
        if (items == NULL)
            return false;
        if (content->count)
            memcpy(items, content->items, content->count * sizeof(*items));
        content->items = items;
        content->capacity = capacity;
    }
    uint32_t index = content->count++;
    content->items[index] = (struct item){ *record, NONE };
    if (found->last == NONE)
        found->first = index;
    else
        content->items[found->last].next = index;
    found->last = index;
    return true;
}

static enum proto_writing_result collect(struct writing *writing, const struct proto_message *message,
                                         struct slice bytes, struct content *content)
{
    struct proto_record record;
    bool broken;
    *content = (struct content){ 0 };
    content->fields = arena_array(writing->arena, message->count + 1, sizeof(*content->fields));
    if (content->fields == NULL)
        return PROTO_TOO_LARGE;
    for (uint32_t i = 0; i < message->count; i++)
        content->fields[i] = (struct found){ NONE, NONE };
    while (proto_next(&bytes, &record, &broken)) {
        const struct proto_field *field = proto_field_numbered(message, record.field);
        if (field && fits(field, &record) &&
            !keep(writing, content, &record, &content->fields[field - message->fields]))
            return PROTO_TOO_LARGE;
    }
    return broken ? PROTO_BROKEN : PROTO_WRITTEN;
}

/* --- scalars -------------------------------------------------------------------------------------------- */

static enum proto_writing_result write_text(struct writing *writing, struct slice text)
{
    if (!proto_is_utf8(text))
        return PROTO_BROKEN;
    if (text.size > SIZE_MAX / JSON_ESCAPED_MAX - 2)
        return PROTO_TOO_LARGE;
    char *out = proto_reserve(writing->out, JSON_ESCAPED_MAX * text.size + 2);
    if (out == NULL)
        return PROTO_TOO_LARGE;
    size_t size = json_escape(text, out + 1);
    out[0] = out[size + 1] = '"';
    writing->out->size += size + 2;
    return PROTO_WRITTEN;
}

static enum proto_writing_result write_bytes(struct writing *writing, struct slice bytes)
{
    size_t size = base64_encoded_size(BASE64_STANDARD, bytes.size);
    char *out = size < SIZE_MAX - 2 ? proto_reserve(writing->out, size + 2) : NULL;
    if (out == NULL)
        return PROTO_TOO_LARGE;
    base64_encode(BASE64_STANDARD, bytes, out + 1);
    out[0] = out[size + 1] = '"';
    writing->out->size += size + 2;
    return PROTO_WRITTEN;
}

static double real_of(enum proto_type type, uint64_t bits)
{
    double wide;
    float narrow;
    uint32_t low = (uint32_t)bits;
    memcpy(&wide, &bits, sizeof(wide));
    memcpy(&narrow, &low, sizeof(narrow));
    return type == PROTO_DOUBLE ? wide : (double)narrow;
}

static size_t format_number(enum proto_type type, uint64_t number, char out[NUMBER_BYTES])
{
    switch (type) {
    case PROTO_INT64:
    case PROTO_SFIXED64: return (size_t)snprintf(out, NUMBER_BYTES, "\"%" PRId64 "\"", (int64_t)number);
    case PROTO_SINT64: return (size_t)snprintf(out, NUMBER_BYTES, "\"%" PRId64 "\"", proto_unzigzag(number));
    case PROTO_UINT64:
    case PROTO_FIXED64: return (size_t)snprintf(out, NUMBER_BYTES, "\"%" PRIu64 "\"", number);
    case PROTO_UINT32:
    case PROTO_FIXED32: return (size_t)snprintf(out, NUMBER_BYTES, "%" PRIu32, (uint32_t)number);
    case PROTO_SINT32:
        return (size_t)snprintf(out, NUMBER_BYTES, "%" PRId32, (int32_t)proto_unzigzag(number));
    case PROTO_BOOL: return (size_t)snprintf(out, NUMBER_BYTES, "%s", number ? "true" : "false");
    case PROTO_DOUBLE:
    case PROTO_FLOAT: return proto_write_real(real_of(type, number), type, out);
    default: return (size_t)snprintf(out, NUMBER_BYTES, "%" PRId32, (int32_t)number);
    }
}

static enum proto_writing_result write_number(struct writing *writing, const struct proto_field *field,
                                              uint64_t number)
{
    char text[NUMBER_BYTES];
    const struct proto_enum *enumeration = field->enumeration;
    if (field->type == PROTO_ENUM && enumeration->is_null_value) {
        proto_put(writing->out, SLICE("null"));
        return PROTO_WRITTEN;
    }
    for (uint32_t i = 0; field->type == PROTO_ENUM && i < enumeration->count; i++)
        if (enumeration->values[i].number == (int32_t)number)
            return write_text(writing, enumeration->values[i].name);
    size_t size = format_number(field->type, number, text);
    bool bare_key = writing->quoting && text[0] != '"';
    if (bare_key)
        proto_put_byte(writing->out, '"');
    proto_put(writing->out, (struct slice){ text, size });
    if (bare_key)
        proto_put_byte(writing->out, '"');
    return PROTO_WRITTEN;
}

static enum proto_writing_result write_value(struct writing *writing, const struct proto_field *field,
                                             const struct proto_record *record)
{
    switch (field->type) {
    case PROTO_STRING: return write_text(writing, record->bytes);
    case PROTO_BYTES: return write_bytes(writing, record->bytes);
    case PROTO_MESSAGE: return write_message(writing, field->message, record->bytes);
    default: return write_number(writing, field, record->number);
    }
}

static enum proto_writing_result write_default(struct writing *writing, const struct proto_field *field)
{
    struct proto_record zero = { .bytes = SLICE("") };
    return write_value(writing, field, &zero);
}

/* --- fields --------------------------------------------------------------------------------------------- */

static enum proto_writing_result write_packed(struct writing *writing, const struct proto_field *field,
                                              struct slice bytes, bool *first)
{
    unsigned width = proto_wire_type_of(field->type) == PROTO_WIRE_64   ? 8
                     : proto_wire_type_of(field->type) == PROTO_WIRE_32 ? 4
                                                                        : 0;
    while (bytes.size > 0 && !writing->out->failed) {
        uint64_t number = 0;
        if (width == 0 && !proto_take_varint(&bytes, &number))
            return PROTO_BROKEN;
        if (width > bytes.size)
            return PROTO_BROKEN;
        for (unsigned i = 0; i < width; i++)
            number |= (uint64_t)(unsigned char)bytes.data[i] << (8 * i);
        bytes = slice_from(bytes, width);
        if (!*first)
            proto_put_byte(writing->out, ',');
        *first = false;
        if (write_number(writing, field, number) != PROTO_WRITTEN)
            return PROTO_TOO_LARGE;
    }
    return PROTO_WRITTEN;
}

static enum proto_writing_result write_list(struct writing *writing, const struct proto_field *field,
                                            const struct content *content, uint32_t index)
{
    bool first = true;
    enum proto_writing_result result = PROTO_WRITTEN;
    proto_put_byte(writing->out, '[');
    for (; index != NONE && result == PROTO_WRITTEN; index = content->items[index].next) {
        const struct proto_record *record = &content->items[index].record;
        if (record->type == PROTO_WIRE_BYTES && is_packable(field->type)) {
            result = write_packed(writing, field, record->bytes, &first);
            continue;
        }
        if (!first)
            proto_put_byte(writing->out, ',');
        first = false;
        result = write_value(writing, field, record);
    }
    proto_put_byte(writing->out, ']');
    return result;
}

static enum proto_writing_result write_entry(struct writing *writing, const struct proto_field *field,
                                             struct slice bytes)
{
    const struct proto_field *fields = field->message->fields;
    struct content content;
    enum proto_writing_result result = collect(writing, field->message, bytes, &content);
    if (result != PROTO_WRITTEN)
        return result;
    writing->quoting = true;
    uint32_t key = content.fields[0].last, value = content.fields[1].last;
    result = key == NONE ? write_default(writing, &fields[0])
                         : write_value(writing, &fields[0], &content.items[key].record);
    writing->quoting = false;
    proto_put_byte(writing->out, ':');
    if (result != PROTO_WRITTEN)
        return result;
    return value == NONE ? write_default(writing, &fields[1])
                         : write_value(writing, &fields[1], &content.items[value].record);
}

static enum proto_writing_result write_map(struct writing *writing, const struct proto_field *field,
                                           const struct content *content, uint32_t index)
{
    enum proto_writing_result result = PROTO_WRITTEN;
    proto_put_byte(writing->out, '{');
    for (bool first = true; index != NONE && result == PROTO_WRITTEN; first = false) {
        if (!first)
            proto_put_byte(writing->out, ',');
        result = write_entry(writing, field, content->items[index].record.bytes);
        index = content->items[index].next;
    }
    proto_put_byte(writing->out, '}');
    return result;
}

/* Pieces of one message are one: what was sent later overrides. */
static struct slice merge(struct writing *writing, const struct content *content, struct found found)
{
    size_t size = 0;
    if (found.first == found.last)
        return content->items[found.last].record.bytes;
    for (uint32_t i = found.first; i != NONE; i = content->items[i].next)
        size += content->items[i].record.bytes.size;
    char *all = arena_alloc(writing->arena, size + 1), *at = all;
    for (uint32_t i = found.first; all && i != NONE; i = content->items[i].next) {
        struct slice piece = content->items[i].record.bytes;
        if (piece.size)
            memcpy(at, piece.data, piece.size);
        at += piece.size;
    }
    return (struct slice){ all, size };
}

static enum proto_writing_result write_field(struct writing *writing, const struct proto_field *field,
                                             const struct content *content, struct found found)
{
    if (field->map)
        return write_map(writing, field, content, found.first);
    if (field->repeated)
        return write_list(writing, field, content, found.first);
    if (found.last == NONE)
        return write_default(writing, field);
    if (field->type != PROTO_MESSAGE)
        return write_value(writing, field, &content->items[found.last].record);
    struct slice bytes = merge(writing, content, found);
    return bytes.data ? write_message(writing, field->message, bytes) : PROTO_TOO_LARGE;
}

/* --- messages ------------------------------------------------------------------------------------------- */

static enum proto_writing_result write_plain(struct writing *writing, const struct proto_message *message,
                                             const struct content *content)
{
    enum proto_writing_result result = PROTO_WRITTEN;
    bool first = true;
    proto_put_byte(writing->out, '{');
    for (uint32_t i = 0; i < message->count && result == PROTO_WRITTEN; i++) {
        const struct proto_field *field = &message->fields[i];
        if (content->fields[i].last == NONE && field->presence)
            continue;
        proto_put(writing->out, first ? SLICE("\"") : SLICE(",\""));
        proto_put(writing->out, field->name);
        proto_put(writing->out, SLICE("\":"));
        first = false;
        result = write_field(writing, field, content, content->fields[i]);
    }
    proto_put_byte(writing->out, '}');
    return result;
}

static uint64_t number_of(const struct content *content, uint32_t field)
{
    uint32_t last = content->fields[field].last;
    return last == NONE ? 0 : content->items[last].record.number;
}

static enum proto_writing_result write_time(struct writing *writing, enum proto_known known,
                                            const struct content *content)
{
    char text[PROTO_TIME_SIZE];
    struct proto_time time = { (int64_t)number_of(content, 0), (int32_t)number_of(content, 1) };
    size_t size =
        known == PROTO_TIMESTAMP ? proto_write_timestamp(time, text) : proto_write_duration(time, text);
    return size ? write_text(writing, (struct slice){ text, size }) : PROTO_BROKEN;
}

static enum proto_writing_result write_mask(struct writing *writing, const struct content *content)
{
    bool first = true;
    proto_put_byte(writing->out, '"');
    for (uint32_t i = content->fields[0].first; i != NONE; i = content->items[i].next) {
        struct slice path = content->items[i].record.bytes;
        char *out = arena_alloc(writing->arena, 2 * path.size + 1);
        size_t size = out ? proto_camel_case(path, out) : SIZE_MAX;
        if (size == SIZE_MAX)
            return out ? PROTO_BROKEN : PROTO_TOO_LARGE;
        for (size_t j = 0; j < size; j++)
            if (out[j] != '.' && !slice_is_digit(out[j]) &&
                !(slice_lower(out[j]) >= 'a' && slice_lower(out[j]) <= 'z'))
                return PROTO_BROKEN; /* it would have to be escaped: no name of a field */
        if (!first)
            proto_put_byte(writing->out, ',');
        first = false;
        proto_put(writing->out, (struct slice){ out, size });
    }
    proto_put_byte(writing->out, '"');
    return PROTO_WRITTEN;
}

/* Of a oneof: what was sent last. */
static enum proto_writing_result write_dynamic(struct writing *writing, const struct proto_message *message,
                                               const struct content *content)
{
    uint32_t kind = NONE, at = 0;
    for (uint32_t i = 0; i < message->count; i++) {
        if (content->fields[i].last == NONE || (kind != NONE && content->fields[i].last < at))
            continue;
        kind = i;
        at = content->fields[i].last;
    }
    if (kind != NONE)
        return write_field(writing, &message->fields[kind], content, content->fields[kind]);
    proto_put(writing->out, SLICE("null"));
    return PROTO_WRITTEN;
}

static enum proto_writing_result write_content(struct writing *writing, const struct proto_message *message,
                                               const struct content *content)
{
    switch (message->known) {
    case PROTO_TIMESTAMP:
    case PROTO_DURATION: return write_time(writing, message->known, content);
    case PROTO_FIELD_MASK: return write_mask(writing, content);
    case PROTO_VALUE: return write_dynamic(writing, message, content);
    case PROTO_WRAPPER:
    case PROTO_STRUCT:
    case PROTO_LIST_VALUE: return write_field(writing, &message->fields[0], content, content->fields[0]);
    default: return write_plain(writing, message, content);
    }
}

static enum proto_writing_result write_message(struct writing *writing, const struct proto_message *message,
                                               struct slice bytes)
{
    struct content content;
    if (writing->depth >= PROTO_DEPTH_MAX)
        return PROTO_TOO_LARGE;
    writing->depth++;
    enum proto_writing_result result = collect(writing, message, bytes, &content);
    if (result == PROTO_WRITTEN)
        result = write_content(writing, message, &content);
    writing->depth--;
    return result;
}

enum proto_writing_result proto_write_json(struct proto_buffer *out, const struct proto_message *message,
                                           struct slice bytes, struct arena *arena)
{
    struct writing writing = { .out = out, .arena = arena };
    enum proto_writing_result result = write_message(&writing, message, bytes);
    return result == PROTO_WRITTEN && out->failed ? PROTO_TOO_LARGE : result;
}

enum proto_writing_result proto_write_member(struct proto_buffer *out, const struct proto_message *message,
                                             const struct proto_field *field, struct slice bytes,
                                             struct arena *arena)
{
    struct writing writing = { .out = out, .arena = arena };
    struct content content;
    enum proto_writing_result result = collect(&writing, message, bytes, &content);
    if (result == PROTO_WRITTEN)
        result = write_field(&writing, field, &content, content.fields[field - message->fields]);
    return result == PROTO_WRITTEN && out->failed ? PROTO_TOO_LARGE : result;
}
