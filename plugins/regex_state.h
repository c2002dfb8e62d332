/* SPDX-License-Identifier: Apache-2.0 */
/* The shard state of plugins that only need something to match expressions with: a struct regex_scratch. */
#pragma once

#include "core/base/regex.h"

struct shard;

/* For shard_open and shard_close of a plugin whose shard_state_size is that of a struct regex_scratch. */
enum error regex_state_open(struct shard *shard, void *process_state, void *shard_state) MUST_CHECK;
void regex_state_close(void *shard_state);
