/* SPDX-License-Identifier: Apache-2.0 */
/* An upstream as a Kong file writes it, before it becomes the model's. Private to config/kong; control
 * thread only. */
#pragma once

#include "config/kong/index.h"

struct kong_healthy {
    double interval_s;
    struct schema_integers statuses;
    int64_t successes;
};

struct kong_unhealthy {
    double interval_s;
    struct schema_integers statuses;
    int64_t tcp_failures, http_failures, timeouts;
};

struct kong_active {
    int type;
    double timeout_s;
    int64_t concurrency;
    struct slice http_path, https_sni;
    bool https_verify_certificate;
    struct schema_map headers;
    struct kong_healthy healthy;
    struct kong_unhealthy unhealthy;
};

struct kong_passive {
    int type;
    struct kong_healthy healthy;
    struct kong_unhealthy unhealthy;
};

struct kong_health {
    struct kong_active active;
    struct kong_passive passive;
    double threshold;
};

struct kong_circuit {
    int64_t connections, pending, requests, retries;
};

struct kong_outlier {
    int64_t consecutive_5xx, consecutive_gateway, interval_ms, base_ms, max_ms, max_percent;
};

struct kong_upstream {
    struct upstream upstream;
    struct kong_common common;
    struct slice algorithm;
    int hash_on, hash_fallback; /* enum hash_input; -1: reported */
    struct slice on_header, on_cookie, on_query_arg, on_uri_capture;
    struct slice fallback_header, fallback_query_arg, fallback_uri_capture;
    struct slice cookie_path, sticky_cookie, sticky_path;
    int64_t slots;
    struct kong_health health;
    struct kong_circuit circuit;
    struct kong_outlier outlier;
};

/* Where an entity is read: its mapping and what messages call it. */
struct kong_entry {
    const struct node *node;
    const struct config_place *place;
};

extern const struct schema kong_health_schema;

/* upstream_health.c: from what was read to the rules of the model. */
void kong_finish_health(const struct kong_entry *entry, struct kong_upstream *wide);
