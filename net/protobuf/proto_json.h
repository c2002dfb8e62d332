/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between JSON and their bytes, by the JSON mapping of proto3: 64-bit integers are strings, bytes
 * base64, enums names; Timestamp, Duration, FieldMask, Struct, Value and the wrappers have forms of their
 * own. Read are both spellings of a field; written are those of the .proto file, and proto3 fields without
 * presence also when they have their default, as Kong does. Unknown fields are skipped. Any thread. */
#pragma once

#include "core/base/json_tree.h"
#include "net/protobuf/proto_schema.h"
#include "net/protobuf/proto_wire.h"

enum {
    PROTO_DEPTH_MAX = 64, /* messages within each other */
    PROTO_NODES_MAX = 1000000, /* values of one message */
    PROTO_REASON_SIZE = 160
};

struct proto_reading {
    struct arena *arena;
    struct proto_buffer *out;
    unsigned depth; /* begins with 0 */
    bool words; /* strings may stand for booleans and numbers of enums: begins as false */
    char reason[PROTO_REASON_SIZE]; /* when something returned false */
};

/* The fields of an object (or whatever stands for a known type) behind what is in the buffer. */
bool proto_read_json(struct proto_reading *reading, const struct proto_message *message,
                     const struct json_node *value) MUST_CHECK;

/* One value of a field, as proto_read_json does for members; of a repeated field a list. */
bool proto_read_member(struct proto_reading *reading, const struct proto_field *field,
                       const struct json_node *value) MUST_CHECK;

/* One value as a part of a URL spells it: one more of a repeated field, words for booleans and numbers. */
bool proto_read_text(struct proto_reading *reading, const struct proto_field *field,
                     struct slice text) MUST_CHECK;

enum proto_writing_result { PROTO_WRITTEN, PROTO_BROKEN, PROTO_TOO_LARGE };

/* The message as JSON behind what is in `out`; `arena` is for what is needed meanwhile. PROTO_TOO_LARGE: a
 * limit, or no memory. */
enum proto_writing_result proto_write_json(struct proto_buffer *out, const struct proto_message *message,
                                           struct slice bytes, struct arena *arena) MUST_CHECK;

/* The same of what one field holds, its default when it is absent. */
enum proto_writing_result proto_write_member(struct proto_buffer *out, const struct proto_message *message,
                                             const struct proto_field *field, struct slice bytes,
                                             struct arena *arena) MUST_CHECK;
