/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the aws-lambda plugin: what a function is told of a request, and what is made of its answer.
 * Its shard's. */
#pragma once

#include "net/proxy/exchange.h"
#include "net/proxy/exchange_body.h"
#include "plugins/aws_credentials.h"

#include <jansson.h>

enum lambda_invocation { LAMBDA_REQUEST_RESPONSE, LAMBDA_EVENT, LAMBDA_DRY_RUN };

struct lambda_config {
    struct slice aws_key, aws_secret, aws_region, role, session, sts_url, function_name, qualifier, host,
        proxy_url;
    int imds_version, invocation_type, log_type, empty_arrays_mode;
    int64_t port, timeout_ms, keepalive_ms, unhandled_status;
    bool disable_https, forward_method, forward_uri, forward_headers, forward_body, is_proxy_integration,
        gateway_compatible, skip_large_bodies, base64_encode_body, ssl_verify;
    /* Prepared; the region may be the environment's. */
    struct aws_source source;
    struct slice url, authority, path, query; /* absent url: no host and no region */
};

/* One invocation, in the exchange's arena. The answer's texts are views of what the last three own, which
 * live as long as the exchange. */
struct lambda_call {
    struct aws_waiter waiter;
    struct exchange *exchange;
    const struct lambda_config *config;
    struct aws_credentials *credentials;
    struct fetch fetch;
    char *payload;
    json_t *decoded; /* the answer of a proxy integration */
};

/* The event of this request, to be freed; NULL: memory is exhausted. `body` absent: it is too large. */
char *lambda_payload(const struct lambda_config *config, struct exchange *exchange, struct slice body);

/* Makes the function's answer the exchange's. */
enum verdict lambda_answer(struct lambda_call *call);

/* JSON as older Kongs answered: what was an empty array becomes an empty object. In its place; returns what
 * is left of it. */
struct slice lambda_without_empty_arrays(char *json, size_t size);
