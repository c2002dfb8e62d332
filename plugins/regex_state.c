/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/regex_state.h"

enum error regex_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    (void)shard;
    (void)process_state;
    return regex_scratch_init(shard_state);
}

void regex_state_close(void *shard_state)
{
    regex_scratch_deinit(shard_state);
}
