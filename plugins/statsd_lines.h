/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the StatsD protocol, with the tags of its dialects. For statsd and datadog. Any thread. */
#pragma once

#include "core/base/text.h"

enum statsd_type {
    STATSD_COUNTER,
    STATSD_GAUGE,
    STATSD_HISTOGRAM,
    STATSD_METER,
    STATSD_SET,
    STATSD_TIMER,
    STATSD_DISTRIBUTION
};

extern const char *const statsd_type_names[]; /* by type, ends with NULL */

enum statsd_style { STATSD_PLAIN, STATSD_DOGSTATSD, STATSD_INFLUXDB, STATSD_LIBRATO, STATSD_SIGNALFX };

struct statsd_tag {
    struct slice name, value;
};

struct statsd_line {
    struct slice name; /* with its prefix */
    int type; /* enum statsd_type */
    double sample_rate; /* shown unless it is 1 */
    uint64_t value;
    struct slice word; /* instead of the value, of a set; absent: none */
    enum statsd_style style;
    const struct statsd_tag *tags;
    uint32_t tag_count;
};

/* Without a line end. What would end a name or a tag too early becomes '_'. */
void statsd_write(struct text *text, const struct statsd_line *line);
