/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of plugins/proxy_cache*.c share. The store is the process's (core/base/shared_cache.h);
 * everything else belongs to one shard. */
#pragma once

#include "core/base/shared_cache.h"
#include "core/crypto/hmac.h"
#include "core/io/shard.h"
#include "net/proxy/exchange_body.h"
#include "net/proxy/exchange_edit.h"
#include "net/proxy/exchange_replay.h"
#include "plugins/proxy_cache_control.h"

enum cached_method { CACHED_HEAD, CACHED_GET, CACHED_POST, CACHED_PATCH, CACHED_PUT };

struct proxy_cache_config {
    struct schema_integers response_code;
    uint64_t request_method; /* bits of enum cached_method */
    struct slices content_type;
    int64_t cache_ttl_s;
    int64_t storage_ttl_s; /* INTEGER_NULL: as long as it may be used */
    int strategy;
    bool cache_control, ignore_uri_case;
    struct slices vary_query_params, vary_headers;
    struct {
        bool age, status, key;
    } show;
    struct slice dictionary_name;
};

extern const struct field proxy_cache_fields[];
enum { PROXY_CACHE_FIELD_COUNT = 12 };
void proxy_cache_check(void *value, const struct node *node, const struct config_place *place);

/* Does the response's Content-Type match one of those configured (Kong's rules)? */
bool proxy_cache_type_matches(const struct proxy_cache_config *config, struct slice type);

/* Shared by all shards, and by who administers it: reader number shard_count of the cache. */
struct proxy_cache_process {
    struct shared_cache *cache;
    unsigned shard_count;
    struct hmac_key keys;
};

enum { FLIGHT_BUCKETS = 256, UNCACHED_SLOTS = 1024 };

struct proxy_cache_uncached {
    uint64_t key, until_ms;
};

struct proxy_cache_shard {
    struct shard *shard;
    struct shared_cache *cache;
    const struct hmac_key *keys;
    uint64_t entry_bytes; /* most of one response */
    uint64_t capture_bytes, capture_bytes_max; /* of responses on their way into the store */
    uint64_t wait_ms;
    struct list_node engaged; /* exchange states that hold something */
    struct list_node flights[FLIGHT_BUCKETS]; /* requests that others wait for, by key */
    struct list_node woken;
    struct shard_task wake;
    struct proxy_cache_uncached uncached[UNCACHED_SLOTS]; /* what was found not to be storable lately */
};

/* How a request stands with the cache. */
enum cache_standing {
    CACHE_OUT, /* the cache has no part in it */
    CACHE_UNSAFE, /* it may change what is stored */
    CACHE_LOOKS, /* it was answered from the store, or the upstream is asked */
    CACHE_SERVED
};

/* What the request asks for. */
struct cache_request {
    struct control control;
    struct slice if_none_match, if_modified_since, range, if_range;
    bool head, authorized;
};

struct proxy_cache_exchange {
    struct exchange *exchange;
    struct proxy_cache_shard *shard;
    const struct proxy_cache_config *config;
    enum cache_standing standing;
    struct cache_request request;
    uint64_t asked_ms; /* since 1970: when the upstream was asked */
    unsigned char key[SHARED_KEY_BYTES];
    uint64_t group;
    bool engaged; /* what is below may be in use; the exchange's arena ends it */
    bool leads, waits;
    struct list_node engaged_node, flight_node, waiters, waiting_node;
    struct timer timer;
    struct shared_entry *stale; /* held, being validated */
    struct shared_entry *capture; /* not stored yet */
    size_t captured_bytes, capture_room;
    struct body_filter filter;
};

/* --- keys: plugins/proxy_cache_key.c -------------------------------------------------------------------- */

/* Fills key and group. False: out of memory. */
bool proxy_cache_make_key(struct proxy_cache_exchange *state) MUST_CHECK;
/* The group of another URI on the same host; 0: out of memory. */
uint64_t proxy_cache_group(struct exchange *exchange, struct slice path, struct slice query);
void proxy_cache_key_text(const unsigned char key[SHARED_KEY_BYTES], char text[2 * SHARED_KEY_BYTES]);

/* --- rules: plugins/proxy_cache_rules.c ----------------------------------------------------------------- */

struct stored;

enum cache_use { USE_NOT, USE_IT, USE_WHILE_REFRESHING, USE_AFTER_REFRESH };

enum cache_standing proxy_cache_read_request(struct proxy_cache_exchange *state);
enum cache_use proxy_cache_judge(const struct proxy_cache_exchange *state, const struct stored *stored);
bool proxy_cache_may_store(const struct proxy_cache_exchange *state, const struct message *response,
                           const struct control *control, const struct freshness *freshness);
bool proxy_cache_may_serve_error(const struct proxy_cache_exchange *state, int status);

/* --- one fetch for many: plugins/proxy_cache_flight.c --------------------------------------------------- */

void flights_open(struct proxy_cache_shard *shard);
/* Nobody will be woken any more. */
void flights_close(struct proxy_cache_shard *shard);

/* Links it to the shard until the exchange ends. False: out of memory. */
bool flight_engage(struct proxy_cache_exchange *state) MUST_CHECK;
/* Waits for another request of that key, or leads those that come. True: return VERDICT_WAIT. */
bool flight_join(struct proxy_cache_exchange *state);
void flight_leave(struct proxy_cache_exchange *state); /* waits no longer */
/* The response is stored, or will not be: those who wait go on. */
enum flight_end { FLIGHT_STORED, FLIGHT_UNSTORABLE, FLIGHT_FAILED };
void flight_end(struct proxy_cache_exchange *state, enum flight_end how);

/* --- plugins/proxy_cache.c ------------------------------------------------------------------------------ */

/* Goes on after waiting, on its own. */
enum verdict proxy_cache_decide(struct proxy_cache_exchange *state, bool may_wait);
void proxy_cache_count(struct proxy_cache_shard *shard, const struct shared_change *change);
