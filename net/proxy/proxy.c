/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/proxy.h"

#include "config/settings.h"
#include "net/proxy/client.h"
#include "net/proxy/exchange_events.h"
#include "net/proxy/origin.h"
#include "net/proxy/stapling.h"
#include "net/proxy/udp_session.h"
#include "net/transport/pipe_pool.h"

#include <stdlib.h>
#include <sys/random.h>

const struct settings *proxy_settings(const struct shard *shard)
{
    return proxy_of(shard)->options->settings;
}

static enum error open_plugins(struct proxy *proxy, void *const *process_states)
{
    const struct plugin *const *registry = proxy->options->registry;
    size_t count = 0;
    while (registry[count])
        count++;
    proxy->plugin_states = calloc(count + 1, sizeof(void *));
    if (proxy->plugin_states == NULL)
        return ERROR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct plugin *plugin = registry[i];
        if (plugin->shard_state_size == 0)
            continue;
        proxy->plugin_states[i] = calloc(1, plugin->shard_state_size);
        if (proxy->plugin_states[i] == NULL)
            return ERROR_MEMORY;
        enum error error = ERROR_OK;
        if (plugin->shard_open)
            error = plugin->shard_open(proxy->shard, process_states[i], proxy->plugin_states[i]);
        if (error != ERROR_OK)
            return error;
    }
    return ERROR_OK;
}

/* On one shard: certificates are the process'. */
static enum error open_stapling(struct proxy *proxy)
{
    const struct settings *settings = proxy->options->settings;
    if (settings == NULL || !settings->ssl_stapling || proxy->shard->index > 0)
        return ERROR_OK;
    struct stapling_options options = { settings->ssl_stapling_responder,
                                        settings->tls_stapling_refresh_ms / 1000,
                                        settings->tls_stapling_retry_ms / 1000 };
    proxy->stapling = stapling_open(proxy->shard, &options);
    return proxy->stapling ? ERROR_OK : ERROR_MEMORY;
}

static enum error open_pipes(struct proxy *proxy)
{
    enum { PIPE_BYTES = 1 << 20 };
    proxy->pipes = calloc(1, sizeof(*proxy->pipes));
    if (proxy->pipes == NULL)
        return ERROR_MEMORY;
    pipe_pool_open(proxy->pipes, &proxy->shard->metrics, proxy->options->splice_pipes_max, PIPE_BYTES);
    return ERROR_OK;
}

static enum error open_listeners(struct proxy *proxy, const struct proxy_start *start)
{
    proxy->listeners = calloc(start->listener_count + 1, sizeof(*proxy->listeners));
    if (proxy->listeners == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < start->listener_count; i++) {
        if (start->listener_options[i].datagrams)
            continue;
        struct listener *listener = &proxy->listeners[proxy->listener_count++];
        listener->accepted = client_accepted;
        listener->owner = proxy;
        listener_start(listener, proxy->shard, start->listener_fds[i], &start->listener_options[i]);
    }
    proxy->udp = calloc(1, sizeof(*proxy->udp));
    return proxy->udp ? udp_sessions_open(proxy->udp, proxy, start) : ERROR_MEMORY;
}

enum error proxy_open(struct proxy *proxy, struct shard *shard, const struct proxy_start *start)
{
    *proxy = (struct proxy){ .shard = shard, .options = start->options, .snapshot = start->snapshot };
    proxy->log.file.fd = proxy->stream_log.file.fd = -1;
    list_init(&proxy->files);
    list_init(&proxy->clients);
    list_init(&proxy->idle_origins);
    list_init(&proxy->waiting);
    shard->proxy = proxy;
    tls_loop_open(&proxy->tls, shard, &start->tls);
    shard->tls = &proxy->tls;
    resolver_init(&proxy->resolver, shard);
    fetch_pool_open(&proxy->fetches, shard, &proxy->resolver, &start->options->fetch);
    if (getrandom(proxy->request_id, sizeof(proxy->request_id), 0) != (ssize_t)sizeof(proxy->request_id))
        return ERROR_KERNEL;
    enum error error = access_log_open(&proxy->log, shard, start->log);
    if (access_log_is_on(&proxy->log))
        proxy_add_file(proxy, &proxy->log.file);
    if (error == ERROR_OK)
        error = access_log_open(&proxy->stream_log, shard, start->stream_log);
    if (access_log_is_on(&proxy->stream_log))
        proxy_add_file(proxy, &proxy->stream_log.file);
    if (error == ERROR_OK)
        error = regex_scratch_init(&proxy->regex);
    if (error == ERROR_OK)
        regex_scratch_limit(&proxy->regex, &start->options->regex);
    if (error == ERROR_OK)
        error = balancer_table_open(&proxy->balancers, proxy);
    if (error == ERROR_OK)
        error = open_plugins(proxy, start->plugin_process_states);
    if (error == ERROR_OK)
        error = open_stapling(proxy);
    if (error == ERROR_OK)
        error = open_pipes(proxy);
    if (error == ERROR_OK)
        error = open_listeners(proxy, start);
    return error;
}

static void close_plugins(struct proxy *proxy)
{
    for (size_t i = 0; proxy->plugin_states && proxy->options->registry[i]; i++) {
        const struct plugin *plugin = proxy->options->registry[i];
        if (proxy->plugin_states[i] && plugin->shard_close)
            plugin->shard_close(proxy->plugin_states[i]);
        free(proxy->plugin_states[i]);
    }
    free(proxy->plugin_states);
    proxy->plugin_states = NULL;
}

void proxy_close(struct proxy *proxy)
{
    access_log_close(&proxy->log);
    access_log_close(&proxy->stream_log);
    fetch_pool_close(&proxy->fetches);
    stapling_close(proxy->stapling);
    close_plugins(proxy);
    exchange_abandon_waiting(proxy);
    balancer_table_close(&proxy->balancers);
    resolver_deinit(&proxy->resolver);
    regex_scratch_deinit(&proxy->regex);
    while (proxy->spare_exchanges) {
        struct exchange *next = proxy->spare_exchanges->next_spare;
        free(proxy->spare_exchanges);
        proxy->spare_exchanges = next;
    }
    while (proxy->spare_clients) {
        struct client *next = proxy->spare_clients->next_spare;
        free(proxy->spare_clients);
        proxy->spare_clients = next;
    }
    if (proxy->udp)
        udp_sessions_close(proxy->udp);
    free(proxy->udp);
    if (proxy->pipes)
        pipe_pool_close(proxy->pipes);
    free(proxy->pipes);
    free(proxy->listeners);
    tls_loop_close(&proxy->tls);
}

void proxy_adopt(struct proxy *proxy, struct snapshot *snapshot)
{
    struct snapshot *before = proxy->snapshot;
    proxy->snapshot = snapshot;
    metric_add(&proxy->shard->metrics, METRIC_SNAPSHOTS_ADOPTED, 1);
    snapshot_superseded(before, proxy->shard->index);
}

void proxy_take_roster(struct proxy *proxy, struct roster *roster)
{
    balancer_take_roster(&proxy->balancers, roster);
}

void proxy_add_file(struct proxy *proxy, struct line_file *file)
{
    list_append(&proxy->files, &file->node);
}

void proxy_reopen_files(struct proxy *proxy)
{
    for (struct list_node *node = proxy->files.next; node != &proxy->files; node = node->next)
        line_file_reopen(CONTAINER_OF(node, struct line_file, node));
}

static bool files_are_idle(const struct proxy *proxy)
{
    for (struct list_node *node = proxy->files.next; node != &proxy->files; node = node->next)
        if (!line_file_is_idle(CONTAINER_OF(node, struct line_file, node)))
            return false;
    return true;
}

static bool plugins_are_flushed(struct proxy *proxy)
{
    bool flushed = true;
    for (size_t i = 0; proxy->options->registry[i]; i++) {
        const struct plugin *plugin = proxy->options->registry[i];
        if (plugin->shard_flush && !plugin->shard_flush(proxy->plugin_states[i]))
            flushed = false;
    }
    return flushed;
}

/* The shard turns; that was all. */
static void look_again(struct timer *timer)
{
    (void)timer;
}

void proxy_flush(struct proxy *proxy, uint64_t until_ms)
{
    enum { LOOK_AGAIN_MS = 10 };
    struct timer look;
    timer_init(&look, look_again);
    while (!plugins_are_flushed(proxy) && proxy->shard->now_ms < until_ms) {
        timer_arm(&proxy->shard->timers, &look, proxy->shard->now_ms + LOOK_AGAIN_MS);
        shard_turn(proxy->shard);
        timer_disarm(&proxy->shard->timers, &look);
    }
}

void proxy_drain(struct proxy *proxy, enum listener_backlog backlog)
{
    proxy->draining = true;
    for (uint32_t i = 0; i < proxy->listener_count; i++)
        listener_stop(&proxy->listeners[i], backlog);
    udp_sessions_drain(proxy->udp);
    for (struct list_node *node = proxy->clients.next; node != &proxy->clients;) {
        struct client *client = CONTAINER_OF(node, struct client, node);
        node = node->next;
        client_drain(client);
    }
}

void proxy_abort(struct proxy *proxy)
{
    proxy_drain(proxy, LISTENER_TAKE_BACKLOG);
    for (struct list_node *node = proxy->clients.next; node != &proxy->clients;) {
        struct client *client = CONTAINER_OF(node, struct client, node);
        node = node->next;
        client_abort(client);
    }
    udp_sessions_abort(proxy->udp);
    origin_close_all_idle(proxy);
    fetch_pool_abort(&proxy->fetches);
}

bool proxy_is_empty(const struct proxy *proxy)
{
    return proxy->client_count == 0 && proxy->origin_count == 0 && fetch_pool_is_empty(&proxy->fetches) &&
           udp_sessions_are_over(proxy->udp) && files_are_idle(proxy);
}
