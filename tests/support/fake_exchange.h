/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange for unit tests of plugins: the functions of net/proxy/exchange.h over a request in memory,
 * which record what the plugin asked for. The test owns it and fills the fields; one thread. */
#pragma once

#include "tests/support/fake_exchange_names.h"

#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "net/proxy/exchange_log.h"
#include "net/proxy/exchange_replay.h"

enum fake_body {
    FAKE_BODY_NONE,
    FAKE_BODY_ERROR,
    FAKE_BODY_JSON,
    FAKE_BODY_PLAIN,
    FAKE_BODY_FAILURE,
    FAKE_BODY_REPLAYED
};

struct exchange {
    /* What the plugin is told; everything may be changed before a phase is run. */
    struct arena arena;
    struct message request;
    const struct model *model;
    struct shard *shard;
    struct slice path, query; /* derived from the target */
    struct slice client_ip, request_id;
    struct arrival arrival;
    const struct route *route;
    const struct service *service;
    struct slice captures[3]; /* of the path; the last one is named "name" */
    uint64_t body_bytes; /* of the request, arrived so far */
    struct slice request_body; /* the whole of it ... */
    bool body_is_late; /* ... which has not come yet: exchange_read_body says BODY_LATER */
    struct message received; /* the upstream's response; status 0: the gateway's own answer */
    struct exchange_record record; /* of what is over; status 0: that of the response */
    uint64_t generation;
    struct message trailers; /* behind its body */
    int grants_left; /* setters succeed this often, then memory is exhausted; negative: always */

    /* What it did. */
    const struct consumer *consumer;
    struct slices groups; /* from elsewhere */
    const struct credential *credential;
    struct slice identifier;
    unsigned authenticate_count;
    struct message upstream; /* headers set for the upstream */
    struct message response; /* headers set or added for the client */
    struct message removed; /* headers removed from the response */
    struct slice upstream_method, upstream_path, upstream_host; /* absent: not set */
    const struct service *chosen; /* by exchange_set_service */
    const struct service *unreachable; /* what exchange_can_reach says no to */
    struct slice sent_body; /* by exchange_set_body; absent: not set */
    struct body_filter *filters;
    struct slice passed; /* the body behind the last filter, so far */
    enum fake_body body_kind;
    int status;
    struct slice body; /* the text, or the error's message */
    struct slice content_type; /* of FAKE_BODY_PLAIN */
    struct replay replayed; /* of FAKE_BODY_REPLAYED; its body is `body` */
    bool traced;
    uint64_t body_limit_bytes;
    struct slice body_limit_message; /* absent: no limit was set */
    unsigned respond_count, resume_count;
    enum verdict resumed;
};

/* A request without headers. The texts must outlive it. */
struct exchange *fake_exchange_open(const char *method, const char *target);
void fake_exchange_close(struct exchange *exchange);

/* Adds a header to the request. */
void fake_exchange_header(struct exchange *exchange, const char *name, struct slice value);

/* Runs one phase of the plugin with the configuration and the states given (any may be NULL). */
enum verdict fake_exchange_run(struct exchange *exchange, const struct plugin *plugin, enum phase phase,
                               const void *config, void *shard_state);

/* Has the filters see the text in pieces of that size, and then its end. False: one failed. */
bool fake_exchange_filter(struct exchange *exchange, struct slice body, size_t piece_bytes);

/* The first header of that name set for the client (for the upstream), or absent. */
struct slice fake_exchange_response_header(const struct exchange *exchange, const char *name);
struct slice fake_exchange_upstream_header(const struct exchange *exchange, const char *name);
