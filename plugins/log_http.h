/* SPDX-License-Identifier: Apache-2.0 */
/* Batches sent as HTTP requests of the gateway's own (net/fetch). Plugins fill the settings from their
 * configuration and say how a batch becomes a body. One shard. */
#pragma once

#include "net/fetch/fetch.h"
#include "plugins/log_queue.h"

struct log_http_settings {
    struct slice method, url, content_type;
    struct header *headers; /* content type included */
    uint32_t header_count;
    uint32_t timeout_ms, keep_ms;
    bool verify; /* the certificate */
    int delivered_from, delivered_to; /* statuses that say so */
    bool (*compose)(const struct log_batch *batch, struct text *body); /* false: it cannot be */
    void *more; /* the plugin's own */
};

struct log_http_work {
    struct fetch fetch;
    struct text body;
    bool used;
};

/* Settings of a sender whose sink has settings_size and work_size of the structs above. Copies the texts;
 * false: no memory. */
bool log_http_copy(struct log_sender *sender, const struct log_http_settings *from,
                   const struct schema_map *headers);

void log_http_send(struct log_batch *batch);
void log_http_stop(struct log_batch *batch);

/* One entry as it is when batches have one; else a JSON array of them. */
bool log_http_compose_json(const struct log_batch *batch, struct text *body);

/* Checks of rows: an http or https URL; the name of a header that is not the sender's own. */
const char *log_http_check_url(struct slice url);
const char *log_http_check_header(struct slice name);

/* For plugin_kind.hosts_of: the URL's host. */
uint32_t log_http_host(struct slice url, struct slice *hosts);
