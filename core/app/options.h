/* SPDX-License-Identifier: Apache-2.0 */
/* From the settings to what shards are given: limits, trusted ranges, header bits. Control thread; the result
 * lives as long as the settings. */
#pragma once

#include "config/settings.h"
#include "core/io/shard.h"
#include "net/proxy/monitor.h"
#include "net/proxy/proxy.h"
#include "tls/tls_loop.h"

enum { SHARDS_MAX = 256 };

/* Of the monitor. */
struct watch_options {
    struct monitor_options monitor;
    struct slices hosts; /* besides those of plugins (redis_host) */
    uint64_t timeout_ms; /* what an adoption waits for names */
    struct tls_loop_options tls; /* of probes */
    enum ring_wait wait;
};

struct options {
    struct proxy_options proxy;
    struct snapshot_options snapshot;
    struct watch_options watch;
    struct access_log_options log, stream_log;
    struct block_limits blocks;
    unsigned shard_count;
    int cpus[SHARDS_MAX]; /* -1: not pinned */
    unsigned ring_entries;
    enum ring_wait wait;
    char log_path[4096], stream_log_path[4096];
    char hosts_path[4096];
    char dns_servers[4096];
};

/* Raises the soft limit of descriptors to the hard one. False: reported. */
bool options_init(struct options *options, struct settings *settings, struct report *report);
