/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/pipe_pool.h"

#include "core/base/check.h"

#include <fcntl.h>
#include <unistd.h>

void pipe_pool_open(struct pipe_pool *pool, struct metrics *metrics, uint32_t most, uint32_t pipe_bytes)
{
    *pool = (struct pipe_pool){ .metrics = metrics, .taken_most = most, .pipe_bytes = pipe_bytes };
}

static void close_ends(struct pipe_ends pipe)
{
    close(pipe.out);
    close(pipe.in);
}

void pipe_pool_close(struct pipe_pool *pool)
{
    CHECK(pool->taken_count == 0);
    while (pool->spare_count > 0)
        close_ends(pool->spare[--pool->spare_count]);
}

static bool open_ends(const struct pipe_pool *pool, struct pipe_ends *pipe)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    *pipe = (struct pipe_ends){ ends[0], ends[1] };
    /* Refused above /proc/sys/fs/pipe-max-size and when this user has many: smaller is slower, but right. */
    (void)fcntl(pipe->in, F_SETPIPE_SZ, (int)pool->pipe_bytes);
    return true;
}

bool pipe_pool_take(struct pipe_pool *pool, struct pipe_ends *pipe)
{
    bool found = pool->spare_count > 0;
    if (pool->taken_count < pool->taken_most && found)
        *pipe = pool->spare[--pool->spare_count];
    else if (pool->taken_count >= pool->taken_most || !open_ends(pool, pipe)) {
        metric_add(pool->metrics, METRIC_SPLICE_PIPES_REFUSED, 1);
        return false;
    }
    pool->taken_count++;
    metric_set(pool->metrics, METRIC_SPLICE_PIPES, pool->taken_count);
    return true;
}

void pipe_pool_give_back(struct pipe_pool *pool, struct pipe_ends pipe, bool is_empty)
{
    CHECK(pool->taken_count > 0);
    pool->taken_count--;
    metric_set(pool->metrics, METRIC_SPLICE_PIPES, pool->taken_count);
    if (is_empty && pool->spare_count < PIPE_POOL_SPARE)
        pool->spare[pool->spare_count++] = pipe;
    else
        close_ends(pipe);
}
