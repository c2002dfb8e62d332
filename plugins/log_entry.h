/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's log entry: one JSON object that says everything about a finished request. For all plugins that send
 * such entries. On the exchange's shard. */
#pragma once

#include "core/base/text.h"
#include "net/proxy/exchange_log.h"

/* Appends it, without a line end; `call` is that of PHASE_LOG. */
void log_entry_write(struct text *text, const struct plugin_call *call);

/* The row that every log plugin of Kong has and this gateway does not: it runs no Lua. */
#define LOG_ENTRY_FIELD_LUA                                             \
    { "custom_fields_by_lua", FIELD_MAP, 0, .flags = FIELD_UNSUPPORTED, \
      .help = "there is no Lua here: a configuration that sets it is refused" }

/* PHASE_LOG of plugins that send entries as they are; their shard state begins with struct log_queues. */
enum verdict log_entry_on_log(const struct plugin_call *call);

/* Milliseconds from a to b, times of a record. */
uint64_t log_entry_ms(uint64_t from_ns, uint64_t to_ns);
/* As the client waited for the gateway itself, and for the upstream's head. */
uint64_t log_entry_own_ms(const struct exchange_record *record);
int64_t log_entry_upstream_ms(const struct exchange_record *record); /* -1: it was not asked */
