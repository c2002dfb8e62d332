/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the OpenTelemetry protocol (OTLP, opentelemetry-proto 1.x) in protobuf's wire format:
 * spans, log records, and the requests that carry them. Any thread. */
#pragma once

#include "core/base/text.h"

/* --- protobuf ------------------------------------------------------------------------------------------- */

void otlp_varint(struct text *text, unsigned field, uint64_t value);
void otlp_fixed64(struct text *text, unsigned field, uint64_t value);
void otlp_fixed32(struct text *text, unsigned field, uint32_t value);
void otlp_bytes(struct text *text, unsigned field, struct slice bytes);

/* A message within the message: what is written in between becomes its content. */
size_t otlp_begin(struct text *text, unsigned field);
void otlp_end(struct text *text, size_t begin);

/* --- attributes: KeyValue in field `field` of the message that is being written ------------------------- */

void otlp_string(struct text *text, unsigned field, const char *key,
                 struct slice value); /* absent: left out */
void otlp_named_string(struct text *text, unsigned field, struct slice key, struct slice value);
void otlp_integer(struct text *text, unsigned field, const char *key, int64_t value);
void otlp_boolean(struct text *text, unsigned field, const char *key, bool value);

/* --- spans ---------------------------------------------------------------------------------------------- */

enum otlp_kind { OTLP_INTERNAL = 1, OTLP_SERVER = 2, OTLP_CLIENT = 3 };
enum { OTLP_SPAN_ATTRIBUTES = 9, OTLP_LOG_ATTRIBUTES = 6, OTLP_RESOURCE_ATTRIBUTES = 1 };

struct otlp_span {
    struct slice trace_id, span_id, parent_id; /* bytes; parent absent: none */
    struct slice name;
    enum otlp_kind kind;
    uint64_t start_ns, end_ns; /* since 1970 */
};

/* The fields of the message Span; attributes may follow. */
void otlp_begin_span(struct text *text, const struct otlp_span *span);
void otlp_fail_span(struct text *text, struct slice message); /* its status */
