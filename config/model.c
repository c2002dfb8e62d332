/* SPDX-License-Identifier: Apache-2.0 */
#include "config/model.h"

#include "core/crypto/uuid.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Beyond this a configuration is an accident; the machine's memory usually ends it before. */
static const size_t model_limit_bytes = (size_t)4 * 1024 * 1024 * 1024;

struct model *model_open(void)
{
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL)
        return NULL;
    model->holder_count = 1;
    arena_init(&model->arena, NULL, 0, model_limit_bytes);
    map_init(&model->credentials, &model->arena);
    map_init(&model->consumers_by_id, &model->arena);
    map_init(&model->consumers_by_name, &model->arena);
    map_init(&model->consumers_by_custom_id, &model->arena);
    memset(model->hash, '0', sizeof(model->hash) - 1);
    return model;
}

struct model *model_take(struct model *model)
{
    model->holder_count++;
    return model;
}

void model_close(struct model *model)
{
    if (model == NULL || --model->holder_count > 0)
        return;
    arena_deinit(&model->arena);
    free(model);
}

void *model_reserve(struct model *model, void *items, uint32_t count, uint32_t *capacity)
{
    if (count < *capacity)
        return items;
    uint32_t larger = *capacity ? *capacity * 2 : 16;
    void *grown = arena_array(&model->arena, larger, sizeof(void *));
    if (grown == NULL)
        return NULL;
    if (count)
        memcpy(grown, items, count * sizeof(void *));
    *capacity = larger;
    return grown;
}

bool model_index_consumer(struct model *model, struct consumer *consumer)
{
    struct slice name = consumer->entity.name, custom_id = consumer->custom_id;
    return map_add(&model->consumers_by_id, slice_of(consumer->entity.id), consumer, NULL) &&
           (name.data == NULL || map_add(&model->consumers_by_name, name, consumer, NULL)) &&
           (custom_id.data == NULL || map_add(&model->consumers_by_custom_id, custom_id, consumer, NULL));
}

struct consumer *model_consumer_of_custom_id(const struct model *model, struct slice custom_id)
{
    return map_find(&model->consumers_by_custom_id, custom_id);
}

struct consumer *model_consumer(const struct model *model, struct slice id_or_username)
{
    unsigned char bytes[UUID_BYTES];
    char id[UUID_TEXT_SIZE];
    struct consumer *found = NULL;
    if (uuid_read(id_or_username, bytes)) {
        uuid_write(bytes, id);
        found = map_find(&model->consumers_by_id, slice_of(id));
    }
    return found ? found : map_find(&model->consumers_by_name, id_or_username);
}

void model_attach_credential(struct credential *credential)
{
    struct consumer *consumer = credential->consumer;
    if (consumer->last_credential)
        consumer->last_credential->next = credential;
    else
        consumer->credentials = credential;
    consumer->last_credential = credential;
}

struct slice model_credential_key(struct arena *arena, const struct credential_kind *kind, struct slice key)
{
    size_t size;
    if (__builtin_add_overflow(sizeof(kind), key.size, &size))
        return (struct slice){ NULL, 0 };
    char *text = arena_alloc(arena, size);
    if (text == NULL)
        return (struct slice){ NULL, 0 };
    memcpy(text, &kind, sizeof(kind));
    if (key.size)
        memcpy(text + sizeof(kind), key.data, key.size);
    return (struct slice){ text, size };
}

struct credential *model_credential(const struct model *model, const struct credential_kind *kind,
                                    struct slice key)
{
    char page[512];
    struct arena arena;
    /* A key comes from a token and may have any size up to a head's; long ones go to the heap. */
    arena_init(&arena, page, sizeof(page), (size_t)1024 * 1024);
    struct slice name = model_credential_key(&arena, kind, key);
    struct credential *found = name.data ? map_find(&model->credentials, name) : NULL;
    arena_deinit(&arena);
    return found;
}

/* "host:port", or "[host]:port" of an IPv6 address: what an implicit upstream is known by, across reloads. */
static struct slice implicit_name(struct model *model, const struct service *service)
{
    bool bare = memchr(service->host.data, ':', service->host.size) && service->host.data[0] != '[';
    return arena_format(&model->arena, bare ? "[%.*s]:%u" : "%.*s:%u", SLICE_FORMAT(service->host),
                        (unsigned)service->port);
}

static struct upstream *add_implicit(struct model *model, const struct service *service, struct slice name)
{
    static const unsigned char space[UUID_BYTES]; /* the nil UUID: no front-end's */
    unsigned char id[UUID_BYTES];
    struct upstream *upstream = arena_alloc_zero(&model->arena, sizeof(*upstream));
    struct target *target = arena_alloc_zero(&model->arena, sizeof(*target));
    struct target **targets = arena_alloc_zero(&model->arena, sizeof(*targets));
    struct upstream **items =
        model_reserve(model, model->upstreams.items, model->upstreams.count, &model->upstreams.capacity);
    if (!upstream || !target || !targets || !items || !uuid_of_name(space, name, id))
        return NULL;
    *target = (struct target){ .entity = { .name = name, .position = service->entity.position },
                               .host = service->host,
                               .port = (uint16_t)service->port,
                               .weight = 100 };
    *targets = target;
    *upstream = (struct upstream){ .entity = { .name = name, .position = service->entity.position },
                                   .balance = BALANCE_ROUND_ROBIN,
                                   .targets = targets,
                                   .target_count = 1,
                                   .target_capacity = 1,
                                   .implicit = true };
    uuid_write(id, upstream->entity.id);
    upstream->entity.index = model->upstreams.count;
    model->upstreams.items = items;
    items[model->upstreams.count++] = upstream;
    return upstream;
}

/* The highest priority below `limit` of a plugin that has something to link; INT_MIN: none. */
static int next_priority(const struct model *model, int limit)
{
    int next = INT_MIN;
    for (uint32_t i = 0; i < model->plugins.count; i++) {
        const struct plugin_kind *kind = model->plugins.items[i]->kind;
        if (kind->link && kind->priority < limit && kind->priority > next)
            next = kind->priority;
    }
    return next;
}

static bool link_plugins(struct model *model, struct report *report)
{
    for (int at = next_priority(model, INT_MAX); at != INT_MIN; at = next_priority(model, at))
        for (uint32_t i = 0; i < model->plugins.count; i++) {
            struct plugin_instance *instance = model->plugins.items[i];
            if (instance->kind->link && instance->kind->priority == at && instance->enabled &&
                !instance->kind->link(model, instance, report))
                return false;
        }
    return true;
}

bool model_link_upstreams(struct model *model, struct report *report)
{
    struct map named, implicit;
    if (!link_plugins(model, report))
        return false;
    map_init(&named, &model->arena);
    map_init(&implicit, &model->arena);
    for (uint32_t i = 0; i < model->upstreams.count; i++) {
        struct upstream *upstream = model->upstreams.items[i];
        if (!map_add(upstream->implicit ? &implicit : &named, upstream->entity.name, upstream, NULL))
            return false;
    }
    for (uint32_t i = 0; i < model->services.count; i++) {
        struct service *service = model->services.items[i];
        if (service->upstream)
            continue;
        service->upstream = map_find(&named, service->host);
        struct slice name = service->upstream ? service->host : implicit_name(model, service);
        if (service->upstream == NULL)
            service->upstream = name.data ? map_find(&implicit, name) : NULL;
        if (service->upstream == NULL && name.data) {
            service->upstream = add_implicit(model, service, name);
            if (service->upstream && !map_add(&implicit, name, service->upstream, NULL))
                return false;
        }
        if (service->upstream == NULL)
            return false;
    }
    return true;
}
