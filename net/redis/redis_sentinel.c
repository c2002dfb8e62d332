/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_sentinel.h"

/* Asks the next sentinel that can be asked; when there is none, the asker is told. */
static void ask_next(struct redis_sentinel *sentinel)
{
    struct redis_command command = {
        { SLICE("SENTINEL"), SLICE("get-master-addr-by-name"), sentinel->master }, 3
    };
    while (sentinel->tried < sentinel->count) {
        uint32_t index = (sentinel->first + sentinel->tried++) % sentinel->count;
        sentinel->item_count = 0;
        sentinel->found = (struct redis_server){ 0 };
        if (redis_send(sentinel->sentinels[index], &sentinel->request, &command, 1) == ERROR_OK)
            return;
    }
    struct redis_client *asker = sentinel->asker;
    sentinel->asker = NULL;
    redis_client_located(asker, ERROR_NOT_FOUND, NULL);
}

/* The answer is a host and a port, or nil for a master that this sentinel does not know. */
static void answer_item(struct redis_request *request, const struct redis_reply *item)
{
    struct redis_sentinel *sentinel = CONTAINER_OF(request, struct redis_sentinel, request);
    uint32_t index = sentinel->item_count++;
    if (index == 1 && item->kind == REDIS_TEXT && item->text.size > 0 &&
        item->text.size <= sizeof(sentinel->host)) {
        memcpy(sentinel->host, item->text.data, item->text.size);
        sentinel->found.host = (struct slice){ sentinel->host, item->text.size };
    }
    if (index == 2 && item->is_number && item->integer > 0 && item->integer <= UINT16_MAX)
        sentinel->found.port = (uint16_t)item->integer;
}

static void answer_done(struct redis_request *request, enum error error)
{
    struct redis_sentinel *sentinel = CONTAINER_OF(request, struct redis_sentinel, request);
    bool is_known = error == ERROR_OK && sentinel->item_count == 3 && sentinel->found.host.size > 0 &&
                    sentinel->found.port > 0;
    if (!is_known) {
        ask_next(sentinel);
        return;
    }
    sentinel->first = (sentinel->first + sentinel->tried - 1) % sentinel->count;
    struct redis_client *asker = sentinel->asker;
    sentinel->asker = NULL;
    redis_client_located(asker, ERROR_OK, &sentinel->found);
}

/* One question at a time: an asker that gave up and comes back takes the answer to its first question. */
static void locate(struct redis_locator *locator, struct redis_client *client)
{
    struct redis_sentinel *sentinel = CONTAINER_OF(locator, struct redis_sentinel, locator);
    if (sentinel->asker)
        return;
    sentinel->asker = client;
    sentinel->tried = 0;
    ask_next(sentinel);
}

bool redis_sentinel_open(struct redis_sentinel *sentinel, struct shard *shard,
                         const struct redis_target *target, redis_connect_fn *connect)
{
    struct redis_target as = *target;
    as.username = target->sentinel_username;
    as.password = target->sentinel_password;
    as.database = 0;
    *sentinel = (struct redis_sentinel){ .locator = { locate },
                                         .request = { .done = answer_done, .item = answer_item },
                                         .master = target->master };
    for (uint32_t i = 0; i < target->server_count && i < REDIS_SENTINELS_MAX; i++) {
        sentinel->sentinels[i] = redis_client_open(shard, &as, &target->servers[i], connect);
        if (sentinel->sentinels[i] == NULL)
            return false;
        sentinel->count++;
    }
    return true;
}

void redis_sentinel_close(struct redis_sentinel *sentinel)
{
    for (uint32_t i = 0; i < sentinel->count; i++)
        redis_client_free(sentinel->sentinels[i]);
}
