/* SPDX-License-Identifier: Apache-2.0 */
/* Where requests go and how they are tried: the part of a model between its routes and its upstreams. Built
 * by a front-end in the model's arena, then only read. */
#pragma once

#include "config/trust.h"
#include "config/upstream.h"

/* Tries beyond the first one, as a share of the requests under way. */
struct retry_budget {
    double percent; /* NAN: there is no budget */
    int64_t min_retries; /* always allowed */
};

/* What a service asks of an upstream over TLS. */
struct upstream_tls {
    struct certificate *client_certificate; /* NULL: the upstream's, or none */
    int verify; /* 0 or 1; -1: as the settings say */
    int64_t verify_depth; /* INTEGER_NULL: as the settings say */
    struct ca_certificate **authorities;
    uint32_t authority_count;
};

/* What a connection to an upstream begins with. */
enum preamble_kind { PREAMBLE_AS_SET = -1, PREAMBLE_NONE, PREAMBLE_V1, PREAMBLE_V2 };

struct service {
    struct entity entity;
    int protocol; /* enum protocol */
    struct slice host;
    int64_t port;
    struct slice path; /* absent: none */
    int64_t retries;
    int64_t connect_timeout_ms, write_timeout_ms, read_timeout_ms;
    int64_t per_try_timeout_ms; /* INTEGER_NULL: none */
    struct retry_budget retry_budget;
    struct upstream_tls tls;
    int proxy_protocol; /* enum preamble_kind */
    bool enabled;
    struct upstream *upstream; /* the one named by `host`, or an implicit one */
    const struct service *like; /* made for a plugin from this one (config/detour.h); NULL: configured */
};
