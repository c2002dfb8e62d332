/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/resolver.h"

#include "net/proxy/proxy.h"

#include <stdlib.h>

static struct roster **find_by_key(struct resolver *resolver, struct slice key)
{
    for (uint32_t i = 0; i < resolver->count; i++)
        if (slice_equal(resolver->hosts[i]->key, key))
            return &resolver->hosts[i];
    return NULL;
}

static bool add(struct resolver *resolver, struct roster *roster)
{
    if (resolver->count == resolver->capacity) {
        uint32_t capacity = resolver->capacity ? resolver->capacity * 2 : 4;
        struct roster **hosts = reallocarray(resolver->hosts, capacity, sizeof(struct roster *));
        if (hosts == NULL)
            return false;
        resolver->hosts = hosts;
        resolver->capacity = capacity;
    }
    resolver->hosts[resolver->count++] = roster;
    return true;
}

void resolver_take(struct resolver *resolver, struct roster *roster)
{
    struct roster **place = find_by_key(resolver, roster->key);
    if (place) {
        roster_release(*place);
        *place = roster;
    } else if (!add(resolver, roster)) {
        roster_release(roster); /* no memory: as if the name had no address, until it changes */
        return;
    } else {
        place = &resolver->hosts[resolver->count - 1];
    }
    if (roster->count > 0)
        return;
    *place = resolver->hosts[--resolver->count];
    roster_release(roster);
}

void resolver_deinit(struct resolver *resolver)
{
    for (uint32_t i = 0; i < resolver->count; i++)
        roster_release(resolver->hosts[i]);
    free(resolver->hosts);
    *resolver = (struct resolver){ 0 };
}

static bool give(struct address address, uint16_t port, struct sockaddr_storage *storage, socklen_t *size)
{
    if (address.any.sa_family == AF_INET6 && address.v6.sin6_port == 0)
        address.v6.sin6_port = htons(port);
    else if (address.any.sa_family == AF_INET && address.v4.sin_port == 0)
        address.v4.sin_port = htons(port);
    memcpy(storage, &address.any, address.size);
    *size = address.size;
    return true;
}

bool resolver_lookup(struct shard *shard, struct slice name, uint16_t port, struct sockaddr_storage *storage,
                     socklen_t *size)
{
    struct resolver *resolver = &proxy_of(shard)->resolver;
    struct address numeric;
    if (address_parse(name, port, &numeric))
        return give(numeric, port, storage, size);
    for (uint32_t i = 0; i < resolver->count; i++) {
        const struct roster *host = resolver->hosts[i];
        if (slice_equal_nocase(host->entries[0].host, name))
            return give(host->entries[resolver->turn++ % host->count].address, port, storage, size);
    }
    return false;
}
