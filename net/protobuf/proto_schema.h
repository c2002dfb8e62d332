/* SPDX-License-Identifier: Apache-2.0 */
/* Types and services of Protocol Buffers as .proto files declare them, ready for use: names are resolved,
 * fields are found by number and by name. Made by proto_load on the control thread, constant afterwards; all
 * of it lives in the arena it was loaded into. */
#pragma once

#include "config/schema.h"
#include "core/base/map.h"

enum proto_type { /* numbered as descriptor.proto does */
                  PROTO_UNRESOLVED,
                  PROTO_DOUBLE,
                  PROTO_FLOAT,
                  PROTO_INT64,
                  PROTO_UINT64,
                  PROTO_INT32,
                  PROTO_FIXED64,
                  PROTO_FIXED32,
                  PROTO_BOOL,
                  PROTO_STRING,
                  PROTO_GROUP,
                  PROTO_MESSAGE,
                  PROTO_BYTES,
                  PROTO_UINT32,
                  PROTO_ENUM,
                  PROTO_SFIXED32,
                  PROTO_SFIXED64,
                  PROTO_SINT32,
                  PROTO_SINT64,
                  PROTO_TYPE_COUNT
};

/* Types whose JSON is not that of their fields. */
enum proto_known {
    PROTO_PLAIN,
    PROTO_TIMESTAMP,
    PROTO_DURATION,
    PROTO_FIELD_MASK,
    PROTO_WRAPPER,
    PROTO_STRUCT,
    PROTO_VALUE,
    PROTO_LIST_VALUE
};

struct proto_enum_value {
    struct slice name;
    int32_t number;
};

struct proto_enum {
    struct slice name; /* in full, without a dot in front */
    struct proto_enum_value *values;
    uint32_t count;
    bool is_null_value;
};

struct proto_message;

struct proto_field {
    struct slice name, json_name;
    struct slice type_name; /* as written, of messages and enums */
    struct node_position position;
    uint32_t number;
    enum proto_type type;
    bool repeated, map, packed;
    bool presence; /* absent is not the same as the default */
    const struct proto_message *message; /* of PROTO_MESSAGE; of a map: its entries, fields 1 and 2 */
    const struct proto_enum *enumeration;
};

struct proto_message {
    struct slice name;
    struct proto_field *fields; /* by number */
    uint32_t count;
    enum proto_known known;
    struct map names; /* both spellings -> field */
};

/* How a call of HTTP becomes one of a method (google.api.http). */
struct proto_binding {
    struct slice method; /* "GET" ... */
    struct slice path; /* the template */
    struct slice body; /* absent, "*" or a field */
    struct slice response_body; /* absent or a field */
    struct node_position position;
};

struct proto_method {
    struct slice name, path; /* "/package.Service/Method" */
    struct slice input_name, output_name;
    struct node_position position;
    const struct proto_message *input, *output;
    bool client_streams, server_streams;
    struct proto_binding *bindings;
    uint32_t binding_count;
};

struct proto_schema {
    struct map messages, enums; /* by full name */
    struct map methods; /* by path */
    struct proto_method **method_list; /* in the order of the files */
    uint32_t method_count;
};

const struct proto_message *proto_find_message(const struct proto_schema *schema, struct slice name);
const struct proto_method *proto_find_method(const struct proto_schema *schema, struct slice path);
const struct proto_field *proto_field_numbered(const struct proto_message *message, uint32_t number);
const struct proto_field *proto_field_named(const struct proto_message *message, struct slice name);
