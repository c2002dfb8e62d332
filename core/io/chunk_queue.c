/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/chunk_queue.h"

#include <stdlib.h>

/* Backpressure keeps queues far below: more is a bug. */
enum { CHUNKS_MAX = 1 << 16, GROWTH = 4 };

static bool grow(struct chunk_queue *queue)
{
    uint32_t capacity = queue->capacity * GROWTH;
    CHECK(capacity <= CHUNKS_MAX);
    struct chunk *bigger = malloc(capacity * sizeof(*bigger));
    if (bigger == NULL)
        return false;
    for (uint32_t i = 0; i < queue->count; i++)
        bigger[i] = *chunk_queue_at(queue, i);
    free(queue->items);
    queue->items = bigger;
    queue->capacity = capacity;
    queue->head = 0;
    return true;
}

bool chunk_queue_push(struct chunk_queue *queue, struct chunk chunk)
{
    if (queue->count == queue->capacity && !grow(queue)) {
        chunk_release(&chunk);
        return false;
    }
    queue->count++;
    *chunk_queue_at(queue, queue->count - 1) = chunk;
    queue->bytes += chunk.size;
    return true;
}

static void shrink_when_empty(struct chunk_queue *queue)
{
    if (queue->count > 0)
        return;
    queue->head = 0;
    if (queue->items == NULL)
        return;
    free(queue->items);
    queue->items = NULL;
    queue->capacity = CHUNK_QUEUE_INLINE;
}

struct chunk chunk_queue_pop(struct chunk_queue *queue)
{
    CHECK(queue->count > 0);
    struct chunk chunk = *chunk_queue_at(queue, 0);
    queue->head++;
    queue->count--;
    queue->bytes -= chunk.size;
    shrink_when_empty(queue);
    return chunk;
}

void chunk_queue_consume(struct chunk_queue *queue, uint64_t size)
{
    CHECK(size <= queue->bytes);
    while (size > 0) {
        struct chunk *first = chunk_queue_at(queue, 0);
        if (size < first->size) {
            first->offset += (uint32_t)size;
            first->size -= (uint32_t)size;
            queue->bytes -= size;
            return;
        }
        size -= first->size;
        struct chunk done = chunk_queue_pop(queue);
        chunk_release(&done);
    }
}

void chunk_queue_clear(struct chunk_queue *queue)
{
    while (queue->count > 0) {
        struct chunk chunk = chunk_queue_pop(queue);
        chunk_release(&chunk);
    }
}
