/* SPDX-License-Identifier: Apache-2.0 */
/* A named group of targets and how requests are spread over them: the balancer's, the prober's and the pools'
 * part of the model, in nobody's dialect. Built by a front-end in the model's arena, then only read. */
#pragma once

#include "config/entity.h"

struct certificate;

enum balance {
    BALANCE_ROUND_ROBIN,
    BALANCE_LEAST_CONNECTIONS, /* smallest (connections + 1) / weight of all */
    BALANCE_LEAST_REQUEST, /* the better of two drawn at random */
    BALANCE_CONSISTENT_HASHING, /* Kong's ring of slots */
    BALANCE_MAGLEV,
    BALANCE_LATENCY, /* peak EWMA */
    BALANCE_STICKY /* a cookie names the target */
};

enum hash_input {
    HASH_NONE,
    HASH_CONSUMER,
    HASH_IP,
    HASH_HEADER,
    HASH_COOKIE,
    HASH_PATH,
    HASH_QUERY_ARG,
    HASH_URI_CAPTURE
};

struct hash_key {
    int input; /* enum hash_input */
    struct slice name; /* of the header, cookie, argument or capture */
};

struct target {
    struct entity entity;
    struct slice host; /* a name or a numeric address without brackets, lower case */
    uint16_t port;
    uint32_t weight; /* 0: no traffic */
};

enum probe_kind { PROBE_HTTP, PROBE_HTTPS, PROBE_TCP, PROBE_GRPC, PROBE_GRPCS };

/* HTTP statuses as a bit per value. */
struct status_set {
    uint64_t bits[16]; /* 0..1023 */
};

/* How many reports of a kind settle a state; 0: such reports are not counted. */
struct health_limits {
    uint32_t successes; /* to be healthy again */
    uint32_t tcp_failures, http_failures, timeouts; /* to be unhealthy */
    struct status_set healthy, unhealthy;
};

struct health_rules {
    int active_kind, passive_kind; /* enum probe_kind */
    struct health_limits active, passive;
    int64_t active_timeout_ms, healthy_interval_ms, unhealthy_interval_ms; /* intervals of 0: no probes */
    uint32_t concurrency;
    struct slice path;
    struct schema_map headers;
    struct slice sni; /* absent: the target's name */
    bool verify_certificate;
    double threshold_percent; /* below or at it the whole upstream is unhealthy */
};

/* Limits of one upstream and shard's share of them; 0: none. */
struct circuit_limits {
    uint32_t connections, pending, requests, retries;
};

/* Envoy's outlier detection; consecutive_5xx == 0 and consecutive_gateway == 0: off. */
struct outlier_rules {
    uint32_t consecutive_5xx, consecutive_gateway_failures;
    int64_t interval_ms, base_ejection_ms, max_ejection_ms;
    uint32_t max_ejection_percent;
};

struct tls_client;

struct upstream {
    struct entity entity;
    int balance; /* enum balance */
    struct hash_key hash_on, hash_fallback; /* BALANCE_STICKY: hash_on is its cookie */
    struct slice cookie_path; /* of the cookie that is issued */
    int64_t cookie_ttl_s; /* INTEGER_NULL: a session cookie */
    uint32_t slots;
    struct slice host_header; /* absent: the target's name */
    bool use_srv_name;
    struct certificate *client_certificate; /* NULL: none; for services that name none, and for probes */
    struct tls_client
        *probe_client; /* the model's, for probes that show it (net/proxy/tls_profiles.h); or NULL */
    int64_t slow_start_ms; /* 0: off */
    struct health_rules health;
    struct circuit_limits circuit;
    struct outlier_rules outlier;
    struct target **targets;
    uint32_t target_count, target_capacity;
    bool implicit; /* made from the host and port of a service: one target, no health rules */
};
