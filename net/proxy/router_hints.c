/* SPDX-License-Identifier: Apache-2.0 */
/* What an expression asks of host and path at least, so that it can be filed under that. */
#include "net/proxy/router_index.h"

#include <stdlib.h>

enum { LITERAL_MAX = 256 };

static const struct router_hint anything = { .any_host = true, .path = { "", 0 } };

static void set_anything(struct router_hints *hints)
{
    hints->items[0] = anything;
    hints->count = 1;
}

struct slice router_regex_start(struct arena *arena, const struct regex *regex, struct slice pattern)
{
    char literal[LITERAL_MAX];
    bool anchored = regex->anchor != REGEX_ANYWHERE;
    if (!anchored && !slice_starts_with(pattern, SLICE("^")))
        return SLICE("");
    if (!anchored)
        pattern = slice_from(pattern, 1);
    size_t size = regex_literal_prefix(pattern, literal, sizeof literal);
    return arena_copy(arena, (struct slice){ literal, size });
}

bool router_is_label_bound(struct slice text, enum match_wildcard wildcard)
{
    switch (wildcard) {
    case MATCH_HOST_ENDS: return text.size && text.data[0] == '.';
    case MATCH_HOST_STARTS: return text.size && text.data[text.size - 1] == '.';
    case MATCH_HOST_WHOLE:
    default: return true;
    }
}

/* --- leaves --------------------------------------------------------------------------------------------- */

static void hint_host(const struct match_value *value, struct router_hint *hint)
{
    switch (value->test) {
    case MATCH_EQUAL: hint->wildcard = MATCH_HOST_WHOLE; break;
    case MATCH_STARTS: hint->wildcard = MATCH_HOST_STARTS; break;
    case MATCH_ENDS: hint->wildcard = MATCH_HOST_ENDS; break;
    default: return;
    }
    if (!router_is_label_bound(value->text, hint->wildcard))
        return;
    hint->host = value->text;
    hint->any_host = false;
}

/* Letters may come in either case. */
static struct slice without_letters(struct slice text)
{
    size_t size = 0;
    while (size < text.size && (slice_lower(text.data[size]) < 'a' || slice_lower(text.data[size]) > 'z'))
        size++;
    return (struct slice){ text.data, size };
}

static bool hint_path(const struct match_value *value, struct arena *arena, struct router_hint *hint)
{
    if (value->test == MATCH_EQUAL || value->test == MATCH_STARTS)
        hint->path = value->text;
    else if (value->test == MATCH_REGEX)
        hint->path = router_regex_start(arena, value->regex, value->text);
    return hint->path.data != NULL;
}

static bool hint_segments(const struct match_condition *condition, const struct match_value *value,
                          struct arena *arena, struct router_hint *hint)
{
    if (condition->first == 0 && (value->test == MATCH_EQUAL || value->test == MATCH_STARTS))
        hint->path = arena_format(arena, "/%.*s", SLICE_FORMAT(value->text));
    return hint->path.data != NULL;
}

static bool hint_leaf(const struct match_condition *condition, struct arena *arena,
                      struct router_hints *hints)
{
    set_anything(hints);
    if (condition->inverted || condition->only_tls || condition->value_count > ROUTER_HINTS_MAX)
        return true;
    hints->count = condition->value_count;
    for (uint32_t i = 0; i < condition->value_count; i++) {
        struct router_hint *hint = &hints->items[i];
        const struct match_value *value = &condition->values[i];
        bool enough = true;
        *hint = anything;
        hint->fold_host = condition->fold_case;
        if (condition->field == MATCH_HOST)
            hint_host(value, hint);
        else if (condition->field == MATCH_PATH)
            enough = hint_path(value, arena, hint);
        else if (condition->field == MATCH_SEGMENTS)
            enough = hint_segments(condition, value, arena, hint);
        if (!enough)
            return false;
        if (condition->fold_case)
            hint->path = without_letters(hint->path);
    }
    return true;
}

/* --- wholes --------------------------------------------------------------------------------------------- */

/* What both ask for. Two hosts or two paths that exclude each other are never there together, so that either
 * will do. */
static struct router_hint both(const struct router_hint *a, const struct router_hint *b)
{
    const struct router_hint *host = a->any_host || (!b->any_host && a->wildcard != MATCH_HOST_WHOLE) ? b : a;
    struct router_hint result = *host;
    result.path = a->path.size >= b->path.size ? a->path : b->path;
    return result;
}

static uint32_t count_open(const struct router_hints *hints)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hints->count; i++)
        count += hints->items[i].any_host && hints->items[i].path.size == 0;
    return count;
}

/* Each of one with each of the other; too many of them: the narrower list alone, which is necessary too. */
static void meet(struct router_hints *all, const struct router_hints *part)
{
    struct router_hints before = *all;
    if (all->count * part->count > ROUTER_HINTS_MAX) {
        if (count_open(part) < count_open(all))
            *all = *part;
        return;
    }
    all->count = 0;
    for (uint32_t i = 0; i < before.count; i++)
        for (uint32_t j = 0; j < part->count; j++)
            all->items[all->count++] = both(&before.items[i], &part->items[j]);
}

static void join(struct router_hints *all, const struct router_hints *part)
{
    if (all->count + part->count > ROUTER_HINTS_MAX) {
        set_anything(all);
        return;
    }
    memcpy(&all->items[all->count], part->items, part->count * sizeof part->items[0]);
    all->count += part->count;
}

static bool hint_parts(const struct match_node *node, struct arena *arena, struct router_hints *hints)
{
    struct router_hints *part = malloc(sizeof *part);
    bool good = part != NULL;
    set_anything(hints);
    if (node->kind == MATCH_ONE_OF)
        hints->count = 0;
    for (const struct match_node *one = node->first; good && one; one = one->next) {
        good = router_hints_of(one, arena, part);
        if (good && node->kind == MATCH_ALL_OF)
            meet(hints, part);
        else if (good)
            join(hints, part);
    }
    free(part);
    return good;
}

bool router_hints_of(const struct match_node *node, struct arena *arena, struct router_hints *hints)
{
    switch (node->kind) {
    case MATCH_LEAF: return hint_leaf(&node->condition, arena, hints);
    case MATCH_ALL_OF:
    case MATCH_ONE_OF: return hint_parts(node, arena, hints);
    case MATCH_NOT:
    default: set_anything(hints); return true;
    }
}
