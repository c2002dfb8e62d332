/* SPDX-License-Identifier: Apache-2.0 */
/* The spans of the zipkin plugin as Zipkin's JSON (version 2), one object each. On the exchange's shard. */
#pragma once

#include "core/base/text.h"
#include "plugins/log_queue.h"
#include "plugins/trace.h"

struct zipkin_tag {
    struct slice name, value;
};

struct zipkin_config {
    struct slice endpoint, default_service_name, local_service_name, tags_header, response_header;
    double sample_ratio;
    int64_t id_bytes, connect_timeout_ms, send_timeout_ms, read_timeout_ms;
    bool include_credential;
    int span_name; /* 0: the method, 1: with the path */
    int flavor; /* of times of phases; 0: annotations, 1: tags */
    struct trace_header_types types;
    struct trace_propagation propagation;
    struct schema_records static_tags; /* struct zipkin_tag */
    struct log_queue_config queue;
    struct trace_rules rules; /* prepared */
};

struct zipkin_request {
    const struct trace *trace;
    const struct zipkin_config *config;
    struct exchange *exchange;
    const char *node_id;
    struct exchange_record record;
};

void zipkin_write_request(struct text *text, const struct zipkin_request *request);
void zipkin_write_proxy(struct text *text, const struct zipkin_request *request);
void zipkin_write_try(struct text *text, const struct zipkin_request *request, uint32_t index,
                      const unsigned char id[SPAN_ID_BYTES]);
