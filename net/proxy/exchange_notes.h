/* SPDX-License-Identifier: Apache-2.0 */
/* How the record of an exchange (exchange_log.h) comes about: the walk notes what will be asked for in the
 * end, if anybody will. Without memory a note is left out. net/proxy only; its shard's. */
#pragma once

#include "net/proxy/exchange_log.h"
#include "net/proxy/exchange_state.h"

struct exchange_notes {
    struct exchange_try *tries;
    uint32_t try_count, try_capacity;
    struct exchange_span *spans;
    uint32_t span_count, span_capacity;
    uint64_t routed_ns;
    uint32_t head_bytes; /* of the response; with it the body of an own answer */
    bool traced;
};

/* Behind the match: begins to note, if some plugin of the chain logs. */
void exchange_begin_notes(struct exchange *exchange);

void exchange_note_try(struct exchange *exchange);
enum try_end { TRY_END_FAILED, TRY_END_STALE /* does not count as a try */ };
void exchange_note_try_end(struct exchange *exchange, enum error error, enum try_end end);
void exchange_note_connected(struct exchange *exchange);
void exchange_note_head(struct exchange *exchange);

/* By the caller: what has left for the client, framing aside. */
static inline void exchange_note_head_bytes(struct exchange *exchange, size_t size)
{
    if (exchange->notes)
        exchange->notes->head_bytes = (uint32_t)size;
}

static inline bool exchange_is_traced(const struct exchange *exchange)
{
    return exchange->notes && exchange->notes->traced;
}

/* The clock now, not that of the turn. */
uint64_t exchange_note_now(void);
void exchange_note_span(struct exchange *exchange, const char *plugin, enum phase phase, uint64_t start_ns);
