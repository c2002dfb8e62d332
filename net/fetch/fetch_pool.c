/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch/fetch_pool.h"

#include "net/fetch/fetch_connection.h"

static void look_after_line(struct shard_task *task)
{
    struct fetch_pool *pool = CONTAINER_OF(task, struct fetch_pool, task);
    while (!list_is_empty(&pool->line) && fetch_place(CONTAINER_OF(pool->line.next, struct fetch, node)))
        continue;
}

void fetch_pool_open(struct fetch_pool *pool, struct shard *shard, struct resolver *resolver,
                     const struct fetch_options *options)
{
    *pool = (struct fetch_pool){ .shard = shard, .options = *options, .resolver = resolver };
    list_init(&pool->connections);
    list_init(&pool->idle);
    list_init(&pool->line);
    list_init(&pool->busy);
    shard_task_init(&pool->task, look_after_line);
}

void fetch_pool_abort(struct fetch_pool *pool)
{
    struct list_node all;
    pool->closing = true;
    list_init(&all);
    list_move_all(&all, &pool->line);
    list_move_all(&all, &pool->busy);
    while (!list_is_empty(&all))
        fetch_cancel(CONTAINER_OF(all.next, struct fetch, node));
    while (!list_is_empty(&pool->idle))
        fetch_connection_close(CONTAINER_OF(pool->idle.next, struct fetch_connection, idle_node));
}

bool fetch_pool_is_empty(const struct fetch_pool *pool)
{
    return pool->connection_count == 0 && list_is_empty(&pool->busy) && list_is_empty(&pool->line);
}

void fetch_pool_close(struct fetch_pool *pool)
{
    if (pool->shard == NULL)
        return;
    pool->closing = true;
    list_move_all(&pool->busy, &pool->line);
    while (!list_is_empty(&pool->busy))
        fetch_forget(CONTAINER_OF(pool->busy.next, struct fetch, node));
    list_remove(&pool->task.node);
}
