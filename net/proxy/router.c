/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/router_index.h"

struct search {
    const struct router *router;
    struct router_subject subject;
    struct router_match *match;
    uint32_t best; /* rank of what match holds, UINT32_MAX: nothing yet */
};

static bool checks_pass(const struct search *search, unsigned checks, const struct match_rule *rule,
                        struct router_match *found)
{
    const struct router_subject *subject = &search->subject;
    if (checks & CHECK_HOST && !router_host_matches(rule, subject))
        return false;
    if (checks & CHECK_CONDITIONS && router_failing_condition(rule, subject))
        return false;
    if (checks & CHECK_PATH && !router_path_matches(&rule->path, subject, found))
        return false;
    return !(checks & CHECK_EXPRESSION) || router_node_holds(rule->expression, subject, found);
}

/* True when the entry is the best so far. `depth`: bytes of the path its node stands for. */
static bool try_entry(struct search *search, const struct prefix_entry *entry, size_t depth)
{
    if (entry->port_of != MATCH_PORT_ANY && entry->port != router_port(&search->subject, entry->port_of))
        return false;
    struct router_match found = { .prefix = { search->subject.request->path.data, depth } };
    if (entry->checks & NO_PATH)
        found.prefix = (struct slice){ 0 };
    if (entry->checks & CHECK_ANY &&
        !checks_pass(search, entry->checks, search->router->rules[entry->rank], &found))
        return false;
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
    struct prefix_walk walk = { root, search->subject.request->path, 0 };
    const struct prefix_node *node;
    while ((node = prefix_walk_next(&walk, search->best)) != NULL)
        search_node(search, node, walk.depth);
}

static void search_labels(struct search *search, const struct router_hosts *hosts, struct slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] != '.')
            continue;
        if (hosts->ends.count && host.size - i <= hosts->ends_max)
            search_bucket(search, map_find(&hosts->ends, slice_from(host, i)));
        if (hosts->starts.count && i < hosts->starts_max)
            search_bucket(search, map_find(&hosts->starts, (struct slice){ host.data, i + 1 }));
    }
}

static void search_hosts(struct search *search, const struct router_hosts *hosts, struct slice host)
{
    if (hosts->whole.count && host.size <= hosts->whole_max)
        search_bucket(search, map_find(&hosts->whole, host));
    if (hosts->ends.count || hosts->starts.count)
        search_labels(search, hosts, host);
}

static inline bool is_empty(const struct router_hosts *hosts)
{
    return (hosts->whole.count | hosts->ends.count | hosts->starts.count) == 0;
}

bool router_match(const struct router *router, const struct router_request *request,
                  struct router_match *match)
{
    const struct router_index *index = router->index;
    struct search search = { router, router_subject_of(request), match, UINT32_MAX };
    *match = (struct router_match){ 0 };
    if (!is_empty(&index->sent))
        search_hosts(&search, &index->sent, search.subject.host);
    if (!is_empty(&index->folded))
        search_hosts(&search, &index->folded, router_lower(request->arena, search.subject.host));
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
