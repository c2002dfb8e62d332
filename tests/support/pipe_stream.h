/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams joined in memory, which keep the rules of a stream and can misbehave as networks do: deliver in
 * small pieces, change a byte, end early. The test owns them; one shard. */
#pragma once

#include "core/io/chunk_queue.h"
#include "core/io/shard.h"
#include "core/io/stream.h"

struct pipe_stream {
    struct stream stream; /* first */
    struct pipe_stream *other;
    struct shard_task task;
    struct chunk_queue queue; /* sent, not yet delivered to the other */
    bool paused, finishing, finished, closing, closed;
    bool opens; /* `opened` is due */
    uint32_t piece_bytes; /* delivered at once; 0: all */
    uint64_t offset; /* of what has been delivered */
    uint64_t flip_offset; /* the byte there is changed; UINT64_MAX: none */
    uint64_t cut_offset; /* the stream ends there; UINT64_MAX: not */
    uint8_t flip_bits;
};

void pipe_stream_open(struct shard *shard, struct pipe_stream *client, struct pipe_stream *server);
