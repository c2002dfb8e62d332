/* SPDX-License-Identifier: Apache-2.0 */
/* Which Redis, as whom: one server, the master that sentinels know, or a cluster. Plain values; who keeps one
 * owns its texts. */
#pragma once

#include "core/base/slice.h"

enum redis_kind { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

enum { REDIS_HOST_MAX_BYTES = 255 };

struct redis_server {
    struct slice host; /* an address, or a name of the hosts table */
    uint16_t port;
};

/* Two targets that differ in anything have nothing in common. */
struct redis_target {
    enum redis_kind kind;
    const struct redis_server *servers; /* the one; the sentinels; some nodes of the cluster */
    uint32_t server_count;
    struct slice username, password; /* absent or empty: not sent */
    uint32_t database;
    uint32_t connect_ms, send_ms, reply_ms; /* to connect; to get rid of what is sent; for each reply */
    struct slice master, sentinel_username, sentinel_password; /* REDIS_SENTINEL */
    uint32_t redirections_max; /* REDIS_CLUSTER */
};
