/* SPDX-License-Identifier: Apache-2.0 */
/* Throttling of AWS HTTP APIs: one token bucket per key, for all shards together. */
#include "core/base/hash.h"
#include "core/base/token_bucket.h"
#include "core/io/shard.h"
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

enum { BUCKETS_MAX = 65536 };

struct throttle_config {
    double rate_limit;
    int64_t burst_limit;
    struct slice key;
    struct token_rate rate; /* of the above */
    uint64_t hash;
};

struct throttle_shard {
    struct shard *shard;
    struct token_buckets *buckets;
};

#define AT(member) offsetof(struct throttle_config, member)

static const struct field fields[] = {
    { "rate_limit", FIELD_NUMBER, AT(rate_limit), FIELD_REQUIRED, .max = 1e9,
      .help = "tokens that come back in a second" },
    { "burst_limit", FIELD_INTEGER, AT(burst_limit), FIELD_REQUIRED, .max = 1e9,
      .help = "tokens of a full bucket; 0, as a rate of 0, refuses everything" },
    { "key", FIELD_STRING, AT(key), FIELD_REQUIRED, .help = "instances with the same one share a bucket" },
};

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct throttle_config *config = value;
    (void)node;
    (void)place;
    config->rate = token_rate_of(config->rate_limit, (double)config->burst_limit);
    config->hash = hash_of(config->key);
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct throttle_config *config = call->config;
    const struct throttle_shard *state = call->shard_state;
    struct token_bucket *bucket = token_bucket_find(state->buckets, config->key, config->hash);
    if (bucket == NULL)
        return exchange_respond_failure(call->exchange);
    if (token_bucket_take(bucket, &config->rate, state->shard->now_ns))
        return VERDICT_CONTINUE;
    return exchange_respond_body(call->exchange, 429, SLICE("application/json"),
                                 SLICE("{\"message\":\"Too Many Requests\"}"));
}

static void *process_open(unsigned shard_count)
{
    (void)shard_count;
    return token_buckets_open(BUCKETS_MAX);
}

static void process_close(void *process_state)
{
    token_buckets_close(process_state);
}

static enum error shard_state_open(struct shard *shard, void *process_state, void *shard_state)
{
    *(struct throttle_shard *)shard_state = (struct throttle_shard){ shard, process_state };
    return ERROR_OK;
}

const struct plugin aws_throttle_plugin = {
    .kind = { .name = "aws-throttle",
              .priority = 1460,
              .config = { .name = "aws-throttle",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct throttle_config),
                          .check = check },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = on_access },
    .shard_state_size = sizeof(struct throttle_shard),
    .process_open = process_open,
    .process_close = process_close,
    .shard_open = shard_state_open,
};
