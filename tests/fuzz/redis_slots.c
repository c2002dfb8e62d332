/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as the reply to CLUSTER SLOTS, and as an error that leads elsewhere: what is told of it
 * stays within bounds. */
#include "net/redis/redis_slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check_range(void *owner, const struct redis_slot_range *range)
{
    unsigned *count = owner;
    CHECK(range->first <= range->last && range->last < REDIS_SLOT_COUNT && range->port > 0);
    return ++*count < 100000;
}

static void read_slots(struct slice bytes)
{
    struct redis_reader reader;
    struct redis_slots_reader slots;
    unsigned count = 0;
    redis_reader_init(&reader);
    redis_slots_init(&slots, check_range, &count);
    struct redis_reply item;
    while (bytes.size > 0 && redis_reader_feed(&reader, &bytes, &item) == REDIS_COMPLETE) {
        if (item.kind == REDIS_ERROR)
            (void)redis_redirect_parse(item.text);
        if (!redis_slots_feed(&slots, &item))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice whole = { (const char *)data, size };
    struct redis_redirect redirect = redis_redirect_parse(whole);
    CHECK(redirect.slot < REDIS_SLOT_COUNT && redirect.server.host.size <= REDIS_HOST_MAX_BYTES);
    CHECK(redis_slot_of(whole) < REDIS_SLOT_COUNT);
    if (size > 0)
        read_slots(whole);
    return 0;
}
