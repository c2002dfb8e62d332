/* SPDX-License-Identifier: Apache-2.0 */
/* A radix tree over the literal beginnings of route paths, part of the router's index. Built once into an
 * arena, then only read, by any thread. A node is one cache line and its children lie side by side, so that
 * a walk costs about one line per branching of the paths, however many there are. */
#pragma once

#include "core/base/arena.h"

/* A rule filed under a path. Lower ranks win. */
struct prefix_entry {
    uint32_t rank;
    uint16_t port; /* the host of it asks for this port */
    uint8_t port_of; /* enum match_port */
    uint8_t checks; /* enum router_check: what is left to look at */
};

struct prefix_item {
    struct slice path;
    struct prefix_entry entry;
};

enum { PREFIX_LABEL_INLINE = 16 };

struct prefix_node {
    union {
        char text[PREFIX_LABEL_INLINE]; /* label_size up to PREFIX_LABEL_INLINE */
        const char *data;
    } label; /* the bytes between the parent's path and this one's */
    const struct prefix_entry *more; /* the second entry and what follows */
    struct prefix_node *children; /* by byte - first_byte, or by slots[byte - first_byte] - 1 */
    const uint8_t *slots; /* NULL: the bytes are dense */
    struct prefix_entry entry; /* the best one, with entry_count > 0 */
    uint32_t label_size, entry_count;
    uint32_t best; /* the lowest rank in here and below, UINT32_MAX in a hole between children */
    uint16_t span; /* of the children's bytes; 0: no child */
    uint8_t first_byte;
};

/* The root. items: by path (bytewise), equal ones by rank. NULL when memory is exhausted. */
struct prefix_node *prefix_tree_build(struct arena *arena, const struct prefix_item *items,
                                      size_t count) MUST_CHECK;

struct prefix_walk {
    const struct prefix_node *node; /* the next one to enter, NULL at the end */
    struct slice path;
    size_t depth; /* bytes of the path that the last node entered stands for */
};

static inline const struct prefix_node *prefix_tree_child(const struct prefix_node *node, uint8_t byte)
{
    unsigned at = (unsigned)byte - node->first_byte;
    if (at >= node->span)
        return NULL;
    if (!node->slots)
        return &node->children[at];
    return node->slots[at] ? &node->children[node->slots[at] - 1] : NULL;
}

/* The next node, from the root down, whose path begins walk->path; NULL at the end, or when nothing below
 * has a rank under `limit`. */
static inline const struct prefix_node *prefix_walk_next(struct prefix_walk *walk, uint32_t limit)
{
    const struct prefix_node *node = walk->node;
    if (!node || node->best >= limit || walk->path.size - walk->depth < node->label_size)
        return NULL;
    const char *label = node->label_size > PREFIX_LABEL_INLINE ? node->label.data : node->label.text;
    if (node->label_size > 0 && memcmp(label, walk->path.data + walk->depth, node->label_size) != 0)
        return NULL;
    walk->depth += node->label_size;
    bool end = walk->depth == walk->path.size;
    walk->node = end ? NULL : prefix_tree_child(node, (uint8_t)walk->path.data[walk->depth]);
    return node;
}
