/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/prometheus_health.h"

#include "plugins/prometheus_series.h"

#include <stdlib.h>

enum state { HEALTHCHECKS_OFF, HEALTHY, UNHEALTHY, DNS_ERROR, STATES };
static const char *const state_names[STATES] = { "healthchecks_off", "healthy", "unhealthy", "dns_error" };

void prometheus_begin_health(struct text *out)
{
    text_literal(out, "# HELP kong_upstream_target_health Health status of targets of upstream. States = "
                      "healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated.\n"
                      "# TYPE kong_upstream_target_health gauge\n");
}

/* --- in order ------------------------------------------------------------------------------------------- */

/* A target, and one of its addresses. */
struct row {
    const struct target *target;
    const struct roster_entry *entry; /* NULL: its name has no address */
};

static int compare_addresses(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return a->any.sa_family < b->any.sa_family ? -1 : 1;
    int order = a->any.sa_family == AF_INET
                    ? memcmp(&a->v4.sin_addr, &b->v4.sin_addr, sizeof(a->v4.sin_addr))
                    : memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr));
    return order ? order : (int)address_port(a) - (int)address_port(b);
}

/* By what stands in the labels. */
static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    int order = slice_compare(a->target->host, b->target->host);
    if (order == 0)
        order = (int)a->target->port - (int)b->target->port;
    if (order == 0 && a->entry && b->entry)
        return compare_addresses(&a->entry->address, &b->entry->address);
    return order ? order : (a->entry != NULL) - (b->entry != NULL);
}

/* In any order; how many. */
static uint32_t find_rows(const struct upstream *upstream, const struct roster *roster, struct row *rows,
                          bool *has_address)
{
    uint32_t count = 0;
    for (uint32_t i = 0; roster && i < roster->count; i++) {
        uint32_t index = roster->entries[i].target_index;
        if (index >= upstream->target_count)
            continue;
        rows[count++] = (struct row){ upstream->targets[index], &roster->entries[i] };
        has_address[index] = true;
    }
    for (uint32_t i = 0; i < upstream->target_count; i++)
        if (!has_address[i])
            rows[count++] = (struct row){ upstream->targets[i], NULL };
    return count;
}

/* --- lines ---------------------------------------------------------------------------------------------- */

/* Does anything decide on the health of its targets? */
static bool is_checked(const struct upstream *upstream)
{
    const struct health_rules *rules = &upstream->health;
    const struct health_limits *passive = &rules->passive;
    return rules->healthy_interval_ms > 0 || rules->unhealthy_interval_ms > 0 || passive->tcp_failures > 0 ||
           passive->http_failures > 0 || passive->timeouts > 0 || upstream->outlier.consecutive_5xx > 0 ||
           upstream->outlier.consecutive_gateway_failures > 0;
}

static void write_host(struct text *out, struct slice host, uint16_t port)
{
    bool v6 = memchr(host.data, ':', host.size) != NULL;
    if (v6)
        text_byte(out, '[');
    prometheus_add_label(out, host);
    text_format(out, v6 ? "]:%u" : ":%u", port);
}

static void write_line(struct text *out, const struct upstream *upstream, const struct row *row,
                       enum state state)
{
    text_literal(out, "kong_upstream_target_health{upstream=\"");
    prometheus_add_label(out, entity_label(&upstream->entity));
    text_literal(out, "\",target=\"");
    write_host(out, row->target->host, row->target->port);
    text_literal(out, "\",address=\"");
    if (row->entry) {
        char address[ADDRESS_TEXT_SIZE];
        size_t size = address_text(&row->entry->address, address);
        write_host(out, (struct slice){ address, size }, address_port(&row->entry->address));
    }
    text_format(out, "\",state=\"%s\",subsystem=\"http\"} ", state_names[state]);
}

/* All states, one of which it is in. */
static void write_row(struct text *out, const struct upstream *upstream, const struct row *row)
{
    enum state now = DNS_ERROR;
    if (row->entry && !is_checked(upstream))
        now = HEALTHCHECKS_OFF;
    else if (row->entry)
        now = row->entry->healthy ? HEALTHY : UNHEALTHY;
    for (enum state state = 0; state < STATES; state++) {
        write_line(out, upstream, row, state);
        text_add(out, state == now ? SLICE("1\n") : SLICE("0\n"));
    }
}

void prometheus_write_health(struct text *out, const struct upstream *upstream, const struct roster *roster)
{
    size_t most = (size_t)upstream->target_count + (roster ? roster->count : 0), end = out->size;
    struct row *rows = calloc(most + 1, sizeof(*rows));
    bool *has_address = calloc(upstream->target_count + 1u, sizeof(*has_address));
    uint32_t count = rows && has_address ? find_rows(upstream, roster, rows, has_address) : 0;
    end += PROMETHEUS_HEALTH_BYTES_MAX;
    qsort(rows, count, sizeof(*rows), compare_rows);
    for (uint32_t i = 0; i < count && out->size < end; i++)
        if (i == 0 || compare_rows(&rows[i - 1], &rows[i]) != 0) /* twice would spoil the whole page */
            write_row(out, upstream, &rows[i]);
    free(has_address);
    free(rows);
}
