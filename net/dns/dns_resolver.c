/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_resolver.h"

#include "core/base/hash.h"

#include <stdlib.h>

enum { HOSTS_CHECK_MS = 1000, SHARES = 60 /* divides by 2, 3, 4, 5, 6, 10, 12 addresses of a host */ };

/* A host that a SRV record points to. */
struct dns_part {
    struct dns_watch watch;
    struct dns_name *parent;
    uint32_t weight;
    uint16_t port;
};

struct dns_parts {
    uint32_t count;
    struct dns_part items[];
};

static void resolve(struct dns_name *name);
static void refresh_parts(struct dns_name *name, enum dns_state state);

/* --- endpoints ------------------------------------------------------------------------------------------ */

static int compare_endpoints(const void *left, const void *right)
{
    const struct dns_endpoint *a = left, *b = right;
    if (a->address.size != b->address.size)
        return a->address.size < b->address.size ? -1 : 1;
    if (a->address.any.sa_family == AF_INET) {
        int order = memcmp(&a->address.v4.sin_addr, &b->address.v4.sin_addr, sizeof(struct in_addr));
        return order ? order : (int)ntohs(a->address.v4.sin_port) - (int)ntohs(b->address.v4.sin_port);
    }
    int order = memcmp(&a->address.v6.sin6_addr, &b->address.v6.sin6_addr, sizeof(struct in6_addr));
    return order ? order : (int)ntohs(a->address.v6.sin6_port) - (int)ntohs(b->address.v6.sin6_port);
}

/* Servers rotate their records: in one order, equal sets are equal. */
static uint32_t tidy(struct dns_endpoint *endpoints, uint32_t count)
{
    uint32_t kept = 0;
    if (count > 1)
        qsort(endpoints, count, sizeof(*endpoints), compare_endpoints);
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || compare_endpoints(&endpoints[kept - 1], &endpoints[i]) != 0)
            endpoints[kept++] = endpoints[i];
    return kept;
}

static bool is_same_host(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool are_equal(const struct dns_name *name, const struct dns_endpoint *endpoints, uint32_t count)
{
    if (name->count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (compare_endpoints(&name->endpoints[i], &endpoints[i]) != 0 ||
            name->endpoints[i].weight != endpoints[i].weight ||
            !is_same_host(name->endpoints[i].host, endpoints[i].host))
            return false;
    return true;
}

/* --- states --------------------------------------------------------------------------------------------- */

static void set_state(struct dns_name *name, enum dns_state state)
{
    struct dns_resolver *resolver = name->resolver;
    enum dns_state before = name->state;
    if (before == DNS_STATE_PENDING && state != DNS_STATE_PENDING)
        resolver->pending_count--;
    name->state = state;
    bool failed = before == DNS_STATE_STALE || before == DNS_STATE_FAILED;
    bool fails = state == DNS_STATE_STALE || state == DNS_STATE_FAILED;
    if (resolver->failing && failed != fails)
        resolver->failing(resolver, name);
}

static void tell(struct dns_name *name)
{
    struct list_node *next;
    for (struct list_node *at = name->watches.next; at != &name->watches; at = next) {
        struct dns_watch *watch = CONTAINER_OF(at, struct dns_watch, node);
        next = at->next;
        watch->changed(watch);
    }
}

/* Takes the endpoints, which are tidy. */
static void take_endpoints(struct dns_name *name, struct dns_endpoint *endpoints, uint32_t count,
                           enum dns_state state)
{
    bool changed = name->state != state || !are_equal(name, endpoints, count);
    free(name->endpoints);
    name->endpoints = endpoints;
    name->count = count;
    set_state(name, state);
    if (changed)
        tell(name);
}

static void again_in(struct dns_name *name, uint64_t time_ms)
{
    struct shard *shard = name->resolver->shard;
    timer_arm(&shard->timers, &name->timer, shard->now_ms + time_ms);
}

static uint64_t ttl_ms(const struct dns_resolver *resolver, uint32_t ttl_s)
{
    uint64_t records_ms = (uint64_t)ttl_s * 1000;
    if (resolver->options.valid_ms > 0)
        return resolver->options.valid_ms;
    return records_ms < DNS_LEAST_TTL_MS ? DNS_LEAST_TTL_MS : records_ms;
}

static void fail(struct dns_name *name, enum dns_status status)
{
    struct dns_resolver *resolver = name->resolver;
    const struct dns_resolver_options *options = &resolver->options;
    bool missing = status == DNS_STATUS_NO_DATA || status == DNS_STATUS_NO_NAME;
    name->failure = status;
    again_in(name, missing ? options->not_found_ms : options->error_ms);
    if (name->count > 0 && resolver->shard->now_ms < name->good_until_ms + options->stale_ms) {
        metric_add(&resolver->shard->metrics, METRIC_DNS_STALE, 1);
        if (name->state != DNS_STATE_STALE) {
            set_state(name, DNS_STATE_STALE);
            tell(name);
        }
        return;
    }
    take_endpoints(name, NULL, 0, DNS_STATE_FAILED);
}

/* --- SRV ------------------------------------------------------------------------------------------------ */

static void free_parts(struct dns_parts *parts)
{
    for (uint32_t i = 0; parts && i < parts->count; i++)
        dns_watch_end(&parts->items[i].watch);
    free(parts);
}

static void drop_parts(struct dns_name *name)
{
    list_remove(&name->task.node);
    free_parts(name->parts);
    free_parts(name->incoming);
    name->parts = name->incoming = NULL;
}

static bool are_pending(const struct dns_parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        if (parts->items[i].watch.name && parts->items[i].watch.name->state == DNS_STATE_PENDING)
            return true;
    return false;
}

static void promote_parts(struct dns_name *name)
{
    if (are_pending(name->incoming))
        return;
    free_parts(name->parts);
    name->parts = name->incoming;
    name->incoming = NULL;
    refresh_parts(name, DNS_STATE_GOOD);
}

/* Watches may end with the parts, and so not while the host's watchers are being told. */
static void parts_changed(struct shard_task *task)
{
    struct dns_name *name = CONTAINER_OF(task, struct dns_name, task);
    if (name->parts)
        refresh_parts(name, name->state == DNS_STATE_STALE ? DNS_STATE_STALE : DNS_STATE_GOOD);
    if (name->incoming)
        promote_parts(name);
}

static void part_changed(struct dns_watch *watch)
{
    struct dns_name *parent = CONTAINER_OF(watch, struct dns_part, watch)->parent;
    shard_defer(parent->resolver->shard, &parent->task);
}

/* What parts come to, and the memory their endpoints need: these, and the hosts' names behind them. */
struct parts_sum {
    uint32_t count, scale;
    size_t text_bytes;
};

static struct parts_sum add_up(const struct dns_parts *parts)
{
    struct parts_sum sum = { .scale = 1 };
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct dns_name *host = parts->items[i].watch.name;
        sum.count += host->count;
        sum.scale = host->count > 1 ? SHARES : sum.scale;
        sum.text_bytes += strlen(host->text) + 1;
    }
    return sum;
}

/* A host's addresses share its weight; to be able to, everything becomes SHARES times as heavy. */
static void refresh_parts(struct dns_name *name, enum dns_state state)
{
    const struct dns_parts *parts = name->parts;
    struct parts_sum sum = add_up(parts);
    uint32_t count = 0;
    struct dns_endpoint *endpoints =
        sum.count ? calloc(1, sum.count * sizeof(*endpoints) + sum.text_bytes) : NULL;
    if (endpoints == NULL) {
        fail(name, DNS_STATUS_FAILED);
        return;
    }
    char *text = (char *)(endpoints + sum.count);
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct dns_part *part = &parts->items[i];
        const struct dns_name *host = part->watch.name;
        size_t size = strlen(host->text) + 1;
        memcpy(text, host->text, size);
        for (uint32_t j = 0; j < host->count; j++) {
            struct dns_endpoint *endpoint = &endpoints[count++];
            uint32_t share = part->weight * sum.scale / host->count;
            endpoint->address = host->endpoints[j].address;
            endpoint->weight = share ? share : 1;
            endpoint->host = text;
            address_set_port(&endpoint->address, part->port);
        }
        text += size;
    }
    take_endpoints(name, endpoints, tidy(endpoints, count), state);
}

/* RFC 2782: only the records of the lowest priority count while one of them works, which is not known here:
 * the others are left out, as in Kong. */
static void take_services(struct dns_name *name, const struct dns_answer *answer)
{
    struct dns_parts *parts = calloc(1, sizeof(*parts) + answer->count * sizeof(struct dns_part));
    uint16_t lowest = UINT16_MAX;
    if (parts == NULL) {
        fail(name, DNS_STATUS_FAILED);
        return;
    }
    for (uint32_t i = 0; i < answer->count; i++)
        lowest = answer->records[i].priority < lowest ? answer->records[i].priority : lowest;
    for (uint32_t i = 0; i < answer->count; i++) {
        const struct dns_record *record = &answer->records[i];
        if (record->priority != lowest)
            continue;
        struct dns_part *part = &parts->items[parts->count];
        part->parent = name;
        part->port = record->port;
        part->weight = record->weight ? record->weight : 1;
        part->watch.changed = part_changed;
        if (dns_watch_begin(&part->watch, name->resolver, record->host, DNS_KIND_HOST))
            parts->count++;
    }
    free_parts(name->incoming);
    name->incoming = parts;
    promote_parts(name);
}

/* --- one resolution ------------------------------------------------------------------------------------- */

static void done(struct dns_query *query);

static void ask(struct dns_name *name)
{
    name->query.type = name->types[name->type_at];
    name->query.done = done;
    name->asking = true;
    name->resolver->server->ask(name->resolver->server, &name->query);
}

static void ask_next(struct dns_name *name)
{
    name->type_at++;
    if (name->type_at < name->type_count)
        ask(name);
    else
        fail(name, name->worst);
}

static void take_records(struct dns_name *name, const struct dns_answer *answer)
{
    struct dns_endpoint *endpoints = calloc(answer->count, sizeof(*endpoints));
    if (endpoints == NULL) {
        fail(name, DNS_STATUS_FAILED);
        return;
    }
    for (uint32_t i = 0; i < answer->count; i++)
        endpoints[i].address = answer->records[i].address;
    drop_parts(name);
    take_endpoints(name, endpoints, tidy(endpoints, answer->count), DNS_STATE_GOOD);
}

/* An alias that the server did not follow itself. */
static void follow(struct dns_name *name, const struct dns_answer *answer)
{
    struct slice host = answer->records[0].host;
    if (++name->alias_count > DNS_ALIASES_MAX || host.size + 2 > sizeof(name->query.name)) {
        fail(name, DNS_STATUS_FAILED);
        return;
    }
    memcpy(name->query.name, host.data, host.size);
    memcpy(name->query.name + host.size, ".", 2);
    name->type_at = 0;
    ask(name);
}

static void take_answer(struct dns_name *name, const struct dns_query *query)
{
    uint64_t valid_ms = ttl_ms(name->resolver, query->answer.ttl_s);
    if (query->type == DNS_TYPE_CNAME) {
        follow(name, &query->answer);
        return;
    }
    name->last_type = (uint8_t)query->type;
    name->good_until_ms = name->resolver->shard->now_ms + valid_ms;
    again_in(name, valid_ms);
    if (query->type == DNS_TYPE_SRV)
        take_services(name, &query->answer);
    else
        take_records(name, &query->answer);
}

static void free_name(struct dns_name *name)
{
    timer_disarm(&name->resolver->shard->timers, &name->timer);
    if (name->state == DNS_STATE_PENDING)
        name->resolver->pending_count--;
    drop_parts(name);
    list_remove(&name->orphan_node);
    free(name->endpoints);
    free(name);
}

static void done(struct dns_query *query)
{
    struct dns_name *name = CONTAINER_OF(query, struct dns_name, query);
    name->asking = false;
    if (name->unwatched) {
        free_name(name);
        return;
    }
    if (name->restart) {
        resolve(name);
        return;
    }
    switch (query->status) {
    case DNS_STATUS_OK: take_answer(name, query); break;
    case DNS_STATUS_NO_DATA: ask_next(name); break;
    case DNS_STATUS_NO_NAME:
        name->worst = name->worst == DNS_STATUS_FAILED ? DNS_STATUS_FAILED : DNS_STATUS_NO_NAME;
        ask_next(name);
        break;
    case DNS_STATUS_FAILED:
        name->worst = DNS_STATUS_FAILED;
        ask_next(name);
        break;
    case DNS_STATUS_TIMEOUT: fail(name, DNS_STATUS_TIMEOUT); break; /* nor would it answer the next */
    }
}

static void add_type(struct dns_name *name, uint8_t type)
{
    bool fits = name->kind == DNS_KIND_ANY || type != DNS_TYPE_SRV;
    if (type != DNS_ORDER_LAST && fits && memchr(name->types, type, name->type_count) == NULL)
        name->types[name->type_count++] = type;
}

static void choose_types(struct dns_name *name)
{
    const struct dns_resolver_options *options = &name->resolver->options;
    name->type_count = 0;
    for (uint32_t i = 0; i < options->order_count; i++)
        add_type(name, options->order[i] == DNS_ORDER_LAST ? name->last_type : options->order[i]);
    if (name->kind == DNS_KIND_HOST && name->type_count == 0)
        add_type(name, DNS_TYPE_A);
}

/* The family that comes first in dns_order, if the file has it. */
static bool take_hosts(struct dns_name *name, const struct dns_hosts_entry *entry)
{
    struct dns_endpoint *endpoints = calloc(entry->count, sizeof(*endpoints));
    uint32_t count = 0;
    if (endpoints == NULL)
        return false;
    for (uint32_t i = 0; count == 0 && i < name->type_count; i++) {
        int family = name->types[i] == DNS_TYPE_A      ? AF_INET
                     : name->types[i] == DNS_TYPE_AAAA ? AF_INET6
                                                       : AF_UNSPEC;
        for (uint32_t j = 0; j < entry->count; j++)
            if (entry->addresses[j].any.sa_family == family)
                endpoints[count++].address = entry->addresses[j];
    }
    if (count == 0) {
        free(endpoints);
        return false;
    }
    drop_parts(name);
    name->good_until_ms = name->resolver->shard->now_ms;
    timer_disarm(&name->resolver->shard->timers, &name->timer); /* until the file is another */
    take_endpoints(name, endpoints, tidy(endpoints, count), DNS_STATE_GOOD);
    return true;
}

/* From the beginning. */
static void resolve(struct dns_name *name)
{
    const struct dns_hosts_entry *entry = dns_hosts_find(&name->resolver->hosts, slice_of(name->text));
    name->restart = name->asking;
    if (name->asking)
        return;
    name->worst = DNS_STATUS_NO_DATA;
    name->type_at = name->alias_count = 0;
    choose_types(name);
    name->from_hosts = entry && take_hosts(name, entry);
    if (name->from_hosts)
        return;
    size_t size = strlen(name->text);
    memcpy(name->query.name, name->text, size + 1);
    if (name->kind == DNS_KIND_HOST && size > 0 && name->text[size - 1] != '.')
        memcpy(name->query.name + size, ".", 2);
    if (name->type_count == 0)
        fail(name, DNS_STATUS_NO_DATA);
    else
        ask(name);
}

static void time_passed(struct timer *timer)
{
    resolve(CONTAINER_OF(timer, struct dns_name, timer));
}

/* --- watching ------------------------------------------------------------------------------------------- */

static struct dns_name **bucket_of(struct dns_resolver *resolver, struct slice text)
{
    return &resolver->buckets[hash_of(text) % DNS_BUCKETS];
}

static struct dns_name *open_name(struct dns_resolver *resolver, struct slice text, enum dns_kind kind)
{
    struct dns_name *name = calloc(1, sizeof(*name));
    if (name == NULL)
        return NULL;
    struct dns_name **bucket = bucket_of(resolver, text);
    name->resolver = resolver;
    name->kind = (uint8_t)kind;
    memcpy(name->text, text.data, text.size);
    list_init(&name->watches);
    list_init(&name->orphan_node);
    shard_task_init(&name->task, parts_changed);
    timer_init(&name->timer, time_passed);
    name->next = *bucket;
    *bucket = name;
    resolver->pending_count++;
    resolve(name);
    return name;
}

bool dns_watch_begin(struct dns_watch *watch, struct dns_resolver *resolver, struct slice text,
                     enum dns_kind kind)
{
    char lower[DNS_NAME_SIZE];
    list_init(&watch->node);
    watch->name = NULL;
    if (text.size >= sizeof(lower))
        return false;
    for (size_t i = 0; i < text.size; i++)
        lower[i] = slice_lower(text.data[i]);
    struct slice wanted = { lower, text.size };
    struct dns_name *name = *bucket_of(resolver, wanted);
    while (name && (name->kind != kind || !slice_equal(slice_of(name->text), wanted)))
        name = name->next;
    if (name == NULL)
        name = open_name(resolver, wanted, kind);
    if (name == NULL)
        return false;
    watch->name = name;
    list_append(&name->watches, &watch->node);
    return true;
}

static void unlist(struct dns_name *name)
{
    struct dns_name **at = bucket_of(name->resolver, slice_of(name->text));
    while (*at != name)
        at = &(*at)->next;
    *at = name->next;
}

/* It is freed when the answer comes; until then nobody waits for it, and it wants nothing of others. */
static void set_unwatched(struct dns_name *name)
{
    if (name->state == DNS_STATE_PENDING)
        name->resolver->pending_count--;
    name->state = DNS_STATE_FAILED;
    name->unwatched = true;
    drop_parts(name);
}

void dns_watch_end(struct dns_watch *watch)
{
    struct dns_name *name = watch->name;
    if (name == NULL)
        return;
    list_remove(&watch->node);
    watch->name = NULL;
    if (!list_is_empty(&name->watches))
        return;
    unlist(name);
    timer_disarm(&name->resolver->shard->timers, &name->timer);
    if (!name->asking) {
        free_name(name);
        return;
    }
    set_unwatched(name);
    list_append(&name->resolver->orphans, &name->orphan_node);
}

/* --- the hosts file ------------------------------------------------------------------------------------- */

static void check_hosts(struct timer *timer)
{
    struct dns_resolver *resolver = CONTAINER_OF(timer, struct dns_resolver, hosts_timer);
    bool changed = dns_hosts_refresh(&resolver->hosts);
    for (unsigned i = 0; changed && i < DNS_BUCKETS; i++)
        for (struct dns_name *name = resolver->buckets[i]; name; name = name->next)
            if (name->from_hosts || dns_hosts_find(&resolver->hosts, slice_of(name->text)))
                resolve(name);
    timer_arm(&resolver->shard->timers, &resolver->hosts_timer, resolver->shard->now_ms + HOSTS_CHECK_MS);
}

void dns_resolver_init(struct dns_resolver *resolver, struct shard *shard, struct dns_server *server,
                       const struct dns_resolver_options *options)
{
    *resolver = (struct dns_resolver){ .shard = shard, .server = server, .options = *options };
    list_init(&resolver->orphans);
    dns_hosts_init(&resolver->hosts, options->hosts_path);
    timer_init(&resolver->hosts_timer, check_hosts);
    if (options->hosts_path)
        check_hosts(&resolver->hosts_timer);
}

void dns_resolver_deinit(struct dns_resolver *resolver)
{
    timer_disarm(&resolver->shard->timers, &resolver->hosts_timer);
    for (unsigned i = 0; i < DNS_BUCKETS; i++)
        CHECK(resolver->buckets[i] == NULL);
    while (!list_is_empty(&resolver->orphans))
        free_name(CONTAINER_OF(resolver->orphans.next, struct dns_name, orphan_node));
    dns_hosts_deinit(&resolver->hosts);
}
