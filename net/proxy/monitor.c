/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/monitor.h"

#include "core/base/hash.h"
#include "net/proxy/monitor_state.h"

#include <stdlib.h>

/* --- the table ------------------------------------------------------------------------------------------ */

static struct watched **bucket_of(const struct monitor *monitor, struct slice key)
{
    return (struct watched **)(uintptr_t)&monitor->buckets[hash_of(key) % MONITOR_BUCKETS];
}

struct watched *monitor_find(const struct monitor *monitor, struct slice key, enum roster_of what)
{
    struct watched *watched = *bucket_of(monitor, key);
    while (watched && (watched->what != what || !slice_equal(slice_of(watched->key), key)))
        watched = watched->next;
    return watched;
}

static void end_targets(struct watched_target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        dns_watch_end(&targets[i].watch);
    free(targets);
}

static void stop_wanting(struct watched *watched)
{
    if (timer_is_armed(&watched->unwant))
        watched->monitor->wanted_count--;
    timer_disarm(&watched->monitor->shard->timers, &watched->unwant);
}

static void watched_free(struct watched *watched)
{
    struct watched **at = bucket_of(watched->monitor, slice_of(watched->key));
    while (*at != watched)
        at = &(*at)->next;
    *at = watched->next;
    end_targets(watched->targets, watched->target_count);
    while (!list_is_empty(&watched->members))
        member_drop(CONTAINER_OF(watched->members.next, struct member, node));
    list_remove(&watched->dirty_node);
    list_remove(&watched->published_node);
    timer_disarm(&watched->monitor->shard->timers, &watched->forget);
    stop_wanting(watched);
    roster_release(watched->roster);
    free(watched);
}

static void forget(struct timer *timer)
{
    watched_free(CONTAINER_OF(timer, struct watched, forget));
}

static void unwant(struct timer *timer);

/* The keys of rosters have the size of an id; a host's is made from its name. */
static bool write_id(struct watched *watched)
{
    size_t size = strlen(watched->key);
    if (watched->what == ROSTER_OF_UPSTREAM) {
        memcpy(watched->id, watched->key, size < sizeof(watched->id) ? size : sizeof(watched->id) - 1);
        return true;
    }
    return roster_host_id(slice_of(watched->key), watched->id);
}

static struct watched *watched_open(struct monitor *monitor, struct slice key, enum roster_of what)
{
    struct watched *watched = calloc(1, sizeof(*watched) + key.size + 1);
    if (watched == NULL)
        return NULL;
    struct watched **bucket = bucket_of(monitor, key);
    watched->monitor = monitor;
    watched->what = what;
    memcpy(watched->key, key.data, key.size);
    if (!write_id(watched)) {
        free(watched);
        return NULL;
    }
    list_init(&watched->dirty_node);
    list_init(&watched->published_node);
    list_init(&watched->members);
    list_init(&watched->probes_waiting);
    timer_init(&watched->forget, forget);
    timer_init(&watched->unwant, unwant);
    watched->next = *bucket;
    *bucket = watched;
    return watched;
}

/* --- rosters -------------------------------------------------------------------------------------------- */

void watched_soil(struct watched *watched)
{
    if (list_is_empty(&watched->dirty_node))
        list_append(&watched->monitor->dirty, &watched->dirty_node);
    shard_defer(watched->monitor->shard, &watched->monitor->task);
}

/* A roster under way: members of before that have found no place in it yet, in their old order. */
struct making {
    struct watched *watched;
    struct list_node before;
    bool pending; /* a target's name has no answer yet: nobody has left for good */
    bool unresolved;
};

static struct member *find_before(struct making *making, const struct roster_entry *entry)
{
    for (struct list_node *at = making->before.next; at != &making->before; at = at->next) {
        struct member *member = CONTAINER_OF(at, struct member, node);
        if (address_equal(&member->entry.address, &entry->address) &&
            slice_equal(member->entry.host, entry->host))
            return member;
    }
    return NULL;
}

/* False: memory is exhausted. */
static bool place(struct making *making, const struct roster_entry *entry)
{
    struct member *member = find_before(making, entry);
    if (member == NULL)
        return member_open(making->watched, entry) != NULL;
    member->entry.weight = entry->weight;
    member->entry.target_index = entry->target_index;
    list_remove(&member->node);
    list_append(&making->watched->members, &member->node);
    member_believe(member);
    return true;
}

static bool place_target(struct making *making, uint32_t index)
{
    struct watched *watched = making->watched;
    const struct watched_target *target = &watched->targets[index];
    const struct target *rules = watched->upstream ? watched->upstream->targets[index] : NULL;
    struct roster_entry entry = { .host = rules ? rules->host : slice_of(watched->key),
                                  .weight = rules ? rules->weight : 1,
                                  .target_index = index };
    if (target->numeric.size > 0) {
        entry.address = target->numeric;
        return place(making, &entry);
    }
    const struct dns_name *name = target->watch.name;
    if (name == NULL)
        return false;
    making->pending = making->pending || name->state == DNS_STATE_PENDING;
    making->unresolved = making->unresolved || name->count == 0;
    bool named = watched->upstream && watched->upstream->use_srv_name;
    for (uint32_t i = 0; i < name->count; i++) {
        const struct dns_endpoint *endpoint = &name->endpoints[i];
        struct roster_entry found = entry;
        found.address = endpoint->address;
        if (address_port(&found.address) == 0)
            address_set_port(&found.address, rules ? rules->port : 0);
        if (entry.weight > 0 && endpoint->weight > 0)
            found.weight = endpoint->weight;
        if (named && endpoint->host)
            found.host = slice_of(endpoint->host);
        if (!place(making, &found))
            return false;
    }
    return true;
}

static bool is_same(const struct roster *a, const struct roster *b)
{
    if (a == NULL || a->count != b->count || a->unresolved != b->unresolved)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct roster_entry *left = &a->entries[i], *right = &b->entries[i];
        if (!address_equal(&left->address, &right->address) || left->weight != right->weight ||
            left->target_index != right->target_index || left->healthy != right->healthy ||
            left->flips != right->flips || !slice_equal(left->host, right->host))
            return false;
    }
    return true;
}

static struct roster *write_roster(const struct watched *watched, bool unresolved)
{
    struct roster *roster = roster_open(slice_of(watched->id), watched->monitor->version + 1);
    if (roster == NULL)
        return NULL;
    roster->unresolved = unresolved;
    for (struct list_node *at = watched->members.next; at != &watched->members; at = at->next)
        if (!roster_add(roster, &CONTAINER_OF(at, struct member, node)->entry)) {
            roster_release(roster);
            return NULL;
        }
    return roster;
}

static void reschedule(struct watched *watched)
{
    for (struct list_node *at = watched->members.next; at != &watched->members; at = at->next)
        member_schedule(CONTAINER_OF(at, struct member, node));
    watched_start_probes(watched);
}

static void publish(struct watched *watched, struct roster *roster)
{
    struct monitor *monitor = watched->monitor;
    monitor->version++;
    roster_release(watched->roster);
    watched->roster = roster;
    metric_add(&monitor->shard->metrics, METRIC_ROSTERS_PUBLISHED, 1);
    list_remove(&watched->published_node);
    list_append(&monitor->published, &watched->published_node);
    monitor->events->published(monitor);
}

/* False: memory is exhausted; what is in force stays. */
static bool make_roster(struct watched *watched)
{
    struct making making = { .watched = watched };
    bool enough = true;
    list_init(&making.before);
    list_move_all(&making.before, &watched->members);
    for (uint32_t i = 0; enough && i < watched->target_count; i++)
        enough = place_target(&making, i);
    struct roster *roster = enough ? write_roster(watched, making.unresolved) : NULL;
    if (making.pending || roster == NULL)
        list_move_all(&watched->members, &making.before);
    while (!list_is_empty(&making.before))
        member_drop(CONTAINER_OF(making.before.next, struct member, node));
    reschedule(watched);
    bool early = making.pending && watched->what == ROSTER_OF_HOST && watched->roster == NULL;
    if (roster == NULL || is_same(watched->roster, roster) || (early && roster->count == 0)) {
        roster_release(roster);
        return roster != NULL;
    }
    publish(watched, roster);
    return true;
}

static bool make_rosters(struct monitor *monitor)
{
    bool enough = true;
    while (!list_is_empty(&monitor->dirty)) {
        struct watched *watched = CONTAINER_OF(monitor->dirty.next, struct watched, dirty_node);
        list_remove(&watched->dirty_node);
        enough = make_roster(watched) && enough;
    }
    return enough;
}

static void run_task(struct shard_task *task)
{
    struct monitor *monitor = CONTAINER_OF(task, struct monitor, task);
    (void)!make_rosters(monitor); /* for want of memory: with the next change */
    if (monitor_is_settled(monitor))
        monitor->events->settled(monitor);
}

static void name_changed(struct dns_watch *watch)
{
    watched_soil(CONTAINER_OF(watch, struct watched_target, watch)->watched);
}

/* --- adopting a model ----------------------------------------------------------------------------------- */

static bool begin_target(struct watched *watched, struct watched_target *target, struct slice host,
                         uint16_t port)
{
    target->watched = watched;
    target->watch.changed = name_changed;
    if (address_parse(host, port, &target->numeric))
        return true;
    target->numeric.size = 0;
    return dns_watch_begin(&target->watch, &watched->monitor->resolver, host, DNS_KIND_ANY);
}

/* upstream == NULL: the key is the host. The new watches begin before the old ones end, so that names that
 * stay are not forgotten in between. */
static bool set_targets(struct watched *watched, const struct upstream *upstream)
{
    uint32_t count = upstream ? upstream->target_count : 1;
    struct watched_target *targets = calloc(count + 1, sizeof(*targets));
    bool enough = targets != NULL;
    for (uint32_t i = 0; enough && i < count; i++) {
        const struct target *target = upstream ? upstream->targets[i] : NULL;
        if (!begin_target(watched, &targets[i], target ? target->host : slice_of(watched->key),
                          target ? target->port : 0))
            enough = false;
    }
    if (!enough) {
        end_targets(targets, targets ? count : 0);
        return false;
    }
    end_targets(watched->targets, watched->target_count);
    watched->targets = targets;
    watched->target_count = count;
    return true;
}

static bool adopt(struct monitor *monitor, struct slice key, const struct upstream *upstream)
{
    enum roster_of what = upstream ? ROSTER_OF_UPSTREAM : ROSTER_OF_HOST;
    struct watched *watched = monitor_find(monitor, key, what);
    if (watched && watched->targets && watched->roster && upstream && upstream->implicit) {
        watched->upstream = upstream; /* its id says all there is to know of it: nothing has changed */
        watched->adoption = monitor->adoptions;
        return true;
    }
    if (watched == NULL)
        watched = watched_open(monitor, key, what);
    if (watched == NULL || !set_targets(watched, upstream))
        return false;
    watched->upstream = upstream;
    watched->adoption = monitor->adoptions;
    timer_disarm(&monitor->shard->timers, &watched->forget);
    watched_soil(watched);
    return true;
}

/* Absent: nothing to resolve. */
static struct slice host_key(struct slice host, char lower[DNS_NAME_SIZE])
{
    struct address numeric;
    if (host.size == 0 || host.size >= DNS_NAME_SIZE || address_parse(host, 0, &numeric))
        return (struct slice){ NULL, 0 };
    for (size_t i = 0; i < host.size; i++)
        lower[i] = slice_lower(host.data[i]);
    return (struct slice){ lower, host.size };
}

static bool adopt_host(struct monitor *monitor, struct slice host)
{
    char lower[DNS_NAME_SIZE];
    struct slice key = host_key(host, lower);
    return key.data == NULL || adopt(monitor, key, NULL);
}

static bool adopt_hosts_of(struct monitor *monitor, const struct plugin_instance *instance)
{
    struct slice hosts[PLUGIN_HOSTS_MAX];
    bool enough = true;
    uint32_t count = instance->kind->hosts_of ? instance->kind->hosts_of(instance->config, hosts) : 0;
    for (uint32_t i = 0; i < count; i++)
        enough = adopt_host(monitor, hosts[i]) && enough;
    return enough;
}

/* Its members stay, unprobed, for the case that it comes back; a host is told to be none any more. */
static void retire(struct watched *watched)
{
    struct shard *shard = watched->monitor->shard;
    stop_wanting(watched);
    end_targets(watched->targets, watched->target_count);
    watched->targets = NULL;
    watched->target_count = 0;
    watched->upstream = NULL;
    timer_arm(&shard->timers, &watched->forget, shard->now_ms + MONITOR_MEMORY_MS);
    if (watched->what == ROSTER_OF_HOST) {
        watched_soil(watched);
        return;
    }
    list_remove(&watched->dirty_node);
    list_remove(&watched->published_node);
    roster_release(watched->roster);
    watched->roster = NULL;
    reschedule(watched);
}

static void unwant(struct timer *timer)
{
    struct watched *watched = CONTAINER_OF(timer, struct watched, unwant);
    watched->monitor->wanted_count--;
    if (watched->adoption != watched->monitor->adoptions)
        retire(watched);
}

static void retire_others(struct monitor *monitor)
{
    struct watched *next;
    for (unsigned i = 0; i < MONITOR_BUCKETS; i++)
        for (struct watched *watched = monitor->buckets[i]; watched; watched = next) {
            next = watched->next;
            if (watched->adoption == monitor->adoptions || watched->targets == NULL ||
                timer_is_armed(&watched->unwant))
                continue;
            if (watched->upstream && watched->upstream->implicit)
                watched_free(watched); /* nothing is ever known of its health */
            else
                retire(watched);
        }
}

bool monitor_adopt(struct monitor *monitor, const struct model *model, const struct slices *hosts)
{
    bool enough = true;
    if (monitor->adoptions++ > 0)
        dns_client_refresh(&monitor->dns);
    for (uint32_t i = 0; i < model->upstreams.count; i++) {
        const struct upstream *upstream = model->upstreams.items[i];
        enough = adopt(monitor, slice_of(upstream->entity.id), upstream) && enough;
    }
    for (uint32_t i = 0; i < model->plugins.count; i++) {
        enough = adopt_hosts_of(monitor, model->plugins.items[i]) && enough;
    }
    for (uint32_t i = 0; i < hosts->count; i++)
        enough = adopt_host(monitor, hosts->items[i]) && enough;
    retire_others(monitor);
    return make_rosters(monitor) && enough;
}

void monitor_want(struct monitor *monitor, struct slice host)
{
    char lower[DNS_NAME_SIZE];
    struct slice key = host_key(host, lower);
    if (key.data == NULL || monitor->closing)
        return;
    struct watched *watched = monitor_find(monitor, key, ROSTER_OF_HOST);
    bool current = watched && watched->targets;
    bool wanted = watched && timer_is_armed(&watched->unwant);
    if (!wanted && monitor->wanted_count >= MONITOR_WANTED_MAX) {
        metric_add(&monitor->shard->metrics, METRIC_NAMES_REFUSED, 1);
        return;
    }
    if (!current) {
        uint64_t adoption = watched ? watched->adoption : 0;
        if (!adopt(monitor, key, NULL))
            return;
        watched = monitor_find(monitor, key, ROSTER_OF_HOST);
        watched->adoption = adoption; /* not of the configuration */
        roster_release(watched->roster); /* what was known before it was forgotten; a new one is published */
        watched->roster = NULL;
        list_remove(&watched->published_node);
    } else if (watched->roster) {
        struct roster *again = write_roster(watched, watched->roster->unresolved);
        if (again)
            publish(watched, again);
    }
    monitor->wanted_count += !wanted;
    timer_arm(&monitor->shard->timers, &watched->unwant, monitor->shard->now_ms + ROSTER_HOST_KEPT_MS);
}

bool monitor_is_settled(const struct monitor *monitor)
{
    return monitor->resolver.pending_count == 0;
}

struct roster *monitor_roster(const struct monitor *monitor, const struct upstream *upstream)
{
    const struct watched *watched = monitor_find(monitor, slice_of(upstream->entity.id), ROSTER_OF_UPSTREAM);
    return watched ? watched->roster : NULL;
}

struct roster_batch *monitor_batch_since(const struct monitor *monitor, uint64_t version)
{
    const struct list_node *all = &monitor->published;
    uint32_t count = 0;
    for (const struct list_node *at = all->previous; at != all; at = at->previous, count++)
        if (CONTAINER_OF(at, struct watched, published_node)->roster->version <= version)
            break;
    struct roster_batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->items[0]));
    if (batch == NULL)
        return NULL;
    for (const struct list_node *at = all->previous; batch->count < count; at = at->previous) {
        const struct watched *watched = CONTAINER_OF(at, struct watched, published_node);
        batch->items[batch->count].roster = roster_take(watched->roster);
        batch->items[batch->count++].what = watched->what;
    }
    return batch;
}

void roster_batch_free(struct roster_batch *batch)
{
    for (uint32_t i = 0; batch && i < batch->count; i++)
        roster_release(batch->items[i].roster);
    free(batch);
}

/* --- opening and closing -------------------------------------------------------------------------------- */

static void tell_failing(struct dns_resolver *resolver, const struct dns_name *name)
{
    struct monitor *monitor = CONTAINER_OF(resolver, struct monitor, resolver);
    monitor->events->failing(monitor, name);
}

enum error monitor_open(struct monitor *monitor, struct shard *shard, const struct monitor_options *options,
                        const struct monitor_events *events)
{
    *monitor = (struct monitor){ .shard = shard, .events = events, .owner = monitor->owner };
    list_init(&monitor->dirty);
    list_init(&monitor->published);
    shard_task_init(&monitor->task, run_task);
    dns_resolver_init(&monitor->resolver, shard, &monitor->dns.server, &options->resolver);
    monitor->resolver.failing = tell_failing;
    return dns_client_open(&monitor->dns, shard, &options->dns);
}

void monitor_abort(struct monitor *monitor)
{
    monitor->closing = true;
    for (unsigned i = 0; i < MONITOR_BUCKETS; i++)
        while (monitor->buckets[i])
            watched_free(monitor->buckets[i]);
}

bool monitor_is_idle(const struct monitor *monitor)
{
    return monitor->probing == 0;
}

void monitor_close(struct monitor *monitor)
{
    monitor_abort(monitor);
    dns_client_close(&monitor->dns);
    list_remove(&monitor->task.node);
    dns_resolver_deinit(&monitor->resolver);
}
