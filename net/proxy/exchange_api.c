/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/answer.h"
#include "net/proxy/client.h"
#include "net/proxy/exchange_steps.h"

const struct message *exchange_request(const struct exchange *exchange)
{
    return &exchange->request;
}

struct arena *exchange_arena(struct exchange *exchange)
{
    return &exchange->arena;
}

struct shard *exchange_shard(const struct exchange *exchange)
{
    return exchange->proxy->shard;
}

const struct model *exchange_model(const struct exchange *exchange)
{
    return exchange->snapshot->model;
}

struct slice exchange_path(const struct exchange *exchange)
{
    return exchange->path;
}

struct slice exchange_query(const struct exchange *exchange)
{
    return exchange->query;
}

struct slice exchange_client_ip(const struct exchange *exchange)
{
    return exchange->client_ip;
}

bool exchange_is_https(const struct exchange *exchange)
{
    if (exchange->trust == PEER_TRUSTED && message_has(&exchange->request, HEADER_X_FORWARDED_PROTO))
        return slice_equal_nocase(message_find(&exchange->request, HEADER_X_FORWARDED_PROTO), SLICE("https"));
    return exchange->tls;
}

struct slice exchange_request_id(const struct exchange *exchange)
{
    return (struct slice){ exchange->request_id, REQUEST_ID_SIZE };
}

const struct route *exchange_route(const struct exchange *exchange)
{
    return exchange->match.route;
}

struct slice exchange_uri_capture(const struct exchange *exchange, uint32_t number)
{
    const struct router_match *match = &exchange->match;
    return match->captures && number < match->capture_count ? match->captures[number]
                                                            : (struct slice){ NULL, 0 };
}

struct slice exchange_uri_capture_named(const struct exchange *exchange, struct slice name)
{
    return router_capture(&exchange->match, name);
}

const struct service *exchange_service(const struct exchange *exchange)
{
    return exchange->service ? exchange->service->service : NULL;
}

struct arrival exchange_arrival(const struct exchange *exchange)
{
    struct arrival arrival = { .tls = exchange->tls };
    if (exchange->caller == NULL)
        return arrival;
    const struct client *client = exchange->caller->client;
    arrival.address.size = sizeof(arrival.address.v6);
    if (getsockname(client->connection.tcp.fd, &arrival.address.any, &arrival.address.size) != 0)
        arrival.address = (struct address){ 0 };
    arrival.connection = (unsigned)client->connection.tcp.fd;
    arrival.request = client->request_count;
    return arrival;
}

bool exchange_tls(const struct exchange *exchange, struct tls_info *info)
{
    if (!exchange->tls || exchange->caller == NULL)
        return false;
    *info = tls_stream_info(exchange->caller->client->connection.tls);
    return true;
}

const struct consumer *exchange_consumer(const struct exchange *exchange)
{
    return exchange->consumer;
}

const struct credential *exchange_credential(const struct exchange *exchange)
{
    return exchange->credential;
}

bool exchange_set_upstream_header(struct exchange *exchange, struct slice name, struct slice value)
{
    return message_set(&exchange->request, name, value);
}

void exchange_remove_upstream_header(struct exchange *exchange, struct slice name)
{
    message_remove(&exchange->request, name);
}

void exchange_set_upstream_query(struct exchange *exchange, struct slice query)
{
    exchange->query = query;
}

bool exchange_limit_body(struct exchange *exchange, uint64_t bytes, struct slice message)
{
    exchange->body_limit_bytes = bytes;
    exchange->body_limit_message = message;
    return !exchange_body_is_too_long(exchange);
}

static inline bool tell(struct exchange *exchange, enum header_id id, struct slice name, struct slice value)
{
    if (value.size > 0)
        return message_set_id(&exchange->request, id, name, value);
    if (message_has(&exchange->request, id))
        message_remove_id(&exchange->request, id);
    return true;
}

struct slices exchange_groups(const struct exchange *exchange)
{
    return exchange->groups;
}

void exchange_set_groups(struct exchange *exchange, struct slices groups)
{
    exchange->groups = groups;
}

bool exchange_authenticate(struct exchange *exchange, const struct consumer *consumer,
                           const struct credential *credential, struct slice identifier)
{
    static const struct slice none = { NULL, 0 };
    exchange->consumer = consumer;
    exchange->credential = credential;
    bool anonymous = consumer && credential == NULL;
    return tell(exchange, HEADER_X_CONSUMER_ID, SLICE("X-Consumer-ID"),
                consumer ? (struct slice){ consumer->entity.id, MODEL_ID_SIZE - 1 } : none) &&
           tell(exchange, HEADER_X_CONSUMER_CUSTOM_ID, SLICE("X-Consumer-Custom-ID"),
                consumer ? consumer->custom_id : none) &&
           tell(exchange, HEADER_X_CONSUMER_USERNAME, SLICE("X-Consumer-Username"),
                consumer ? consumer->entity.name : none) &&
           tell(exchange, HEADER_X_CREDENTIAL_IDENTIFIER, SLICE("X-Credential-Identifier"),
                credential ? identifier : none) &&
           tell(exchange, HEADER_X_ANONYMOUS_CONSUMER, SLICE("X-Anonymous-Consumer"),
                anonymous ? SLICE("true") : none);
}

/* The first one is who has decided; later ones put its answer into another form. */
static enum verdict respond(struct exchange *exchange)
{
    const struct chain *chain = exchange->chain;
    if (exchange->plugin.data == NULL && exchange->chain_position < chain->count)
        exchange->plugin = slice_of(chain->slots[exchange->chain_position].plugin->kind.name);
    return VERDICT_RESPOND;
}

enum verdict exchange_respond_error(struct exchange *exchange, int status, struct slice message)
{
    answer_error(exchange, status, message, ANSWER_FROM_PLUGIN);
    return respond(exchange);
}

enum verdict exchange_respond_json(struct exchange *exchange, int status, struct slice json)
{
    answer_json(exchange, status, json);
    return respond(exchange);
}

enum verdict exchange_respond_body(struct exchange *exchange, int status, struct slice content_type,
                                   struct slice body)
{
    exchange->answer = (struct answer){ status, content_type, body };
    return respond(exchange);
}

enum verdict exchange_respond_failure(struct exchange *exchange)
{
    answer_error(exchange, 500, (struct slice){ NULL, 0 }, ANSWER_FROM_PLUGIN);
    return respond(exchange);
}

void exchange_explain(struct exchange *exchange, struct slice reason)
{
    exchange->reason = reason;
}
