/* SPDX-License-Identifier: Apache-2.0 */
#include "config/detour.h"

static bool may_use(const struct route *route, const struct service *service)
{
    if (route->service == service)
        return true;
    for (uint32_t i = 0; route->action && i < route->action->backend_count; i++)
        if (route->action->backends[i].service == service)
            return true;
    return false;
}

/* Of a service that was made for another plugin, the configured one behind it counts. */
static bool concerns(const struct plugin_instance *instance, const struct service *service)
{
    const struct service *configured = service->like ? service->like : service;
    if (instance->service && instance->service != configured)
        return false;
    return instance->route == NULL || may_use(instance->route, configured);
}

static struct service *derive(struct model *model, const struct service *from,
                              const struct detour_place *place)
{
    struct service *service = arena_alloc_zero(&model->arena, sizeof(*service));
    struct service **items =
        model_reserve(model, model->services.items, model->services.count, &model->services.capacity);
    if (service == NULL || items == NULL)
        return NULL;
    *service = *from;
    service->like = from->like ? from->like : from;
    service->upstream = NULL;
    if (place->host.data)
        service->host = place->host;
    if (place->port != INTEGER_NULL)
        service->port = place->port;
    service->entity.index = model->services.count;
    model->services.items = items;
    items[model->services.count++] = service;
    return service;
}

bool detour_build(struct detour *detour, struct model *model, const struct plugin_instance *instance,
                  const struct detour_place *place)
{
    uint32_t count = model->services.count;
    *detour = (struct detour){ 0 };
    for (uint32_t i = 0; i < count; i++)
        detour->count += concerns(instance, model->services.items[i]);
    detour->entries = arena_array(&model->arena, detour->count + 1u, sizeof(*detour->entries));
    if (detour->entries == NULL)
        return false;
    detour->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!concerns(instance, model->services.items[i]))
            continue;
        const struct service *to = derive(model, model->services.items[i], place);
        if (to == NULL)
            return false;
        detour->entries[detour->count++] = (struct detour_entry){ i, to };
    }
    return true;
}

const struct service *detour_find(const struct detour *detour, const struct service *from)
{
    uint32_t low = 0, high = detour->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (detour->entries[middle].from < from->entity.index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < detour->count && detour->entries[low].from == from->entity.index ? detour->entries[low].to
                                                                                  : NULL;
}
