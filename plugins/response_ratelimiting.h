/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the response-ratelimiting plugin share: its configuration (in the model's arena,
 * constant) and what one exchange knows of its limits. */
#pragma once

#include "net/proxy/exchange_body.h"
#include "plugins/limit_counter.h"

/* One period of a named limit. */
struct response_limit {
    uint32_t name; /* its index in the configuration's names */
    enum period period;
    double limit;
    uint32_t whole; /* rounded up */
    struct slice text, limit_header, remaining_header;
};

struct response_limit_name {
    struct slice name, header; /* "X-RateLimit-Remaining-<name>" */
};

struct response_limit_periods {
    double limits[PERIOD_COUNT]; /* NAN: none */
};

struct response_ratelimiting_config {
    struct schema_record_map limits_read; /* of struct response_limit_periods */
    struct slice header_name;
    int limit_by, policy;
    bool fault_tolerant, block, hide_client_headers;
    struct redis_config redis;
    struct redis_config_flat old;
    /* Worked out when the configuration is read. */
    struct response_limit_name *names;
    uint32_t name_count;
    struct response_limit *limits; /* in the order of names and periods */
    uint32_t limit_count;
    uint64_t scope_hash; /* linked */
};

extern const struct field response_ratelimiting_fields[];
enum { RESPONSE_RATELIMITING_FIELD_COUNT = 17 };
void response_ratelimiting_check(void *value, const struct node *node, const struct config_place *place);

/* What an exchange has found, by index into config->limits. */
struct response_pass {
    struct body_filter swallow; /* the body of a refused response */
    struct exchange *exchange;
    const struct response_ratelimiting_config *config;
    const struct plugin_instance *instance;
    struct limit_shard *shard;
    struct period_window windows[PERIOD_COUNT];
    struct slice identifier;
    double *remaining; /* NULL: nothing is counted for this exchange */
};

/* Amounts by index into config->names; 0: none. */
void response_limits_parse(const struct response_ratelimiting_config *config, struct slice text,
                           int64_t *amounts);

/* What is left before the request, into pass->remaining. WAIT: response_ratelimiting_known is called later,
 * and its verdict taken. */
enum verdict response_limits_look(struct response_pass *pass, bool *failed);
enum verdict response_ratelimiting_known(struct response_pass *pass, bool failed);
/* As of now, where that can be known at once. */
void response_limits_refresh(struct response_pass *pass);
void response_limits_count(const struct response_pass *pass, const int64_t *amounts);
