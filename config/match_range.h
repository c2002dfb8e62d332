/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of addresses as conditions hold them. Plain values; any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/slice.h"

/* Addresses: a single one has all bits. IPv4-mapped IPv6 addresses count as IPv4. */
struct match_range {
    uint8_t bytes[16];
    uint8_t prefix_bits;
    bool is_v6;
};

/* An address or ADDRESS/BITS. NULL, or what is wrong with it (static text). */
const char *match_range_parse(struct slice text, struct match_range *range) MUST_CHECK;
bool match_range_has_host_bits(const struct match_range *range); /* 10.1.2.3/8 */
bool match_range_holds(const struct match_range *range, const struct match_range *single);
