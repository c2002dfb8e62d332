/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics: what the shards count, what Kong's dashboards ask for, what the configuration says, and
 * the series of the prometheus plugin, part by part. On the admin thread. */
#pragma once

#include "core/app/admin_pages.h"
#include "core/app/admin_stream.h"

#define METRICS_PAGE_TYPE "text/plain; version=0.0.4; charset=UTF-8"

/* NULL: no memory. The node outlives it. */
struct admin_stream *metrics_page_open(const struct admin_node *node);
