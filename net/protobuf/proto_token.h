/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a .proto file, one at a time. Control thread. */
#pragma once

#include "config/schema.h"

enum proto_token_kind { PROTO_END, PROTO_WORD, PROTO_INTEGER, PROTO_FLOAT_NUMBER, PROTO_TEXT, PROTO_SYMBOL };

struct proto_token {
    enum proto_token_kind kind;
    struct slice text; /* as written; of PROTO_TEXT what it says */
    uint64_t number; /* of PROTO_INTEGER */
    struct node_position position;
};

struct proto_scanner {
    const char *at, *end;
    const char *file;
    uint32_t line, column;
    struct arena *arena;
    struct proto_token token; /* the one that is looked at */
    const char *reason; /* why the next one could not be read; NULL: all is well */
};

/* Reads the first one. Texts live in the arena or are views. */
void proto_scanner_init(struct proto_scanner *scanner, const char *file, struct slice text,
                        struct arena *arena);
/* The next; PROTO_END at the end, and with a reason when there is no valid one. */
void proto_scanner_next(struct proto_scanner *scanner);
