/* SPDX-License-Identifier: Apache-2.0 */
/* Reads .proto files (proto2 and proto3) with all that they import. The files of google/protobuf and
 * google/api that services usually import are built in; others are looked for beside the file that is loaded,
 * in /usr/local/kong/include and in /usr/include. Editions and groups are errors; extensions and options
 * other than google.api.http are read over. Control thread. */
#pragma once

#include "net/protobuf/proto_schema.h"

enum {
    PROTO_FILES_MAX = 256,
    PROTO_FILE_BYTES_MAX = 4 * 1024 * 1024,
    PROTO_NESTING_MAX = 32, /* messages within messages, braces within options */
    PROTO_FIELDS_MAX = 4096 /* of one message */
};

/* NULL: something was reported, errors of a file with its place in that file. */
const struct proto_schema *proto_load(struct slice path, const struct config_place *place);

/* The same of a text under a name, which may import nothing but what is built in. */
const struct proto_schema *proto_load_text(struct slice name, struct slice text,
                                           const struct config_place *place);
