/* SPDX-License-Identifier: Apache-2.0 */
/* By what a shard calls AWS: keys of the configuration or of the environment, of a web identity (IRSA on
 * EKS), of a container (ECS) or of the machine (EC2), and with any of these the role that is to be assumed.
 * Fetched when first asked for, kept, renewed before they expire; unused ones are freed. One shard. */
#pragma once

#include "core/base/list.h"
#include "core/crypto/sigv4.h"
#include "net/fetch/fetch.h"

/* Where they come from; absent texts: not given. */
struct aws_source {
    struct slice key_id, secret;
    struct slice region;
    struct slice role, session, sts_url; /* to be assumed; sts_url: another endpoint than the region's */
    struct slice proxy_url; /* to STS */
    bool imds_v2;
};

struct aws_credentials;

struct aws_pool {
    struct aws_credentials *first;
};

struct aws_waiter {
    struct list_node node;
    void (*done)(struct aws_waiter *waiter); /* ask again: it does not wait now */
};

enum aws_answer {
    AWS_READY, /* *keys are there until the loop turns */
    AWS_WAIT, /* the waiter will be told, exactly once */
    AWS_UNAVAILABLE /* there are none, or nobody who gives them answers */
};

/* Texts are copied. To be asked in the same turn. NULL: out of memory. */
struct aws_credentials *aws_pool_find(struct aws_pool *pool, struct shard *shard,
                                      const struct aws_source *source);
void aws_pool_close(struct aws_pool *pool);

enum aws_answer aws_credentials_ask(struct aws_credentials *credentials, struct aws_waiter *waiter,
                                    struct sigv4_credentials *keys);

/* --- what is read --------------------------------------------------------------------------------------- */

enum { AWS_KEY_SIZE = 256, AWS_TOKEN_SIZE = 16 * 1024 };

/* Views of the text; expires_s 0: never. */
struct aws_keys {
    struct slice key_id, secret, token;
    int64_t expires_s;
};

/* The JSON of containers and machines, the XML of STS. False: there are none in it. */
bool aws_keys_read_json(struct slice text, struct aws_keys *keys) MUST_CHECK;
bool aws_keys_read_xml(struct slice text, struct aws_keys *keys) MUST_CHECK;

/* "2026-11-23T12:00:00Z" as seconds since 1970; 0: it is none. */
int64_t aws_time_read(struct slice text);
