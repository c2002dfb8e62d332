/* SPDX-License-Identifier: Apache-2.0 */
/* Where blocks come from: the receive blocks lent to the kernel through a buffer ring, and blocks to write
 * into. The buffer ring is refilled once per turn, with the blocks that came back last, or by growing up
 * to a limit, so that slow readers that hold blocks do not starve the others. Only a window of blocks is
 * lent, which widens when it runs dry and narrows again: the fewer blocks take turns, the more of them are
 * still in the cache when the kernel writes into them. When most of them are held, it is smaller still. An
 * idle connection holds none. One shard. */
#pragma once

#include "core/io/block.h"
#include "core/io/ring.h"

struct block_limits {
    uint32_t lent_count; /* most blocks in the buffer ring; a power of two */
    uint32_t receive_bytes; /* size of a receive block */
    uint32_t receive_count; /* most receive blocks of this shard, <= 65535 */
    uint64_t write_bytes; /* most memory in blocks to write into */
};

struct block_counts {
    uint32_t receive_held; /* taken from the kernel and not yet given back */
    uint32_t receive_total;
    uint32_t lent, lent_wanted;
    uint64_t write_bytes;
};

enum { BLOCK_GROUP = 0 };

enum error block_store_open(struct block_store **store, struct ring *ring, const struct block_limits *limits);
void block_store_close(struct block_store *store);

/* The chunk of a completion that carries a buffer, which has left the ring with it. */
struct chunk block_store_received(struct block_store *store, uint32_t cqe_flags, uint32_t size);

/* Once per turn, before the kernel receives again. */
void block_store_refill(struct block_store *store, uint64_t now_ms);

/* A receive found no block. If the ring is empty, more will be lent from the next refill on; but not when
 * the blocks came back full: then there is more to receive than the cache holds anyway, and a turn's wait
 * for blocks costs less than colder ones (measured: a quarter at 1 MB). */
void block_store_widen(struct block_store *store);

/* So many blocks are held that nobody should have more at a time than he needs. */
bool block_store_is_scarce(const struct block_store *store);

struct block_counts block_store_counts(const struct block_store *store);
