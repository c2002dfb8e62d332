/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/udp_session.h"

#include "net/proxy/balancer_circuit.h"
#include "net/proxy/caller_silent.h"
#include "net/proxy/exchange_events.h"

#include "core/base/hash.h"

#include <stdlib.h>

enum { DRAIN_IDLE_MS = 1000 /* when all are to end */ };

struct udp_session {
    struct client client; /* for the exchange: the peer and the listener; it has no connection */
    struct udp_sessions *sessions;
    struct udp_listener *listener;
    struct udp_session *next; /* in its bucket */
    struct list_node node; /* sessions->all */
    struct udp_peer peer;
    struct endpoint *endpoint;
    struct timer timer;
    struct chunk first; /* until the upstream is known */
    uint64_t idle_ms;
    bool connected, over;
};

static const struct udp_peer_events peer_events;
static const struct caller_ops datagram_caller_ops;

/* --- the table ------------------------------------------------------------------------------------------ */

static uint32_t bucket_of(const struct udp_sessions *sessions, const struct address *source)
{
    const char *bytes = (const char *)&source->any;
    return (uint32_t)hash_of((struct slice){ bytes, source->size }) & (sessions->bucket_count - 1);
}

static bool is_of(const struct udp_session *session, const struct udp_listener *listener,
                  const struct udp_datagram *datagram)
{
    const struct address *sent_to = &session->client.told.destination;
    return session->listener == listener && address_equal(&session->client.peer, &datagram->source) &&
           (sent_to->size == 0 || address_equal(sent_to, &datagram->destination));
}

static struct udp_session *find(struct udp_listener *listener, const struct udp_datagram *datagram)
{
    struct udp_sessions *sessions = listener->owner;
    struct udp_session *session = sessions->buckets[bucket_of(sessions, &datagram->source)];
    while (session && !is_of(session, listener, datagram))
        session = session->next;
    return session;
}

static void leave_table(struct udp_session *session)
{
    struct udp_session **at =
        &session->sessions->buckets[bucket_of(session->sessions, &session->client.peer)];
    while (*at && *at != session)
        at = &(*at)->next;
    if (*at)
        *at = session->next;
    list_remove(&session->node);
}

static void stop_listeners(struct udp_sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->listener_count; i++)
        udp_listener_stop(&sessions->listeners[i]);
}

static void free_session(struct udp_session *session)
{
    struct udp_sessions *sessions = session->sessions;
    sessions->count--;
    metric_add(&sessions->proxy->shard->metrics, METRIC_UDP_SESSIONS, -1);
    metric_add(&sessions->proxy->shard->metrics, METRIC_CONNECTIONS_ACTIVE, -1);
    free(session);
    if (sessions->draining && sessions->count == 0)
        stop_listeners(sessions);
}

/* --- the end -------------------------------------------------------------------------------------------- */

/* The exchange has been told, or tells. */
static void end(struct udp_session *session)
{
    if (session->over)
        return;
    session->over = true;
    session->client.caller.exchange = NULL;
    leave_table(session);
    timer_disarm(&session->sessions->proxy->shard->timers, &session->timer);
    chunk_release(&session->first);
    if (session->connected)
        udp_peer_close(&session->peer);
    else
        free_session(session);
}

static void finish_exchange(struct udp_session *session)
{
    struct exchange *exchange = session->client.caller.exchange;
    if (exchange == NULL)
        return;
    exchange->response_complete = true;
    exchange_run(exchange);
}

static void on_timer(struct timer *timer)
{
    finish_exchange(CONTAINER_OF(timer, struct udp_session, timer));
}

static void touch(struct udp_session *session)
{
    struct shard *shard = session->sessions->proxy->shard;
    timer_arm(&shard->timers, &session->timer, shard->now_ms + session->idle_ms);
}

/* --- datagrams ------------------------------------------------------------------------------------------ */

static void drop(struct udp_sessions *sessions)
{
    metric_add(&sessions->proxy->shard->metrics, METRIC_UDP_DROPPED, 1);
}

static void pass_up(struct udp_session *session, struct chunk payload)
{
    struct exchange *exchange = session->client.caller.exchange;
    if (udp_peer_send(&session->peer, chunk_slice(&payload)))
        exchange->body_bytes += payload.size;
    else
        drop(session->sessions);
    chunk_release(&payload);
    touch(session);
}

static struct udp_session *open_session(struct udp_listener *listener, const struct udp_datagram *datagram)
{
    struct udp_sessions *sessions = listener->owner;
    struct proxy *proxy = sessions->proxy;
    bool room = !sessions->draining && sessions->count < proxy->options->udp_sessions_max;
    struct udp_session *session = room ? calloc(1, sizeof(*session)) : NULL;
    if (session == NULL)
        return NULL;
    session->sessions = sessions;
    session->listener = listener;
    struct client *client = &session->client;
    client->proxy = proxy;
    client->listener = listener->options;
    client->state = CLIENT_RAW;
    client->caller = (struct caller){ &datagram_caller_ops, client, NULL };
    client->connection.tcp.fd = -1;
    client->peer = datagram->source;
    client->told.destination = datagram->destination;
    client->peer_text_size = (uint8_t)address_text(&client->peer, client->peer_text);
    timer_init(&session->timer, on_timer);
    struct udp_session **bucket = &sessions->buckets[bucket_of(sessions, &datagram->source)];
    session->next = *bucket;
    *bucket = session;
    list_append(&sessions->all, &session->node);
    sessions->count++;
    metric_add(&proxy->shard->metrics, METRIC_UDP_SESSIONS, 1);
    metric_add(&proxy->shard->metrics, METRIC_CONNECTIONS_ACTIVE, 1);
    return session;
}

static void begin(struct udp_session *session, struct chunk first)
{
    struct exchange *exchange = exchange_open(session->sessions->proxy, &session->client.caller);
    session->first = first;
    session->client.caller.exchange = exchange;
    if (exchange)
        exchange_run(exchange);
    else
        end(session);
}

static void on_datagram(struct udp_listener *listener, struct udp_datagram *datagram)
{
    struct udp_session *session = find(listener, datagram);
    if (session && session->connected) {
        pass_up(session, datagram->payload);
        return;
    }
    if (session == NULL && (session = open_session(listener, datagram)) != NULL) {
        begin(session, datagram->payload);
        return;
    }
    drop(listener->owner);
    chunk_release(&datagram->payload);
}

static struct udp_session *of_peer(struct udp_peer *peer)
{
    return CONTAINER_OF(peer, struct udp_session, peer);
}

static void peer_received(struct udp_peer *peer, struct chunk payload)
{
    struct udp_session *session = of_peer(peer);
    struct client *client = &session->client;
    if (udp_reply(session->listener, &client->peer, &client->told.destination, chunk_slice(&payload)))
        client->caller.exchange->response_bytes += payload.size;
    else
        drop(session->sessions);
    chunk_release(&payload);
    touch(session);
}

/* Nobody listens there, as the upstream's host says. */
static void peer_failed(struct udp_peer *peer, enum error error)
{
    struct udp_session *session = of_peer(peer);
    struct exchange *exchange = session->client.caller.exchange;
    if (exchange && exchange->endpoint)
        balancer_try_failed(exchange->endpoint, error);
    if (exchange && exchange->response_bytes == 0)
        exchange->status = 502;
    finish_exchange(session);
}

static void peer_closed(struct udp_peer *peer)
{
    free_session(of_peer(peer));
}

static const struct udp_peer_events peer_events = { peer_received, peer_failed, peer_closed };

/* --- for the exchange ----------------------------------------------------------------------------------- */

enum error udp_session_connect(struct exchange *exchange)
{
    struct client *client = exchange->caller->client;
    struct udp_session *session = CONTAINER_OF(client, struct udp_session, client);
    struct proxy *proxy = exchange->proxy;
    enum error error =
        udp_peer_open(&session->peer, proxy->shard, &peer_events, &exchange->endpoint->address);
    if (error != ERROR_OK)
        return error;
    session->connected = true;
    session->idle_ms = (uint64_t)exchange->service->service->read_timeout_ms;
    struct chunk first = session->first;
    session->first = (struct chunk){ 0 };
    pass_up(session, first);
    return ERROR_OK;
}

static void done(struct caller *caller, enum caller_fate fate)
{
    (void)fate;
    end(CONTAINER_OF(caller->client, struct udp_session, client));
}

static const struct caller_ops datagram_caller_ops = {
    .send_head = caller_silent_head,
    .send_body = caller_silent_body,
    .send_end = caller_silent_end,
    .backlog = caller_silent_backlog,
    .read = caller_silent_read,
    .done = done,
};

/* --- all of them ---------------------------------------------------------------------------------------- */

enum error udp_sessions_open(struct udp_sessions *sessions, struct proxy *proxy,
                             const struct proxy_start *start)
{
    uint32_t wanted = 0, most = proxy->options->udp_sessions_max;
    *sessions = (struct udp_sessions){ .proxy = proxy, .bucket_count = 16 };
    list_init(&sessions->all);
    for (uint32_t i = 0; i < start->listener_count; i++)
        wanted += start->listener_options[i].datagrams;
    if (wanted == 0)
        return ERROR_OK;
    while (sessions->bucket_count < most && sessions->bucket_count < 1u << 20)
        sessions->bucket_count *= 2;
    sessions->buckets = calloc(sessions->bucket_count, sizeof(struct udp_session *));
    sessions->listeners = calloc(wanted, sizeof(*sessions->listeners));
    if (sessions->buckets == NULL || sessions->listeners == NULL)
        return ERROR_MEMORY;
    for (uint32_t i = 0; i < start->listener_count; i++) {
        if (!start->listener_options[i].datagrams)
            continue;
        struct udp_listener *listener = &sessions->listeners[sessions->listener_count++];
        listener->received = on_datagram;
        listener->owner = sessions;
        udp_listener_start(listener, proxy->shard, start->listener_fds[i], &start->listener_options[i]);
    }
    return ERROR_OK;
}

void udp_sessions_close(struct udp_sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->listener_count; i++)
        udp_listener_close(&sessions->listeners[i]);
    free(sessions->listeners);
    free(sessions->buckets);
    *sessions = (struct udp_sessions){ 0 };
}

void udp_sessions_drain(struct udp_sessions *sessions)
{
    sessions->draining = true;
    if (sessions->count == 0)
        stop_listeners(sessions);
    for (struct list_node *node = sessions->all.next; node != &sessions->all; node = node->next) {
        struct udp_session *session = CONTAINER_OF(node, struct udp_session, node);
        if (session->idle_ms > DRAIN_IDLE_MS)
            session->idle_ms = DRAIN_IDLE_MS;
        if (session->connected)
            touch(session);
    }
}

void udp_sessions_abort(struct udp_sessions *sessions)
{
    sessions->draining = true;
    stop_listeners(sessions);
    while (!list_is_empty(&sessions->all)) {
        struct udp_session *session = CONTAINER_OF(sessions->all.next, struct udp_session, node);
        struct exchange *exchange = session->client.caller.exchange;
        if (exchange)
            exchange_client_gone(exchange);
        end(session);
    }
}

bool udp_sessions_are_over(const struct udp_sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->listener_count; i++)
        if (sessions->listeners[i].op.armed)
            return false;
    return sessions->count == 0;
}
