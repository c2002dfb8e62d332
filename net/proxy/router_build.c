/* SPDX-License-Identifier: Apache-2.0 */
/* From the rules of a model to their final order. */
#include "net/proxy/router_index.h"

#include <stdlib.h>

struct ranking {
    const struct match_rule *rule;
    uint32_t number; /* as given */
};

static int compare(const void *left, const void *right)
{
    const struct ranking *a = left, *b = right;
    if (a->rule->priority != b->rule->priority)
        return a->rule->priority > b->rule->priority ? -1 : 1;
    if (a->rule->order != b->rule->order)
        return a->rule->order < b->rule->order ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static bool node_asks(const struct match_node *node, enum match_field field)
{
    if (node->kind == MATCH_LEAF)
        return node->condition.field == field;
    for (const struct match_node *part = node->first; part; part = part->next)
        if (node_asks(part, field))
            return true;
    return false;
}

static bool rule_asks(const struct match_rule *rule, enum match_field field)
{
    for (uint32_t i = 0; i < rule->condition_count; i++)
        if (rule->conditions[i].field == field)
            return true;
    return rule->expression && node_asks(rule->expression, field);
}

enum error router_build(struct router *router, struct arena *arena, const struct router_source *source)
{
    struct ranking *list = calloc((size_t)source->count + 1, sizeof *list);
    *router = (struct router){ .rules = arena_array(arena, (size_t)source->count + 1, sizeof(void *)),
                               .ranked = arena_array(arena, (size_t)source->count + 1, sizeof(void *)) };
    if (!list || !router->rules || !router->ranked) {
        free(list);
        return ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < source->count; i++)
        if (source->rules[i]->traffic == source->traffic)
            list[router->rule_count++] = (struct ranking){ source->rules[i], i };
    qsort(list, router->rule_count, sizeof *list, compare);
    for (uint32_t i = 0; i < router->rule_count; i++) {
        router->rules[i] = list[i].rule;
        router->ranked[i] = list[i].rule->route;
        router->asks_destination |= rule_asks(list[i].rule, MATCH_DESTINATION);
    }
    free(list);
    return router_index_build(router, arena);
}
