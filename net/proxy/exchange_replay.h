/* SPDX-License-Identifier: Apache-2.0 */
/* A response from memory in the place of the upstream's, for plugins that keep responses: it goes the way of
 * a proxied one, so the other plugins edit and filter it as they did the first time. Its shard's. */
#pragma once

#include "net/proxy/exchange_body.h"

struct replay {
    int status;
    struct header *headers; /* as the upstream sent them, without those of the connection and the framing */
    uint32_t header_count;
    struct slice body; /* copied at once; names and values live as long as the exchange */
};

/* In PHASE_ACCESS instead of asking the upstream, in PHASE_RESPONSE_HEAD instead of what has come from it, or
 * of the gateway's own answer. Returns what the handler returns. */
enum verdict exchange_replay(struct exchange *exchange, const struct replay *replay);

/* In PHASE_RESPONSE_HEAD: the head as it came from the upstream, before any edit; NULL: the response is the
 * gateway's own. */
const struct message *exchange_upstream_response(const struct exchange *exchange);

/* In PHASE_RESPONSE_HEAD: the body passes this one before all others, as it came. */
void exchange_watch_upstream(struct exchange *exchange, struct body_filter *filter);

/* As when an upstream cannot be had: the status's own message, in what the client accepts. Returns
 * RESPOND. */
enum verdict exchange_respond_unavailable(struct exchange *exchange, int status);
