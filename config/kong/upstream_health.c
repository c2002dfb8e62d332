/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/upstream.h"

#include <math.h>

/* In the order of Kong's message. */
static const char *const check_types[] = { "tcp", "http", "https", "grpc", "grpcs", NULL };

#define SECONDS_MAX 65535
#define COUNTER_MAX 255

#define STATUSES(type, defaults)                                   \
    {                                                              \
        "http_statuses", FIELD_INTEGERS, offsetof(type, statuses), \
        .min = 100,      .max = 999,     .fallback = defaults      \
    }
#define COUNTER(type, field)                                                               \
    { #field,          FIELD_INTEGER,           offsetof(type, field), .max = COUNTER_MAX, \
      .fallback = "0", .help = "0: not counted" }
#define INTERVAL(type)                                                 \
    { "interval",         FIELD_NUMBER,    offsetof(type, interval_s), \
      .max = SECONDS_MAX, .fallback = "0", .help = "seconds; 0: no probes" }

static const struct field active_healthy_fields[] = {
    INTERVAL(struct kong_healthy),
    STATUSES(struct kong_healthy, "200,302"),
    COUNTER(struct kong_healthy, successes),
};
static const struct field active_unhealthy_fields[] = {
    INTERVAL(struct kong_unhealthy),
    STATUSES(struct kong_unhealthy, "429,404,500,501,502,503,504,505"),
    COUNTER(struct kong_unhealthy, http_failures),
    COUNTER(struct kong_unhealthy, tcp_failures),
    COUNTER(struct kong_unhealthy, timeouts),
};
static const struct field passive_healthy_fields[] = {
    STATUSES(struct kong_healthy, "200,201,202,203,204,205,206,207,208,226,"
                                  "300,301,302,303,304,305,306,307,308"),
    COUNTER(struct kong_healthy, successes),
};
static const struct field passive_unhealthy_fields[] = {
    STATUSES(struct kong_unhealthy, "429,500,503"),
    COUNTER(struct kong_unhealthy, http_failures),
    COUNTER(struct kong_unhealthy, tcp_failures),
    COUNTER(struct kong_unhealthy, timeouts),
};

static const struct schema active_healthy_schema = { "healthy", active_healthy_fields,
                                                     COUNT_OF(active_healthy_fields),
                                                     sizeof(struct kong_healthy) };
static const struct schema active_unhealthy_schema = { "unhealthy", active_unhealthy_fields,
                                                       COUNT_OF(active_unhealthy_fields),
                                                       sizeof(struct kong_unhealthy) };
static const struct schema passive_healthy_schema = { "healthy", passive_healthy_fields,
                                                      COUNT_OF(passive_healthy_fields),
                                                      sizeof(struct kong_healthy) };
static const struct schema passive_unhealthy_schema = { "unhealthy", passive_unhealthy_fields,
                                                        COUNT_OF(passive_unhealthy_fields),
                                                        sizeof(struct kong_unhealthy) };

#define ACTIVE(member) offsetof(struct kong_active, member)

static const struct field active_fields[] = {
    { "type", FIELD_CHOICE, ACTIVE(type), .choices = check_types, .fallback = "http",
      .help = "http and tcp are supported so far" },
    { "timeout", FIELD_NUMBER, ACTIVE(timeout_s), .max = SECONDS_MAX, .fallback = "1", .help = "seconds" },
    { "concurrency", FIELD_INTEGER, ACTIVE(concurrency), .min = 1, .max = 2147483648, .fallback = "10",
      .help = "probes at a time" },
    { "http_path", FIELD_STRING, ACTIVE(http_path), .check = kong_check_path, .fallback = "/" },
    { "https_sni", FIELD_STRING, ACTIVE(https_sni), .check = kong_check_sni },
    { "https_verify_certificate", FIELD_BOOLEAN, ACTIVE(https_verify_certificate), .fallback = "true" },
    { "headers", FIELD_MAP, ACTIVE(headers), .check = kong_check_header_text },
    { "healthy", FIELD_RECORD, ACTIVE(healthy), .record = &active_healthy_schema },
    { "unhealthy", FIELD_RECORD, ACTIVE(unhealthy), .record = &active_unhealthy_schema },
};
static const struct schema active_schema = { "active", active_fields, COUNT_OF(active_fields),
                                             sizeof(struct kong_active) };

static const struct field passive_fields[] = {
    { "type", FIELD_CHOICE, offsetof(struct kong_passive, type), .choices = check_types, .fallback = "http" },
    { "healthy", FIELD_RECORD, offsetof(struct kong_passive, healthy), .record = &passive_healthy_schema },
    { "unhealthy", FIELD_RECORD, offsetof(struct kong_passive, unhealthy),
      .record = &passive_unhealthy_schema },
};
static const struct schema passive_schema = { "passive", passive_fields, COUNT_OF(passive_fields),
                                              sizeof(struct kong_passive) };

static const struct field health_fields[] = {
    { "active", FIELD_RECORD, offsetof(struct kong_health, active), .record = &active_schema },
    { "passive", FIELD_RECORD, offsetof(struct kong_health, passive), .record = &passive_schema },
    { "threshold", FIELD_NUMBER, offsetof(struct kong_health, threshold), .max = 100, .fallback = "0",
      .help = "percent of the weight that must be available" },
};
const struct schema kong_health_schema = { "healthchecks", health_fields, COUNT_OF(health_fields),
                                           sizeof(struct kong_health) };

static int probe_kind(int type)
{
    static const enum probe_kind kinds[] = { PROBE_TCP, PROBE_HTTP, PROBE_HTTPS, PROBE_GRPC, PROBE_GRPCS };
    return type < 0 ? PROBE_HTTP : (int)kinds[type];
}

static void set_statuses(struct status_set *set, const struct schema_integers *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i] >= 0 && list->items[i] < 64 * (int64_t)COUNT_OF(set->bits))
            set->bits[list->items[i] / 64] |= UINT64_C(1) << (list->items[i] % 64);
}

static struct health_limits limits_of(const struct kong_healthy *healthy,
                                      const struct kong_unhealthy *unhealthy)
{
    struct health_limits limits = {
        .successes = (uint32_t)healthy->successes,
        .tcp_failures = (uint32_t)unhealthy->tcp_failures,
        .http_failures = (uint32_t)unhealthy->http_failures,
        .timeouts = (uint32_t)unhealthy->timeouts,
    };
    set_statuses(&limits.healthy, &healthy->statuses);
    set_statuses(&limits.unhealthy, &unhealthy->statuses);
    return limits;
}

/* A number that was refused was reported and stays what the default is. */
static int64_t milliseconds(double seconds)
{
    return isfinite(seconds) && seconds > 0 ? (int64_t)llround(seconds * 1000) : 0;
}

static void check_kind(const struct kong_entry *entry, const struct kong_upstream *wide)
{
    const struct kong_active *active = &wide->health.active;
    int kind = probe_kind(active->type);
    bool probes = active->healthy.interval_s > 0 || active->unhealthy.interval_s > 0;
    if (active->type < 0 || !probes || kind == PROBE_HTTP || kind == PROBE_HTTPS || kind == PROBE_TCP)
        return;
    const struct node *node = node_find(node_find(entry->node, "healthchecks"), "active");
    struct config_place deeper = schema_place(entry->place, "healthchecks");
    deeper = schema_place(&deeper, "active");
    schema_error(&deeper, node, "type", "'%s': not supported yet", check_types[active->type]);
}

void kong_finish_health(const struct kong_entry *entry, struct kong_upstream *wide)
{
    const struct kong_health *health = &wide->health;
    const struct kong_active *active = &health->active;
    wide->upstream.health = (struct health_rules){
        .active_kind = probe_kind(active->type),
        .passive_kind = probe_kind(health->passive.type),
        .active = limits_of(&active->healthy, &active->unhealthy),
        .passive = limits_of(&health->passive.healthy, &health->passive.unhealthy),
        .active_timeout_ms = milliseconds(active->timeout_s),
        .healthy_interval_ms = milliseconds(active->healthy.interval_s),
        .unhealthy_interval_ms = milliseconds(active->unhealthy.interval_s),
        .concurrency = (uint32_t)active->concurrency,
        .path = active->http_path,
        .headers = active->headers,
        .sni = active->https_sni,
        .verify_certificate = active->https_verify_certificate,
        .threshold_percent = health->threshold,
    };
    check_kind(entry, wide);
}
