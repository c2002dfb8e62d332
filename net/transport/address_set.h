/* SPDX-License-Identifier: Apache-2.0 */
/* Many address ranges as one set: overlaps are merged when it is built, and a directory leads to the one or
 * two ranges an address may lie in, however many there are. Built by one thread in an arena that keeps it;
 * then only read, by any. */
#pragma once

#include "core/base/arena.h"
#include "net/transport/address.h"

/* The address as a number; IPv4 has high = 0. */
struct address_number {
    uint64_t high, low;
};

struct address_span {
    struct address_number first, last;
};

/* Of one family. The space from the first to the last range is cut into equal parts, about as many as there
 * are ranges; of IPv6 addresses the upper half counts. */
struct address_index {
    struct address_span *spans; /* sorted, none touches another */
    uint32_t count;
    uint8_t part_bits; /* a part holds 2^part_bits addresses (upper halves) */
    uint64_t base; /* where the first part begins */
    uint64_t last; /* in the last part */
    uint32_t *starts; /* of each part the first span that ends in it or behind it; one more for the end */
};

struct address_set {
    struct address_index v4, v6;
};

/* False when memory is exhausted. Bits of a range beyond its prefix do not count. */
bool address_set_build(struct address_set *set, const struct address_ranges *ranges,
                       struct arena *arena) MUST_CHECK;

/* An IPv4-mapped IPv6 address counts as IPv4. */
bool address_set_has(const struct address_set *set, const struct address *address);
