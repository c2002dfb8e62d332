/* SPDX-License-Identifier: Apache-2.0 */
/* Filing: every alternative goes under each of its hosts, and there under the literal beginning of its
 * path. */
#include "net/proxy/router_index.h"

#include <stdlib.h>

enum { LITERAL_MAX = 256 };

struct filing {
    struct slice host;
    enum router_wildcard wildcard;
    bool any_host;
    struct prefix_item item;
};

struct filer {
    struct router *router;
    struct arena *arena;
    struct filing *filings;
    size_t count;
};

static int compare_filings(const void *left, const void *right)
{
    const struct filing *a = left, *b = right;
    if (a->any_host != b->any_host)
        return a->any_host ? -1 : 1;
    if (a->wildcard != b->wildcard)
        return a->wildcard < b->wildcard ? -1 : 1;
    int order = slice_compare(a->host, b->host);
    if (order == 0)
        order = slice_compare(a->item.path, b->item.path);
    if (order == 0)
        order = a->item.entry.rank < b->item.entry.rank ? -1 : a->item.entry.rank > b->item.entry.rank;
    return order;
}

static bool same_bucket(const struct filing *a, const struct filing *b)
{
    return a->any_host == b->any_host && a->wildcard == b->wildcard && slice_equal(a->host, b->host);
}

static size_t count_filings(const struct router *router)
{
    size_t count = 0;
    for (uint32_t i = 0; i < router->alternative_count; i++) {
        uint32_t hosts = router->alternatives[i].rules->host_count;
        count += hosts ? hosts : 1;
    }
    return count;
}

/* Where the alternative is filed: its prefix, or what its regex surely begins with. */
static bool filing_path(struct arena *arena, const struct router_alternative *alternative, struct slice *path)
{
    *path = alternative->path.data ? alternative->path : SLICE("");
    if (!alternative->regex)
        return true;
    char literal[LITERAL_MAX];
    size_t size = regex_literal_prefix(alternative->path, literal, sizeof literal);
    *path = arena_copy(arena, (struct slice){ literal, size });
    return path->data != NULL;
}

static bool file_alternative(struct filer *filer, uint32_t rank)
{
    const struct router_alternative *alternative = &filer->router->alternatives[rank];
    const struct router_rules *rules = alternative->rules;
    struct prefix_item item = { .entry = { .rank = rank, .checks = alternative->checks } };
    if (!filing_path(filer->arena, alternative, &item.path))
        return false;
    if (rules->host_count == 0)
        filer->filings[filer->count++] = (struct filing){ .host = SLICE(""), .any_host = true, .item = item };
    for (uint32_t i = 0; i < rules->host_count; i++) {
        const struct router_host *host = &rules->hosts[i];
        item.entry.port = host->port;
        item.entry.has_port = host->has_port;
        filer->filings[filer->count++] = (struct filing){ host->text, host->wildcard, false, item };
    }
    return true;
}

static bool add_bucket(struct filer *filer, const struct filing *first, struct prefix_item *items,
                       size_t count)
{
    struct router_index *index = filer->router->index;
    struct prefix_node *root = prefix_tree_build(filer->arena, items, count);
    if (first->any_host) {
        index->any = root;
        return root != NULL;
    }
    struct map *maps[] = { &index->exact, &index->left, &index->right };
    size_t *longest[] = { &index->exact_max, &index->left_max, &index->right_max };
    if (*longest[first->wildcard] < first->host.size)
        *longest[first->wildcard] = first->host.size;
    return root && map_add(maps[first->wildcard], first->host, root, NULL);
}

static bool add_buckets(struct filer *filer)
{
    struct prefix_item *items = calloc(filer->count + 1, sizeof *items);
    bool good = items != NULL;
    for (size_t from = 0, to; good && from < filer->count; from = to) {
        const struct filing *first = &filer->filings[from];
        for (to = from; to < filer->count && same_bucket(first, &filer->filings[to]); to++)
            items[to - from] = filer->filings[to].item;
        good = add_bucket(filer, first, items, to - from);
    }
    free(items);
    return good;
}

enum error router_index_build(struct router *router, struct arena *arena)
{
    struct router_index *index = router->index = arena_alloc_zero(arena, sizeof *index);
    if (!index)
        return ERROR_MEMORY;
    map_init(&index->exact, arena);
    map_init(&index->left, arena);
    map_init(&index->right, arena);
    struct filer filer = { router, arena, calloc(count_filings(router) + 1, sizeof(struct filing)), 0 };
    bool good = filer.filings != NULL;
    for (uint32_t i = 0; good && i < router->alternative_count; i++)
        good = file_alternative(&filer, i);
    if (good) {
        qsort(filer.filings, filer.count, sizeof *filer.filings, compare_filings);
        good = add_buckets(&filer);
    }
    free(filer.filings);
    return good ? ERROR_OK : ERROR_MEMORY;
}
