/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/statsd_values.h"

#include "plugins/log_entry.h"

#include <math.h>

const char *const statsd_metric_names[] = { "request_count",
                                            "latency",
                                            "request_size",
                                            "response_size",
                                            "upstream_latency",
                                            "kong_latency",
                                            "status_count",
                                            "status_count_per_user",
                                            "status_count_per_workspace",
                                            "status_count_per_user_per_route",
                                            "request_per_user",
                                            "unique_users",
                                            "shdict_usage",
                                            "cache_datastore_hits_total",
                                            "cache_datastore_misses_total",
                                            NULL };

const char *const statsd_value_names[] = { "request.count", "latency",          "request.size",
                                           "response.size", "upstream_latency", "kong_latency" };

const char *const statsd_consumer_names[] = { "consumer_id", "custom_id", "username", NULL };

int64_t statsd_value(enum statsd_metric metric, const struct exchange_record *record)
{
    switch (metric) {
    case STATSD_REQUEST_COUNT: return 1;
    case STATSD_LATENCY: return (int64_t)log_entry_ms(record->start_ns, record->end_ns);
    case STATSD_REQUEST_SIZE: return (int64_t)record->request_bytes;
    case STATSD_RESPONSE_SIZE: return (int64_t)record->response_bytes;
    case STATSD_UPSTREAM_LATENCY: return log_entry_upstream_ms(record);
    case STATSD_KONG_LATENCY: return (int64_t)log_entry_own_ms(record);
    default: return -1;
    }
}

struct slice statsd_consumer(int identifier, const struct consumer *consumer)
{
    struct slice none = { NULL, 0 };
    if (consumer == NULL)
        return none;
    switch ((enum statsd_consumer)identifier) {
    case STATSD_CONSUMER_ID: return slice_of(consumer->entity.id);
    case STATSD_CUSTOM_ID: return consumer->custom_id.size ? consumer->custom_id : none;
    case STATSD_USERNAME: return consumer->entity.name.size ? consumer->entity.name : none;
    }
    return none;
}

/* The request's id is as good as random. */
bool statsd_is_sampled(const struct exchange *exchange, double rate)
{
    enum { DIGITS = 6 };
    struct slice id = exchange_request_id(exchange);
    uint32_t number = 0;
    if (rate >= 1 || isnan(rate))
        return true;
    for (size_t i = 0; i < DIGITS && i < id.size; i++)
        number = number << 4 | ((uint32_t)slice_hex_value(id.data[i]) & 15);
    return number < rate * (1 << DIGITS * 4);
}
