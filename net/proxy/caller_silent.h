/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "net/proxy/caller.h"

/* What the callers of streams and datagrams say of an HTTP message: nothing, for there is nobody who would
 * understand an answer. Their connection is closed, or their session ends, with the exchange. Members of such
 * a caller's struct caller_ops; shard thread. */
bool caller_silent_head(struct caller *caller, enum caller_head kind);
bool caller_silent_body(struct caller *caller, struct chunk chunk);
bool caller_silent_end(struct caller *caller, const struct header *trailers, uint32_t count);
enum backlog caller_silent_backlog(const struct caller *caller);
void caller_silent_read(struct caller *caller, enum caller_reading reading);
