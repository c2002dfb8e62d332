/* SPDX-License-Identifier: Apache-2.0 */
/* What statsd and datadog tell of a request: numbers by the names of Kong's metrics. Any thread. */
#pragma once

#include "config/model.h"
#include "net/proxy/exchange_log.h"

enum statsd_metric {
    STATSD_REQUEST_COUNT,
    STATSD_LATENCY,
    STATSD_REQUEST_SIZE,
    STATSD_RESPONSE_SIZE,
    STATSD_UPSTREAM_LATENCY,
    STATSD_KONG_LATENCY,
    STATSD_VALUES, /* those above are a number each */
    STATSD_STATUS_COUNT = STATSD_VALUES,
    STATSD_STATUS_PER_USER,
    STATSD_STATUS_PER_WORKSPACE,
    STATSD_STATUS_PER_ROUTE,
    STATSD_REQUESTS_PER_USER,
    STATSD_UNIQUE_USERS,
    STATSD_SHARED_MEMORY, /* Kong's dictionaries: there are none, nothing is sent */
    STATSD_CACHE_HITS,
    STATSD_CACHE_MISSES
};

/* As configurations call them; ends with NULL. */
extern const char *const statsd_metric_names[];
/* The last part of the names of values. */
extern const char *const statsd_value_names[STATSD_VALUES];

/* -1: there is none. */
int64_t statsd_value(enum statsd_metric metric, const struct exchange_record *record);

/* Is this request one of the share that a sample rate lets through? NAN: all are. */
bool statsd_is_sampled(const struct exchange *exchange, double rate);

enum statsd_consumer { STATSD_CONSUMER_ID, STATSD_CUSTOM_ID, STATSD_USERNAME };
extern const char *const statsd_consumer_names[]; /* ends with NULL */

/* Absent: it has none; consumer may be NULL. */
struct slice statsd_consumer(int identifier, const struct consumer *consumer);
