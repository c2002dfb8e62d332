/* SPDX-License-Identifier: Apache-2.0 */
/* The life of balancers: found, following a snapshot, swept when their upstream is gone. */
#include "net/proxy/balancer.h"

#include "net/proxy/balancer_circuit.h"
#include "net/proxy/balancer_pick.h"
#include "net/proxy/origin.h"
#include "net/proxy/proxy.h"

#include "core/base/hash.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 64, SWEEP_MS = 10, SWEEP_COUNT = 64, ORPHAN_MS = 60000, ORPHAN_SWEEP_MS = 1000 };

uint32_t balancer_draw(struct balancer_table *table, uint32_t bound)
{
    uint64_t value = table->random; /* xorshift64* */
    value ^= value >> 12;
    value ^= value << 25;
    value ^= value >> 27;
    table->random = value;
    return (uint32_t)((value * 0x2545f4914f6cdd1du >> 32) * bound >> 32);
}

/* --- the table ------------------------------------------------------------------------------------------ */

static void sweep(struct timer *timer);

enum error balancer_table_open(struct balancer_table *table, struct proxy *proxy)
{
    *table = (struct balancer_table){ .proxy = proxy };
    list_init(&table->stale);
    timer_init(&table->sweep, sweep);
    random_bytes(&table->random, sizeof(table->random));
    table->random |= 1;
    table->buckets = calloc(FIRST_BUCKETS, sizeof(struct balancer *));
    if (table->buckets == NULL)
        return ERROR_MEMORY;
    table->bucket_count = FIRST_BUCKETS;
    return ERROR_OK;
}

static struct balancer **bucket_of(struct balancer_table *table, struct slice id)
{
    return &table->buckets[hash_of(id) & (table->bucket_count - 1)];
}

/* Twice the buckets; when memory is short the chains grow instead. */
static void widen(struct balancer_table *table)
{
    uint32_t old_count = table->bucket_count;
    struct balancer **old = table->buckets;
    struct balancer **wide = calloc((size_t)old_count * 2, sizeof(struct balancer *));
    if (wide == NULL)
        return;
    table->buckets = wide;
    table->bucket_count = old_count * 2;
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct balancer *balancer = old[i];
            old[i] = balancer->next;
            struct balancer **bucket = bucket_of(table, slice_of(balancer->id));
            balancer->next = *bucket;
            *bucket = balancer;
        }
    }
    free(old);
}

static struct balancer *look_up(struct balancer_table *table, struct slice id)
{
    struct balancer *balancer = *bucket_of(table, id);
    while (balancer && !slice_equal(slice_of(balancer->id), id))
        balancer = balancer->next;
    return balancer;
}

static void become_stale(struct balancer *balancer)
{
    struct balancer_table *table = balancer->table;
    struct shard *shard = table->proxy->shard;
    balancer->stale_since_ms = shard->now_ms;
    list_append(&table->stale, &balancer->stale_node);
    if (!timer_is_armed(&table->sweep))
        timer_arm(&shard->timers, &table->sweep, shard->now_ms + SWEEP_MS);
}

static struct balancer *add(struct balancer_table *table, struct slice id)
{
    struct balancer *balancer = calloc(1, sizeof(*balancer));
    if (balancer == NULL || id.size >= sizeof(balancer->id)) {
        free(balancer);
        return NULL;
    }
    memcpy(balancer->id, id.data, id.size);
    balancer->table = table;
    list_init(&balancer->stale_node);
    list_init(&balancer->pending);
    timer_init(&balancer->timer, balancer_readmit);
    shard_task_init(&balancer->wake, balancer_wake);
    if (table->count >= table->bucket_count)
        widen(table);
    struct balancer **bucket = bucket_of(table, id);
    balancer->next = *bucket;
    *bucket = balancer;
    table->count++;
    become_stale(balancer);
    return balancer;
}

/* --- endpoints ------------------------------------------------------------------------------------------ */

void endpoint_release(struct endpoint *endpoint)
{
    if (endpoint->balancer == NULL && endpoint->active == 0 && endpoint->open_count == 0)
        free(endpoint);
}

static void leave_roster(struct endpoint *endpoint)
{
    struct balancer *balancer = endpoint->balancer;
    balancer->connections -= endpoint->open_count;
    balancer->idle_count -= endpoint->idle_count;
    endpoint->balancer = NULL;
    endpoint->usable = false;
    origin_close_idle(endpoint);
    endpoint_release(endpoint);
}

static bool is_numeric_v6(struct slice host)
{
    return host.size > 0 && host.data[0] != '[' && memchr(host.data, ':', host.size);
}

static struct endpoint *endpoint_open(struct balancer *balancer, const struct roster_entry *entry)
{
    struct balancer_table *table = balancer->table;
    enum { PORT_BYTES = 8 /* "[", "]:" and five digits */ };
    size_t room = entry->host.size + PORT_BYTES + 1;
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint) + room);
    if (endpoint == NULL || entry->host.size > UINT16_MAX - PORT_BYTES) {
        free(endpoint);
        return NULL;
    }
    endpoint->address = entry->address;
    endpoint->balancer = balancer;
    endpoint->proxy = table->proxy;
    list_init(&endpoint->idle);
    list_init(&endpoint->http2);
    endpoint->serial = ++table->next_serial;
    endpoint->flips = entry->flips;
    if (!entry->healthy)
        health_set(&endpoint->health, false);
    struct writer out = writer_of(endpoint->authority, room);
    bool v6 = is_numeric_v6(entry->host);
    if (v6)
        writer_byte(&out, '[');
    writer_slice(&out, entry->host);
    if (v6)
        writer_byte(&out, ']');
    endpoint->host_size = (uint16_t)(out.next - endpoint->authority);
    writer_byte(&out, ':');
    writer_u64(&out, address_port(&entry->address));
    endpoint->authority_size = (uint16_t)(out.next - endpoint->authority);
    endpoint->sticky_id = balancer_sticky_id(balancer, endpoint);
    return endpoint;
}

static bool is_of(const struct endpoint *endpoint, const struct roster_entry *entry)
{
    size_t bracket = is_numeric_v6(entry->host);
    return address_equal(&endpoint->address, &entry->address) &&
           endpoint->host_size == entry->host.size + 2 * bracket &&
           memcmp(endpoint->authority + bracket, entry->host.data, entry->host.size) == 0;
}

/* --- rosters -------------------------------------------------------------------------------------------- */

struct update {
    struct balancer *balancer;
    const struct roster *roster;
    struct endpoint **endpoints; /* those of the new roster */
    uint32_t count;
    struct endpoint **known; /* a hash table of all, old and new */
    uint32_t mask;
};

static uint32_t address_hash(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return address->v4.sin_addr.s_addr * 2654435761u ^ address->v4.sin_port * 40503u;
    struct slice bytes = { (const char *)&address->v6.sin6_addr, sizeof(address->v6.sin6_addr) };
    return (uint32_t)hash_of(bytes) ^ address->v6.sin6_port;
}

/* Where the endpoint of that entry stands, or is to be put. */
static struct endpoint **find_known(const struct update *update, const struct roster_entry *entry)
{
    uint32_t hash = address_hash(&entry->address);
    for (uint32_t at = (hash ^ hash >> 16) & update->mask;; at = (at + 1) & update->mask)
        if (update->known[at] == NULL || is_of(update->known[at], entry))
            return &update->known[at];
}

static bool open_update(struct update *update)
{
    const struct balancer *balancer = update->balancer;
    size_t size = 4, wanted = ((size_t)update->roster->count + balancer->count) * 2;
    while (size < wanted)
        size *= 2;
    update->mask = (uint32_t)size - 1;
    update->known = calloc(size, sizeof(struct endpoint *));
    update->endpoints = calloc((size_t)update->roster->count * 2 + 1, sizeof(struct endpoint *));
    for (uint32_t i = 0; update->known && i < balancer->count; i++) {
        struct endpoint *endpoint = balancer->endpoints[i];
        uint32_t hash = address_hash(&endpoint->address), at = (hash ^ hash >> 16) & update->mask;
        while (update->known[at])
            at = (at + 1) & update->mask;
        update->known[at] = endpoint;
    }
    return update->known && update->endpoints;
}

static void follow_entry(struct endpoint *endpoint, const struct roster_entry *entry)
{
    endpoint->weight = entry->weight;
    if (endpoint->flips == entry->flips || entry->flips == 0)
        return;
    endpoint->flips = entry->flips;
    health_set(&endpoint->health, entry->healthy);
}

/* An address that several targets of one name stand for is one endpoint with their weights together. */
static bool take_entry(struct update *update, const struct roster_entry *entry)
{
    struct balancer *balancer = update->balancer;
    struct endpoint **known = find_known(update, entry), *endpoint = *known;
    if (endpoint && endpoint->roster_version == update->roster->version) {
        if (__builtin_add_overflow(endpoint->weight, entry->weight, &endpoint->weight))
            endpoint->weight = UINT32_MAX;
        return true;
    }
    if (endpoint == NULL) {
        endpoint = endpoint_open(balancer, entry);
        if (endpoint == NULL)
            return false;
        endpoint->latency_ns = balancer_mean_latency(balancer);
        endpoint->latency_at_ns = balancer->table->proxy->shard->now_ns;
        *known = endpoint;
    }
    follow_entry(endpoint, entry);
    endpoint->roster_version = update->roster->version;
    update->endpoints[update->count++] = endpoint;
    return true;
}

static bool is_member(const struct balancer *balancer, const struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < balancer->count; i++)
        if (balancer->endpoints[i] == endpoint)
            return true;
    return false;
}

static void undo(struct update *update)
{
    for (uint32_t i = 0; i < update->count; i++)
        if (!is_member(update->balancer, update->endpoints[i]))
            free(update->endpoints[i]);
    free(update->endpoints);
}

static void commit(struct update *update)
{
    struct balancer *balancer = update->balancer;
    bool first = balancer->endpoints == NULL;
    for (uint32_t i = 0; i < balancer->count; i++)
        if (balancer->endpoints[i]->roster_version != update->roster->version)
            leave_roster(balancer->endpoints[i]);
    free(balancer->endpoints);
    balancer->endpoints = update->endpoints;
    balancer->usable = update->endpoints + update->count;
    balancer->count = update->count;
    balancer_refresh(balancer, CHANGE_MEMBERS);
    for (uint32_t i = 0; first && i < balancer->count; i++)
        balancer->endpoints[i]->usable_since_ms = 0; /* nothing to spare them: they are all there is */
    if (first)
        balancer->ramp_end_ms = 0;
}

/* Everything, or, when memory is short, nothing. */
static bool apply_roster(struct balancer *balancer)
{
    struct update update = { .balancer = balancer, .roster = balancer->roster };
    bool enough = open_update(&update);
    for (uint32_t i = 0; enough && i < update.roster->count; i++)
        enough = take_entry(&update, &update.roster->entries[i]);
    if (enough)
        commit(&update);
    else
        undo(&update);
    free(update.known);
    return enough;
}

static void try_to_apply(struct balancer *balancer)
{
    if (balancer->generation == 0 || balancer->roster == NULL || apply_roster(balancer))
        return;
    metric_add(&balancer->table->proxy->shard->metrics, METRIC_MEMORY_FAILURES, 1);
}

/* True when it is news. Takes the reference. */
static bool keep_newer(struct balancer *balancer, struct roster *roster)
{
    if (balancer->roster && balancer->roster->version >= roster->version) {
        roster_release(roster);
        return false;
    }
    roster_release(balancer->roster);
    balancer->roster = roster;
    return true;
}

void balancer_take_roster(struct balancer_table *table, struct roster *roster)
{
    struct balancer *balancer = look_up(table, roster->key);
    if (balancer == NULL)
        balancer = add(table, roster->key);
    if (balancer == NULL) {
        metric_add(&table->proxy->shard->metrics, METRIC_MEMORY_FAILURES, 1);
        roster_release(roster);
        return;
    }
    if (keep_newer(balancer, roster))
        try_to_apply(balancer);
}

/* --- following snapshots -------------------------------------------------------------------------------- */

static uint32_t share_of(uint32_t limit, unsigned shard_count)
{
    return limit / shard_count + (limit % shard_count != 0);
}

static struct balancer_rules rules_of(const struct upstream *upstream, unsigned shard_count)
{
    const struct health_limits *passive = &upstream->health.passive;
    const struct outlier_rules *outlier = &upstream->outlier;
    const struct circuit_limits *circuit = &upstream->circuit;
    bool passive_on =
        passive->successes || passive->tcp_failures || passive->http_failures || passive->timeouts;
    bool outlier_on = outlier->consecutive_5xx || outlier->consecutive_gateway_failures;
    int balance = upstream->balance;
    return (struct balancer_rules){
        .balance = balance,
        .keyed =
            balance == BALANCE_CONSISTENT_HASHING || balance == BALANCE_MAGLEV || balance == BALANCE_STICKY,
        .watched = passive_on || outlier_on || balance == BALANCE_LATENCY,
        .slots = upstream->slots,
        .target_count = upstream->target_count,
        .slow_start_ms = upstream->slow_start_ms > 0 ? upstream->slow_start_ms : 0,
        .threshold_percent = upstream->health.threshold_percent,
        .passive = *passive,
        .circuit = { .connections = share_of(circuit->connections, shard_count),
                     .pending = share_of(circuit->pending, shard_count),
                     .requests = share_of(circuit->requests, shard_count),
                     .retries = share_of(circuit->retries, shard_count) },
        .outlier = *outlier,
    };
}

static void follow(struct balancer *balancer, struct snapshot *snapshot, const struct upstream *upstream)
{
    struct balancer_rules before = balancer->rules;
    struct balancer_rules *rules = &balancer->rules;
    bool born = balancer->generation == 0;
    *rules = rules_of(upstream, balancer->table->proxy->shard->count);
    balancer->generation = snapshot->generation;
    if (before.balance != rules->balance)
        balancer_picker_close(&balancer->picker);
    if (before.slow_start_ms != rules->slow_start_ms)
        balancer->ramp_end_ms = 0;
    bool news = keep_newer(balancer, roster_take(snapshot->rosters[upstream->entity.index]));
    if (news || born)
        try_to_apply(balancer);
    else if (before.balance != rules->balance || before.slots != rules->slots ||
             before.target_count != rules->target_count)
        balancer_refresh(balancer, CHANGE_MEMBERS);
    else
        balancer_refresh(balancer, CHANGE_HEALTH);
}

struct balancer *balancer_find(struct balancer_table *table, struct snapshot *snapshot,
                               const struct upstream *upstream)
{
    struct slice id = slice_of(upstream->entity.id);
    struct balancer *balancer = look_up(table, id);
    if (balancer == NULL)
        balancer = add(table, id);
    if (balancer == NULL)
        return NULL;
    if (snapshot->generation > balancer->generation)
        follow(balancer, snapshot, upstream);
    struct balancer **cell = &snapshot->balancers[table->proxy->shard->index][upstream->entity.index];
    CHECK(*cell == NULL);
    *cell = balancer;
    balancer->holder_count++;
    list_remove(&balancer->stale_node);
    return balancer;
}

void balancer_let_go(struct balancer *balancer)
{
    CHECK(balancer->holder_count > 0);
    if (--balancer->holder_count == 0)
        become_stale(balancer);
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void close_balancer(struct balancer *balancer)
{
    struct balancer_table *table = balancer->table;
    struct balancer **at = bucket_of(table, slice_of(balancer->id));
    while (*at != balancer)
        at = &(*at)->next;
    *at = balancer->next;
    table->count--;
    CHECK(list_is_empty(&balancer->pending));
    list_remove(&balancer->stale_node);
    list_remove(&balancer->wake.node);
    timer_disarm(&table->proxy->shard->timers, &balancer->timer);
    for (uint32_t i = 0; i < balancer->count; i++)
        leave_roster(balancer->endpoints[i]);
    free(balancer->endpoints);
    balancer_picker_close(&balancer->picker);
    roster_release(balancer->roster);
    free(balancer);
}

/* Some of those whose snapshots have gone: they follow the one in force, or end. One that only keeps a roster
 * waits a while for its snapshot. */
static void sweep(struct timer *timer)
{
    struct balancer_table *table = CONTAINER_OF(timer, struct balancer_table, sweep);
    struct proxy *proxy = table->proxy;
    struct shard *shard = proxy->shard;
    uint64_t again_ms = SWEEP_MS;
    struct list_node *node = table->stale.next;
    for (unsigned i = 0; i < SWEEP_COUNT && node != &table->stale; i++) {
        struct balancer *balancer = CONTAINER_OF(node, struct balancer, stale_node);
        node = node->next;
        const struct upstream *upstream = map_find(&proxy->snapshot->upstreams, slice_of(balancer->id));
        if (upstream)
            (void)balancer_find(table, proxy->snapshot, upstream);
        else if (balancer->generation > 0 || shard->now_ms >= balancer->stale_since_ms + ORPHAN_MS)
            close_balancer(balancer);
        else
            again_ms = ORPHAN_SWEEP_MS;
    }
    if (!list_is_empty(&table->stale))
        timer_arm(&shard->timers, &table->sweep, shard->now_ms + again_ms);
}

void balancer_table_close(struct balancer_table *table)
{
    if (table->buckets == NULL)
        return;
    timer_disarm(&table->proxy->shard->timers, &table->sweep);
    for (uint32_t i = 0; i < table->bucket_count; i++)
        while (table->buckets[i])
            close_balancer(table->buckets[i]);
    free(table->buckets);
    table->buckets = NULL;
}
