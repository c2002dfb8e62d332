/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the nodes of documents for the YAML and the JSON reader, which differ only in grammar: nesting,
 * limits, duplicate keys, anchors and merge keys live here. One builder per text; control thread only. */
#pragma once

#include "config/document.h"
#include "core/base/map.h"

struct builder_frame {
    struct node *node;
    size_t first_entry;
    uint64_t nodes_before;
    struct slice anchor, key;
    struct node_position key_position;
    uint32_t height; /* of its highest child */
    bool has_key, has_merge;
};

/* A node with a name: `node` is NULL while it is still being read. */
struct builder_anchor {
    struct node *node;
    uint64_t nodes; /* expanded */
    uint32_t height;
};

struct builder {
    struct arena *arena;
    struct report *report; /* NULL: a trial, nothing is reported */
    const char *file;
    const struct document_limits *limits;
    uint64_t node_count;
    struct builder_frame *frames;
    uint32_t depth;
    struct node_entry *entries; /* of the open collections */
    size_t entry_count, entry_capacity;
    struct arena scratch; /* the set of keys of one mapping */
    char scratch_page[4096];
    struct map anchors;
    struct node *root;
    bool bad; /* something was, or would have been, reported */
    bool failed; /* reading cannot go on */
};

/* False when memory is exhausted. */
bool builder_init(struct builder *builder, const char *file, const struct document_limits *limits,
                  struct arena *arena, struct report *report);
void builder_deinit(struct builder *builder);

/* Reports and makes reading end. Always false. */
bool builder_fail(struct builder *builder, uint32_t line, uint32_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A new node of that kind; NULL when a limit was reached, which is reported. */
struct node *builder_node(struct builder *builder, enum node_kind kind, uint32_t line, uint32_t column);

/* Adds a complete scalar: a key where a mapping waits for one. `anchor` may be absent. */
bool builder_scalar(struct builder *builder, struct node *scalar, struct slice anchor);
bool builder_merge_key(struct builder *builder, const struct node *scalar); /* `<<` */
bool builder_begin(struct builder *builder, struct node *collection, struct slice anchor);
bool builder_end(struct builder *builder);
bool builder_alias(struct builder *builder, struct slice name, uint32_t line, uint32_t column);

/* The finished document, forgetting it and its anchors; NULL when there is none. */
struct node *builder_take(struct builder *builder);
