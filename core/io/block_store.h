/* SPDX-License-Identifier: Apache-2.0 */
/* Where blocks come from: the receive blocks lent to the kernel through a buffer ring, and blocks to write
 * into. The buffer ring is refilled as soon as a block is taken out of it, from spare ones or by growing
 * up to a limit, so that slow readers that hold blocks do not starve the others. An idle connection holds
 * none. One shard. */
#pragma once

#include "core/io/block.h"
#include "core/io/ring.h"

struct block_limits {
    uint32_t lent_count; /* blocks in the buffer ring; a power of two */
    uint32_t receive_bytes; /* size of a receive block */
    uint32_t receive_count; /* most receive blocks of this shard, <= 65535 */
    uint64_t write_bytes; /* most memory in blocks to write into */
};

struct block_counts {
    uint32_t receive_held; /* taken from the kernel and not yet given back */
    uint32_t receive_total;
    uint32_t lent;
    uint64_t write_bytes;
};

enum { BLOCK_GROUP = 0 };

enum error block_store_open(struct block_store **store, struct ring *ring, const struct block_limits *limits);
void block_store_close(struct block_store *store);

/* The chunk of a completion that carries a buffer. Takes it out of the ring and refills. */
struct chunk block_store_received(struct block_store *store, uint32_t cqe_flags, uint32_t size);

struct block_counts block_store_counts(const struct block_store *store);
