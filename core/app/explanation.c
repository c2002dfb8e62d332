/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/explanation.h"

#include "core/base/path.h"
#include "net/proxy/plugin.h"

#include <inttypes.h>
#include <jansson.h>

static const char *scheme_of(int protocol)
{
    switch ((enum protocol)protocol) {
    case PROTOCOL_HTTP: return "http";
    case PROTOCOL_HTTPS: return "https";
    case PROTOCOL_GRPC: return "grpc";
    case PROTOCOL_GRPCS: return "grpcs";
    case PROTOCOL_TCP: return "tcp";
    case PROTOCOL_TLS: return "tls";
    case PROTOCOL_UDP: return "udp";
    case PROTOCOL_TLS_PASSTHROUGH: return "tls_passthrough";
    }
    return "?";
}

struct slice explanation_name(const struct entity *entity)
{
    return entity->name.size ? entity->name : slice_of(entity->id);
}

bool explanation_asks_for_https(const struct explanation *it)
{
    uint64_t protocols = it->match.route->protocols;
    return !(protocols & PROTOCOL_BIT(PROTOCOL_HTTP)) && (protocols & PROTOCOL_BIT(PROTOCOL_HTTPS)) &&
           !it->request.tls;
}

const struct chain *explanation_chain(struct explanation *it)
{
    struct chain_source source;
    const struct route *route = it->matched ? it->match.route : NULL;
    if (!chain_source_init(&source, &it->arena, it->loaded->model, plugin_registry))
        return NULL;
    return chain_build(&source, route, route ? route->service : NULL);
}

static struct slice authority_of(struct arena *arena, const struct service *service)
{
    bool is_default = (service->protocol == PROTOCOL_HTTP && service->port == 80) ||
                      (service->protocol == PROTOCOL_HTTPS && service->port == 443);
    bool bare_v6 = memchr(service->host.data, ':', service->host.size) && service->host.data[0] != '[';
    struct slice host = arena_format(arena, bare_v6 ? "[%.*s]" : "%.*s", SLICE_FORMAT(service->host));
    if (is_default)
        return host;
    return arena_format(arena, "%.*s:%" PRId64, SLICE_FORMAT(host), service->port);
}

bool explanation_upstream(struct explanation *it, struct explained_upstream *upstream)
{
    const struct route *route = it->match.route;
    const struct service *service = route->service;
    struct path_join join = { .base = service->path,
                              .path = it->question.path,
                              .prefix = it->match.prefix,
                              .strip = route->strip_path,
                              .style = (enum path_join_style)route->path_handling };
    struct slice path, authority = authority_of(&it->arena, service);
    if (path_join_upstream(&it->arena, &join, &path) != ERROR_OK ||
        path_escape(&it->arena, path, &path) != ERROR_OK || authority.data == NULL)
        return false;
    upstream->host = route->preserve_host ? message_find(&it->request.message, HEADER_HOST) : authority;
    upstream->url =
        arena_format(&it->arena, "%s://%.*s%.*s%s%.*s", scheme_of(service->protocol), SLICE_FORMAT(authority),
                     SLICE_FORMAT(path), it->request.query.data ? "?" : "", SLICE_FORMAT(it->request.query));
    return upstream->url.data != NULL;
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static json_t *text_of(struct slice text)
{
    if (text.data == NULL)
        return json_null();
    json_t *string = json_stringn(text.data, text.size);
    return string ? string : json_null(); /* no UTF-8 */
}

static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static json_t *entity_of(const struct entity *entity)
{
    return entity ? json_pack("{s:s, s:o}", "id", entity->id, "name", text_of(entity->name)) : json_null();
}

static json_t *candidate_of(struct explanation *it, const struct router_candidate *candidate)
{
    const struct match_rule *rule = candidate->rule;
    char priority[17];
    snprintf(priority, sizeof(priority), "%016" PRIx64, rule->priority);
    return json_pack(
        "{s:o, s:s, s:o, s:s, s:o, s:b, s:b, s:o}", "route", entity_of(&rule->route->entity), "priority",
        priority, "priority_parts", text_of(rule->dialect->explain_priority(rule, &it->arena)), "dialect",
        rule->dialect->name, "path", text_of(rule->path.text), "matched", (int)candidate->matched, "scanned",
        (int)candidate->scanned, "reason", text_of(candidate->reason));
}

static json_t *candidates_of(struct explanation *it)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < it->candidate_count; i++)
        if (json_array_append_new(array, candidate_of(it, &it->candidates[i])) != 0)
            return json_decref(array), NULL;
    return array;
}

static json_t *plugins_of(struct explanation *it)
{
    const struct chain *chain = explanation_chain(it);
    json_t *array = chain ? json_array() : NULL;
    for (uint32_t i = 0; array && i < chain->count; i++) {
        const struct plugin_kind *kind = &chain->slots[i].plugin->kind;
        if (json_array_append_new(
                array, json_pack("{s:s, s:i}", "name", kind->name, "priority", kind->priority)) != 0)
            return json_decref(array), NULL;
    }
    return array;
}

static json_t *captures_of(const struct router_match *match)
{
    json_t *array = json_array();
    for (uint32_t i = 1; i < match->capture_count; i++)
        (void)json_array_append_new(array, text_of(match->captures[i]));
    return array;
}

static bool put_match(struct explanation *it, json_t *root)
{
    const struct route *route = it->match.route;
    struct explained_upstream upstream = { 0 };
    bool https = explanation_asks_for_https(it);
    if (route->service && !https && !explanation_upstream(it, &upstream))
        return false;
    json_t *target = upstream.url.data ? json_pack("{s:o, s:o}", "url", text_of(upstream.url), "host",
                                                   text_of(upstream.host))
                                       : json_null();
    return put(root, "route", entity_of(&route->entity)) &&
           put(root, "service", entity_of(route->service ? &route->service->entity : NULL)) &&
           put(root, "prefix", text_of(it->match.prefix)) && put(root, "captures", captures_of(&it->match)) &&
           put(root, "upstream", target) &&
           (!https || put(root, "status", json_integer(route->https_redirect_status_code)));
}

bool explanation_print_json(struct explanation *it)
{
    json_t *root = json_object();
    bool good = put(root, "candidates", candidates_of(it)) && put(root, "plugins", plugins_of(it));
    if (good && it->matched)
        good = put_match(it, root);
    else if (good)
        good = put(root, "route", json_null()) && put(root, "status", json_integer(it->invalid ? 400 : 404));
    good = good && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    json_decref(root);
    if (good)
        putchar('\n');
    return good;
}
