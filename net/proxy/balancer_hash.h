/* SPDX-License-Identifier: Apache-2.0 */
/* xxHash's 32-bit function (the published specification, XXH32): what Kong's ring is laid out with, so that
 * the same keys meet the same targets here and there. Not for tables an attacker could fill: see
 * core/base/hash.h. Any thread. */
#pragma once

#include "core/base/slice.h"

uint32_t balancer_hash(struct slice bytes, uint32_t seed);
