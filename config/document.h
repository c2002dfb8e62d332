/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML or JSON text as a tree of nodes that know their file, line and column. Anchors and aliases are
 * resolved within an expansion limit; duplicate keys, unknown tags and too deep or too large documents are
 * reported. Control thread only; nodes live in the arena given. */
#pragma once

#include "config/report.h"
#include "core/base/arena.h"

enum node_kind { NODE_NULL, NODE_BOOLEAN, NODE_NUMBER, NODE_STRING, NODE_SEQUENCE, NODE_MAPPING };

struct node_position {
    const char *file;
    uint32_t line, column; /* from 1 */
};

struct node_entry;

struct node {
    enum node_kind kind;
    struct node_position position;
    struct slice text; /* scalars: as written */
    bool boolean;
    double number;
    bool is_integer;     /* the number is one, and in `integer` */
    int64_t integer;
    struct node_entry *entries; /* mapping: key and value; sequence: value only */
    uint32_t count;
};

struct node_entry {
    struct slice key;
    struct node_position key_position;
    struct node *value;
};

struct document_limits {
    size_t file_bytes;  /* 64 MiB */
    uint32_t depth;     /* 64 */
    uint32_t nodes;     /* 8 000 000, aliases counted as often as they are expanded */
};

extern const struct document_limits document_default_limits;

/* All documents of one text (YAML may hold several), or NULL when it was reported why not. */
struct documents {
    struct node **items;
    uint32_t count;
};

/* How a text is read: its bounds, whose memory, and where errors go. */
struct document_reading {
    const struct document_limits *limits;
    struct arena *arena;
    struct report *report;
};

bool document_read_text(struct slice text, const char *file, const struct document_reading *reading,
                        struct documents *out);
bool document_read_file(const char *path, const struct document_reading *reading, struct documents *out);

/* The bytes of a file, copied into the arena and ended by a NUL; false when it was reported why not. */
bool document_load(const char *path, const struct document_reading *reading, struct slice *text);

/* The value of `key` in a mapping, or NULL. */
const struct node *node_find(const struct node *mapping, const char *key);
const char *node_kind_name(enum node_kind kind); /* "a string", "an array" ... */
