/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions of a route, one by one, as Kong's expressions ask them. */
#include "net/proxy/router_index.h"

struct router_target router_target_of(const struct router *router, const struct router_request *request)
{
    struct slice host = request->host.data ? request->host : SLICE("");
    uint64_t port = request->port;
    if (router->flavor == ROUTER_TRADITIONAL)
        port = request->tls ? 443 : 80;
    const char *colon = host.size ? memrchr(host.data, ':', host.size) : NULL;
    if (colon) {
        size_t at = (size_t)(colon - host.data);
        /* What follows is no number: it belongs to the name, which no route then has. */
        if (slice_to_u64(slice_from(host, at + 1), &port))
            host.size = at;
    }
    return (struct router_target){ host, port };
}

static bool text_matches(struct slice text, struct slice pattern, enum router_wildcard wildcard)
{
    switch (wildcard) {
    case WILDCARD_LEFT: return slice_ends_with(text, pattern);
    case WILDCARD_RIGHT: return slice_starts_with(text, pattern);
    case WILDCARD_NONE:
    default: return slice_equal(text, pattern);
    }
}

bool router_host_matches(const struct router_alternative *alternative, const struct router_target *target)
{
    const struct router_rules *rules = alternative->rules;
    for (uint32_t i = 0; i < rules->host_count; i++) {
        const struct router_host *host = &rules->hosts[i];
        if (text_matches(target->host, host->text, host->wildcard) &&
            (!host->has_port || host->port == target->port))
            return true;
    }
    return rules->host_count == 0;
}

/* Captures are copied out of the scratch: another regex may use it before the search ends. */
static void keep_captures(const struct router_alternative *alternative, const struct router_request *request,
                          struct router_match *match)
{
    uint32_t count = alternative->regex->group_count + 1;
    struct slice *captures = count > 1 ? arena_array(request->arena, count, sizeof *captures) : NULL;
    match->captures = captures;
    match->capture_count = captures ? count : 0;
    match->regex = captures ? alternative->regex : NULL;
    for (uint32_t i = 0; captures && i < count; i++)
        captures[i] = regex_group(request->scratch, request->path, i);
}

bool router_regex_matches(const struct router_alternative *alternative, const struct router_request *request,
                          struct router_match *match)
{
    if (!regex_match(alternative->regex, request->path, request->scratch))
        return false;
    match->prefix = regex_group(request->scratch, request->path, 0);
    keep_captures(alternative, request, match);
    return true;
}

bool router_path_matches(const struct router_alternative *alternative, const struct router_request *request,
                         struct router_match *match)
{
    if (alternative->regex)
        return router_regex_matches(alternative, request, match);
    return !alternative->path.data || slice_starts_with(request->path, alternative->path);
}

bool router_method_matches(const struct route *route, struct slice method)
{
    for (uint32_t i = 0; i < route->methods.count; i++)
        if (slice_equal(route->methods.items[i], method))
            return true;
    return route->methods.count == 0;
}

static bool sni_equals(struct slice sni, struct slice pattern)
{
    if (pattern.size && pattern.data[0] == '*')
        return slice_ends_with(sni, slice_from(pattern, 1));
    if (pattern.size && pattern.data[pattern.size - 1] == '*')
        return slice_starts_with(sni, (struct slice){ pattern.data, pattern.size - 1 });
    return slice_equal(sni, pattern);
}

static struct slice without_last_dot(struct slice name)
{
    return name.size && name.data[name.size - 1] == '.' ? (struct slice){ name.data, name.size - 1 } : name;
}

bool router_sni_matches(const struct route *route, const struct router_request *request)
{
    if (!request->tls || route->snis.count == 0)
        return true;
    struct slice sni = without_last_dot(request->sni);
    for (uint32_t i = 0; sni.size && i < route->snis.count; i++)
        if (sni_equals(sni, without_last_dot(route->snis.items[i])))
            return true;
    return false;
}

static struct slice lower_case(struct arena *arena, struct slice text)
{
    size_t i = 0;
    while (i < text.size && slice_lower(text.data[i]) == text.data[i])
        i++;
    char *copy = i < text.size ? arena_alloc(arena, text.size) : NULL;
    if (!copy)
        return text;
    for (i = 0; i < text.size; i++)
        copy[i] = slice_lower(text.data[i]);
    return (struct slice){ copy, text.size };
}

static bool value_matches(const struct router_header *header, struct slice value,
                          const struct router_request *request)
{
    for (uint32_t i = 0; i < header->value_count; i++) {
        const struct router_value *wanted = &header->values[i];
        if (!wanted->regex && slice_equal_nocase(value, wanted->text))
            return true;
        if (wanted->regex && regex_match(wanted->regex, lower_case(request->arena, value), request->scratch))
            return true;
    }
    return false;
}

static bool header_matches(const struct router_header *header, const struct router_request *request)
{
    const struct message *message = request->message;
    if (header->id != HEADER_OTHER && !message_has(message, header->id))
        return false;
    for (uint32_t i = 0; i < message->header_count; i++) {
        const struct header *sent = &message->headers[i];
        if (!sent->name.data || sent->id != header->id)
            continue;
        if (header->id == HEADER_OTHER && !slice_equal_nocase(sent->name, header->name))
            continue;
        if (value_matches(header, sent->value, request))
            return true;
    }
    return false;
}

bool router_headers_match(const struct router_rules *rules, const struct router_request *request)
{
    for (uint32_t i = 0; i < rules->header_count; i++)
        if (!header_matches(&rules->headers[i], request))
            return false;
    return true;
}
