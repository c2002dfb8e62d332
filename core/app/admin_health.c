/* SPDX-License-Identifier: Apache-2.0 */
/* Targets and how they are: what the monitor knows, and what an administrator says. */
#include "core/app/admin_entities.h"
#include "core/app/watch.h"

#include <stdio.h>
#include <stdlib.h>

/* --- asking the monitor --------------------------------------------------------------------------------- */

struct inquiry {
    const char *upstream; /* its id */
    struct roster *roster; /* taken; NULL: none */
    const struct monitor_decree *decree; /* NULL: only the roster is wanted */
    uint32_t count; /* addresses that the decree was about */
};

static void inquire(void *argument, const struct change_tools *tools)
{
    struct inquiry *inquiry = argument;
    for (uint32_t i = 0; i < tools->model->upstreams.count; i++) {
        struct upstream *const *upstream = &tools->model->upstreams.items[i];
        if (strcmp((*upstream)->entity.id, inquiry->upstream) != 0)
            continue;
        if (inquiry->decree)
            inquiry->count = watch_decree(tools->watch, inquiry->decree);
        else
            watch_take_rosters(tools->watch, upstream, 1, &inquiry->roster);
        return;
    }
}

static bool ask(const struct admin_call *call, struct inquiry *inquiry)
{
    const struct admin_source *source = &call->node->source;
    const struct change change = { .argument = inquiry, .task = inquire };
    return source->change(source->owner, &change) == CHANGE_DONE;
}

/* --- what is in the catalog ----------------------------------------------------------------------------- */

/* An upstream with its targets. */
struct group {
    json_t *upstream; /* as shown */
    json_t *targets; /* the same */
    char id[37];
};

static bool open_group(struct admin_call *call, struct group *group)
{
    const struct admin_source *source = &call->node->source;
    const struct kong_entity_kind *kind = kong_find_entity_kind(SLICE("upstreams"));
    const struct kong_entity_kind *targets = kong_find_entity_kind(SLICE("targets"));
    const struct catalog *catalog = in_force_open_catalog(source->in_force);
    const struct catalog_row *row = catalog ? admin_find(catalog, kind, call->segments[1]) : NULL;
    uint32_t count = 0;
    *group = (struct group){ 0 };
    if (row) {
        const struct catalog_row *rows = catalog_of_kind(catalog, "targets", &count);
        group->upstream = admin_show(call->node, catalog, kind, row);
        group->targets = json_array();
        snprintf(group->id, sizeof(group->id), "%s", row->id);
        for (uint32_t i = 0; i < count; i++)
            if (catalog_refers(&rows[i], "upstream", row->id))
                json_array_append_new(group->targets, admin_show(call->node, catalog, targets, &rows[i]));
    }
    in_force_close(source->in_force);
    if (row == NULL)
        admin_not_found(call);
    return row != NULL;
}

static void close_group(struct group *group)
{
    json_decref(group->upstream);
    json_decref(group->targets);
}

/* Is anything counted or probed? */
static bool has_number(const json_t *value)
{
    static const char *const names[] = { "interval", "successes", "http_failures", "tcp_failures",
                                         "timeouts" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_number_value(json_object_get(value, names[i])) > 0)
            return true;
    return false;
}

static bool is_checked(const struct group *group)
{
    const json_t *checks = json_object_get(group->upstream, "healthchecks");
    static const char *const kinds[] = { "active", "passive" }, *const sides[] = { "healthy", "unhealthy" };
    for (size_t i = 0; i < 4; i++)
        if (has_number(json_object_get(json_object_get(checks, kinds[i / 2]), sides[i % 2])))
            return true;
    return false;
}

/* "host:port", also in brackets. */
static bool split_target(const char *text, struct slice *host, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    uint64_t number;
    if (colon == NULL || !slice_to_u64(slice_of(colon + 1), &number) || number > UINT16_MAX)
        return false;
    *host = (struct slice){ text, (size_t)(colon - text) };
    if (host->size > 2 && text[0] == '[')
        *host = (struct slice){ text + 1, host->size - 2 };
    *port = (uint16_t)number;
    return true;
}

/* --- GET /upstreams/{}/health --------------------------------------------------------------------------- */

struct tally {
    double total, available;
    bool any, any_healthy;
};

static json_t *addresses_of(const struct roster *roster, const json_t *target, bool checked,
                            struct tally *tally)
{
    struct slice host;
    uint16_t port;
    json_t *list = json_array();
    const char *name = json_string_value(json_object_get(target, "target"));
    if (name == NULL || !split_target(name, &host, &port))
        return list;
    for (uint32_t i = 0; roster && i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        char text[ADDRESS_TEXT_SIZE];
        if (!slice_equal_nocase(entry->host, host) || address_port(&entry->address) != port)
            continue;
        address_text(&entry->address, text);
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s}", "ip", text, "port", (int)port, "weight",
                                              (int)entry->weight, "health",
                                              !checked         ? "HEALTHCHECKS_OFF"
                                              : entry->healthy ? "HEALTHY"
                                                               : "UNHEALTHY"));
        tally->any = true;
        tally->any_healthy = tally->any_healthy || entry->healthy;
        tally->total += entry->weight;
        tally->available += entry->healthy ? entry->weight : 0;
    }
    return list;
}

static json_t *weights_json(const struct tally *tally)
{
    return json_pack("{s:I, s:I, s:I}", "total", (json_int_t)tally->total, "available",
                     (json_int_t)tally->available, "unavailable",
                     (json_int_t)(tally->total - tally->available));
}

/* Adds `health` and `data` to a target. */
static void describe_target(json_t *target, const struct roster *roster, bool checked, struct tally *all)
{
    struct tally own = { 0 };
    struct slice host = SLICE("");
    uint16_t port = 0;
    json_t *addresses = addresses_of(roster, target, checked, &own);
    const char *health = !own.any          ? "DNS_ERROR"
                         : !checked        ? "HEALTHCHECKS_OFF"
                         : own.any_healthy ? "HEALTHY"
                                           : "UNHEALTHY";
    const char *name = json_string_value(json_object_get(target, "target"));
    if (name)
        (void)split_target(name, &host, &port);
    json_t *data = json_pack("{s:s%, s:i, s:O, s:o, s:o, s:s}", "host", host.data, host.size, "port",
                             (int)port, "nodeWeight", json_object_get(target, "weight"), "weight",
                             weights_json(&own), "addresses", addresses, "dns", own.any ? "A" : "dns error");
    json_object_set_new(target, "health", json_string(health));
    json_object_set_new(target, "data", data);
    all->any = all->any || own.any;
    all->any_healthy = all->any_healthy || own.any_healthy;
    all->total += own.total;
    all->available += own.available;
}

static void answer_health(struct admin_call *call, const struct group *group, const struct roster *roster)
{
    struct tally all = { 0 };
    bool checked = is_checked(group), balancer;
    for (size_t i = 0; i < json_array_size(group->targets); i++)
        describe_target(json_array_get(group->targets, i), roster, checked, &all);
    struct slice wanted = admin_parameter(call, "balancer_health");
    balancer = slice_equal(wanted, SLICE("1")) || slice_equal(wanted, SLICE("true"));
    const char *health = !checked ? "HEALTHCHECKS_OFF" : all.any_healthy ? "HEALTHY" : "UNHEALTHY";
    json_t *data = json_incref(group->targets);
    if (balancer) {
        data = json_pack("{s:s, s:s, s:s, s:{s:b, s:o, s:o}}", "id", group->id, "health", health,
                         "balancer_health", health, "details", "healthy", all.any_healthy, "weight",
                         weights_json(&all), "hosts", data);
    }
    admin_json(call->answer, 200,
               json_pack("{s:o, s:n, s:s}", "data", data, "next", "node_id", call->node->id));
}

static void handle_health(struct admin_call *call)
{
    struct group group;
    if (!open_group(call, &group))
        return;
    struct inquiry inquiry = { .upstream = group.id };
    if (ask(call, &inquiry))
        answer_health(call, &group, inquiry.roster);
    else
        admin_message(call->answer, 503, "shutting down");
    roster_release(inquiry.roster);
    close_group(&group);
}

/* --- PUT /upstreams/{}/targets/{}[/{}]/healthy ---------------------------------------------------------- */

/* The target's text, by its id or itself; NULL: there is none. */
static const char *find_target(const struct group *group, struct slice wanted)
{
    for (size_t i = 0; i < json_array_size(group->targets); i++) {
        const json_t *target = json_array_get(group->targets, i);
        const char *text = json_string_value(json_object_get(target, "target"));
        const char *id = json_string_value(json_object_get(target, "id"));
        if (text && id && (slice_equal(wanted, slice_of(text)) || slice_equal_nocase(wanted, slice_of(id))))
            return text;
    }
    return NULL;
}

static bool decree(struct admin_call *call, const struct group *group, bool healthy)
{
    struct monitor_decree order = { .upstream = group->id, .healthy = healthy };
    struct address address;
    const char *target = find_target(group, call->segments[3]);
    if (target == NULL || !split_target(target, &order.host, &order.port))
        return false;
    if (call->segment_count == 6) {
        struct slice host;
        uint16_t port;
        if (!split_target(call->segments[4].data, &host, &port) || !address_parse(host, port, &address))
            return false;
        order.address = &address;
    }
    struct inquiry inquiry = { .upstream = group->id, .decree = &order };
    return ask(call, &inquiry) && inquiry.count > 0;
}

static void handle_decree(struct admin_call *call)
{
    struct group group;
    if (!open_group(call, &group))
        return;
    if (decree(call, &group, slice_equal(call->segments[call->segment_count - 1], SLICE("healthy"))))
        admin_empty(call->answer, 204);
    else
        admin_not_found(call);
    close_group(&group);
}

/* Every target of an upstream is listed as it is: there is no history. */
static void handle_all_targets(struct admin_call *call)
{
    const struct admin_source *source = &call->node->source;
    struct admin_target target = { .kind = kong_find_entity_kind(SLICE("targets")),
                                   .parent = kong_find_entity_kind(SLICE("upstreams")),
                                   .relation = kong_find_relation(SLICE("targets"), SLICE("upstream")) };
    const struct catalog *catalog = in_force_open_catalog(source->in_force);
    const struct catalog_row *parent = catalog ? admin_find(catalog, target.parent, call->segments[1]) : NULL;
    if (parent)
        admin_list(call, catalog, &target, parent);
    else
        admin_not_found(call);
    in_force_close(source->in_force);
}

const struct admin_endpoint admin_health_endpoints[] = {
    { "/upstreams/{}/health", ADMIN_GET, handle_health, true },
    { "/upstreams/{}/targets/all", ADMIN_GET, handle_all_targets, false },
    { "/upstreams/{}/targets/{}/healthy", ADMIN_PUT | ADMIN_POST, handle_decree, false },
    { "/upstreams/{}/targets/{}/unhealthy", ADMIN_PUT | ADMIN_POST, handle_decree, false },
    { "/upstreams/{}/targets/{}/{}/healthy", ADMIN_PUT | ADMIN_POST, handle_decree, false },
    { "/upstreams/{}/targets/{}/{}/unhealthy", ADMIN_PUT | ADMIN_POST, handle_decree, false },
    { 0 },
};
