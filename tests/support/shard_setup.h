/* SPDX-License-Identifier: Apache-2.0 */
/* A shard with a real ring for unit tests, small so that its limits are within reach; turned on the test's
 * own thread until something has come true, for a bounded time. The test owns it; one thread. */
#pragma once

#include "core/io/shard.h"

#include <unistd.h>

enum { SHARD_SETUP_BLOCKS = 8, SHARD_SETUP_BLOCK_BYTES = 4096, SHARD_SETUP_BLOCKS_MOST = 256 };

void shard_setup_open(struct shard *shard);

/* The same with other limits. */
void shard_setup_open_with(struct shard *shard, const struct block_limits *limits);
void shard_setup_close(struct shard *shard);

/* Is it true within ten seconds? */
bool shard_setup_turn_until(struct shard *shard, bool (*is_true)(void *pointer), void *pointer) MUST_CHECK;

/* Has the counter reached that number within ten seconds? */
bool shard_setup_turn_until_count(struct shard *shard, const uint64_t *counter, uint64_t wanted) MUST_CHECK;

/* Turns until `time_ms` have passed on the shard's clock: for what must not happen. */
void shard_setup_turn_for(struct shard *shard, uint64_t time_ms);

/* A written block of that text, as a chunk that owns it. */
struct chunk shard_setup_chunk(struct shard *shard, struct slice text);

/* Descriptors that this process has open: for what must be closed in the end. */
unsigned shard_setup_descriptors(void);
