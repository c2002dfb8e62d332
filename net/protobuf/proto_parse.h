/* SPDX-License-Identifier: Apache-2.0 */
/* One .proto file as declarations whose names are not resolved yet. Inside net/protobuf, control thread. */
#pragma once

#include "net/protobuf/proto_schema.h"
#include "net/protobuf/proto_token.h"

/* What can be named: exactly one of the pointers. */
struct proto_symbol {
    struct slice name;
    struct proto_message *message;
    struct proto_enum *enumeration;
};

struct proto_import {
    struct slice name;
    struct node_position position;
};

/* What all files of one load declare together; lists grow in the arena. */
struct proto_declared {
    struct arena *arena;
    struct map symbols; /* full name -> struct proto_symbol */
    struct proto_message **messages;
    struct proto_enum **enums;
    struct proto_method **methods;
    uint32_t message_count, enum_count, method_count;
};

struct proto_parser {
    struct proto_declared *all;
    const struct config_place *place;
    struct proto_scanner scanner;
    struct slice package; /* absent: none */
    bool proto3;
    bool failed;
    unsigned depth;
    struct proto_import *imports;
    uint32_t import_count;
};

/* False: reported. `file` is the name for places and lives as long as the arena. */
bool proto_parse(struct proto_parser *parser, const char *file, struct slice text);

/* Room for one more in a list that grows in the arena, zeroed; NULL: out of memory. `*items` may move. */
void *proto_append(struct arena *arena, void *items, uint32_t *count, size_t size);

/* --- shared by the files of the parser ------------------------------------------------------------------ */

void proto_fail(struct proto_parser *parser, const struct node_position *position, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool proto_sees(const struct proto_parser *parser, const char *text); /* a word or a symbol */
bool proto_accept(struct proto_parser *parser, const char *text);
bool proto_expect(struct proto_parser *parser, const char *text);
struct slice proto_word(struct proto_parser *parser); /* absent: reported */
struct slice proto_string(struct proto_parser *parser);
struct slice proto_name(struct proto_parser *parser); /* a.b.c, with or without a dot in front */
bool proto_number(struct proto_parser *parser, int64_t min, int64_t max, int64_t *number);
struct slice proto_join(struct proto_parser *parser, struct slice scope, struct slice name);

/* Behind "option": what it sets. Of a field only what changes its meaning is kept; `field` and `method` may
 * be NULL. */
void proto_option_statement(struct proto_parser *parser, struct proto_method *method);
void proto_field_options(struct proto_parser *parser, struct proto_field *field); /* [ ... ] if it is there */

/* proto_parse_type.c */
void proto_parse_message(struct proto_parser *parser, struct slice scope);
void proto_parse_enum(struct proto_parser *parser, struct slice scope);
void proto_skip_extend(struct proto_parser *parser);
