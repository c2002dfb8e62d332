/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_store.h"

#include "net/redis/redis_cluster.h"
#include "net/redis/redis_sentinel.h"

#include <stdlib.h>

struct redis_store {
    struct redis_store *next;
    struct redis_target target; /* its texts are in `texts`, its servers behind it */
    struct redis_client *client; /* REDIS_SINGLE, and the master of REDIS_SENTINEL */
    struct redis_sentinel *sentinel;
    struct redis_cluster *cluster;
    char *texts;
    size_t texts_size;
    struct redis_server servers[];
};

/* --- targets -------------------------------------------------------------------------------------------- */

enum { TEXT_COUNT = 5 };

static void list_texts(struct redis_target *target, struct slice *texts[TEXT_COUNT])
{
    struct slice *all[TEXT_COUNT] = { &target->username, &target->password, &target->master,
                                      &target->sentinel_username, &target->sentinel_password };
    memcpy(texts, all, sizeof(all));
}

static bool server_equal(const struct redis_server *a, const struct redis_server *b)
{
    return a->port == b->port && slice_equal(a->host, b->host);
}

static bool target_equal(const struct redis_target *a, const struct redis_target *b)
{
    bool same = a->kind == b->kind && a->server_count == b->server_count && a->database == b->database &&
                a->connect_ms == b->connect_ms && a->send_ms == b->send_ms && a->reply_ms == b->reply_ms &&
                a->redirections_max == b->redirections_max && slice_equal(a->username, b->username) &&
                slice_equal(a->password, b->password) && slice_equal(a->master, b->master) &&
                slice_equal(a->sentinel_username, b->sentinel_username) &&
                slice_equal(a->sentinel_password, b->sentinel_password);
    for (uint32_t i = 0; same && i < a->server_count; i++)
        same = server_equal(&a->servers[i], &b->servers[i]);
    return same;
}

static char *copy_text(struct slice *text, char *out)
{
    if (text->size > 0)
        memcpy(out, text->data, text->size);
    text->data = out;
    return out + text->size;
}

/* One allocation for all texts. */
static bool copy_target(struct redis_store *store, const struct redis_target *target)
{
    struct slice *texts[TEXT_COUNT];
    store->target = *target;
    store->target.servers = store->servers;
    list_texts(&store->target, texts);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        store->texts_size += texts[i]->size;
    for (uint32_t i = 0; i < target->server_count; i++)
        store->texts_size += target->servers[i].host.size;
    char *end = store->texts = malloc(store->texts_size + 1);
    if (end == NULL)
        return false;
    for (size_t i = 0; i < TEXT_COUNT; i++)
        end = copy_text(texts[i], end);
    for (uint32_t i = 0; i < target->server_count; i++) {
        store->servers[i] = target->servers[i];
        end = copy_text(&store->servers[i].host, end);
    }
    return true;
}

/* --- stores --------------------------------------------------------------------------------------------- */

static void store_close(struct redis_store *store)
{
    if (store->client)
        redis_client_free(store->client);
    if (store->sentinel)
        redis_sentinel_close(store->sentinel);
    if (store->cluster)
        redis_cluster_close(store->cluster);
    free(store->sentinel);
    if (store->texts)
        explicit_bzero(store->texts, store->texts_size);
    free(store->texts);
    free(store);
}

static bool open_parts(struct redis_store *store, struct shard *shard, redis_connect_fn *connect)
{
    const struct redis_target *target = &store->target;
    if (target->kind == REDIS_CLUSTER) {
        store->cluster = redis_cluster_open(shard, target, connect);
        return store->cluster != NULL;
    }
    store->client = redis_client_open(shard, target, &target->servers[0], connect);
    if (store->client == NULL || target->kind == REDIS_SINGLE)
        return store->client != NULL;
    store->sentinel = calloc(1, sizeof(*store->sentinel));
    if (store->sentinel == NULL)
        return false;
    store->client->locator = &store->sentinel->locator;
    return redis_sentinel_open(store->sentinel, shard, target, connect);
}

struct redis_store *redis_pool_store(struct redis_pool *pool, struct shard *shard,
                                     const struct redis_target *target, redis_connect_fn *connect)
{
    CHECK(target->server_count > 0);
    struct redis_store *store = pool->first;
    while (store && !target_equal(&store->target, target))
        store = store->next;
    if (store)
        return store;
    store = calloc(1, sizeof(*store) + target->server_count * sizeof(store->servers[0]));
    if (store == NULL)
        return NULL;
    if (!copy_target(store, target) || !open_parts(store, shard, connect)) {
        store_close(store);
        return NULL;
    }
    store->next = pool->first;
    pool->first = store;
    return store;
}

void redis_pool_close(struct redis_pool *pool)
{
    while (pool->first) {
        struct redis_store *store = pool->first;
        pool->first = store->next;
        store_close(store);
    }
}

enum error redis_store_send(struct redis_store *store, struct redis_request *request,
                            const struct redis_command *commands, unsigned command_count)
{
    if (store->cluster)
        return redis_cluster_send(store->cluster, request, commands, command_count);
    return redis_send(store->client, request, commands, command_count);
}

bool redis_store_is_down(const struct redis_store *store)
{
    return store->cluster ? redis_cluster_is_down(store->cluster) : store->client->failing;
}
