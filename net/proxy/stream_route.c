/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/stream_route.h"

#include "net/proxy/client.h"
#include "net/proxy/client_address.h"

static bool is_datagrams(const struct client *client)
{
    return client->listener->datagrams;
}

/* Of a stream that is passed on as it is, Kong takes only the routes for that; of any other, none of them. */
static bool find(const struct client *client, struct router_request *request, struct router_match *match)
{
    struct proxy *proxy = client->proxy;
    struct address local;
    request->destination = client_find_local(client, &local) ? &local : NULL;
    request->protocol = is_datagrams(client) ? SLICE("udp") : request->tls ? SLICE("tls") : SLICE("tcp");
    request->port = client->listener->port;
    request->scratch = &proxy->regex;
    request->draw = (uint8_t)balancer_draw(&proxy->balancers, 100);
    return router_match(&proxy->snapshot->stream_router, request, match);
}

bool stream_route_match(struct exchange *exchange)
{
    struct router_request request = { .source = &exchange->client_address,
                                      .sni = exchange->server_name,
                                      .tls = exchange->tls || exchange->passes_tls,
                                      .arena = &exchange->arena };
    if (!find(exchange->caller->client, &request, &exchange->match))
        return false;
    uint64_t passes = exchange->match.route->protocols & PROTOCOL_BIT(PROTOCOL_TLS_PASSTHROUGH);
    return exchange->passes_tls == (passes != 0);
}

bool stream_route_passes_tls(struct client *client, struct slice name)
{
    char page[512];
    struct arena arena;
    struct router_match match;
    struct address source = client_address_of_stream(client);
    struct router_request request = { .source = &source, .sni = name, .tls = true, .arena = &arena };
    arena_init(&arena, page, sizeof(page), sizeof(page));
    bool passes =
        find(client, &request, &match) && match.route->protocols & PROTOCOL_BIT(PROTOCOL_TLS_PASSTHROUGH);
    arena_deinit(&arena);
    return passes;
}

struct slice stream_route_protocol(const struct exchange *exchange)
{
    if (exchange->tls || exchange->passes_tls)
        return SLICE("TLS");
    return exchange->datagrams ? SLICE("UDP") : SLICE("TCP");
}
