/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the monitor, as the control thread sees it: given models, asked for rosters. It mails new
 * rosters to the workers, takes what they report, and tells the journal. Its shard serves nobody. */
#pragma once

#include "core/app/worker.h"
#include "net/proxy/monitor.h"

struct watch;

/* NULL: the reason is in the journal. The options' texts must outlive it. */
struct watch *watch_start(const struct watch_options *options);

/* The monitor follows that model from now on, instead of the one before, which it looks at no more; waits
 * until its names are resolved, or the time is up. Workers are mailed nothing until watch_publish. NULL: no
 * memory; else malloc'ed, a roster with a reference for each upstream of the model. */
struct roster **watch_adopt(struct watch *watch, const struct model *model);

/* The workers run; called once. */
void watch_serve(struct watch *watch, struct worker *workers, unsigned count);

/* The adopted model's snapshot was mailed: what has changed since follows, and was mailed on return. */
void watch_publish(struct watch *watch);

/* The newest rosters of so many upstreams, taken; NULL: it is not watched. */
void watch_take_rosters(struct watch *watch, struct upstream *const *upstreams, uint32_t count,
                        struct roster **rosters);

/* How many addresses were meant; the workers were mailed what has changed. */
uint32_t watch_decree(struct watch *watch, const struct monitor_decree *decree);

void watch_rosters_free(struct roster **rosters, const struct model *model);

const struct metrics *watch_metrics(const struct watch *watch);

/* Before the workers are stopped. NULL is legal. */
void watch_stop(struct watch *watch);
