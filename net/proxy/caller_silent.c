/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/caller_silent.h"

bool caller_silent_head(struct caller *caller, enum caller_head kind)
{
    (void)caller, (void)kind;
    return true;
}

bool caller_silent_body(struct caller *caller, struct chunk chunk)
{
    (void)caller;
    chunk_release(&chunk);
    return true;
}

bool caller_silent_end(struct caller *caller, const struct header *trailers, uint32_t count)
{
    (void)caller, (void)trailers, (void)count;
    return true;
}

enum backlog caller_silent_backlog(const struct caller *caller)
{
    (void)caller;
    return BACKLOG_NONE;
}

void caller_silent_read(struct caller *caller, enum caller_reading reading)
{
    (void)caller, (void)reading;
}
