/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may make a connection of HTTP/2 do for nothing: frames that carry no request and no data, and
 * streams that end before their time, ours included (a client can provoke them). Counted over a few seconds;
 * work that is worth something earns more. And what it may make it do at a time, be it worth something or
 * not: others wait meanwhile. One shard. */
#pragma once

#include "core/base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    HTTP2_BUDGET_MS = 10000, /* for which the two limits are meant */
    HTTP2_EARNED_BY_DATA = 4, /* frames, by each that carries data in either direction: acknowledgements */
    HTTP2_SMALL_BYTES = 1024, /* in a frame although there are more: cut off by the client's window */
    HTTP2_EARNED_BY_HEAD = 8, /* by each request */
    HTTP2_TURN_COST = 512, /* after which the rest waits for the next turn; a plain frame counts 1 */
    HTTP2_HEAD_COST = 12, /* a request to be walked */
    HTTP2_HEAD_BYTES_PER_COST = 16, /* of HPACK */
    HTTP2_STREAMS_PER_COST = 4, /* SETTINGS have to be applied to each */
};

struct http2_limits {
    uint32_t streams; /* at a time */
    uint32_t stream_window, connection_window; /* bytes of request bodies on their way */
    uint32_t resets, overhead_frames; /* in HTTP2_BUDGET_MS */
};

struct http2_budget {
    uint64_t begin_ms;
    uint32_t overhead, earned, resets;
};

/* Begins again when its time is over. */
static inline void http2_budget_turn(struct http2_budget *budget, uint64_t now_ms)
{
    if (now_ms - budget->begin_ms >= HTTP2_BUDGET_MS)
        *budget = (struct http2_budget){ .begin_ms = now_ms };
}

static inline bool http2_budget_is_spent(const struct http2_budget *budget, const struct http2_limits *limits)
{
    return budget->resets > limits->resets ||
           budget->overhead > (uint64_t)limits->overhead_frames + budget->earned;
}
