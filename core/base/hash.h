/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3 under a key drawn once per process: for every table whose keys come from outside, so that
 * nobody can aim at one bucket. hash_start is called once, before other threads; hash_of by any thread. */
#pragma once

#include "core/base/slice.h"

void hash_start(void);
uint64_t hash_of(struct slice bytes);
/* Of eight bytes and, behind them, these. */
uint64_t hash_behind(uint64_t first, struct slice bytes);
