/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin is: one descriptor of tables and handlers, run by the chain in phases. Handlers see the
 * exchange through the functions of net/proxy/exchange.h only: never sockets, rings or other plugins.
 * Descriptors are constant; states have the owners and lifetimes given here. */
#pragma once

#include "config/model.h"
#include "core/base/error.h"

struct exchange;
struct shard;

/* Before RESPONSE_HEAD a handler decides what comes next; there it may replace the response, and otherwise
 * only edit. */
enum phase {
    PHASE_REWRITE,
    PHASE_ACCESS,
    PHASE_UPSTREAM_REQUEST,
    PHASE_RESPONSE_HEAD,
    PHASE_LOG,
    PHASE_COUNT
};

enum verdict {
    VERDICT_CONTINUE,
    VERDICT_RESPOND, /* exchange_respond_* was called: the walk jumps to the response */
    VERDICT_WAIT, /* the plugin calls exchange_resume exactly once, later, whatever happens */
    VERDICT_READ_BODY /* exchange_read_body said so: the handler is called again when the body is there */
};

struct plugin_call {
    struct exchange *exchange;
    const struct plugin_instance *instance;
    const void *config; /* instance->config */
    void *shard_state; /* of the plugin on this shard, zeroed at start, lives as long as the shard */
    void *
        exchange_state; /* exchange_state_size bytes, zeroed before the plugin's first phase of an exchange */
};

typedef enum verdict plugin_phase_fn(const struct plugin_call *call);

struct plugin {
    struct plugin_kind kind; /* name, priority (unique; higher runs first), config, credentials */
    plugin_phase_fn *on[PHASE_COUNT]; /* a null slot is skipped */
    size_t shard_state_size, exchange_state_size;
    /* Called once per process before the shards start / after they ended; may be NULL. process_open's
     * result is shared by all shards (must be safe for that) and given to shard_open. NULL from it = out
     * of memory. */
    void *(*process_open)(unsigned shard_count);
    void (*process_close)(void *process_state);
    /* On the shard's thread; may be NULL. */
    enum error (*shard_open)(struct shard *shard, void *process_state, void *shard_state);
    void (*shard_close)(void *shard_state);
    /* At the end of the process, the shard still turning: is nothing left that others should get? To be
     * hurried along, and asked again; for a second at most. May be NULL. */
    bool (*shard_flush)(void *shard_state);
};

/* All plugins of this build (plugins/registry.c), ends with NULL. */
extern const struct plugin *const plugin_registry[];
