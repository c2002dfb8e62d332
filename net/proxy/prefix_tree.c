/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/prefix_tree.h"

_Static_assert(sizeof(struct prefix_node) == 64, "a node is one cache line");

enum { CACHE_LINE = 64 };

struct builder {
    struct arena *arena;
    const struct prefix_item *items;
};

static void *line_aligned_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || __builtin_add_overflow(bytes, CACHE_LINE, &bytes))
        return NULL;
    char *memory = arena_alloc_zero(arena, bytes);
    return memory ? memory + (CACHE_LINE - (uintptr_t)memory % CACHE_LINE) % CACHE_LINE : NULL;
}

/* How far all paths of a sorted range agree: as far as its ends do. */
static size_t common_size(struct slice first, struct slice last)
{
    size_t size = 0;
    while (size < first.size && size < last.size && first.data[size] == last.data[size])
        size++;
    return size;
}

static bool set_entries(struct builder *builder, struct prefix_node *node, size_t from, size_t to)
{
    const struct prefix_item *items = builder->items;
    node->entry_count = (uint32_t)(to - from);
    if (from == to)
        return true;
    node->entry = items[from].entry;
    node->best = node->entry.rank;
    struct prefix_entry *more = arena_array(builder->arena, to - from, sizeof *more);
    if (!more)
        return false;
    for (size_t i = from + 1; i < to; i++)
        more[i - from - 1] = items[i].entry;
    node->more = more;
    return true;
}

static uint8_t byte_at(const struct prefix_item *item, size_t depth)
{
    return (uint8_t)item->path.data[depth];
}

/* The first item of [from, to) that has another byte at `depth` than items[from]. */
static size_t group_end(const struct prefix_item *items, size_t from, size_t to, size_t depth)
{
    uint8_t byte = byte_at(&items[from], depth);
    while (from < to && byte_at(&items[from], depth) == byte)
        from++;
    return from;
}

/* Children side by side: with holes when the bytes are nearly dense, else behind a table. */
static bool make_room(struct builder *builder, struct prefix_node *node, uint8_t last_byte, size_t count)
{
    node->span = (uint16_t)(last_byte - node->first_byte + 1);
    bool dense = node->span <= 2 * count + 6;
    size_t room = dense ? node->span : count;
    node->children = line_aligned_array(builder->arena, room, sizeof *node->children);
    if (!node->children)
        return false;
    for (size_t i = 0; i < room; i++)
        node->children[i].best = UINT32_MAX;
    if (dense)
        return true;
    node->slots = arena_alloc_zero(builder->arena, node->span);
    return node->slots != NULL;
}

static bool build_node(struct builder *builder, struct prefix_node *node, size_t from, size_t to,
                       size_t depth);

static bool build_children(struct builder *builder, struct prefix_node *node, size_t from, size_t to,
                           size_t depth)
{
    const struct prefix_item *items = builder->items;
    size_t count = 0;
    for (size_t i = from; i < to; i = group_end(items, i, to, depth))
        count++;
    if (count == 0)
        return true;
    node->first_byte = byte_at(&items[from], depth);
    if (!make_room(builder, node, byte_at(&items[to - 1], depth), count))
        return false;
    uint8_t *slots = (uint8_t *)node->slots; /* ours until the tree is handed out */
    for (size_t i = from, end, next = 0; i < to; i = end, next++) {
        end = group_end(items, i, to, depth);
        size_t at = (size_t)byte_at(&items[i], depth) - node->first_byte;
        if (slots)
            slots[at] = (uint8_t)(next + 1);
        struct prefix_node *child = &node->children[slots ? next : at];
        if (!build_node(builder, child, i, end, depth))
            return false;
        if (child->best < node->best)
            node->best = child->best;
    }
    return true;
}

/* Recursion is as deep as paths are prefixes of one another, so the file would have to be quadratic in it. */
static bool build_node(struct builder *builder, struct prefix_node *node, size_t from, size_t to,
                       size_t depth)
{
    const struct prefix_item *items = builder->items;
    struct slice path = items[from].path;
    size_t end = common_size(path, items[to - 1].path);
    if (end - depth > UINT32_MAX || to - from > UINT32_MAX)
        return false;
    node->label_size = (uint32_t)(end - depth);
    if (node->label_size > PREFIX_LABEL_INLINE)
        node->label.data = path.data + depth;
    else if (node->label_size)
        memcpy(node->label.text, path.data + depth, node->label_size);
    node->best = UINT32_MAX;
    size_t rest = from;
    while (rest < to && items[rest].path.size == end)
        rest++;
    return set_entries(builder, node, from, rest) && build_children(builder, node, rest, to, end);
}

struct prefix_node *prefix_tree_build(struct arena *arena, const struct prefix_item *items, size_t count)
{
    struct builder builder = { arena, items };
    struct prefix_node *root = line_aligned_array(arena, 1, sizeof *root);
    if (!root)
        return NULL;
    root->best = UINT32_MAX;
    return count == 0 || build_node(&builder, root, 0, count, 0) ? root : NULL;
}
