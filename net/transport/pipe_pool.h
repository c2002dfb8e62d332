/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes through which bytes go from socket to socket without being copied. One is taken for as long as there
 * are bytes in it and given back after that, so a few serve many connections. One shard. */
#pragma once

#include "core/io/metrics.h"

#include <stdbool.h>

enum { PIPE_POOL_SPARE = 16 /* kept open while nobody has them */ };

struct pipe_ends {
    int out, in; /* to read from, to write into */
};

struct pipe_pool {
    struct metrics *metrics;
    struct pipe_ends spare[PIPE_POOL_SPARE];
    uint32_t spare_count, taken_count, taken_most;
    uint32_t pipe_bytes; /* that may be in one */
};

/* `most`: pipes taken at a time; 0: none ever. */
void pipe_pool_open(struct pipe_pool *pool, struct metrics *metrics, uint32_t most, uint32_t pipe_bytes);

/* When all were given back. Legal on zeroed memory. */
void pipe_pool_close(struct pipe_pool *pool);

/* False, and counted: the limit is reached, or the kernel gives no more. */
bool pipe_pool_take(struct pipe_pool *pool, struct pipe_ends *pipe);

/* One with bytes in it is closed: nobody else's they may become. */
void pipe_pool_give_back(struct pipe_pool *pool, struct pipe_ends pipe, bool is_empty);
