/* SPDX-License-Identifier: Apache-2.0 */
#include "net/protobuf/proto_text.h"

#include "core/base/json_token.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool proto_is_utf8(struct slice text)
{
    struct json_cursor cursor = { text.data, text.data + text.size };
    while (cursor.at < cursor.end)
        if ((unsigned char)*cursor.at < 0x80)
            cursor.at++;
        else if (!json_skip_character(&cursor))
            return false;
    return true;
}

enum proto_wire_type proto_wire_type_of(enum proto_type type)
{
    switch (type) {
    case PROTO_DOUBLE:
    case PROTO_FIXED64:
    case PROTO_SFIXED64: return PROTO_WIRE_64;
    case PROTO_FLOAT:
    case PROTO_FIXED32:
    case PROTO_SFIXED32: return PROTO_WIRE_32;
    case PROTO_STRING:
    case PROTO_BYTES:
    case PROTO_MESSAGE: return PROTO_WIRE_BYTES;
    default: return PROTO_WIRE_VARINT;
    }
}

size_t proto_write_real(double number, enum proto_type type, char out[PROTO_REAL_SIZE])
{
    bool wide = type == PROTO_DOUBLE;
    if (isnan(number))
        return (size_t)snprintf(out, PROTO_REAL_SIZE, "\"NaN\"");
    if (isinf(number))
        return (size_t)snprintf(out, PROTO_REAL_SIZE, "%s", number < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    for (int digits = wide ? 15 : 6;; digits++) {
        int size = snprintf(out, PROTO_REAL_SIZE, "%.*g", digits, number);
        double back = strtod(out, NULL);
        bool same = wide ? !(back < number) && !(back > number)
                         : !((float)back < (float)number) && !((float)back > (float)number);
        if (same || digits >= (wide ? 17 : 9))
            return (size_t)size;
    }
}
