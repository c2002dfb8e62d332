/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/router_index.h"

struct search {
    const struct router *router;
    const struct router_request *request;
    struct router_target target;
    struct router_match *match;
    uint32_t best; /* rank of what match holds, UINT32_MAX: nothing yet */
};

static bool checks_pass(const struct search *search, const struct router_alternative *alternative,
                        struct router_match *found)
{
    unsigned checks = alternative->checks;
    const struct router_request *request = search->request;
    if (checks & CHECK_METHOD && !router_method_matches(alternative->route, request->method))
        return false;
    if (checks & CHECK_SNI && !router_sni_matches(alternative->route, request))
        return false;
    if (checks & CHECK_HEADERS && !router_headers_match(alternative->rules, request))
        return false;
    return !(checks & CHECK_REGEX) || router_regex_matches(alternative, request, found);
}

/* True when the entry is the best so far. `depth`: bytes of the path its node stands for. */
static bool try_entry(struct search *search, const struct prefix_entry *entry, size_t depth)
{
    if (entry->has_port && entry->port != search->target.port)
        return false;
    struct router_match found = { .prefix = { search->request->path.data, depth } };
    if (entry->checks & CHECK_ANY && !checks_pass(search, &search->router->alternatives[entry->rank], &found))
        return false;
    if (entry->checks & NO_PATH)
        found.prefix = (struct slice){ 0 };
    search->best = entry->rank;
    *search->match = found;
    return true;
}

static void search_node(struct search *search, const struct prefix_node *node, size_t depth)
{
    if (node->entry_count == 0 || node->entry.rank >= search->best || try_entry(search, &node->entry, depth))
        return;
    const struct prefix_entry *entry = node->more, *end = entry + node->entry_count - 1;
    while (entry < end && entry->rank < search->best && !try_entry(search, entry, depth))
        entry++;
}

static void search_bucket(struct search *search, const struct prefix_node *root)
{
    struct prefix_walk walk = { root, search->request->path, 0 };
    const struct prefix_node *node;
    while ((node = prefix_walk_next(&walk, search->best)) != NULL)
        search_node(search, node, walk.depth);
}

static void search_wildcards(struct search *search)
{
    const struct router_index *index = search->router->index;
    struct slice host = search->target.host;
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] != '.')
            continue;
        if (index->left.count && host.size - i <= index->left_max)
            search_bucket(search, map_find(&index->left, slice_from(host, i)));
        if (index->right.count && i < index->right_max)
            search_bucket(search, map_find(&index->right, (struct slice){ host.data, i + 1 }));
    }
}

bool router_match(const struct router *router, const struct router_request *request,
                  struct router_match *match)
{
    const struct router_index *index = router->index;
    struct search search = { router, request, router_target_of(router, request), match, UINT32_MAX };
    *match = (struct router_match){ 0 };
    if (index->exact.count && search.target.host.size <= index->exact_max)
        search_bucket(&search, map_find(&index->exact, search.target.host));
    if (index->left.count || index->right.count)
        search_wildcards(&search);
    search_bucket(&search, index->any);
    if (search.best == UINT32_MAX)
        return false;
    match->route = router->ranked[search.best];
    return true;
}

struct slice router_capture(const struct router_match *match, struct slice name)
{
    uint32_t number = match->regex ? regex_group_number(match->regex, name) : 0;
    return number && number < match->capture_count ? match->captures[number] : (struct slice){ 0 };
}

static const char *verdict(const struct router_alternative *alternative, const struct router_request *request,
                           const struct router_target *target)
{
    struct router_match ignored;
    if (!router_host_matches(alternative, target))
        return "host differs";
    if (!router_path_matches(alternative, request, &ignored))
        return "path differs";
    if (!router_method_matches(alternative->route, request->method))
        return "method differs";
    if (!router_sni_matches(alternative->route, request))
        return "SNI differs";
    return router_headers_match(alternative->rules, request) ? NULL : "a header differs";
}

uint32_t router_explain(const struct router *router, const struct router_request *request,
                        struct router_candidate **candidates)
{
    struct router_target target = router_target_of(router, request);
    uint32_t count = router->alternative_count;
    struct router_candidate *list = *candidates =
        arena_array(request->arena, (size_t)count + 1, sizeof *list);
    if (!list)
        return UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct router_alternative *alternative = &router->alternatives[i];
        const char *reason = verdict(alternative, request, &target);
        list[i] = (struct router_candidate){ alternative->route, alternative->path, alternative->priority,
                                             !reason, reason ? reason : "matches" };
    }
    return count;
}

void router_close(struct router *router)
{
    for (uint32_t i = 0; i < router->regex_count; i++)
        regex_close(&router->regexes[i]);
    *router = (struct router){ 0 };
}
