/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's part about health: when a member is probed, and what becomes of probes and reports. */
#include "net/proxy/monitor_state.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_BYTES = 64 * 1024, LONGEST_PROBE_MS = 60000 };

/* --- flips ---------------------------------------------------------------------------------------------- */

static void take_flip(struct member *member, enum health_flip flip, const char *cause)
{
    struct watched *watched = member->watched;
    struct monitor *monitor = watched->monitor;
    if (flip == HEALTH_KEPT)
        return;
    member->entry.healthy = flip == HEALTH_BECAME_HEALTHY;
    member->entry.flips++;
    metric_add(&monitor->shard->metrics, METRIC_HEALTH_CHANGES, 1);
    struct monitor_flip told = { .upstream = watched->upstream->entity.name,
                                 .entry = &member->entry,
                                 .healthy = member->entry.healthy,
                                 .cause = cause };
    monitor->events->flipped(monitor, &told);
    watched_soil(watched);
}

static bool are_looked_at(const struct health_limits *limits)
{
    return health_counts(limits, HEALTH_HTTP_FAILURE) || health_counts(limits, HEALTH_TCP_FAILURE) ||
           health_counts(limits, HEALTH_TIMEOUT) || health_counts(limits, HEALTH_SUCCESS);
}

void member_believe(struct member *member)
{
    const struct upstream *upstream = member->watched->upstream;
    if (upstream == NULL || member->entry.healthy || are_looked_at(&upstream->health.active) ||
        are_looked_at(&upstream->health.passive))
        return;
    health_set(&member->health, true);
    take_flip(member, HEALTH_BECAME_HEALTHY, "unchecked");
}

/* --- the timetable -------------------------------------------------------------------------------------- */

/* 0: is not probed. */
static uint64_t interval_ms(const struct member *member)
{
    const struct watched *watched = member->watched;
    if (watched == NULL || watched->upstream == NULL || member->entry.weight == 0 || member->monitor->closing)
        return 0;
    const struct health_rules *rules = &watched->upstream->health;
    if (rules->active_kind != PROBE_HTTP && rules->active_kind != PROBE_HTTPS &&
        rules->active_kind != PROBE_TCP)
        return 0;
    return (uint64_t)(health_is_good(&member->health) ? rules->healthy_interval_ms
                                                      : rules->unhealthy_interval_ms);
}

void member_schedule(struct member *member)
{
    struct shard *shard = member->monitor->shard;
    uint64_t wait_ms = interval_ms(member);
    if (wait_ms == 0) {
        timer_disarm(&shard->timers, &member->timer);
        list_remove(&member->waiting_node);
        return;
    }
    if ((member->probe && member->probe->probe.running) || !list_is_empty(&member->waiting_node))
        return;
    uint64_t at_ms = member->probe_began_ms ? member->probe_began_ms + wait_ms : shard->now_ms + 1;
    if (at_ms <= shard->now_ms)
        at_ms = shard->now_ms + 1;
    timer_disarm(&shard->timers, &member->timer); /* it may be earlier than before */
    timer_arm(&shard->timers, &member->timer, at_ms);
}

/* --- one probe ------------------------------------------------------------------------------------------ */

static bool write_headers(FILE *out, const struct upstream *upstream, struct slice host)
{
    const struct schema_map *headers = &upstream->health.headers;
    bool has_host = false;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct schema_map_entry *entry = &headers->entries[i];
        has_host = has_host || slice_equal_nocase(entry->name, SLICE("host"));
        for (uint32_t j = 0; j < entry->values.count; j++)
            fprintf(out, "%.*s: %.*s\r\n", SLICE_FORMAT(entry->name), SLICE_FORMAT(entry->values.items[j]));
    }
    if (!has_host)
        fprintf(out, memchr(host.data, ':', host.size) ? "Host: [%.*s]\r\n" : "Host: %.*s\r\n",
                SLICE_FORMAT(host));
    return ferror(out) == 0;
}

/* malloc'ed text; NULL: no memory. */
static char *write_request(const struct member *member, size_t *size)
{
    const struct upstream *upstream = member->watched->upstream;
    struct slice path = upstream->health.path, host = upstream->host_header;
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (out == NULL)
        return NULL;
    if (path.size == 0)
        path = SLICE("/");
    fprintf(out, "GET %.*s HTTP/1.1\r\n", SLICE_FORMAT(path));
    bool written = write_headers(out, upstream, host.size ? host : member->entry.host);
    fprintf(out, "User-Agent: sluice/%s\r\nConnection: close\r\n\r\n", SLUICE_VERSION);
    if (fclose(out) == 0 && written && *size <= REQUEST_BYTES)
        return text;
    free(text);
    return NULL;
}

static void probe_done(struct probe *probe);

/* By the name that was given for it, or the target's own; believed as by everything that the gateway itself
 * asks, and with the upstream's certificate shown. The name is NUL-terminated: the model's and the member's
 * are. */
static struct tls_target tls_of(const struct member *member)
{
    const struct health_rules *rules = &member->watched->upstream->health;
    const struct tls_loop *loop = member->monitor->shard->tls;
    enum tls_own own = rules->verify_certificate ? TLS_OWN_VERIFIES : TLS_OWN_BELIEVES;
    const char *name = rules->sni.data ? rules->sni.data : member->host;
    struct address numeric;
    bool asked = !address_parse(slice_of(name), 0, &numeric);
    struct tls_client *client = member->watched->upstream->probe_client;
    return (struct tls_target){ client ? client : loop->options.own[own], asked ? name : NULL, name };
}

static bool begin_probe(struct member *member)
{
    const struct health_rules *rules = &member->watched->upstream->health;
    bool http = rules->active_kind == PROBE_HTTP || rules->active_kind == PROBE_HTTPS;
    struct tls_target tls;
    struct probe_target target = { .address = member->entry.address,
                                   .timeout_ms = rules->active_timeout_ms ? (uint64_t)rules->active_timeout_ms
                                                                          : LONGEST_PROBE_MS };
    char *request = http ? write_request(member, &target.request.size) : NULL;
    target.request.data = request;
    if (rules->active_kind == PROBE_HTTPS) {
        tls = tls_of(member);
        target.tls = &tls;
    }
    if (member->probe == NULL)
        member->probe = calloc(1, sizeof(*member->probe));
    bool begun = false;
    if (member->probe && (request || !http)) {
        member->probe->member = member;
        member->probe->probe.done = probe_done;
        begun = probe_begin(&member->probe->probe, member->monitor->shard, &target);
    }
    free(request);
    return begun;
}

static void start_probe(struct member *member)
{
    struct monitor *monitor = member->monitor;
    member->probe_began_ms = monitor->shard->now_ms;
    if (!begin_probe(member)) {
        member_schedule(member); /* no memory: the next time */
        return;
    }
    member->watched->probing++;
    monitor->probing++;
    metric_add(&monitor->shard->metrics, METRIC_PROBES, 1);
}

void watched_start_probes(struct watched *watched)
{
    uint32_t most = watched->upstream ? watched->upstream->health.concurrency : 0;
    while ((most == 0 || watched->probing < most) && !list_is_empty(&watched->probes_waiting)) {
        struct member *member = CONTAINER_OF(watched->probes_waiting.next, struct member, waiting_node);
        list_remove(&member->waiting_node);
        start_probe(member);
    }
}

/* False: the outcome says nothing about health. */
static bool event_of(const struct probe *probe, const struct health_limits *limits, enum health_event *event)
{
    switch (probe->outcome) {
    case PROBE_STATUS: return health_event_of_status(limits, probe->status, event);
    case PROBE_CONNECTED: *event = HEALTH_SUCCESS; return true;
    case PROBE_NO_ANSWER: *event = HEALTH_TCP_FAILURE; return true;
    case PROBE_TIMED_OUT: *event = HEALTH_TIMEOUT; return true;
    case PROBE_NONE:
    case PROBE_CANCELLED: break;
    }
    return false;
}

static void take_outcome(struct member *member)
{
    const struct health_limits *limits = &member->watched->upstream->health.active;
    enum health_event event;
    if (!event_of(&member->probe->probe, limits, &event))
        return;
    if (event != HEALTH_SUCCESS)
        metric_add(&member->monitor->shard->metrics, METRIC_PROBES_FAILED, 1);
    take_flip(member, health_take(&member->health, limits, event, 1), "active");
}

static void probe_done(struct probe *probe)
{
    struct member *member = CONTAINER_OF(probe, struct member_probe, probe)->member;
    struct watched *watched = member->watched;
    member->monitor->probing--;
    if (watched == NULL) {
        member_drop(member);
        return;
    }
    watched->probing--;
    if (watched->upstream)
        take_outcome(member);
    member_schedule(member);
    watched_start_probes(watched);
}

static void probe_due(struct timer *timer)
{
    struct member *member = CONTAINER_OF(timer, struct member, timer);
    list_append(&member->watched->probes_waiting, &member->waiting_node);
    watched_start_probes(member->watched);
}

/* --- members -------------------------------------------------------------------------------------------- */

struct member *member_open(struct watched *watched, const struct roster_entry *entry)
{
    struct member *member = calloc(1, sizeof(*member) + entry->host.size + 1);
    if (member == NULL)
        return NULL;
    member->monitor = watched->monitor;
    member->watched = watched;
    member->entry = *entry;
    member->entry.healthy = true;
    memcpy(member->host, entry->host.data, entry->host.size);
    member->entry.host.data = member->host;
    list_init(&member->waiting_node);
    timer_init(&member->timer, probe_due);
    list_init(&member->node);
    list_append(&watched->members, &member->node);
    return member;
}

void member_drop(struct member *member)
{
    bool running = member->probe && member->probe->probe.running;
    list_remove(&member->node);
    list_remove(&member->waiting_node);
    timer_disarm(&member->monitor->shard->timers, &member->timer);
    if (!running) {
        free(member->probe);
        free(member);
        return;
    }
    member->watched->probing--;
    member->watched = NULL;
    probe_cancel(&member->probe->probe);
}

void monitor_take_report(struct monitor *monitor, const struct health_report *report)
{
    struct watched *watched = monitor_find(monitor, slice_of(report->key), ROSTER_OF_UPSTREAM);
    if (watched == NULL || watched->upstream == NULL)
        return;
    for (struct list_node *at = watched->members.next; at != &watched->members; at = at->next) {
        struct member *member = CONTAINER_OF(at, struct member, node);
        if (!address_equal(&member->entry.address, &report->address))
            continue;
        const struct health_limits *limits = &watched->upstream->health.passive;
        take_flip(member, health_take_report(&member->health, limits, report), "passive");
        member_schedule(member);
    }
}

static bool is_meant(const struct member *member, const struct monitor_decree *decree)
{
    if (decree->address)
        return address_equal(&member->entry.address, decree->address);
    return slice_equal_nocase(member->entry.host, decree->host) &&
           (decree->port == 0 || address_port(&member->entry.address) == decree->port);
}

uint32_t monitor_decree(struct monitor *monitor, const struct monitor_decree *decree)
{
    struct watched *watched = monitor_find(monitor, slice_of(decree->upstream), ROSTER_OF_UPSTREAM);
    uint32_t count = 0;
    if (watched == NULL || watched->upstream == NULL)
        return 0;
    for (struct list_node *at = watched->members.next; at != &watched->members; at = at->next) {
        struct member *member = CONTAINER_OF(at, struct member, node);
        if (!is_meant(member, decree))
            continue;
        count++;
        health_set(&member->health, decree->healthy);
        if (member->entry.healthy != decree->healthy)
            take_flip(member, decree->healthy ? HEALTH_BECAME_HEALTHY : HEALTH_BECAME_UNHEALTHY,
                      "administrator");
        member_schedule(member);
    }
    return count;
}
