/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of Timestamp, Duration and FieldMask. Any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum { PROTO_TIME_SIZE = 48 /* of a text, NUL included */ };

/* Seconds and nanoseconds, of equal sign. */
struct proto_time {
    int64_t seconds;
    int32_t nanos;
};

bool proto_read_timestamp(struct slice text, struct proto_time *time) MUST_CHECK; /* RFC 3339 */
bool proto_read_duration(struct slice text, struct proto_time *time) MUST_CHECK; /* "1.5s" */
/* The size; 0: beyond what may be written. */
size_t proto_write_timestamp(struct proto_time time, char out[PROTO_TIME_SIZE]);
size_t proto_write_duration(struct proto_time time, char out[PROTO_TIME_SIZE]);

/* fooBar -> foo_bar and back, into `out` with room for 2 * text.size; SIZE_MAX: not a path of a mask. */
size_t proto_snake_case(struct slice text, char *out);
size_t proto_camel_case(struct slice text, char *out);
