/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/resolver.h"

#include "core/base/hash.h"
#include "net/dns/dns_resolver.h"
#include "net/proxy/proxy.h"

#include <stdlib.h>

enum {
    ASK_AGAIN_MS = 5000, /* when no answer has come */
    RENEW_MS = ROSTER_HOST_KEPT_MS / 2 /* who uses a name says so that often */
};

struct resolved {
    struct resolved *next; /* in its bucket */
    struct roster *roster; /* with entries; NULL: not known, or none */
    struct list_node waiters;
    uint64_t asked_ms, answered_ms; /* 0: never */
    char id[MODEL_ID_SIZE]; /* the key of its rosters */
    char name[]; /* lower case */
};

/* --- the table ------------------------------------------------------------------------------------------ */

static struct resolved **bucket_of(struct resolver *resolver, struct slice lower)
{
    return &resolver->buckets[hash_of(lower) % RESOLVER_BUCKETS];
}

static struct resolved *find(struct resolver *resolver, struct slice lower)
{
    struct resolved *resolved = *bucket_of(resolver, lower);
    while (resolved && !slice_equal(slice_of(resolved->name), lower))
        resolved = resolved->next;
    return resolved;
}

static void drop(struct resolver *resolver, struct resolved *resolved)
{
    struct resolved **at = bucket_of(resolver, slice_of(resolved->name));
    while (*at != resolved)
        at = &(*at)->next;
    *at = resolved->next;
    roster_release(resolved->roster);
    free(resolved);
    resolver->count--;
}

static struct resolved *find_by_id(struct resolver *resolver, struct slice id)
{
    for (unsigned i = 0; i < RESOLVER_BUCKETS; i++)
        for (struct resolved *resolved = resolver->buckets[i]; resolved; resolved = resolved->next)
            if (slice_equal(slice_of(resolved->id), id))
                return resolved;
    return NULL;
}

/* Names that have no address and that nobody waits for. */
static void make_room(struct resolver *resolver)
{
    struct resolved *next;
    for (unsigned i = 0; i < RESOLVER_BUCKETS; i++)
        for (struct resolved *resolved = resolver->buckets[i]; resolved; resolved = next) {
            next = resolved->next;
            if (resolved->roster == NULL && list_is_empty(&resolved->waiters))
                drop(resolver, resolved);
        }
}

/* NULL: no room. */
static struct resolved *add(struct resolver *resolver, struct slice lower)
{
    if (resolver->count >= RESOLVER_NAMES_MAX)
        make_room(resolver);
    struct resolved *resolved =
        resolver->count < RESOLVER_NAMES_MAX ? calloc(1, sizeof(*resolved) + lower.size + 1) : NULL;
    if (resolved == NULL)
        return NULL;
    memcpy(resolved->name, lower.data, lower.size);
    if (!roster_host_id(lower, resolved->id)) {
        free(resolved);
        return NULL;
    }
    list_init(&resolved->waiters);
    struct resolved **bucket = bucket_of(resolver, lower);
    resolved->next = *bucket;
    *bucket = resolved;
    resolver->count++;
    return resolved;
}

static struct slice lower_of(struct slice name, char lower[DNS_NAME_SIZE])
{
    if (name.size == 0 || name.size >= DNS_NAME_SIZE)
        return (struct slice){ NULL, 0 };
    for (size_t i = 0; i < name.size; i++)
        lower[i] = slice_lower(name.data[i]);
    return (struct slice){ lower, name.size };
}

void resolver_init(struct resolver *resolver, struct shard *shard)
{
    *resolver = (struct resolver){ .shard = shard };
}

void resolver_deinit(struct resolver *resolver)
{
    for (unsigned i = 0; i < RESOLVER_BUCKETS; i++)
        while (resolver->buckets[i]) {
            struct resolved *resolved = resolver->buckets[i];
            while (!list_is_empty(&resolved->waiters))
                list_remove(resolved->waiters.next);
            drop(resolver, resolved);
        }
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void tell_all(struct resolved *resolved)
{
    struct list_node waiters;
    list_init(&waiters);
    list_move_all(&waiters, &resolved->waiters);
    while (!list_is_empty(&waiters)) {
        struct resolver_waiter *waiter = CONTAINER_OF(waiters.next, struct resolver_waiter, node);
        list_remove(&waiter->node);
        waiter->told(waiter);
    }
}

void resolver_take(struct resolver *resolver, struct roster *roster)
{
    struct resolved *resolved = find_by_id(resolver, roster->key);
    if (resolved == NULL && roster->count > 0) {
        char lower[DNS_NAME_SIZE];
        struct slice name = lower_of(roster->entries[0].host, lower);
        resolved = name.data ? add(resolver, name) : NULL;
    }
    if (resolved == NULL) { /* no room: as if the name had no address, until it changes */
        roster_release(roster);
        return;
    }
    roster_release(resolved->roster);
    resolved->roster = roster->count > 0 ? roster : NULL;
    resolved->asked_ms = resolved->answered_ms = resolver->shard->now_ms;
    if (roster->count == 0)
        roster_release(roster);
    tell_all(resolved);
}

/* --- questions ------------------------------------------------------------------------------------------ */

static bool give(struct address found, uint16_t port, struct address *address)
{
    *address = found;
    if (address_port(&found) == 0)
        address_set_port(address, port);
    return true;
}

static bool take_turn(struct resolver *resolver, const struct resolved *resolved, uint16_t port,
                      struct address *address)
{
    const struct roster *roster = resolved ? resolved->roster : NULL;
    return roster && give(roster->entries[resolver->turn++ % roster->count].address, port, address);
}

static void ask(struct resolver *resolver, struct resolved *resolved)
{
    resolved->asked_ms = resolver->shard->now_ms;
    metric_add(&resolver->shard->metrics, METRIC_NAMES_ASKED, 1);
    resolver->ask(resolver, slice_of(resolved->name));
}

enum resolver_answer resolver_find(struct resolver *resolver, struct slice name, uint16_t port,
                                   struct address *address, struct resolver_waiter *waiter)
{
    char text[DNS_NAME_SIZE];
    struct slice lower = lower_of(name, text);
    uint64_t now_ms = resolver->shard->now_ms;
    if (address_parse(name, port, address))
        return RESOLVER_FOUND;
    struct resolved *resolved = lower.data ? find(resolver, lower) : NULL;
    if (take_turn(resolver, resolved, port, address)) {
        if (resolver->ask && now_ms - resolved->asked_ms >= RENEW_MS)
            ask(resolver, resolved);
        return RESOLVER_FOUND;
    }
    if (lower.data == NULL || resolver->ask == NULL)
        return RESOLVER_NONE;
    if (resolved && resolved->answered_ms && now_ms - resolved->answered_ms < RESOLVER_NONE_MS)
        return RESOLVER_NONE;
    if (resolved == NULL)
        resolved = add(resolver, lower);
    if (resolved == NULL) {
        metric_add(&resolver->shard->metrics, METRIC_NAMES_REFUSED, 1);
        return RESOLVER_NONE;
    }
    resolved->answered_ms = 0;
    if (list_is_empty(&resolved->waiters) || now_ms - resolved->asked_ms >= ASK_AGAIN_MS)
        ask(resolver, resolved);
    list_append(&resolved->waiters, &waiter->node);
    return RESOLVER_WAIT;
}

bool resolver_lookup(struct shard *shard, struct slice name, uint16_t port, struct sockaddr_storage *storage,
                     socklen_t *size)
{
    struct resolver *resolver = &proxy_of(shard)->resolver;
    char text[DNS_NAME_SIZE];
    struct slice lower = lower_of(name, text);
    struct address address;
    if (!address_parse(name, port, &address) &&
        !(lower.data && take_turn(resolver, find(resolver, lower), port, &address)))
        return false;
    memcpy(storage, &address.any, address.size);
    *size = address.size;
    return true;
}
