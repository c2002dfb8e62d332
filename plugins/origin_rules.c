/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/origin_rules.h"

#include "config/match.h"

bool origin_is_plain(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char lower = slice_lower(text.data[i]);
        bool plain = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') || lower == '.' ||
                     lower == ':' || lower == '/' || lower == '-';
        if (!plain)
            return false;
    }
    return true;
}

const char *origin_check(struct slice text)
{
    return origin_is_plain(text) || regex_check(text, NULL, 0) ? NULL : "'{}' is not a valid regex";
}

static bool set_rule(struct origin_rule *rule, struct slice text, struct arena *arena)
{
    struct url url;
    *rule = (struct origin_rule){ .by_host = memchr(text.data, ':', text.size) == NULL };
    if (origin_is_plain(text)) {
        rule->text = url_split(text, &url) ? url_origin(arena, &url) : text;
        return rule->text.data != NULL;
    }
    enum error error;
    char reason[REGEX_REASON_SIZE];
    struct match_regex_request request = { text, REGEX_WHOLE, reason, &error };
    rule->regex = match_regex(arena, &request);
    return rule->regex != NULL || error == ERROR_INVALID;
}

bool origin_rules_build(struct origin_rules *rules, const struct slices *texts, struct arena *arena)
{
    *rules = (struct origin_rules){ arena_array(arena, texts->count + 1u, sizeof(struct origin_rule)), 0 };
    if (rules->items == NULL)
        return false;
    for (uint32_t i = 0; i < texts->count; i++) {
        struct origin_rule *rule = &rules->items[rules->count];
        if (!set_rule(rule, texts->items[i], arena))
            return false;
        rules->count += rule->text.data || rule->regex;
    }
    return true;
}

struct slice origin_rules_find(const struct origin_rules *rules, struct slice sent, struct arena *arena,
                               struct regex_scratch *scratch)
{
    struct slice normal = sent, host = sent;
    struct url url;
    if (url_split(sent, &url)) {
        normal = url_origin(arena, &url);
        host = url.host;
    }
    for (uint32_t i = 0; normal.data && i < rules->count; i++) {
        const struct origin_rule *rule = &rules->items[i];
        if (rule->regex ? regex_match(rule->regex, rule->by_host ? host : normal, scratch)
                        : slice_equal(rule->text, normal))
            return normal;
    }
    return (struct slice){ NULL, 0 };
}
