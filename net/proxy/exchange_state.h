/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an exchange, for the files of net/proxy only (plugins use net/proxy/exchange.h). Owned by the
 * caller that began it; it outlives that one only while a plugin waits. One shard. */
#pragma once

#include "config/action.h"
#include "core/io/chunk_queue.h"
#include "net/http/http1_write.h"
#include "net/proxy/balancer_pick.h"
#include "net/proxy/caller.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/proxy.h"

struct origin;
struct tunnel;

/* The order of the walk, declared once; each is a function in exchange.c. */
#define EXCHANGE_STEPS(STEP)                 \
    STEP(ROUTE, route)                       \
    STEP(REWRITE, rewrite)                   \
    STEP(ACCESS, access)                     \
    STEP(PICK, pick)                         \
    STEP(CONNECT, connect)                   \
    STEP(UPSTREAM_REQUEST, upstream_request) \
    STEP(SEND, send)                         \
    STEP(RESPONSE_HEAD, response_head)       \
    STEP(RELAY, relay)                       \
    STEP(LOG, log)                           \
    STEP(FINISH, finish)

enum exchange_step {
#define STEP(id, name) STEP_##id,
    EXCHANGE_STEPS(STEP)
#undef STEP
        STEP_COUNT
};

enum step_result { STEP_RESULT_NEXT, STEP_RESULT_JUMP, STEP_RESULT_WAIT, STEP_RESULT_DONE };

enum { EXCHANGE_PAGE_BYTES = 3584, REQUEST_ID_SIZE = 32 };

/* A response made by the gateway. */
struct answer {
    int status; /* 0: none */
    struct slice content_type;
    struct slice body;
};

enum exchange_trust { PEER_UNTRUSTED, PEER_TRUSTED };

struct exchange {
    struct proxy *proxy;
    struct caller *caller; /* NULL: gone */
    struct snapshot *snapshot;
    struct exchange *next_spare;
    enum exchange_step step;
    bool running, waiting; /* inside exchange_run; for a plugin: exchange_resume is to come */
    struct list_node waiting_node; /* proxy->waiting, meanwhile */
    bool is_stream, datagrams, passes_tls; /* no HTTP from the start; of that, UDP; TLS that is passed on */
    struct tunnel *tunnel; /* joins both sides; NULL: none yet */
    bool aborted; /* the client is gone or of no more use: straight to LOG */

    /* request */
    struct message request;
    struct chunk_queue body; /* arrived, not yet sent upstream */
    uint64_t body_bytes; /* arrived so far */
    uint64_t body_limit_bytes; /* a plugin's limit, when there is a message */
    struct slice body_limit_message; /* absent: no limit */
    const struct header *request_trailers; /* that may be passed on, once the request is complete */
    uint32_t request_trailer_count;
    bool request_complete, continue_sent, reading_body;
    uint64_t read_limit_bytes; /* of the whole of it, which a plugin is reading */
    struct chunk read_body; /* what plugins were shown */
    struct slice raw_path, path, query; /* query: absent without '?' */
    struct slice host; /* lower case, without port */
    struct address client_address;
    struct slice client_ip, peer_ip;
    enum exchange_trust trust;
    bool tls;
    struct slice server_name; /* that the client asked for by TLS; absent: none */
    uint8_t style; /* enum answer_style: the route's, until then the model's */
    uint16_t port;
    uint64_t start_ns, wall_ms;
    struct slice upstream_method, upstream_path, upstream_host; /* plugins' wishes; absent: none */

    /* decisions */
    struct router_match match;
    const struct service_plan *service;
    const struct backend *backend; /* of the route's action; NULL: it has none */
    const struct chain *chain;
    uint32_t chain_position;
    enum phase chain_phase;
    char *plugin_states; /* zeroed for all slots at once; NULL: not asked for yet */
    const struct consumer *consumer;
    struct slices groups; /* from elsewhere */
    const struct credential *credential;

    /* upstream */
    struct origin *origin; /* NULL: none now */
    struct balancer *balancer; /* that counts it; held by the snapshot; NULL: none yet */
    struct endpoint *endpoint; /* of this try, or the last one */
    struct balancer_wait *wait; /* for a connection; NULL: it never had to */
    struct balancer_choice choice;
    struct slice cookie; /* what the balancer has the client told by Set-Cookie; absent: nothing */
    uint32_t tries;
    enum error failure; /* of the last try */
    struct timer deadline; /* of an action's timeout_ms */
    bool deadline_passed;
    bool request_edited; /* by the action */
    bool retrying; /* one of the balancer's retries */
    bool upstream_chunked; /* how the request body is framed toward the upstream */
    bool upstream_sent; /* the head of this try has gone out */
    bool upstream_done; /* all of the request has gone out */
    struct chunk_queue replay; /* what has gone out of the body, for another try */
    bool replayable;
    uint64_t upstream_start_ns, try_start_ns, upstream_head_ns;

    /* response */
    struct message response; /* the upstream's head */
    struct answer answer;
    struct header_edit *edits; /* of the response, whatever it is */
    uint32_t edit_count, edit_capacity;
    uint64_t edited; /* message_name_bit of their names: a quick "not this one" */
    const struct header *trailers; /* of the upstream, while the filters are told of the end */
    uint32_t trailer_count;
    struct body_filter *filters; /* in the order of the body's way; NULL: none */
    struct chunk_queue filtered; /* what they make of the gateway's own answer */
    bool replays; /* the response is a stored one ... */
    bool replay_ends_later; /* ... and the upstream's own response has yet to end */
    struct chunk replayed; /* its body, until it is sent */
    struct slice reason, plugin; /* for the log: why there is an answer, and whose; absent: unknown */
    int status; /* sent to the client; 0: nothing yet */
    enum body_framing client_framing;
    bool client_closes; /* the connection ends with this response */
    bool response_complete; /* the last byte is queued for the client */
    bool truncated; /* the upstream failed in the middle: the client's connection is cut */
    uint64_t response_bytes;
    uint32_t interim_count;
    struct exchange_notes *notes; /* for plugins that log; NULL: none does */

    char request_id[REQUEST_ID_SIZE];
    struct arena arena;
    _Alignas(8) char page[EXCHANGE_PAGE_BYTES];
};

/* A new exchange for the next request of a client; NULL: out of memory. */
struct exchange *exchange_open(struct proxy *proxy, struct caller *caller);

/* Walks on from the current step until it has to wait or is done; legal from any event. */
void exchange_run(struct exchange *exchange);
