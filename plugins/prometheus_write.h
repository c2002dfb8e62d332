/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of the prometheus plugin in the text format, piece by piece, so that no scrape ever holds all
 * of it in memory. Any thread. */
#pragma once

#include "core/base/text.h"
#include "plugins/prometheus_series.h"

/* Where a reader is; zeroed at first. */
struct prometheus_cursor {
    unsigned family;
    uint32_t id;
    bool begun; /* the family's head is written */
};

/* Appends about `bytes` more, whole lines. False: that was all. */
bool prometheus_write(const struct prometheus_series *series, struct prometheus_cursor *cursor,
                      struct text *out, size_t bytes);
