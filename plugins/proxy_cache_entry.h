/* SPDX-License-Identifier: Apache-2.0 */
/* Stored responses: how one lies in the payload of an entry of the store, how it is made and served. Built by
 * one shard, then read by all and written by none. */
#pragma once

#include "core/base/shared_cache.h"
#include "net/proxy/exchange_replay.h"

struct proxy_cache_exchange;

/* The payload of an entry begins with it; offsets count from it. */
struct stored {
    int status;
    unsigned flags; /* enum stored_flag */
    uint32_t header_count, vary_count;
    uint32_t head_bytes; /* offset of the body */
    uint64_t body_bytes;
    uint64_t stored_ms; /* monotonic */
    int64_t age_s; /* when it was stored */
    int64_t lifetime_s; /* -1: to be validated each time */
    int64_t while_revalidate_s, if_error_s;
    int64_t date_s; /* of Date, or when it came */
    struct stored_field {
        uint32_t name, name_size, value, value_size, id;
    } fields[]; /* those of the response, then name and value of each that it varies by */
};

enum stored_flag {
    STORED_VALIDATED_ONLY = 1, /* no-cache */
    STORED_NEVER_STALE = 2, /* must-revalidate and the like */
    STORED_HAS_VALIDATOR = 4
};

static inline const struct stored *stored_of(const struct shared_entry *entry)
{
    return (const void *)entry->payload;
}

struct slice stored_find(const struct stored *stored, struct slice name);
int64_t stored_age_s(const struct stored *stored, uint64_t now_ms);

/* An entry with the head of this response and room for `body_bytes`; NULL: memory, or too large. */
struct shared_entry *stored_open(struct proxy_cache_exchange *state, const struct message *response,
                                 size_t body_bytes) MUST_CHECK;
/* Has the request the fields that the response varies by? */
bool stored_matches(const struct stored *stored, const struct message *request);
shared_same_fn stored_is_same;

/* The stored response with the fields of a 304 put in, as a message in the exchange's arena. */
bool stored_update(const struct stored *stored, struct exchange *exchange, const struct message *update,
                   struct message *result) MUST_CHECK;

/* Answers with it: whole, 304, or a range; sets Age. */
enum verdict stored_serve(struct proxy_cache_exchange *state, const struct stored *stored);
