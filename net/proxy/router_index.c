/* SPDX-License-Identifier: Apache-2.0 */
/* Filing: every rule goes under each of its hosts, and there under the literal beginning of its path. A rule
 * with an expression goes where the expression's hints say. */
#include "net/proxy/router_index.h"

#include <stdlib.h>

struct filing {
    struct router_hint where;
    struct prefix_entry entry;
};

struct filer {
    struct router *router;
    struct arena *arena;
    struct filing *filings;
    size_t count, capacity;
};

/* Buckets are of one host; any host is the first. */
static int compare_buckets(const struct router_hint *a, const struct router_hint *b)
{
    if (a->any_host != b->any_host)
        return a->any_host ? -1 : 1;
    if (a->any_host)
        return 0;
    if (a->fold_host != b->fold_host)
        return a->fold_host ? 1 : -1;
    if (a->wildcard != b->wildcard)
        return a->wildcard < b->wildcard ? -1 : 1;
    return slice_compare(a->host, b->host);
}

static int compare_filings(const void *left, const void *right)
{
    const struct filing *a = left, *b = right;
    int order = compare_buckets(&a->where, &b->where);
    if (order == 0)
        order = slice_compare(a->where.path, b->where.path);
    if (order == 0)
        order = a->entry.rank < b->entry.rank ? -1 : a->entry.rank > b->entry.rank;
    return order;
}

static bool file(struct filer *filer, const struct filing *filing)
{
    if (filer->count == filer->capacity) {
        size_t larger = filer->capacity ? filer->capacity * 2 : 256;
        struct filing *grown = realloc(filer->filings, larger * sizeof *grown);
        if (!grown)
            return false;
        filer->filings = grown;
        filer->capacity = larger;
    }
    filer->filings[filer->count++] = *filing;
    return true;
}

/* Letters of a folded path may come in either case: what is before them is sure. */
static struct slice path_start(struct arena *arena, const struct match_path *path)
{
    struct slice text = path->text.data ? path->text : SLICE("");
    if (path->kind == MATCH_PATH_ANY)
        return SLICE("");
    if (path->kind == MATCH_PATH_REGEX)
        return router_regex_start(arena, path->regex, text);
    for (size_t i = 0; path->fold_case && i < text.size; i++)
        if (slice_lower(text.data[i]) >= 'a' && slice_lower(text.data[i]) <= 'z')
            text.size = i;
    return text;
}

static uint8_t checks_of(const struct match_rule *rule)
{
    bool plain = rule->path.kind == MATCH_PATH_PREFIX && !rule->path.fold_case;
    unsigned checks = (rule->condition_count ? CHECK_CONDITIONS : 0u) |
                      (rule->expression ? CHECK_EXPRESSION : 0u) |
                      (rule->path.kind == MATCH_PATH_ANY ? NO_PATH
                       : plain                           ? 0u
                                                         : CHECK_PATH);
    return (uint8_t)checks;
}

static bool file_under_hosts(struct filer *filer, const struct match_rule *rule, struct filing *filing)
{
    bool under_any = rule->host_count == 0;
    for (uint32_t i = 0; i < rule->host_count; i++) {
        const struct match_host *host = &rule->hosts[i];
        struct filing one = *filing;
        if (!router_is_label_bound(host->text, host->wildcard)) {
            under_any = true;
            continue;
        }
        one.where.host = host->text;
        one.where.wildcard = host->wildcard;
        one.where.fold_host = host->fold_case;
        one.where.any_host = false;
        one.entry.port = host->port;
        one.entry.port_of = (uint8_t)host->port_of;
        if (!file(filer, &one))
            return false;
    }
    filing->entry.checks = (uint8_t)(filing->entry.checks | (rule->host_count ? CHECK_HOST : 0));
    return !under_any || file(filer, filing);
}

/* Hosts and path that stand beside an expression are then asked as conditions. */
static bool file_expression(struct filer *filer, const struct match_rule *rule, struct filing *filing)
{
    struct router_hints *hints = malloc(sizeof *hints);
    bool good = hints && router_hints_of(rule->expression, filer->arena, hints);
    filing->entry.checks = (uint8_t)(filing->entry.checks | (rule->host_count ? CHECK_HOST : 0) |
                                     (rule->path.kind != MATCH_PATH_ANY ? CHECK_PATH : 0));
    for (uint32_t i = 0; good && i < hints->count; i++) {
        filing->where = hints->items[i];
        good = file(filer, filing);
    }
    free(hints);
    return good;
}

static bool file_rule(struct filer *filer, uint32_t rank)
{
    const struct match_rule *rule = filer->router->rules[rank];
    struct filing filing = { .where = { .any_host = true, .path = SLICE("") },
                             .entry = { .rank = rank, .checks = checks_of(rule) } };
    if (rule->expression)
        return file_expression(filer, rule, &filing);
    filing.where.path = path_start(filer->arena, &rule->path);
    return filing.where.path.data && file_under_hosts(filer, rule, &filing);
}

static bool add_bucket(struct filer *filer, const struct router_hint *where, struct prefix_item *items,
                       size_t count)
{
    struct router_index *index = filer->router->index;
    struct prefix_node *root = prefix_tree_build(filer->arena, items, count);
    if (where->any_host) {
        index->any = root;
        return root != NULL;
    }
    struct router_hosts *hosts = where->fold_host ? &index->folded : &index->sent;
    struct map *maps[] = { [MATCH_HOST_WHOLE] = &hosts->whole,
                           [MATCH_HOST_ENDS] = &hosts->ends,
                           [MATCH_HOST_STARTS] = &hosts->starts };
    size_t *longest[] = { [MATCH_HOST_WHOLE] = &hosts->whole_max,
                          [MATCH_HOST_ENDS] = &hosts->ends_max,
                          [MATCH_HOST_STARTS] = &hosts->starts_max };
    if (*longest[where->wildcard] < where->host.size)
        *longest[where->wildcard] = where->host.size;
    return root && map_add(maps[where->wildcard], where->host, root, NULL);
}

static bool add_buckets(struct filer *filer)
{
    struct prefix_item *items = calloc(filer->count + 1, sizeof *items);
    bool good = items != NULL;
    for (size_t from = 0, to; good && from < filer->count; from = to) {
        const struct router_hint *where = &filer->filings[from].where;
        for (to = from; to < filer->count && compare_buckets(where, &filer->filings[to].where) == 0; to++)
            items[to - from] =
                (struct prefix_item){ filer->filings[to].where.path, filer->filings[to].entry };
        good = add_bucket(filer, where, items, to - from);
    }
    free(items);
    return good;
}

static void init_hosts(struct router_hosts *hosts, struct arena *arena)
{
    map_init(&hosts->whole, arena);
    map_init(&hosts->ends, arena);
    map_init(&hosts->starts, arena);
}

enum error router_index_build(struct router *router, struct arena *arena)
{
    struct router_index *index = router->index = arena_alloc_zero(arena, sizeof *index);
    if (!index)
        return ERROR_MEMORY;
    init_hosts(&index->sent, arena);
    init_hosts(&index->folded, arena);
    struct filer filer = { .router = router, .arena = arena };
    bool good = true;
    for (uint32_t i = 0; good && i < router->rule_count; i++)
        good = file_rule(&filer, i);
    if (good && filer.count)
        qsort(filer.filings, filer.count, sizeof *filer.filings, compare_filings);
    good = good && add_buckets(&filer);
    free(filer.filings);
    return good ? ERROR_OK : ERROR_MEMORY;
}
