/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of an exchange in PHASE_LOG, for plugins that tell others of it: times, sizes and tries, and
 * the times of its plugins when it is traced. Kept only where some plugin of the chain logs. Its shard's. */
#pragma once

#include "net/proxy/exchange.h"

/* Times are the shard's, in nanoseconds; 0: that never came. */
struct exchange_try {
    struct address address;
    struct slice host; /* the target's name */
    uint64_t start_ns, connected_ns, head_ns, end_ns;
    enum error error; /* ERROR_OK: it was answered, or is not over */
    int status; /* of its answer; 0: none */
    bool reused; /* over a kept connection */
};

/* The work of one plugin in one phase; a plugin that was called again has several. */
struct exchange_span {
    const char *plugin;
    enum phase phase;
    uint64_t start_ns, end_ns;
};

struct exchange_record {
    uint64_t wall_ms; /* when it began */
    uint64_t start_ns, end_ns;
    uint64_t routed_ns; /* when its route was known */
    uint64_t upstream_ns; /* when an upstream was first chosen */
    uint64_t head_ns; /* when the upstream's head came */
    int status; /* sent to the client; 499: none, it had gone */
    bool own; /* the response is the gateway's */
    int upstream_status; /* 0: none */
    uint64_t request_bytes, response_bytes; /* heads included */
    struct slice host; /* lower case, without port; may be empty */
    struct slice server_name; /* of TLS; absent: none */
    uint16_t port; /* of the listener */
    const struct exchange_try *tries;
    uint32_t try_count;
    const struct exchange_span *spans; /* see exchange_trace */
    uint32_t span_count;
};

/* In PHASE_LOG. The texts live as long as the exchange. */
void exchange_record_of(struct exchange *exchange, struct exchange_record *record);

/* Path and query that were asked of the upstream; empty: it went nowhere, or no memory. */
struct slice exchange_upstream_uri(struct exchange *exchange);

/* As in the record. */
int exchange_status(const struct exchange *exchange);

/* Of the snapshot that it is decided by; newer ones are higher. */
uint64_t exchange_generation(const struct exchange *exchange);

/* Before PHASE_ACCESS: times of plugins will be in the record, as far as memory goes. */
void exchange_trace(struct exchange *exchange);
