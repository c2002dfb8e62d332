/* SPDX-License-Identifier: Apache-2.0 */
/* The walk enters exactly the nodes whose paths begin the request's: dense and sparse children, long
 * labels. */
#include "net/proxy/prefix_tree.h"

#include <criterion/criterion.h>

/* In the order of their bytes. */
static const char *const paths[] = {
    "",
    "/",
    "/!",
    "/a",
    "/a-label-that-is-longer-than-a-node-holds",
    "/a-label-that-is-longer-than-a-node-holds/and/goes/on/a-good-deal",
    "/aa",
    "/a~",
    "/b",
    "/z",
    "/z\x01",
    "/z\xff",
    "/z\xff\xff",
    "/~",
    "/\xc3\xa9",
};

static struct arena arena;

static const struct prefix_node *build(void)
{
    struct prefix_item items[COUNT_OF(paths)];
    for (uint32_t i = 0; i < COUNT_OF(paths); i++)
        items[i] = (struct prefix_item){ slice_of(paths[i]), { .rank = (uint32_t)COUNT_OF(paths) - i } };
    arena_init(&arena, NULL, 0, 1 << 20);
    const struct prefix_node *root = prefix_tree_build(&arena, items, COUNT_OF(items));
    cr_assert_not_null(root);
    return root;
}

/* A bit per path of the table that the walk meets. */
static unsigned walk_over(const struct prefix_node *root, struct slice path, uint32_t limit)
{
    struct prefix_walk walk = { root, path, 0 };
    unsigned met = 0;
    for (const struct prefix_node *node; (node = prefix_walk_next(&walk, limit)) != NULL;)
        if (node->entry_count) {
            uint32_t number = (uint32_t)COUNT_OF(paths) - node->entry.rank;
            cr_assert_eq(walk.depth, strlen(paths[number]));
            met |= 1u << number;
        }
    return met;
}

static unsigned naive(struct slice path)
{
    unsigned met = 0;
    for (uint32_t i = 0; i < COUNT_OF(paths); i++)
        met |= (unsigned)slice_starts_with(path, slice_of(paths[i])) << i;
    return met;
}

Test(prefix_tree, walks_enter_what_begins_the_path)
{
    const struct prefix_node *root = build();
    for (uint32_t i = 0; i < COUNT_OF(paths); i++)
        for (int last = -1; last < 256; last++) {
            char text[128];
            size_t size = strlen(paths[i]);
            memcpy(text, paths[i], size + 1);
            if (last >= 0)
                text[size++] = (char)last;
            struct slice path = { text, size };
            cr_assert_eq(walk_over(root, path, UINT32_MAX), naive(path), "path %u, byte %d", i, last);
        }
    arena_deinit(&arena);
}

Test(prefix_tree, a_walk_stops_where_nothing_better_can_be)
{
    const struct prefix_node *root = build();
    cr_assert_eq(walk_over(root, SLICE("/z\xff\xff"), 1), 0);
    cr_assert_neq(walk_over(root, SLICE("/z\xff\xff"), (uint32_t)COUNT_OF(paths)), 0);
    arena_deinit(&arena);
}

Test(prefix_tree, without_items_it_is_empty)
{
    arena_init(&arena, NULL, 0, 1 << 20);
    struct prefix_walk walk = { prefix_tree_build(&arena, NULL, 0), SLICE("/"), 0 };
    cr_assert_not_null(walk.node);
    cr_assert_null(prefix_walk_next(&walk, UINT32_MAX));
    arena_deinit(&arena);
}
