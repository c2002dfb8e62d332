/* SPDX-License-Identifier: Apache-2.0 */
/* UDP clients of stream_listen: whoever sends gets a session with a socket of its own toward an upstream, as
 * long as something moves. Each is one exchange, routed and logged like any stream. A table per shard; its
 * thread only. */
#pragma once

#include "net/proxy/client.h"
#include "net/transport/udp.h"

struct udp_sessions {
    struct proxy *proxy;
    struct udp_listener *listeners;
    uint32_t listener_count;
    struct udp_session **buckets; /* NULL: no listeners */
    uint32_t bucket_count; /* a power of two */
    uint32_t count; /* of sessions, those included whose sockets are still closing */
    struct list_node all;
    bool draining;
};

/* Room for as many listeners of datagrams as there are among those of the start. */
enum error udp_sessions_open(struct udp_sessions *sessions, struct proxy *proxy,
                             const struct proxy_start *start) MUST_CHECK;
void udp_sessions_close(struct udp_sessions *sessions);

/* Takes no new clients. */
void udp_sessions_drain(struct udp_sessions *sessions);
/* Ends all. */
void udp_sessions_abort(struct udp_sessions *sessions);

/* No session is left, and nothing is armed. */
bool udp_sessions_are_over(const struct udp_sessions *sessions);

/* STEP_CONNECT of an exchange of datagrams: from here on they flow. */
enum error udp_session_connect(struct exchange *exchange) MUST_CHECK;
