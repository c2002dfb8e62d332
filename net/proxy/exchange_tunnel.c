/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of a stream, where it differs from that of a request; and the tunnel that both can end in. */
#include "net/proxy/balancer_circuit.h"
#include "net/proxy/client.h"
#include "net/proxy/client_address.h"
#include "net/proxy/exchange_steps.h"
#include "net/proxy/origin.h"
#include "net/proxy/stream_route.h"
#include "net/proxy/tunnel.h"

#include <stdio.h>

/* --- the tunnel ----------------------------------------------------------------------------------------- */

/* Both have ended, or nothing moves any more: the two sides are closed in order. */
static void over(struct tunnel *tunnel, enum tunnel_over how)
{
    struct exchange *exchange = tunnel->owner;
    (void)how;
    origin_detach(exchange->origin, ORIGIN_DROP);
    exchange->client_closes = true;
    exchange->response_complete = true;
    exchange_run(exchange);
}

/* Without a byte either way. A limit of the whole exchange ends where the tunnel begins. */
static uint64_t idle_time(struct exchange *exchange)
{
    enum { ENVOY_IDLE_MS = 300000 };
    const struct action *action = exchange->match.route->action;
    if (exchange->deadline.fire)
        timer_disarm(&exchange->proxy->shard->timers, &exchange->deadline);
    if (action && action->idle_timeout_ms > 0)
        return (uint64_t)action->idle_timeout_ms;
    return exchange->style == ANSWER_STYLE_ENVOY ? ENVOY_IDLE_MS
                                                 : (uint64_t)exchange->service->service->read_timeout_ms;
}

enum step_result exchange_open_tunnel(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    struct tunnel *tunnel = arena_alloc_zero(&exchange->arena, sizeof(*tunnel));
    struct stream *upstream = tunnel ? origin_open_raw(exchange->origin) : NULL;
    struct stream *client = upstream ? caller_open_raw(exchange->caller) : NULL;
    if (client == NULL) {
        origin_detach(exchange->origin, ORIGIN_DROP);
        exchange->truncated = exchange->response_complete = true;
        return exchange_jump(exchange, STEP_RELAY);
    }
    struct tunnel_options options = { .client = client,
                                      .upstream = upstream,
                                      .over = over,
                                      .owner = exchange,
                                      .queue_bytes = proxy->options->stream_bytes,
                                      .idle_ms = idle_time(exchange),
                                      .pipes = proxy->pipes,
                                      .splice_after_bytes = proxy->options->splice_after_bytes };
    origin_limit_time(exchange->origin, 0);
    tunnel_open(tunnel, proxy->shard, &options);
    exchange->tunnel = tunnel;
    exchange->client_framing = BODY_UNTIL_CLOSE; /* a failure of the upstream is passed on as a reset */
    exchange->request_complete = true;
    metric_add(&proxy->shard->metrics, METRIC_TUNNELS_ACTIVE, 1);
    return exchange_jump(exchange, STEP_RELAY);
}

void exchange_close_tunnel(struct exchange *exchange)
{
    struct tunnel *tunnel = exchange->tunnel;
    exchange->body_bytes += tunnel->sides[TUNNEL_CLIENT].passed_bytes;
    exchange->response_bytes += tunnel->sides[TUNNEL_UPSTREAM].passed_bytes;
    tunnel_close(tunnel);
    metric_add(&exchange->proxy->shard->metrics, METRIC_TUNNELS_ACTIVE, -1);
    exchange->tunnel = NULL;
}

/* --- streams -------------------------------------------------------------------------------------------- */

enum step_result exchange_route_stream(struct exchange *exchange)
{
    static const struct chain no_chain = { .count = 0 };
    const struct snapshot *snapshot = exchange->snapshot;
    exchange->chain = &no_chain;
    client_address_determine(exchange);
    if (!stream_route_match(exchange)) {
        exchange->match.route = NULL;
        exchange->answer.status = 404;
        return exchange_jump(exchange, STEP_RESPONSE_HEAD);
    }
    const struct route_plan *plan = &snapshot->routes[exchange->match.route->entity.index];
    exchange->chain = plan->chain;
    exchange->service = plan->service;
    return STEP_RESULT_NEXT;
}

static void print_address(char *out, size_t size, const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    (void)address_text(address, text);
    snprintf(out, size, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, address_port(address));
}

void exchange_log_stream(struct exchange *exchange)
{
    struct metrics *metrics = &exchange->proxy->shard->metrics;
    struct access_log *log = &exchange->proxy->stream_log;
    const struct route *route = exchange->match.route;
    char upstream[ADDRESS_TEXT_SIZE + 8] = "";
    metric_add(metrics, METRIC_STREAMS_REFUSED, exchange->status != 200);
    if (!access_log_is_on(log))
        return;
    if (exchange->endpoint && exchange->tries > 0)
        print_address(upstream, sizeof(upstream), &exchange->endpoint->address);
    struct stream_record record = {
        .client_ip = exchange->client_ip,
        .protocol = stream_route_protocol(exchange),
        .server_name = exchange->server_name,
        .route = route ? entity_label(&route->entity) : (struct slice){ NULL, 0 },
        .service =
            exchange->service ? entity_label(&exchange->service->service->entity) : (struct slice){ NULL, 0 },
        .upstream = slice_of(upstream),
        .status = exchange->status ? exchange->status : 499,
        .port = exchange->port,
        .sent_bytes = exchange->response_bytes,
        .received_bytes = exchange->body_bytes,
        .wall_ms = exchange->wall_ms,
        .duration_us = (exchange->proxy->shard->now_ns - exchange->start_ns) / 1000,
    };
    access_log_write_stream(log, &record);
}
