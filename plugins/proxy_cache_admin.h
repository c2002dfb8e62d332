/* SPDX-License-Identifier: Apache-2.0 */
/* The store of proxy-cache for those who administer it: what DELETE /proxy-cache, GET and DELETE
 * /proxy-cache/{key} ask for. `process_state` is the plugin's (net/proxy/plugin.h). One thread that is no
 * shard, always the same. */
#pragma once

#include "core/base/slice.h"

#include <jansson.h>

/* Forgets everything; how many that was. */
uint32_t proxy_cache_purge(void *process_state);

/* `key` as X-Cache-Key has it. False: nothing is stored under it. */
bool proxy_cache_forget(void *process_state, struct slice key);

/* The newest response under that key: status, headers, body, ttl and times; NULL: there is none. */
json_t *proxy_cache_show(void *process_state, struct slice key);
