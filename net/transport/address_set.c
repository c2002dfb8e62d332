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

static uint64_t part_key(struct address_number number, bool is_v6)
{
    return is_v6 ? number.high : number.low;
}

static bool build_directory(struct address_index *index, bool is_v6, struct arena *arena)
{
    if (index->count == 0)
        return true;
    index->base = part_key(index->spans[0].first, is_v6);
    index->last = part_key(index->spans[index->count - 1].last, is_v6);
    while ((index->last - index->base) >> index->part_bits >= (uint64_t)index->count * 2)
        index->part_bits++;
    uint32_t parts = (uint32_t)((index->last - index->base) >> index->part_bits) + 1;
    index->starts = arena_array(arena, parts + 1u, sizeof(*index->starts));
    if (index->starts == NULL)
        return false;
    uint32_t span = 0;
    for (uint32_t part = 0; part < parts; part++) {
        uint64_t begin = index->base + ((uint64_t)part << index->part_bits);
        while (part_key(index->spans[span].last, is_v6) < begin)
            span++;
        index->starts[part] = span;
    }
    index->starts[parts] = index->count - 1;
    return true;
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
    uint32_t v4_end = 0, v6_begin = ranges->count;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct address_range *range = &ranges->items[i];
        spans[range->is_v6 ? --v6_begin : v4_end++] = span_of(range);
    }
    set->v4.spans = spans;
    set->v6.spans = spans + v6_begin;
    set->v4.count = merge(set->v4.spans, v4_end);
    set->v6.count = merge(set->v6.spans, ranges->count - v6_begin);
    return build_directory(&set->v4, false, arena) && build_directory(&set->v6, true, arena);
}

bool address_set_has(const struct address_set *set, const struct address *address)
{
    struct address_range one = address_single(address);
    struct address_number number = number_of(one.bytes, one.is_v6 ? 16 : 4);
    const struct address_index *index = one.is_v6 ? &set->v6 : &set->v4;
    uint64_t key = part_key(number, one.is_v6);
    if (index->count == 0 || key < index->base || key > index->last)
        return false;
    const uint32_t *starts = &index->starts[(key - index->base) >> index->part_bits];
    uint32_t low = starts[0], high = starts[1];
    while (low < high) { /* the first span that ends at or after the address */
        uint32_t middle = low + (high - low) / 2;
        if (compare(index->spans[middle].last, number) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct address_span *span = &index->spans[low];
    return compare(span->first, number) <= 0 && compare(number, span->last) <= 0;
}
