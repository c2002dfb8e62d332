/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/otlp.h"

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* --- protobuf ------------------------------------------------------------------------------------------- */

static unsigned put_varint(unsigned char *out, uint64_t value)
{
    unsigned size = 0;
    for (; value >= 0x80; value >>= 7)
        out[size++] = (unsigned char)(value | 0x80);
    out[size++] = (unsigned char)value;
    return size;
}

static void add_varint(struct text *text, uint64_t value)
{
    unsigned char bytes[10];
    unsigned size = put_varint(bytes, value);
    text_add(text, (struct slice){ (const char *)bytes, size });
}

static void add_tag(struct text *text, unsigned field, enum wire wire)
{
    add_varint(text, (uint64_t)field << 3 | wire);
}

void otlp_varint(struct text *text, unsigned field, uint64_t value)
{
    add_tag(text, field, WIRE_VARINT);
    add_varint(text, value);
}

static void add_little_endian(struct text *text, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        text_byte(text, (char)(value >> i * 8));
}

void otlp_fixed64(struct text *text, unsigned field, uint64_t value)
{
    add_tag(text, field, WIRE_64);
    add_little_endian(text, value, 8);
}

void otlp_fixed32(struct text *text, unsigned field, uint32_t value)
{
    add_tag(text, field, WIRE_32);
    add_little_endian(text, value, 4);
}

void otlp_bytes(struct text *text, unsigned field, struct slice bytes)
{
    add_tag(text, field, WIRE_BYTES);
    add_varint(text, bytes.size);
    text_add(text, bytes);
}

size_t otlp_begin(struct text *text, unsigned field)
{
    add_tag(text, field, WIRE_BYTES);
    return text->size;
}

/* The size goes in front of what is there already. */
void otlp_end(struct text *text, size_t begin)
{
    unsigned char bytes[10];
    size_t size = text->size - begin;
    unsigned prefix = put_varint(bytes, size);
    if (text->failed || text_extend(text, prefix) == NULL)
        return;
    memmove(text->data + begin + prefix, text->data + begin, size);
    memcpy(text->data + begin, bytes, prefix);
}

/* --- attributes ----------------------------------------------------------------------------------------- */

enum { KEY = 1, VALUE = 2, VALUE_STRING = 1, VALUE_BOOLEAN = 2, VALUE_INTEGER = 3 };

void otlp_named_string(struct text *text, unsigned field, struct slice key, struct slice value)
{
    size_t pair = otlp_begin(text, field);
    otlp_bytes(text, KEY, key);
    size_t any = otlp_begin(text, VALUE);
    otlp_bytes(text, VALUE_STRING, value);
    otlp_end(text, any);
    otlp_end(text, pair);
}

void otlp_string(struct text *text, unsigned field, const char *key, struct slice value)
{
    if (value.data)
        otlp_named_string(text, field, slice_of(key), value);
}

static void add_number(struct text *text, unsigned field, const char *key, unsigned type, uint64_t value)
{
    size_t pair = otlp_begin(text, field);
    otlp_bytes(text, KEY, slice_of(key));
    size_t any = otlp_begin(text, VALUE);
    otlp_varint(text, type, value);
    otlp_end(text, any);
    otlp_end(text, pair);
}

void otlp_integer(struct text *text, unsigned field, const char *key, int64_t value)
{
    add_number(text, field, key, VALUE_INTEGER, (uint64_t)value);
}

void otlp_boolean(struct text *text, unsigned field, const char *key, bool value)
{
    add_number(text, field, key, VALUE_BOOLEAN, value);
}

/* --- spans ---------------------------------------------------------------------------------------------- */

enum span_field {
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_PARENT_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_STATUS = 15,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3
};

void otlp_begin_span(struct text *text, const struct otlp_span *span)
{
    otlp_bytes(text, SPAN_TRACE_ID, span->trace_id);
    otlp_bytes(text, SPAN_SPAN_ID, span->span_id);
    if (span->parent_id.data)
        otlp_bytes(text, SPAN_PARENT_ID, span->parent_id);
    otlp_bytes(text, SPAN_NAME, span->name);
    otlp_varint(text, SPAN_KIND, span->kind);
    otlp_fixed64(text, SPAN_START, span->start_ns);
    otlp_fixed64(text, SPAN_END, span->end_ns > span->start_ns ? span->end_ns : span->start_ns);
}

void otlp_fail_span(struct text *text, struct slice message)
{
    enum { ERROR_CODE = 2 };
    size_t status = otlp_begin(text, SPAN_STATUS);
    if (message.size)
        otlp_bytes(text, STATUS_MESSAGE, message);
    otlp_varint(text, STATUS_CODE, ERROR_CODE);
    otlp_end(text, status);
}
