/* SPDX-License-Identifier: Apache-2.0 */
/* What both directions of the JSON mapping need. Inside net/protobuf, any thread. */
#pragma once

#include "net/protobuf/proto_schema.h"
#include "net/protobuf/proto_wire.h"

bool proto_is_utf8(struct slice text);
enum proto_wire_type proto_wire_type_of(enum proto_type type);

enum { PROTO_REAL_SIZE = 32 /* of a number as text */ };
/* The shortest text that means the same number; NaN and infinities in quotes. Returns the size. */
size_t proto_write_real(double number, enum proto_type type, char out[PROTO_REAL_SIZE]);
