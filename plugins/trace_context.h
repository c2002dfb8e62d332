/* SPDX-License-Identifier: Apache-2.0 */
/* Trace contexts in the headers of requests, in the formats that Kong knows: which trace a request is
 * part of, which span caused it, and whether it is recorded. Any thread. */
#pragma once

#include "config/schema.h"
#include "net/proxy/exchange.h"

enum trace_format {
    TRACE_NONE,
    TRACE_B3,
    TRACE_B3_SINGLE,
    TRACE_W3C,
    TRACE_JAEGER,
    TRACE_OT,
    TRACE_DATADOG,
    TRACE_AWS,
    TRACE_GCP,
    TRACE_INSTANA,
    TRACE_FORMATS
};

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8 };

enum trace_decision { TRACE_UNDECIDED, TRACE_DROPPED, TRACE_SAMPLED };

struct trace_context {
    enum trace_format format; /* that it was found in */
    unsigned char trace_id[TRACE_ID_BYTES]; /* shorter ones with zeros in front */
    unsigned char span_id[SPAN_ID_BYTES];
    unsigned char parent_id[SPAN_ID_BYTES]; /* zeros: none */
    bool has_trace, has_span;
    bool debug; /* B3's */
    enum trace_decision decision;
};

/* What the first of these formats that is there says; format TRACE_NONE: none is. A header that is not valid
 * is as good as none. */
void trace_extract(const struct message *request, const enum trace_format *formats, uint32_t count,
                   struct trace_context *context);

/* Sets the headers of that format for the upstream. False: no memory. */
bool trace_inject(struct exchange *exchange, enum trace_format format,
                  const struct trace_context *context) MUST_CHECK;

/* --- configuration -------------------------------------------------------------------------------------- */

extern const char *const trace_format_names[]; /* by enum trace_format, `preserve` for TRACE_NONE */

/* Kong's record `propagation`. */
struct trace_propagation {
    struct slices extract, clear, inject;
    int default_format; /* enum trace_format */
};

/* They differ in the default format: b3, and w3c. */
extern const struct schema trace_propagation_b3_schema, trace_propagation_w3c_schema;

/* The record as it is followed. */
struct trace_rules {
    enum trace_format extract[TRACE_FORMATS];
    uint32_t extract_count;
    bool preserves; /* the format found, else the default */
    enum trace_format inject[TRACE_FORMATS];
    uint32_t inject_count;
    enum trace_format fallback;
    struct slices clear;
};

/* Kong's older `header_type` and `default_header_type`; -1: not given. */
struct trace_header_types {
    int type, fallback; /* indexes into trace_header_type_names */
};
extern const char *const trace_header_type_names[]; /* trace_format_names and `ignore` */

void trace_rules_of(const struct trace_propagation *propagation, const struct trace_header_types *types,
                    struct trace_rules *rules);

/* Clears and injects. False: no memory. */
bool trace_propagate(struct exchange *exchange, const struct trace_rules *rules, enum trace_format found,
                     const struct trace_context *context) MUST_CHECK;
