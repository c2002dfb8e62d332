/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses. The control thread resolves every name that a configuration mentions, from the hosts
 * file first and then through the system's resolver, and again now and then; shards only look into the
 * immutable table of their snapshot, so that no request ever waits for a name. */
#pragma once

#include "core/base/map.h"
#include "net/transport/address.h"

enum { RESOLVER_ADDRESSES_MAX = 64 };

/* What a name stands for; count 0: it did not resolve. The port of the addresses is 0. */
struct resolved_name {
    struct slice name;
    struct address *addresses;
    uint32_t count;
};

struct name_table {
    struct map names; /* -> struct resolved_name */
    struct arena *arena;
};

struct resolver_options {
    const char *hosts_file; /* "" for none */
    uint32_t timeout_ms; /* for all names together */
};

void name_table_init(struct name_table *table, struct arena *arena);

/* Notes that a name is needed (numeric addresses are not names and are left out). False: out of memory. */
bool name_table_need(struct name_table *table, struct slice name) MUST_CHECK;

/* Fills in all addresses. Blocks: control thread only. Names that do not resolve keep the addresses they
 * had in `before` (may be NULL). */
bool name_table_resolve(struct name_table *table, const struct resolver_options *options,
                        const struct name_table *before) MUST_CHECK;

/* Do the two resolve to the same? */
bool name_table_equal(const struct name_table *a, const struct name_table *b);

/* The addresses of a name or numeric address, with that port: at most `most` go to `out`; returns how
 * many. */
uint32_t name_table_lookup(const struct name_table *table, struct slice name, uint16_t port,
                           struct address *out, uint32_t most);

struct shard;

/* One address of the name as the shard's snapshot knows it; false when it does not resolve. */
bool resolver_lookup(struct shard *shard, struct slice name, uint16_t port, struct sockaddr_storage *storage,
                     socklen_t *size);
