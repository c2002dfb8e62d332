/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of chunks: a few in place, more in grown memory that is given back when the queue runs empty.
 * Owns a reference to each. One shard. */
#pragma once

#include "core/base/check.h"
#include "core/io/block.h"

enum { CHUNK_QUEUE_INLINE = 2 };

struct chunk_queue {
    struct chunk *items; /* circular; NULL: the inline ones */
    uint32_t head, count, capacity;
    uint64_t bytes;
    struct chunk few[CHUNK_QUEUE_INLINE];
};

static inline void chunk_queue_init(struct chunk_queue *queue)
{
    *queue = (struct chunk_queue){ .capacity = CHUNK_QUEUE_INLINE };
}

static inline struct chunk *chunk_queue_at(struct chunk_queue *queue, uint32_t index)
{
    CHECK(index < queue->count);
    struct chunk *items = queue->items ? queue->items : queue->few;
    return &items[(queue->head + index) & (queue->capacity - 1)];
}

/* Takes the reference, also when it fails for want of memory or at the limit of a queue. */
bool chunk_queue_push(struct chunk_queue *queue, struct chunk chunk) MUST_CHECK;

/* The same for a queue that waits: a small piece is copied behind the one before it, or into a block of
 * its own, for it would pin a whole receive block. The first `fixed_count` chunks are left as they are
 * (the kernel sends from them). */
bool chunk_queue_append(struct chunk_queue *queue, struct chunk chunk, struct block_store *store,
                        uint32_t fixed_count) MUST_CHECK;

/* The first chunk, its reference now the caller's. */
struct chunk chunk_queue_pop(struct chunk_queue *queue);

/* Drops the first `size` bytes. */
void chunk_queue_consume(struct chunk_queue *queue, uint64_t size);
void chunk_queue_clear(struct chunk_queue *queue);
