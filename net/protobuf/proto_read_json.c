/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to the bytes of messages. */
#include "core/crypto/base64.h"
#include "net/protobuf/proto_json.h"
#include "net/protobuf/proto_json_known.h"
#include "net/protobuf/proto_text.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static bool fail(struct proto_reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(struct proto_reading *reading, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (reading->reason[0] == '\0')
        vsnprintf(reading->reason, sizeof(reading->reason), format, arguments);
    va_end(arguments);
    return false;
}

static bool mismatch(struct proto_reading *reading, const struct proto_field *field, const char *wanted)
{
    return fail(reading, "field \"%.*s\": expected %s", SLICE_FORMAT(field->name), wanted);
}

/* --- scalars -------------------------------------------------------------------------------------------- */

static bool is_json_number(struct slice text)
{
    struct json_cursor cursor = { text.data, text.data + text.size };
    struct json_value value;
    return text.size > 0 && json_read_scalar(&cursor, &value) && cursor.at == cursor.end &&
           value.kind == JSON_NUMBER;
}

struct integer {
    bool negative;
    uint64_t magnitude;
};

/* An integer in whatever way it is written: 5, -5, 5.0, 5e0. */
static bool to_integer(struct slice text, struct integer *integer)
{
    integer->negative = text.size > 0 && text.data[0] == '-';
    struct slice digits = integer->negative ? slice_from(text, 1) : text;
    if (slice_to_u64(digits, &integer->magnitude))
        return true;
    if (!is_json_number(text))
        return false;
    double number = json_number(digits);
    if (!(number < 18446744073709551616.0) || number != floor(number))
        return false;
    integer->magnitude = (uint64_t)number;
    return true;
}

struct range {
    uint64_t most, least; /* the latter without its sign */
};

static struct range range_of(enum proto_type type)
{
    switch (type) {
    case PROTO_UINT32:
    case PROTO_FIXED32: return (struct range){ UINT32_MAX, 0 };
    case PROTO_UINT64:
    case PROTO_FIXED64: return (struct range){ UINT64_MAX, 0 };
    case PROTO_INT64:
    case PROTO_SINT64:
    case PROTO_SFIXED64: return (struct range){ INT64_MAX, (uint64_t)INT64_MAX + 1 };
    default: return (struct range){ INT32_MAX, (uint64_t)INT32_MAX + 1 };
    }
}

static void put_integer(struct proto_buffer *out, enum proto_type type, uint64_t number)
{
    switch (type) {
    case PROTO_FIXED32:
    case PROTO_SFIXED32: proto_put_fixed(out, number, 4); break;
    case PROTO_FIXED64:
    case PROTO_SFIXED64: proto_put_fixed(out, number, 8); break;
    case PROTO_SINT32:
    case PROTO_SINT64: proto_put_varint(out, proto_zigzag((int64_t)number)); break;
    default: proto_put_varint(out, number); break;
    }
}

static bool read_integer(struct proto_reading *reading, const struct proto_field *field, struct slice text)
{
    struct integer integer;
    struct range range = range_of(field->type);
    if (!to_integer(text, &integer))
        return mismatch(reading, field, "an integer");
    if (integer.magnitude > (integer.negative ? range.least : range.most))
        return mismatch(reading, field, "an integer that its type can hold");
    put_integer(reading->out, field->type, integer.negative ? 0 - integer.magnitude : integer.magnitude);
    return true;
}

static bool read_real(struct proto_reading *reading, const struct proto_field *field, struct slice text)
{
    double number;
    bool word = true;
    if (slice_equal(text, SLICE("NaN")))
        number = (double)NAN;
    else if (slice_equal(text, SLICE("Infinity")))
        number = (double)INFINITY;
    else if (slice_equal(text, SLICE("-Infinity")))
        number = -(double)INFINITY;
    else
        word = false;
    if (!word && !is_json_number(text))
        return mismatch(reading, field, "a number");
    if (!word)
        number = json_number(text);
    bool wide = field->type == PROTO_DOUBLE;
    if (!word && !(fabs(number) <= (wide ? DBL_MAX : (double)FLT_MAX)))
        return mismatch(reading, field, "a number that its type can hold");
    uint64_t bits = 0;
    float narrow = (float)number;
    memcpy(&bits, wide ? (const void *)&number : (const void *)&narrow, wide ? 8 : 4);
    proto_put_fixed(reading->out, bits, wide ? 8 : 4);
    return true;
}

/* Numbers may be strings. */
static bool read_number(struct proto_reading *reading, const struct proto_field *field,
                        const struct json_value *value)
{
    struct slice text = value->text;
    bool real = field->type == PROTO_DOUBLE || field->type == PROTO_FLOAT;
    if (value->kind == JSON_STRING)
        text = json_text(reading->arena, value);
    else if (value->kind != JSON_NUMBER)
        return mismatch(reading, field, "a number");
    if (text.data == NULL)
        return fail(reading, "out of memory");
    return real ? read_real(reading, field, text) : read_integer(reading, field, text);
}

static bool read_bool(struct proto_reading *reading, const struct proto_field *field,
                      const struct json_value *value)
{
    bool word = value->kind == JSON_STRING && reading->words;
    bool yes = value->kind == JSON_TRUE || (word && slice_equal(value->text, SLICE("true")));
    bool no = value->kind == JSON_FALSE || (word && slice_equal(value->text, SLICE("false")));
    if (!yes && !no)
        return mismatch(reading, field, "true or false");
    proto_put_varint(reading->out, yes);
    return true;
}

static bool read_enum(struct proto_reading *reading, const struct proto_field *field,
                      const struct json_value *value)
{
    const struct proto_enum *enumeration = field->enumeration;
    struct integer integer;
    if (value->kind == JSON_NULL && enumeration->is_null_value) {
        proto_put_varint(reading->out, 0);
        return true;
    }
    for (uint32_t i = 0; value->kind == JSON_STRING && i < enumeration->count; i++) {
        if (!json_says(value, enumeration->values[i].name))
            continue;
        proto_put_varint(reading->out, (uint64_t)(int64_t)enumeration->values[i].number);
        return true;
    }
    bool number = value->kind == JSON_NUMBER || (reading->words && value->kind == JSON_STRING);
    if (!number || !to_integer(value->text, &integer) || integer.magnitude > INT32_MAX)
        return mismatch(reading, field, "a name of its enum");
    proto_put_varint(reading->out, integer.negative ? 0 - integer.magnitude : integer.magnitude);
    return true;
}

/* Both alphabets, with padding or without. */
static bool read_bytes(struct proto_reading *reading, const struct proto_field *field, struct slice text)
{
    while (text.size > 0 && text.data[text.size - 1] == '=')
        text.size--;
    char *plain = arena_alloc(reading->arena, text.size + 1);
    size_t size = 0, start = proto_open(reading->out);
    for (size_t i = 0; plain && i < text.size; i++)
        plain[i] = text.data[i] == '+' ? '-' : text.data[i] == '/' ? '_' : text.data[i];
    char *out = plain ? proto_reserve(reading->out, base64_decoded_bound(text.size) + 1) : NULL;
    if (out == NULL)
        return fail(reading, "too large");
    if (!base64_decode(BASE64_URL, (struct slice){ plain, text.size }, out, &size))
        return mismatch(reading, field, "base64");
    reading->out->size += size;
    proto_close(reading->out, start);
    return true;
}

static bool read_string(struct proto_reading *reading, const struct proto_field *field,
                        const struct json_value *value)
{
    if (value->kind != JSON_STRING)
        return mismatch(reading, field, "a string");
    struct slice text = json_text(reading->arena, value);
    if (text.data == NULL)
        return fail(reading, "out of memory");
    if (field->type == PROTO_BYTES)
        return read_bytes(reading, field, text);
    if (reading->words && !proto_is_utf8(text))
        return mismatch(reading, field, "UTF-8");
    proto_put_varint(reading->out, text.size);
    proto_put(reading->out, text);
    return true;
}

/* Without its tag. */
static bool read_scalar(struct proto_reading *reading, const struct proto_field *field,
                        const struct json_value *value)
{
    switch (field->type) {
    case PROTO_STRING:
    case PROTO_BYTES: return read_string(reading, field, value);
    case PROTO_BOOL: return read_bool(reading, field, value);
    case PROTO_ENUM: return read_enum(reading, field, value);
    default: return read_number(reading, field, value);
    }
}

/* --- fields --------------------------------------------------------------------------------------------- */

static bool takes_null(const struct proto_field *field)
{
    return (field->type == PROTO_MESSAGE && field->message->known == PROTO_VALUE) ||
           (field->type == PROTO_ENUM && field->enumeration->is_null_value);
}

static bool read_single(struct proto_reading *reading, const struct proto_field *field,
                        const struct json_node *node)
{
    proto_put_tag(reading->out, field->number, proto_wire_type_of(field->type));
    if (field->type != PROTO_MESSAGE)
        return read_scalar(reading, field, &node->value);
    size_t start = proto_open(reading->out);
    if (!proto_read_json(reading, field->message, node))
        return false;
    proto_close(reading->out, start);
    return true;
}

static bool read_list(struct proto_reading *reading, const struct proto_field *field,
                      const struct json_node *list)
{
    if (list->value.kind != JSON_ARRAY)
        return mismatch(reading, field, "an array");
    if (!field->packed) {
        for (const struct json_node *node = list->first; node; node = node->next) {
            if (node->value.kind == JSON_NULL && !takes_null(field))
                return mismatch(reading, field, "no null in its array");
            if (!read_single(reading, field, node))
                return false;
        }
        return true;
    }
    if (list->first == NULL)
        return true;
    proto_put_tag(reading->out, field->number, PROTO_WIRE_BYTES);
    size_t start = proto_open(reading->out);
    for (const struct json_node *node = list->first; node; node = node->next)
        if (!read_scalar(reading, field, &node->value))
            return false;
    proto_close(reading->out, start);
    return true;
}

static bool read_key(struct proto_reading *reading, const struct proto_field *field,
                     const struct json_value *name)
{
    struct slice text = json_text(reading->arena, name);
    bool words = reading->words;
    if (text.data == NULL)
        return fail(reading, "out of memory");
    reading->words = true;
    struct json_value value = { JSON_STRING, false, text };
    proto_put_tag(reading->out, field->number, proto_wire_type_of(field->type));
    bool good = read_scalar(reading, field, &value);
    reading->words = words;
    return good;
}

static bool read_map(struct proto_reading *reading, const struct proto_field *field,
                     const struct json_node *object)
{
    const struct proto_field *fields = field->message->fields;
    if (object->value.kind != JSON_OBJECT)
        return mismatch(reading, field, "an object");
    for (const struct json_node *node = object->first; node; node = node->next) {
        if (node->value.kind == JSON_NULL && !takes_null(&fields[1]))
            return mismatch(reading, field, "no null among its values");
        proto_put_tag(reading->out, field->number, PROTO_WIRE_BYTES);
        size_t start = proto_open(reading->out);
        if (!read_key(reading, &fields[0], &node->name) || !read_single(reading, &fields[1], node))
            return false;
        proto_close(reading->out, start);
    }
    return true;
}

bool proto_read_member(struct proto_reading *reading, const struct proto_field *field,
                       const struct json_node *value)
{
    if (value->value.kind == JSON_NULL && (field->repeated || !takes_null(field)))
        return true; /* null is the default */
    if (field->map)
        return read_map(reading, field, value);
    if (field->repeated)
        return read_list(reading, field, value);
    return read_single(reading, field, value);
}

bool proto_read_text(struct proto_reading *reading, const struct proto_field *field, struct slice text)
{
    struct json_node node = { .value = { JSON_STRING, false, text.data ? text : SLICE("") } };
    bool words = reading->words;
    if (field->map || (field->type == PROTO_MESSAGE && field->message->known == PROTO_PLAIN))
        return mismatch(reading, field, "a field of its message");
    reading->words = true;
    bool good = read_single(reading, field, &node);
    reading->words = words;
    return good && !reading->out->failed;
}

/* --- messages ------------------------------------------------------------------------------------------- */

static bool read_time(struct proto_reading *reading, enum proto_known known, const struct json_value *value)
{
    struct proto_time time;
    struct slice text = value->kind == JSON_STRING ? json_text(reading->arena, value) : SLICE("");
    if (text.data == NULL)
        return fail(reading, "out of memory");
    if (!(known == PROTO_TIMESTAMP ? proto_read_timestamp(text, &time) : proto_read_duration(text, &time)))
        return fail(reading, "expected a %s as a string",
                    known == PROTO_TIMESTAMP ? "time by RFC 3339" : "duration in seconds, with \"s\",");
    if (time.seconds) {
        proto_put_tag(reading->out, 1, PROTO_WIRE_VARINT);
        proto_put_varint(reading->out, (uint64_t)time.seconds);
    }
    if (time.nanos) {
        proto_put_tag(reading->out, 2, PROTO_WIRE_VARINT);
        proto_put_varint(reading->out, (uint64_t)(int64_t)time.nanos);
    }
    return true;
}

static bool read_mask(struct proto_reading *reading, const struct json_value *value)
{
    struct slice text = value->kind == JSON_STRING ? json_text(reading->arena, value) : SLICE("");
    if (text.data == NULL || value->kind != JSON_STRING)
        return fail(reading, "expected the paths of a field mask as a string");
    while (text.size > 0) {
        struct slice rest, path = slice_split(text, ',', &rest);
        char *out = arena_alloc(reading->arena, 2 * path.size + 1);
        size_t size = out ? proto_snake_case(path, out) : SIZE_MAX;
        if (size == SIZE_MAX)
            return fail(reading, "a path of a field mask is not in lowerCamelCase");
        proto_put_tag(reading->out, 1, PROTO_WIRE_BYTES);
        proto_put_varint(reading->out, size);
        proto_put(reading->out, (struct slice){ out, size });
        text = rest;
    }
    return true;
}

static bool read_dynamic(struct proto_reading *reading, const struct proto_message *message,
                         const struct json_node *value)
{
    switch (value->value.kind) {
    case JSON_NUMBER: return read_single(reading, &message->fields[1], value);
    case JSON_STRING: return read_single(reading, &message->fields[2], value);
    case JSON_TRUE:
    case JSON_FALSE: return read_single(reading, &message->fields[3], value);
    case JSON_OBJECT: return read_single(reading, &message->fields[4], value);
    case JSON_ARRAY: return read_single(reading, &message->fields[5], value);
    default: return read_single(reading, &message->fields[0], value);
    }
}

static bool read_plain(struct proto_reading *reading, const struct proto_message *message,
                       const struct json_node *object)
{
    if (object->value.kind != JSON_OBJECT)
        return fail(reading, "expected an object for a message of type \"%.*s\"",
                    SLICE_FORMAT(message->name));
    for (const struct json_node *node = object->first; node; node = node->next) {
        struct slice name = json_text(reading->arena, &node->name);
        if (name.data == NULL)
            return fail(reading, "out of memory");
        const struct proto_field *field = proto_field_named(message, name);
        if (field && !proto_read_member(reading, field, node))
            return false;
    }
    return true;
}

static bool read_message(struct proto_reading *reading, const struct proto_message *message,
                         const struct json_node *value)
{
    switch (message->known) {
    case PROTO_TIMESTAMP:
    case PROTO_DURATION: return read_time(reading, message->known, &value->value);
    case PROTO_FIELD_MASK: return read_mask(reading, &value->value);
    case PROTO_VALUE: return read_dynamic(reading, message, value);
    case PROTO_WRAPPER:
    case PROTO_STRUCT:
    case PROTO_LIST_VALUE: return proto_read_member(reading, &message->fields[0], value);
    default: return read_plain(reading, message, value);
    }
}

bool proto_read_json(struct proto_reading *reading, const struct proto_message *message,
                     const struct json_node *value)
{
    if (reading->depth >= PROTO_DEPTH_MAX)
        return fail(reading, "nested too deep");
    reading->depth++;
    bool good = read_message(reading, message, value);
    reading->depth--;
    if (good && reading->out->failed)
        return fail(reading, "too large");
    return good;
}
