/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as replies of a Redis: read whole and byte by byte, the outcome is the same. */
#include "net/redis/redis_reply.h"
#include "core/base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sum over all that was read, in pieces of `piece` bytes. */
static uint64_t read_all(struct slice left, size_t piece)
{
    struct redis_reader reader;
    uint64_t sum = 0;
    redis_reader_init(&reader);
    while (left.size > 0) {
        struct slice bytes = { left.data, piece < left.size ? piece : left.size };
        left = slice_from(left, bytes.size);
        while (bytes.size > 0) {
            struct redis_reply reply;
            enum redis_progress progress = redis_reader_feed(&reader, &bytes, &reply);
            if (progress == REDIS_INVALID)
                return sum * 31 + 1;
            if (progress == REDIS_COMPLETE)
                sum = sum * 31 + (uint64_t)reply.kind + (uint64_t)reply.integer + hash_of(reply.text);
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice whole = { (const char *)data, size };
    if (size > 0)
        CHECK(read_all(whole, size) == read_all(whole, 1));
    return 0;
}
