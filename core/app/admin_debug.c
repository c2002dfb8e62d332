/* SPDX-License-Identifier: Apache-2.0 */
/* The process itself: its log level, what it keeps, what it does not have. */
#include "core/app/admin_api.h"
#include "core/app/journal.h"
#include "plugins/proxy_cache_admin.h"

#include "net/proxy/plugin.h"

#include <stdio.h>

static const char *const levels[] = { "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg" };

/* --- log level ------------------------------------------------------------------------------------------ */

static void get_level(struct admin_call *call)
{
    char text[64];
    snprintf(text, sizeof(text), "log level: %s", levels[journal_level()]);
    admin_message(call->answer, 200, text);
}

static void put_level(struct admin_call *call)
{
    struct slice wanted = call->segments[3], timeout = admin_parameter(call, "timeout");
    uint64_t seconds = 60;
    char text[128];
    unsigned level = 0;
    while (level < COUNT_OF(levels) && !slice_equal(wanted, slice_of(levels[level])))
        level++;
    if (level == COUNT_OF(levels)) {
        snprintf(text, sizeof(text), "unknown log level: %.*s", (int)(wanted.size > 40 ? 40 : wanted.size),
                 wanted.data);
        admin_message(call->answer, 400, text);
    } else if (timeout.data && !slice_to_u64(timeout, &seconds)) {
        admin_message(call->answer, 400, "timeout must be greater than or equal to 0");
    } else if (level == (unsigned)journal_level()) {
        snprintf(text, sizeof(text), "log level is already %s", levels[level]);
        admin_message(call->answer, 200, text);
    } else {
        journal_change((enum journal_level)level, seconds);
        admin_message(call->answer, 200, "log level changed");
    }
}

/* --- caches --------------------------------------------------------------------------------------------- */

/* Kong keeps entities there; here they are all in memory, and nothing has to be forgotten. */
static void handle_cache(struct admin_call *call)
{
    if (call->method == ADMIN_DELETE)
        admin_empty(call->answer, 204);
    else
        admin_not_found(call);
}

static void *proxy_cache_state(const struct admin_call *call)
{
    for (size_t i = 0; plugin_registry[i]; i++)
        if (strcmp(plugin_registry[i]->kind.name, "proxy-cache") == 0)
            return call->node->source.plugin_states[i];
    return NULL;
}

static void purge_proxy_cache(struct admin_call *call)
{
    void *state = proxy_cache_state(call);
    if (state)
        (void)proxy_cache_purge(state);
    admin_empty(call->answer, 204);
}

/* /proxy-cache/{key}, /proxy-cache/{plugin}/caches/{key}: one store for all. */
static void handle_cached(struct admin_call *call)
{
    void *state = proxy_cache_state(call);
    struct slice key = call->segments[call->segment_count - 1];
    json_t *shown = NULL;
    if (state && call->method == ADMIN_GET)
        shown = proxy_cache_show(state, key);
    if (shown)
        admin_json(call->answer, 200, shown);
    else if (state && call->method == ADMIN_DELETE && proxy_cache_forget(state, key))
        admin_empty(call->answer, 204);
    else
        admin_page(call->answer, 404, "Not Found");
}

/* --- what there is not ---------------------------------------------------------------------------------- */

static void handle_clustering(struct admin_call *call)
{
    admin_message(call->answer, 400,
                  "this endpoint is only available when Kong is configured to run as Control Plane for the "
                  "cluster");
}

/* Each shard has a wheel of its own, and nothing runs in it but what connections wait for. */
static void handle_timers(struct admin_call *call)
{
    admin_json(call->answer, 200,
               json_pack("{s:{s:i, s:i}, s:{s:{s:i, s:i, s:i, s:i, s:i}, s:{}}}", "worker", "id", 0, "count",
                         (int)call->node->source.shard_count, "stats", "sys", "total", 0, "runs", 0,
                         "running", 0, "pending", 0, "waiting", 0, "timers"));
}

const struct admin_endpoint admin_debug_endpoints[] = {
    { "/debug/node/log-level", ADMIN_GET, get_level, false },
    { "/debug/node/log-level/{}", ADMIN_PUT, put_level, false },
    { "/debug/cluster/log-level/{}", ADMIN_PUT, put_level, false },
    { "/cache", ADMIN_DELETE, handle_cache, false },
    { "/cache/{}", ADMIN_GET | ADMIN_DELETE, handle_cache, false },
    { "/proxy-cache", ADMIN_DELETE, purge_proxy_cache, false },
    { "/proxy-cache/{}", ADMIN_GET | ADMIN_DELETE, handle_cached, false },
    { "/proxy-cache/{}/caches/{}", ADMIN_GET | ADMIN_DELETE, handle_cached, false },
    { "/clustering/data-planes", ADMIN_GET, handle_clustering, false },
    { "/clustering/status", ADMIN_GET, handle_clustering, false },
    { "/timers", ADMIN_GET, handle_timers, false },
    { 0 },
};
