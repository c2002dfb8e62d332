/* SPDX-License-Identifier: Apache-2.0 */
/* Kong 3.2: how alternatives rank. All of the order but the ties is in one number, higher first. */
#include "net/proxy/router_index.h"

/* traditional_compatible, bits from the top: kinds, plain hosts, headers, regex, regex_priority, length. */
enum {
    KINDS_SHIFT = 61,
    PLAIN_HOSTS_SHIFT = 60,
    HEADERS_SHIFT = 52,
    REGEX_SHIFT = 51,
    REGEX_PRIORITY_SHIFT = 19,
    HEADERS_MAX = 255,
    LENGTH_MAX = (1 << 19) - 1
};

/* traditional: kinds, which kinds, sub-rules, headers, then regex_priority or length. */
enum { CATEGORY_SHIFT = 56, SUBRULES_SHIFT = 53, OLD_HEADERS_SHIFT = 45 };

enum { SUBRULE_REGEX = 1, SUBRULE_PLAIN_HOSTS = 2, SUBRULE_WILDCARD_PORT = 4 };

static uint64_t clamp(int64_t value, uint64_t max)
{
    return value < 0 ? 0 : (uint64_t)value > max ? max : (uint64_t)value;
}

static uint64_t length_of(struct slice path)
{
    return path.size > LENGTH_MAX ? LENGTH_MAX : path.size;
}

static bool has_wildcard(const struct router_rules *rules)
{
    for (uint32_t i = 0; i < rules->host_count; i++)
        if (rules->hosts[i].wildcard != WILDCARD_NONE)
            return true;
    return false;
}

static bool has_wildcard_port(const struct router_rules *rules)
{
    for (uint32_t i = 0; i < rules->host_count; i++)
        if (rules->hosts[i].wildcard != WILDCARD_NONE && rules->hosts[i].has_port)
            return true;
    return false;
}

/* A bit per kind that is set, in the order host > header > path > method > SNI. */
static unsigned kinds_of(const struct router_rules *rules)
{
    const struct route *route = rules->route;
    return (rules->host_count ? 16u : 0) | (rules->header_count ? 8u : 0) | (route->paths.count ? 4u : 0) |
           (route->methods.count ? 2u : 0) | (route->snis.count ? 1u : 0);
}

static uint64_t traditional(const struct router_rules *rules, struct slice path, bool is_regex)
{
    unsigned kinds = kinds_of(rules);
    uint64_t subrules = (is_regex ? SUBRULE_REGEX : 0u) |
                        (rules->host_count && !has_wildcard(rules) ? SUBRULE_PLAIN_HOSTS : 0u) |
                        (has_wildcard_port(rules) ? SUBRULE_WILDCARD_PORT : 0u);
    uint64_t last = is_regex ? clamp(rules->route->regex_priority, UINT32_MAX) : length_of(path);
    return (uint64_t)__builtin_popcount(kinds) << KINDS_SHIFT | (uint64_t)kinds << CATEGORY_SHIFT |
           subrules << SUBRULES_SHIFT | clamp(rules->header_count, HEADERS_MAX) << OLD_HEADERS_SHIFT | last;
}

uint64_t router_priority(enum router_flavor flavor, const struct router_rules *rules, struct slice path,
                         bool is_regex)
{
    if (flavor == ROUTER_TRADITIONAL)
        return traditional(rules, path, is_regex);
    bool plain_hosts = rules->host_count && !has_wildcard(rules);
    uint64_t priority = (uint64_t)__builtin_popcount(kinds_of(rules)) << KINDS_SHIFT |
                        (uint64_t)plain_hosts << PLAIN_HOSTS_SHIFT |
                        clamp(rules->header_count, HEADERS_MAX) << HEADERS_SHIFT;
    if (!is_regex)
        return priority | length_of(path);
    return priority | UINT64_C(1) << REGEX_SHIFT |
           clamp(rules->route->regex_priority, UINT32_MAX) << REGEX_PRIORITY_SHIFT;
}
