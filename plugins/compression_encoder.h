/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of compressed bytes: gzip, brotli or zstd behind one interface. An encoder serves a response
 * at a time; the large memories of gzip and zstd are kept by the shard for the next one. Its shard's. */
#pragma once

#include "core/base/slice.h"

/* In the order in which they are told, and of their bits. */
enum coding { CODING_GZIP, CODING_BROTLI, CODING_ZSTD, CODING_COUNT };

extern const char *const coding_names[CODING_COUNT + 1]; /* as in Content-Encoding; ends with NULL */

/* How hard, and with how much memory; from the configuration. */
struct encoder_settings {
    int64_t level[CODING_COUNT];
    int64_t window_bits[CODING_COUNT];
};

enum { ENCODERS_SPARE_MAX = 8 /* of each coding, on one shard */ };

struct encoder;

struct encoder_store {
    struct encoder *spare[CODING_COUNT];
    uint32_t spare_count[CODING_COUNT];
    uint32_t open_count;
};

/* `size_bytes`: of what will come, UINT64_MAX when it is not known: a small one needs less memory. NULL: out
 * of memory. */
struct encoder *encoder_open(struct encoder_store *store, enum coding coding,
                             const struct encoder_settings *settings, uint64_t size_bytes);
void encoder_close(struct encoder_store *store, struct encoder *encoder);
void encoder_store_deinit(struct encoder_store *store);

enum encoder_step {
    ENCODER_GO_ON,
    ENCODER_FLUSH, /* what was written so far can be read by the other side */
    ENCODER_FINISH
};

/* Called with each piece of output. False: give up. */
typedef bool encoder_emit_fn(void *owner, struct slice piece);

/* False: emit gave up, or the library failed (memory). */
bool encoder_write(struct encoder *encoder, struct slice input, enum encoder_step step, encoder_emit_fn *emit,
                   void *owner);
