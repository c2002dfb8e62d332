/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/address_set.h"

#include <stdlib.h>

static int compare(struct address_number a, struct address_number b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low == b.low ? 0 : a.low < b.low ? -1 : 1;
}

static int compare_spans(const void *a, const void *b)
{
    return compare(((const struct address_span *)a)->first, ((const struct address_span *)b)->first);
}

static struct address_number number_of(const uint8_t *bytes, size_t size)
{
    struct address_number number = { 0, 0 };
    for (size_t i = 0; i < size; i++) {
        number.high = number.high << 8 | number.low >> 56;
        number.low = number.low << 8 | bytes[i];
    }
    return number;
}

/* The lowest `bits` bits set, 0 to 64. */
static uint64_t ones(unsigned bits)
{
    return bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
}

static struct address_span span_of(const struct address_range *range)
{
    unsigned free_bits = (range->is_v6 ? 128u : 32u) - range->prefix_bits;
    struct address_number mask = { ones(free_bits > 64 ? free_bits - 64 : 0),
                                   ones(free_bits > 64 ? 64 : free_bits) };
    struct address_number number = number_of(range->bytes, range->is_v6 ? 16 : 4);
    return (struct address_span){
        { number.high & ~mask.high, number.low & ~mask.low },
        { number.high | mask.high, number.low | mask.low },
    };
}

/* Sorts them and makes one of those that overlap or follow each other; returns how many are left. */
static uint32_t merge(struct address_span *spans, uint32_t count)
{
    if (count == 0)
        return 0;
    qsort(spans, count, sizeof(*spans), compare_spans);
    uint32_t last = 0;
    for (uint32_t i = 1; i < count; i++) {
        struct address_number next = spans[last].last;
        next.low++;
        next.high += next.low == 0;
        bool follows = compare(spans[i].first, spans[last].last) <= 0 || compare(spans[i].first, next) == 0;
        if (!follows)
            spans[++last] = spans[i];
        else if (compare(spans[i].last, spans[last].last) > 0)
            spans[last].last = spans[i].last;
    }
    return last + 1;
}

bool address_set_build(struct address_set *set, const struct address_ranges *ranges, struct arena *arena)
{
    *set = (struct address_set){ 0 };
    if (ranges->count == 0)
        return true;
    /* IPv4 from the front, IPv6 from the back of one array. */
    struct address_span *spans = arena_array(arena, ranges->count, sizeof(*spans));
    if (spans == NULL)
        return false;
    uint32_t v6_begin = ranges->count;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct address_range *range = &ranges->items[i];
        spans[range->is_v6 ? --v6_begin : set->v4_count++] = span_of(range);
    }
    set->v4 = spans;
    set->v6 = spans + v6_begin;
    set->v4_count = merge(set->v4, set->v4_count);
    set->v6_count = merge(set->v6, ranges->count - v6_begin);
    return true;
}

bool address_set_has(const struct address_set *set, const struct address *address)
{
    struct address_range one = address_single(address);
    struct address_number number = number_of(one.bytes, one.is_v6 ? 16 : 4);
    const struct address_span *spans = one.is_v6 ? set->v6 : set->v4;
    uint32_t low = 0, high = one.is_v6 ? set->v6_count : set->v4_count;
    while (low < high) { /* the first span that ends at or after the address */
        uint32_t middle = low + (high - low) / 2;
        if (compare(spans[middle].last, number) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t count = one.is_v6 ? set->v6_count : set->v4_count;
    return low < count && compare(spans[low].first, number) <= 0;
}
