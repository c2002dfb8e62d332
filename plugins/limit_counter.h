/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins that count share: whom they count, the names of counters, and what a shard needs to reach
 * them - the process's own (core/base/quota.h) or those in Redis. */
#pragma once

#include "core/base/quota.h"
#include "net/proxy/exchange.h"
#include "plugins/limit_window.h"
#include "plugins/redis_config.h"

enum limit_by {
    LIMIT_BY_CONSUMER,
    LIMIT_BY_CREDENTIAL,
    LIMIT_BY_IP,
    LIMIT_BY_SERVICE,
    LIMIT_BY_HEADER,
    LIMIT_BY_PATH
};
enum limit_policy { LIMIT_POLICY_LOCAL, LIMIT_POLICY_REDIS, LIMIT_POLICY_CLUSTER };

/* For field tables. Plugins that know fewer ways to tell clients apart end theirs earlier. */
extern const char *const limit_by_choices[];
extern const char *const limit_policy_choices[];
extern const char *const limit_policy_offered[]; /* without those that are known, and refused */

/* A longer period's limit (NAN: none) not below a shorter one's, and none too large for its policy. False:
 * there is no limit at all; nothing is reported then. `node` is the mapping with the periods. */
bool limit_check_periods(const double limits[PERIOD_COUNT], int policy, const struct node *node,
                         const struct config_place *place);

/* Reports `policy: cluster`, which needs Postgres. */
void limit_check_policy(int policy, const struct node *node, const struct config_place *place);

/* A shard's way to the counters. */
struct limit_shard {
    struct redis_reach redis; /* first: its shard */
    struct quota *quota; /* of the process */
};

void *limit_process_open(unsigned shard_count);
void limit_process_close(void *process_state);
enum error limit_shard_open(struct limit_shard *state, struct shard *shard, void *process_state);
void limit_shard_close(struct limit_shard *state);

/* Whom the request is counted for. */
struct limit_subject {
    struct exchange *exchange;
    const struct plugin_instance *instance;
    enum limit_by by;
    struct slice header_name, path; /* of LIMIT_BY_HEADER, LIMIT_BY_PATH */
    uint64_t scope_hash; /* for limit_hash: of the instance */
};

/* Where a request has nothing of the kind asked for, the client's address. */
struct slice limit_identifier(const struct limit_subject *subject);

/* "<route>:<service>:", ids of what the configuration is attached to. */
enum { LIMIT_PREFIX_SIZE = 2 * MODEL_ID_SIZE };
char *limit_write_prefix(const struct plugin_instance *instance, char *out);

/* The text of a number that may have a fraction; absent when memory is exhausted. */
struct slice limit_number_text(struct arena *arena, double number);

/* Of what the configuration is attached to: once for each configuration, in a link hook. */
uint64_t limit_scope_hash(const struct plugin_instance *instance);
/* The hash of the counters' name, without window and period. */
uint64_t limit_hash(const struct limit_subject *subject);
/* Of the counter of one period, or of anything else that is numbered. */
uint64_t limit_period_key(uint64_t hash, unsigned period);
