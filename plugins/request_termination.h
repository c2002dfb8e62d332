/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of request-termination share. */
#pragma once

#include "core/crypto/uuid.h"
#include "net/proxy/exchange.h"

struct request_termination_config {
    int64_t status_code;
    struct slice message, content_type, body, trigger; /* absent: none */
    bool echo;
    struct slice json; /* prepared: {"message": ...}; absent when there is nothing to say */
};

/* The node, as an echo tells it; one for all shards. */
struct request_termination_node {
    char id[UUID_TEXT_SIZE];
    char hostname[256];
};

/* The message or the usual one of the status; absent: none. */
struct slice request_termination_message(const struct request_termination_config *config);

/* The request as JSON, in the arena of the exchange; absent when memory is exhausted. */
struct slice request_termination_echo(struct exchange *exchange,
                                      const struct request_termination_config *config,
                                      const struct request_termination_node *node);
