/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/command_load.h"
#include "core/app/explanation.h"

#include "core/base/path.h"

#include <inttypes.h>
#include <stdio.h>

enum { CANDIDATES_SHOWN = 20 };

/* --- the route ------------------------------------------------------------------------------------------ */

static bool print_candidate(struct explanation *it, const struct router_candidate *candidate, bool wins)
{
    const struct match_rule *rule = candidate->rule;
    struct slice parts = rule->dialect->explain_priority(rule, &it->arena);
    printf("%s %-28.*s %.*s%s%.*s\n   %-28s priority %016" PRIx64 ": %.*s%s\n", wins ? "->" : "  ",
           SLICE_FORMAT(explanation_name(&rule->route->entity)), SLICE_FORMAT(candidate->reason),
           rule->path.text.data ? "  path " : "", SLICE_FORMAT(rule->path.text), "", rule->priority,
           SLICE_FORMAT(parts),
           candidate->scanned ? "; asked of every request, no host or path files it" : "");
    return parts.data != NULL;
}

static bool print_candidates(struct explanation *it)
{
    uint32_t left_out = 0;
    bool won = false;
    printf("routes, best first\n");
    for (uint32_t i = 0; i < it->candidate_count; i++) {
        const struct router_candidate *candidate = &it->candidates[i];
        bool wins = candidate->matched && !won;
        won = won || wins;
        if (i >= CANDIDATES_SHOWN && !candidate->matched)
            left_out++;
        else if (!print_candidate(it, candidate, wins))
            return false;
    }
    if (left_out)
        printf("   ... and %u more that do not match (--json shows all)\n", left_out);
    return true;
}

static void print_route(const struct explanation *it)
{
    const struct route *route = it->match.route;
    printf("\nroute   %.*s", SLICE_FORMAT(explanation_name(&route->entity)));
    if (it->match.prefix.size)
        printf(", matched %.*s", SLICE_FORMAT(it->match.prefix));
    if (route->service)
        printf("\nservice %.*s\n", SLICE_FORMAT(explanation_name(&route->service->entity)));
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
        printf("%s %s %.*s", separator, scopes[i].kind, SLICE_FORMAT(explanation_name(scopes[i].entity)));
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
    const struct chain *chain = explanation_chain(it);
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

static bool print_upstream(struct explanation *it)
{
    struct explained_upstream upstream;
    if (!explanation_upstream(it, &upstream))
        return false;
    printf("\nupstream\n  URL   %.*s\n  Host  %.*s%s\n", SLICE_FORMAT(upstream.url),
           SLICE_FORMAT(upstream.host),
           it->match.route->preserve_host ? " (preserve_host: the client's)" : "");
    return true;
}

static bool print_outcome(struct explanation *it)
{
    if (explanation_asks_for_https(it)) {
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

static bool print_text(struct explanation *it)
{
    if (it->invalid) {
        printf("no route is asked: the path is invalid, the answer is 400\n");
        return true;
    }
    if (!print_candidates(it))
        return false;
    if (it->matched) {
        print_route(it);
        return print_outcome(it);
    }
    printf("\nno route matches: the answer is 404 with \"no Route matched with those values\"\n");
    return print_plugins(it);
}

/* False: out of memory. */
static bool explain(struct explanation *it)
{
    const struct explain_request *request = &it->request;
    it->question = (struct router_request){ .method = request->message.method,
                                            .host = message_find(&request->message, HEADER_HOST),
                                            .query = request->query,
                                            .sni = request->sni,
                                            .port = request->port,
                                            .tls = request->tls,
                                            .message = &request->message,
                                            .scratch = &it->scratch,
                                            .arena = &it->arena };
    enum error error = path_normalise(&it->arena, request->path, &it->question.path);
    it->invalid = error == ERROR_INVALID;
    if (error == ERROR_OK) {
        it->candidate_count = router_explain(&it->router, &it->question, &it->candidates);
        it->matched = router_match(&it->router, &it->question, &it->match);
    }
    if ((error != ERROR_OK && !it->invalid) || it->candidate_count == UINT32_MAX)
        return false;
    return request->json ? explanation_print_json(it) : print_text(it);
}

static int explain_loaded(struct explanation *it)
{
    if (regex_scratch_init(&it->scratch) != ERROR_OK)
        return COMMAND_EXIT_FAILED;
    const struct settings *settings = &it->loaded->settings;
    struct regex_limits limits = { (uint32_t)settings->regex_match_limit,
                                   (uint32_t)settings->regex_depth_limit,
                                   (uint32_t)(settings->regex_heap_bytes / 1024) };
    regex_scratch_limit(&it->scratch, &limits);
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
        fprintf(
            stderr,
            "sluice explain: %s\nusage: sluice explain METHOD URL [-H 'Name: value']... [--json] -c PATH\n",
            reason);
        arena_deinit(&it.arena);
        return COMMAND_EXIT_USAGE;
    }
    int status = command_load(options, &loaded) ? explain_loaded(&it) : COMMAND_EXIT_INVALID;
    config_unload(&loaded);
    arena_deinit(&it.arena);
    return status;
}
