/* SPDX-License-Identifier: Apache-2.0 */
/* Many address ranges as one set: overlaps are merged when it is built, and the question whether an address
 * is in it costs a binary search. Built by one thread in an arena that keeps it; then only read, by any. */
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

struct address_set {
    struct address_span *v4, *v6; /* sorted, none touches another */
    uint32_t v4_count, v6_count;
};

/* False when memory is exhausted. Bits of a range beyond its prefix do not count. */
bool address_set_build(struct address_set *set, const struct address_ranges *ranges,
                       struct arena *arena) MUST_CHECK;

/* An IPv4-mapped IPv6 address counts as IPv4. */
bool address_set_has(const struct address_set *set, const struct address *address);
