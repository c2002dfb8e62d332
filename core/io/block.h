/* SPDX-License-Identifier: Apache-2.0 */
/* Counted blocks of bytes and chunks, the references into them. A block is either one of the ring's receive
 * buffers (given back to the kernel at the last release) or taken from the shard's own store to write into.
 * Counts are plain integers: a block never leaves its shard. */
#pragma once

#include "core/base/slice.h"

struct block_store;

enum { BLOCK_SMALL_BYTES = 4096 - 64, BLOCK_LARGE_BYTES = 16 * 1024 };

struct block {
    char *data;
    uint32_t capacity;
    uint32_t references;
    struct block_store *store;
    struct block *next_free;
    uint32_t used;  /* bytes written so far, by whoever writes into it */
    uint16_t buffer_id; /* of a receive buffer */
    uint16_t kind;
};

/* Owns one reference to its block; block == NULL with size 0: nothing. */
struct chunk {
    struct block *block;
    uint32_t offset;
    uint32_t size;
};

static inline struct slice chunk_slice(const struct chunk *chunk)
{
    if (chunk->block == NULL)
        return (struct slice){ NULL, 0 };
    return (struct slice){ chunk->block->data + chunk->offset, chunk->size };
}

void block_release(struct block *block);

static inline void block_take(struct block *block)
{
    block->references++;
}

/* Leaves the chunk empty. Legal on an empty one. */
static inline void chunk_release(struct chunk *chunk)
{
    if (chunk->block)
        block_release(chunk->block);
    *chunk = (struct chunk){ 0 };
}

/* A second reference to a part of the chunk. */
static inline struct chunk chunk_part(const struct chunk *chunk, uint32_t offset, uint32_t size)
{
    block_take(chunk->block);
    return (struct chunk){ chunk->block, chunk->offset + offset, size };
}

/* A fresh block to write into, one reference; NULL when memory or the store's limit is exhausted.
 * size_bytes is rounded up to BLOCK_SMALL_BYTES, BLOCK_LARGE_BYTES or taken as it is. */
struct block *block_open(struct block_store *store, size_t size_bytes);
