/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/chunk_queue.h"

#include <stdlib.h>

/* Backpressure keeps queues far below. */
enum { CHUNKS_MAX = 1 << 16, GROWTH = 4, JOIN_BYTES = 2048 };

static bool grow(struct chunk_queue *queue)
{
    uint32_t capacity = queue->capacity * GROWTH;
    if (capacity > CHUNKS_MAX)
        return false;
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

/* Copies the piece behind the last chunk when that ends where its own block is still free. */
static bool join(struct chunk_queue *queue, const struct chunk *piece)
{
    struct chunk *last = chunk_queue_at(queue, queue->count - 1);
    struct block *block = last->block;
    if (block->references != 1 || block->used != last->offset + last->size ||
        block->capacity - block->used < piece->size)
        return false;
    memcpy(block->data + block->used, piece->block->data + piece->offset, piece->size);
    block->used += piece->size;
    last->size += piece->size;
    queue->bytes += piece->size;
    return true;
}

static void move_to_own_block(struct chunk *piece, struct block_store *store)
{
    struct block *block = block_open(store, BLOCK_SMALL_BYTES);
    if (block == NULL)
        return;
    memcpy(block->data, piece->block->data + piece->offset, piece->size);
    block->used = piece->size;
    chunk_release(piece);
    *piece = (struct chunk){ block, 0, block->used };
}

bool chunk_queue_append(struct chunk_queue *queue, struct chunk chunk, struct block_store *store,
                        uint32_t fixed_count)
{
    if (chunk.size <= JOIN_BYTES) {
        if (queue->count > fixed_count && join(queue, &chunk)) {
            chunk_release(&chunk);
            return true;
        }
        if (queue->count > 0 && chunk.block->used == 0) /* a receive block: nobody writes into it */
            move_to_own_block(&chunk, store);
    }
    return chunk_queue_push(queue, chunk);
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
