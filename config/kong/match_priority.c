/* SPDX-License-Identifier: Apache-2.0 */
/* Kong 3.2: how alternatives rank. All of the order but the ties is in one number, higher first. */
#include "config/kong/match.h"

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

/* Routes over TCP, TLS and UDP: one of sources and destinations, what they hold. */
enum { STREAM_STRONG_SHIFT = 61, SOURCES_SHIFT = 4, WEIGHT_ADDRESS = 8, WEIGHT_PORT = 4, WEIGHT_RANGE = 1 };

/* An expression comes before all else; its own priority has 46 bits. */
enum { EXPRESSION_SHIFT = 56, EXPRESSION_BYTE = 0xFF };

#define STREAM_BITS                                                                         \
    (PROTOCOL_BIT(PROTOCOL_TCP) | PROTOCOL_BIT(PROTOCOL_TLS) | PROTOCOL_BIT(PROTOCOL_UDP) | \
     PROTOCOL_BIT(PROTOCOL_TLS_PASSTHROUGH))

static uint64_t clamp(int64_t value, uint64_t max)
{
    return value < 0 ? 0 : (uint64_t)value > max ? max : (uint64_t)value;
}

static uint64_t length_of(struct slice path)
{
    return path.size > LENGTH_MAX ? LENGTH_MAX : path.size;
}

static bool has_wildcard(const struct route *route)
{
    for (uint32_t i = 0; i < route->hosts.count; i++)
        if (memchr(route->hosts.items[i].data, '*', route->hosts.items[i].size))
            return true;
    return false;
}

static bool has_wildcard_port(const struct route *route)
{
    for (uint32_t i = 0; i < route->hosts.count; i++) {
        struct slice host = route->hosts.items[i];
        if (memchr(host.data, '*', host.size) && memchr(host.data, ':', host.size))
            return true;
    }
    return false;
}

/* A bit per kind that is set, in the order host > header > path > method > SNI > source > destination. */
static unsigned kinds_of(const struct route *route)
{
    return (route->hosts.count ? 64u : 0) | (route->headers.count ? 32u : 0) |
           (route->paths.count ? 16u : 0) | (route->methods.count ? 8u : 0) | (route->snis.count ? 4u : 0) |
           (route->sources.count ? 2u : 0) | (route->destinations.count ? 1u : 0);
}

static uint64_t weight_of(const struct route_endpoints *endpoints)
{
    uint64_t weight = 0;
    for (uint32_t i = 0; i < endpoints->count; i++) {
        const struct route_endpoint *one = &endpoints->items[i];
        if (one->ip.size)
            weight |= memchr(one->ip.data, '/', one->ip.size) ? WEIGHT_RANGE : WEIGHT_ADDRESS;
        if (one->port != INTEGER_NULL)
            weight |= WEIGHT_PORT;
    }
    return weight;
}

static uint64_t endpoint_weights(const struct route *route)
{
    return weight_of(&route->sources) << SOURCES_SHIFT | weight_of(&route->destinations);
}

static uint64_t traditional(const struct kong_rank *rank)
{
    const struct route *route = rank->route;
    unsigned kinds = kinds_of(route);
    uint64_t top = (uint64_t)__builtin_popcount(kinds) << KINDS_SHIFT;
    if (route->protocols & STREAM_BITS)
        return top | (uint64_t)(kinds & 7u) << CATEGORY_SHIFT | endpoint_weights(route);
    uint64_t subrules = (rank->is_regex ? SUBRULE_REGEX : 0u) |
                        (route->hosts.count && !has_wildcard(route) ? SUBRULE_PLAIN_HOSTS : 0u) |
                        (has_wildcard_port(route) ? SUBRULE_WILDCARD_PORT : 0u);
    uint64_t last = rank->is_regex ? clamp(route->regex_priority, UINT32_MAX) : length_of(rank->path);
    return top | (uint64_t)(kinds >> 2) << CATEGORY_SHIFT | subrules << SUBRULES_SHIFT |
           clamp(route->headers.count, HEADERS_MAX) << OLD_HEADERS_SHIFT | last;
}

static uint64_t stream(const struct route *route)
{
    bool strong = route->snis.count || (route->sources.count && route->destinations.count);
    return (uint64_t)strong << STREAM_STRONG_SHIFT | endpoint_weights(route);
}

uint64_t kong_match_priority(enum router_flavor flavor, const struct kong_rank *rank)
{
    const struct route *route = rank->route;
    if (flavor == ROUTER_TRADITIONAL)
        return traditional(rank);
    if (route->expression.data)
        return (uint64_t)EXPRESSION_BYTE << EXPRESSION_SHIFT | (uint64_t)route->priority;
    if (route->protocols & STREAM_BITS)
        return stream(route);
    bool plain_hosts = route->hosts.count && !has_wildcard(route);
    uint64_t priority = (uint64_t)__builtin_popcount(kinds_of(route)) << KINDS_SHIFT |
                        (uint64_t)plain_hosts << PLAIN_HOSTS_SHIFT |
                        clamp(route->headers.count, HEADERS_MAX) << HEADERS_SHIFT;
    if (!rank->is_regex)
        return priority | length_of(rank->path);
    return priority | UINT64_C(1) << REGEX_SHIFT |
           clamp(route->regex_priority, UINT32_MAX) << REGEX_PRIORITY_SHIFT;
}

/* --- for people ----------------------------------------------------------------------------------------- */

static struct slice kind_names(const struct route *route, struct arena *arena)
{
    static const char *const names[] = { "destinations", "sources", "snis", "methods",
                                         "paths",        "headers", "hosts" };
    struct slice text = SLICE("");
    unsigned kinds = kinds_of(route);
    for (unsigned i = COUNT_OF(names); i-- > 0 && text.data;)
        if (kinds >> i & 1)
            text = arena_format(arena, "%.*s%s%s", SLICE_FORMAT(text), text.size ? ", " : "", names[i]);
    return text;
}

static struct slice path_part(const struct match_rule *rule, struct arena *arena)
{
    switch (rule->path.kind) {
    case MATCH_PATH_REGEX:
        return arena_format(arena, ", regex path of regex_priority %lld",
                            (long long)rule->route->regex_priority);
    case MATCH_PATH_PREFIX: return arena_format(arena, ", prefix of %zu bytes", rule->path.text.size);
    default: return SLICE("");
    }
}

static struct slice explain_stream(const struct match_rule *rule, struct arena *arena)
{
    struct slice kinds = kind_names(rule->route, arena);
    return arena_format(arena, "stream: %.*s; weight of sources %u, of destinations %u", SLICE_FORMAT(kinds),
                        (unsigned)weight_of(&rule->route->sources),
                        (unsigned)weight_of(&rule->route->destinations));
}

static struct slice explain(const struct match_rule *rule, struct arena *arena)
{
    const struct route *route = rule->route;
    if (route->expression.data)
        return arena_format(arena, "expression of priority %lld", (long long)route->priority);
    if (route->protocols & STREAM_BITS)
        return explain_stream(rule, arena);
    unsigned count = (unsigned)__builtin_popcount(kinds_of(route));
    struct slice kinds = kind_names(route, arena), path = path_part(rule, arena);
    const char *hosts = route->hosts.count == 0 ? ""
                        : has_wildcard(route)   ? ", hosts with wildcards"
                                                : ", plain hosts";
    struct slice headers = route->headers.count
                               ? arena_format(arena, ", headers %u", (unsigned)route->headers.count)
                               : SLICE("");
    return arena_format(arena, "kinds %u (%.*s)%s%.*s%.*s", count, SLICE_FORMAT(kinds), hosts,
                        SLICE_FORMAT(headers), SLICE_FORMAT(path));
}

const struct match_dialect kong_match_dialects[] = {
    [ROUTER_TRADITIONAL_COMPATIBLE] = { "Kong, traditional_compatible", explain },
    [ROUTER_TRADITIONAL] = { "Kong, traditional", explain },
    [ROUTER_EXPRESSIONS] = { "Kong, expressions", explain },
};
