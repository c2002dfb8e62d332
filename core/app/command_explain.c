/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/command_load.h"
#include "core/app/explain_request.h"

#include "core/base/path.h"
#include "net/proxy/chain.h"
#include "net/proxy/router.h"

#include <inttypes.h>
#include <stdio.h>

enum { CANDIDATES_SHOWN = 20 };

/* What is needed to look at one request; `arena` holds all of it. */
struct explanation {
    struct arena arena;
    const struct loaded *loaded;
    struct explain_request request;
    struct regex_scratch scratch;
    struct router router;
    struct router_request question;
    struct router_match match;
    bool matched;
};

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

static struct slice name_of(const struct entity *entity)
{
    return entity->name.size ? entity->name : slice_of(entity->id);
}

/* --- the route ------------------------------------------------------------------------------------------ */

static bool print_candidates(struct explanation *it)
{
    struct router_candidate *list;
    uint32_t count = router_explain(&it->router, &it->question, &list), left_out = 0;
    if (count == UINT32_MAX)
        return false;
    bool won = false;
    printf("routes, best first\n");
    for (uint32_t i = 0; i < count; i++) {
        if (i >= CANDIDATES_SHOWN && !list[i].matched) {
            left_out++;
            continue;
        }
        struct slice name = name_of(&list[i].rule->route->entity);
        bool wins = list[i].matched && !won;
        won = won || wins;
        printf("%s %-28.*s priority %016" PRIx64 "  %.*s%s%.*s\n", wins ? "->" : "  ", SLICE_FORMAT(name),
               list[i].rule->priority, SLICE_FORMAT(list[i].reason),
               list[i].rule->path.text.data ? "  path " : "", SLICE_FORMAT(list[i].rule->path.text));
    }
    if (left_out)
        printf("   ... and %u more that do not match\n", left_out);
    return true;
}

static void print_route(const struct explanation *it)
{
    const struct route *route = it->match.route;
    printf("\nroute   %.*s", SLICE_FORMAT(name_of(&route->entity)));
    if (it->match.prefix.size)
        printf(", matched %.*s", SLICE_FORMAT(it->match.prefix));
    if (route->service)
        printf("\nservice %.*s\n", SLICE_FORMAT(name_of(&route->service->entity)));
    else
        printf("\nservice none\n");
}

/* --- plugins -------------------------------------------------------------------------------------------- */

static void print_scope(const struct plugin_instance *instance)
{
    const char *separator = " of";
    const struct {
        const char *kind;
        const struct entity *entity;
    } scopes[] = { { "route", instance->route ? &instance->route->entity : NULL },
                   { "service", instance->service ? &instance->service->entity : NULL },
                   { "consumer", instance->consumer ? &instance->consumer->entity : NULL },
                   { "consumer group",
                     instance->consumer_group ? &instance->consumer_group->entity : NULL } };
    for (size_t i = 0; i < COUNT_OF(scopes); i++) {
        if (scopes[i].entity == NULL)
            continue;
        printf("%s %s %.*s", separator, scopes[i].kind, SLICE_FORMAT(name_of(scopes[i].entity)));
        separator = " and";
    }
    if (separator[1] == 'o')
        printf(" global");
    putchar('\n');
}

static void print_slot(const struct chain_slot *slot)
{
    const struct plugin_kind *kind = &slot->plugin->kind;
    if (slot->instance) {
        printf("  %-24s priority %-7d", kind->name, kind->priority);
        print_scope(slot->instance);
    }
    const struct chain_variants *lists[] = { &slot->of_consumers, &slot->of_groups };
    for (size_t l = 0; l < COUNT_OF(lists); l++)
        for (uint32_t i = 0; i < lists[l]->count; i++) {
            printf("  %-24s priority %-7d", kind->name, kind->priority);
            print_scope(lists[l]->items[i].instance);
        }
}

static bool print_plugins(struct explanation *it)
{
    struct chain_source source;
    const struct route *route = it->matched ? it->match.route : NULL;
    if (!chain_source_init(&source, &it->arena, it->loaded->model, plugin_registry))
        return false;
    const struct chain *chain = chain_build(&source, route, route ? route->service : NULL);
    if (chain == NULL)
        return false;
    printf("\nplugins, in the order in which they run\n");
    for (uint32_t i = 0; i < chain->count; i++)
        print_slot(&chain->slots[i]);
    if (chain->count == 0)
        printf("  none\n");
    return true;
}

/* --- upstream ------------------------------------------------------------------------------------------- */

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

static bool print_upstream(struct explanation *it)
{
    const struct route *route = it->match.route;
    const struct service *service = route->service;
    const struct message *message = &it->request.message;
    struct path_join join = { .base = service->path,
                              .path = it->question.path,
                              .prefix = it->match.prefix,
                              .strip = route->strip_path,
                              .style = (enum path_join_style)route->path_handling };
    struct slice path, authority = authority_of(&it->arena, service);
    if (path_join_upstream(&it->arena, &join, &path) != ERROR_OK ||
        path_escape(&it->arena, path, &path) != ERROR_OK || authority.data == NULL)
        return false;
    struct slice host = route->preserve_host ? message_find(message, HEADER_HOST) : authority;
    printf("\nupstream\n  URL   %s://%.*s%.*s%s%.*s\n  Host  %.*s%s\n", scheme_of(service->protocol),
           SLICE_FORMAT(authority), SLICE_FORMAT(path), it->request.query.data ? "?" : "",
           SLICE_FORMAT(it->request.query), SLICE_FORMAT(host),
           route->preserve_host ? " (preserve_host: the client's)" : "");
    return true;
}

static bool print_outcome(struct explanation *it)
{
    uint64_t protocols = it->match.route->protocols;
    if (!(protocols & PROTOCOL_BIT(PROTOCOL_HTTP)) && (protocols & PROTOCOL_BIT(PROTOCOL_HTTPS)) &&
        !it->request.tls) {
        printf("\nanswer  %d: the route is for https only, no upstream is asked\n",
               (int)it->match.route->https_redirect_status_code);
        return true;
    }
    if (!print_plugins(it))
        return false;
    if (it->match.route->service)
        return print_upstream(it);
    printf("\nupstream\n  none: a plugin has to answer, otherwise the answer is 503\n");
    return true;
}

/* --- all ------------------------------------------------------------------------------------------------ */

static bool open_router(struct explanation *it)
{
    const struct model *model = it->loaded->model;
    struct router_source source = { model->rules.items, model->rules.count, MATCH_HTTP };
    return router_build(&it->router, &it->arena, &source) == ERROR_OK;
}

/* False: out of memory. */
static bool explain(struct explanation *it)
{
    const struct explain_request *request = &it->request;
    it->question = (struct router_request){ .method = request->message.method,
                                            .host = message_find(&request->message, HEADER_HOST),
                                            .sni = request->sni,
                                            .port = request->port,
                                            .tls = request->tls,
                                            .message = &request->message,
                                            .scratch = &it->scratch,
                                            .arena = &it->arena };
    enum error error = path_normalise(&it->arena, request->path, &it->question.path);
    if (error == ERROR_INVALID) {
        printf("no route is asked: the path is invalid, the answer is 400\n");
        return true;
    }
    if (error != ERROR_OK || !print_candidates(it))
        return false;
    it->matched = router_match(&it->router, &it->question, &it->match);
    if (it->matched) {
        print_route(it);
        return print_outcome(it);
    }
    printf("\nno route matches: the answer is 404 with \"no Route matched with those values\"\n");
    return print_plugins(it);
}

static int explain_loaded(struct explanation *it)
{
    if (regex_scratch_init(&it->scratch) != ERROR_OK)
        return COMMAND_EXIT_FAILED;
    bool done = open_router(it) && explain(it);
    regex_scratch_deinit(&it->scratch);
    if (!done)
        fprintf(stderr, "sluice explain: out of memory\n");
    return done ? COMMAND_EXIT_OK : COMMAND_EXIT_FAILED;
}

int command_explain(const struct command_options *options)
{
    struct explanation it = { 0 };
    struct loaded loaded;
    arena_init(&it.arena, NULL, 0, SIZE_MAX);
    it.loaded = &loaded;
    const char *reason =
        explain_request_read(&it.request, &it.arena, options->arguments, options->argument_count);
    if (reason) {
        fprintf(stderr,
                "sluice explain: %s\nusage: sluice explain METHOD URL [-H 'Name: value']... -c PATH\n",
                reason);
        arena_deinit(&it.arena);
        return COMMAND_EXIT_USAGE;
    }
    int status = command_load(options, &loaded) ? explain_loaded(&it) : COMMAND_EXIT_INVALID;
    config_unload(&loaded);
    arena_deinit(&it.arena);
    return status;
}
