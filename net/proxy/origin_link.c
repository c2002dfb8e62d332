/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin_link.h"

#include "net/proxy/balancer_circuit.h"
#include "net/proxy/forward.h"
#include "net/proxy/origin.h"
#include "net/proxy/origin_preamble.h"
#include "net/proxy/tls_profiles.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_BYTES = 512 };

/* --- rules ---------------------------------------------------------------------------------------------- */

/* The server is asked for by the Host that it will be sent, without the port; so does Kong. */
bool origin_link_rules(const struct exchange *exchange, struct origin_tls_rules *rules)
{
    if (exchange->service->tls == NULL)
        return true;
    struct slice host = forward_upstream_host(exchange).host;
    bool bracketed = host.size > 0 && host.data[0] == '[';
    const char *end = host.size ? memrchr(host.data, bracketed ? ']' : ':', host.size) : NULL;
    if (end && (bracketed || memchr(host.data, ':', host.size) == end)) /* more than one: a bare address */
        host.size = (size_t)(end - host.data);
    if (bracketed)
        host = slice_from(host, 1);
    if (host.size == 0 || host.size >= ORIGIN_NAME_SIZE)
        return false;
    memcpy(rules->id, exchange->service->tls->id, sizeof(rules->id));
    for (size_t i = 0; i < host.size; i++) {
        char c = rules->name[i] = slice_lower(host.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(".-_:", c)))
            return false; /* it may have come from a client */
    }
    rules->name[host.size] = '\0';
    return true;
}

bool origin_link_follows(const struct origin_link *link, const struct origin_tls_rules *rules)
{
    if (link->rules == NULL || rules == NULL)
        return link->rules == NULL && rules == NULL;
    return memcmp(link->rules->id, rules->id, sizeof(rules->id)) == 0 &&
           strcmp(link->rules->name, rules->name) == 0;
}

/* --- opening -------------------------------------------------------------------------------------------- */

bool origin_link_room(struct proxy *proxy)
{
    if (proxy->origin_count < proxy->options->upstreams_max)
        return true;
    if (list_is_empty(&proxy->idle_origins)) {
        metric_add(&proxy->shard->metrics, METRIC_UPSTREAM_REFUSED, 1);
        return false;
    }
    struct origin_link *oldest = CONTAINER_OF(proxy->idle_origins.next, struct origin_link, age_node);
    oldest->close(oldest);
    return true;
}

static enum error connect_to(struct origin_link *link, const struct connection_owner *owner,
                             const struct tls_upstream *tls)
{
    struct shard *shard = link->proxy->shard;
    const struct address *address = &link->endpoint->address;
    struct address numeric;
    if (tls == NULL)
        return connection_connect(&link->connection, shard, owner, address, NULL);
    const char *name = link->rules->name;
    bool asked = !address_parse(slice_of(name), 0, &numeric); /* RFC 6066: addresses are not */
    struct tls_target target = { tls->client, asked ? name : NULL, name };
    return connection_connect(&link->connection, shard, owner, address, &target);
}

static bool keep_rules(struct origin_link *link, const struct origin_tls_rules *rules)
{
    if (rules == NULL)
        return true;
    link->rules = malloc(sizeof(*rules));
    if (link->rules)
        *link->rules = *rules;
    return link->rules != NULL;
}

bool origin_link_open(struct origin_link *link, const struct exchange *exchange,
                      const struct origin_tls_rules *rules, const struct connection_owner *owner)
{
    struct endpoint *endpoint = exchange->endpoint;
    link->proxy = exchange->proxy;
    link->endpoint = endpoint;
    list_init(&link->node);
    list_init(&link->age_node);
    struct chunk preamble = { 0 };
    if (!keep_rules(link, rules) || (link->is_private && !origin_write_preamble(exchange, &preamble)) ||
        connect_to(link, owner, exchange->service->tls) != ERROR_OK) {
        chunk_release(&preamble);
        free(link->rules);
        link->rules = NULL;
        return false;
    }
    if (preamble.size > 0)
        stream_send(&link->connection.tcp.stream, preamble);
    endpoint->open_count++;
    if (endpoint->balancer)
        endpoint->balancer->connections++;
    link->proxy->origin_count++;
    metric_add(&link->proxy->shard->metrics, METRIC_UPSTREAM_CONNECTS, 1);
    metric_add(&link->proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, 1);
    return true;
}

/* Whose certificate is refused, or who refuses us, is to be seen by whoever runs this. */
static void tell_failure(struct origin_link *link, const struct tls_stream *tls)
{
    struct tls_failure failure = tls_stream_failure(tls);
    char line[LINE_BYTES], address[ADDRESS_TEXT_SIZE];
    address_text(&link->endpoint->address, address);
    snprintf(line, sizeof(line),
             "TLS to an upstream failed server_name=%s address=%s port=%u reason=\"%s\" alert=%s",
             link->rules->name, address, address_port(&link->endpoint->address),
             failure.reason ? failure.reason : "unknown",
             failure.alert_received != TLS_ALERT_NONE ? tls_alert_text(failure.alert_received) : "none");
    if (link->proxy->tell)
        link->proxy->tell(link->proxy, line);
}

void origin_link_opened(struct origin_link *link, enum error error)
{
    struct metrics *metrics = &link->proxy->shard->metrics;
    const struct tls_stream *tls = link->connection.tls;
    if (tls == NULL || (error != ERROR_OK && error != ERROR_TLS && error != ERROR_TRUNCATED))
        return;
    metric_add(metrics, error == ERROR_OK ? METRIC_UPSTREAM_TLS : METRIC_UPSTREAM_TLS_FAILED, 1);
    if (error != ERROR_OK)
        tell_failure(link, tls);
}

void origin_link_deinit(struct origin_link *link)
{
    struct endpoint *endpoint = link->endpoint;
    endpoint->open_count--;
    if (endpoint->balancer) {
        endpoint->balancer->connections--;
        balancer_connection_freed(endpoint->balancer);
    } else {
        endpoint_release(endpoint);
    }
    link->proxy->origin_count--;
    metric_add(&link->proxy->shard->metrics, METRIC_UPSTREAM_ACTIVE, -1);
    connection_deinit(&link->connection);
    free(link->rules);
}

/* --- idle ones ------------------------------------------------------------------------------------------ */

void origin_link_rest(struct origin_link *link)
{
    list_prepend(&link->endpoint->idle, &link->node);
    list_append(&link->proxy->idle_origins, &link->age_node);
    metric_add(&link->proxy->shard->metrics, METRIC_UPSTREAM_IDLE, 1);
}

void origin_link_wake(struct origin_link *link)
{
    list_remove(&link->node);
    list_remove(&link->age_node);
    metric_add(&link->proxy->shard->metrics, METRIC_UPSTREAM_IDLE, -1);
}

void origin_close_all_idle(struct proxy *proxy)
{
    while (!list_is_empty(&proxy->idle_origins)) {
        struct origin_link *link = CONTAINER_OF(proxy->idle_origins.next, struct origin_link, age_node);
        link->close(link);
    }
}

void origin_close_idle(struct endpoint *endpoint)
{
    while (origin_close_oldest(endpoint))
        continue;
}

bool origin_close_oldest(struct endpoint *endpoint)
{
    if (list_is_empty(&endpoint->idle))
        return false;
    struct origin_link *link = CONTAINER_OF(endpoint->idle.previous, struct origin_link, node);
    link->close(link);
    return true;
}
