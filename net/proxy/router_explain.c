/* SPDX-License-Identifier: Apache-2.0 */
/* Why a rule takes a request or does not, for people. */
#include "net/proxy/router_index.h"

#include <stdlib.h>

static struct slice condition_reason(const struct match_condition *condition, struct arena *arena)
{
    static const char *const names[] = {
        [MATCH_METHOD] = "method differs",
        [MATCH_HOST] = "host differs",
        [MATCH_AUTHORITY] = "host differs",
        [MATCH_PATH] = "path differs",
        [MATCH_SEGMENTS] = "segments of the path differ",
        [MATCH_SNI] = "SNI differs",
        [MATCH_PROTOCOL] = "protocol differs",
        [MATCH_SEGMENT_COUNT] = "number of segments differs",
        [MATCH_SOURCE_PORT] = "source port differs",
        [MATCH_DESTINATION_PORT] = "destination port differs",
        [MATCH_LISTENER_PORT] = "listener differs",
        [MATCH_DRAW] = "not of the share drawn",
        [MATCH_SOURCE] = "source differs",
        [MATCH_DESTINATION] = "destination differs",
    };
    switch (condition->field) {
    case MATCH_HEADER: return arena_format(arena, "header %.*s differs", SLICE_FORMAT(condition->name));
    case MATCH_QUERY:
    case MATCH_RAW_QUERY:
        return arena_format(arena, "query argument %.*s differs", SLICE_FORMAT(condition->name));
    default: return slice_of(names[condition->field]);
    }
}

/* The first part that makes the node false: a leaf, or an `or` or `not` as a whole. */
static const struct match_node *failing_part(const struct match_node *node,
                                             const struct router_subject *subject)
{
    struct router_match ignored = { 0 };
    const struct match_node *part = node->kind == MATCH_ALL_OF ? node->first : NULL;
    while (part && router_node_holds(part, subject, &ignored))
        part = part->next;
    return part ? failing_part(part, subject) : node;
}

static struct slice verdict(const struct match_rule *rule, const struct router_subject *subject)
{
    struct router_match match = { 0 };
    struct arena *arena = subject->request->arena;
    if (!router_host_matches(rule, subject))
        return SLICE("host differs");
    if (!router_path_matches(&rule->path, subject, &match))
        return SLICE("path differs");
    const struct match_condition *condition = router_failing_condition(rule, subject);
    if (condition)
        return condition_reason(condition, arena);
    if (!rule->expression || router_node_holds(rule->expression, subject, &match))
        return (struct slice){ NULL, 0 };
    const struct match_node *part = failing_part(rule->expression, subject);
    return arena_format(arena, "not true: %.*s", SLICE_FORMAT(part->text));
}

/* Filed under any host and no beginning of a path. */
static bool is_scanned(const struct match_rule *rule, struct arena *arena, struct router_hints *hints)
{
    if (!rule->expression || !router_hints_of(rule->expression, arena, hints))
        return false;
    for (uint32_t i = 0; i < hints->count; i++)
        if (hints->items[i].any_host && hints->items[i].path.size == 0)
            return true;
    return false;
}

uint32_t router_explain(const struct router *router, const struct router_request *request,
                        struct router_candidate **candidates)
{
    struct router_subject subject = router_subject_of(request);
    uint32_t count = router->rule_count;
    struct router_hints *hints = malloc(sizeof *hints);
    struct router_candidate *list = *candidates =
        arena_array(request->arena, (size_t)count + 1, sizeof *list);
    for (uint32_t i = 0; hints && list && i < count; i++) {
        const struct match_rule *rule = router->rules[i];
        subject.overruns = request->scratch->overruns;
        struct slice reason = verdict(rule, &subject);
        list[i] = (struct router_candidate){ .rule = rule,
                                             .matched = reason.data == NULL,
                                             .scanned = is_scanned(rule, request->arena, hints),
                                             .reason = reason.data ? reason : SLICE("matches") };
    }
    bool good = hints && list;
    free(hints);
    return good ? count : UINT32_MAX;
}
