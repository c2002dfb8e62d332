/* SPDX-License-Identifier: Apache-2.0 */
/* kong_upstream_target_health in the text format: how the addresses of upstreams are now. Nothing is counted
 * for it; it is written from rosters when somebody asks. By a thread that may look at the model. */
#pragma once

#include "config/model.h"
#include "core/base/text.h"
#include "net/proxy/roster.h"

enum { PROMETHEUS_HEALTH_BYTES_MAX = 8 * 1024 * 1024 /* of one upstream; addresses beyond are left out */ };

/* Is there an instance of the plugin with upstream_health_metrics? */
bool prometheus_wants_health(const struct model *model);

/* The head of the family. */
void prometheus_begin_health(struct text *out);

/* The lines of one upstream; the roster may be NULL: nothing is known of its names. */
void prometheus_write_health(struct text *out, const struct upstream *upstream, const struct roster *roster);
