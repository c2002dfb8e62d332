/* SPDX-License-Identifier: Apache-2.0 */
#include "config/match.h"

#include "config/model.h"

struct match_rule *match_rule_add(struct model *model)
{
    struct match_rule *rule = arena_alloc_zero(&model->arena, sizeof(*rule));
    struct match_rule **items =
        model_reserve(model, model->rules.items, model->rules.count, &model->rules.capacity);
    if (rule == NULL || items == NULL)
        return NULL;
    model->rules.items = items;
    items[model->rules.count++] = rule;
    return rule;
}

static void close_regex(void *regex)
{
    regex_close(regex);
}

const struct regex *match_regex(struct arena *arena, const struct match_regex_request *request)
{
    struct regex *regex = arena_alloc_zero(arena, sizeof(*regex));
    *request->error = ERROR_MEMORY;
    if (regex == NULL)
        return NULL;
    *request->error =
        regex_compile(regex, request->pattern, request->anchor, request->reason, REGEX_REASON_SIZE);
    if (*request->error != ERROR_OK)
        return NULL;
    if (arena_on_close(arena, close_regex, regex))
        return regex;
    *request->error = ERROR_MEMORY;
    regex_close(regex);
    return NULL;
}
