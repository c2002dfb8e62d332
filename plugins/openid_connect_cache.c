/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/list.h"
#include "core/crypto/digest.h"
#include "core/io/shard.h"
#include "plugins/openid_connect.h"

#include <stdlib.h>

enum { BUCKETS = 1024, NAME_BYTES = 32 };

/* Names are digests: neither tokens nor passwords are kept. */
struct entry {
    struct list_node node; /* of the bucket */
    struct list_node age_node; /* longest not used first */
    unsigned char name[NAME_BYTES];
    int64_t until_s;
    size_t size;
    char text[];
};

struct oidc_cache {
    struct list_node buckets[BUCKETS];
    struct list_node ages;
    int64_t count;
};

static struct oidc_cache *cache_of(struct oidc_shard *shard)
{
    if (shard->cache)
        return shard->cache;
    struct oidc_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    for (int i = 0; i < BUCKETS; i++)
        list_init(&cache->buckets[i]);
    list_init(&cache->ages);
    return shard->cache = cache;
}

static void drop(struct oidc_cache *cache, struct entry *entry)
{
    list_remove(&entry->node);
    list_remove(&entry->age_node);
    cache->count--;
    explicit_bzero(entry->text, entry->size);
    free(entry);
}

static struct list_node *bucket_of(struct oidc_cache *cache, const unsigned char *name)
{
    return &cache->buckets[(name[0] | name[1] << 8) % BUCKETS];
}

static struct entry *find(struct oidc_cache *cache, const unsigned char *name)
{
    struct list_node *bucket = bucket_of(cache, name);
    for (struct list_node *node = bucket->next; node != bucket; node = node->next) {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        if (memcmp(entry->name, name, NAME_BYTES) == 0)
            return entry;
    }
    return NULL;
}

struct slice oidc_cache_find(struct oidc_shard *shard, struct arena *arena, struct slice name)
{
    struct oidc_cache *cache = shard->cache;
    struct slice none = { NULL, 0 };
    unsigned char digest[DIGEST_MAX];
    if (cache == NULL || !digest_of(DIGEST_SHA256, name, digest))
        return none;
    struct entry *entry = find(cache, digest);
    if (entry == NULL)
        return none;
    if ((int64_t)(shard->shard->wall_ms / 1000) >= entry->until_s) {
        drop(cache, entry);
        return none;
    }
    list_remove(&entry->age_node);
    list_append(&cache->ages, &entry->age_node);
    return arena_copy(arena, (struct slice){ entry->text, entry->size });
}

/* Without memory it is merely not kept. */
void oidc_cache_keep(struct oidc_shard *shard, struct slice name, struct slice text, int64_t until_s,
                     int64_t entries_max)
{
    struct oidc_cache *cache = cache_of(shard);
    unsigned char digest[DIGEST_MAX];
    if (cache == NULL || entries_max == 0 || until_s <= (int64_t)(shard->shard->wall_ms / 1000) ||
        !digest_of(DIGEST_SHA256, name, digest))
        return;
    struct entry *old = find(cache, digest);
    if (old)
        drop(cache, old);
    while (cache->count >= entries_max)
        drop(cache, CONTAINER_OF(cache->ages.next, struct entry, age_node));
    struct entry *entry = malloc(sizeof(*entry) + text.size);
    if (entry == NULL)
        return;
    memcpy(entry->name, digest, NAME_BYTES);
    entry->until_s = until_s;
    entry->size = text.size;
    memcpy(entry->text, text.data, text.size);
    list_append(bucket_of(cache, digest), &entry->node);
    list_append(&cache->ages, &entry->age_node);
    cache->count++;
}

void oidc_cache_close(struct oidc_shard *shard)
{
    struct oidc_cache *cache = shard->cache;
    while (cache && !list_is_empty(&cache->ages))
        drop(cache, CONTAINER_OF(cache->ages.next, struct entry, age_node));
    free(cache);
    shard->cache = NULL;
}
