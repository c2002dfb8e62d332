/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins/waf.c needs of an engine for rules in ModSecurity's language: plugins/waf_modsecurity.c over
 * libmodsecurity, or plugins/waf_absent.c where that was not there at build time. */
#pragma once

#include "config/schema.h"
#include "core/base/error.h"
#include "net/http/message.h"

struct waf_engine; /* of one shard */
struct waf_rules; /* of one configuration, read by all shards */
struct waf_request; /* of one exchange */

/* NULL: there is no engine in this build; otherwise its name and version. */
const char *waf_engine_version(void);

/* Before all functions below, by the control thread or before there are others. NULL: the engine is there;
 * otherwise why not, until the next call. */
const char *waf_engine_load(void);

/* NULL: out of memory. `log` gets the messages of rules, with the pointer given to waf_request_open. */
typedef void waf_log_fn(void *pointer, const void *message);
struct waf_engine *waf_engine_open(waf_log_fn *log);
void waf_engine_close(struct waf_engine *engine);

struct waf_rules *waf_rules_open(void);
void waf_rules_close(struct waf_rules *rules);
/* NULL: added; otherwise why not, with its place. The text lives in the arena. */
const char *waf_rules_add(struct waf_rules *rules, const char *text, struct arena *arena);
const char *waf_rules_add_file(struct waf_rules *rules, const char *path, struct arena *arena);

struct waf_connection {
    const char *client_ip, *server_ip, *request_id;
    int client_port, server_port;
};

/* What a rule wants: status 0: nothing. */
struct waf_verdict {
    int status;
    struct slice location; /* of a redirect; absent: none */
};

/* Texts of verdicts are copied into the arena. */
struct waf_request *waf_request_open(struct waf_engine *engine, struct waf_rules *rules,
                                     const struct waf_connection *connection, void *log_pointer);
struct waf_verdict waf_request_head(struct waf_request *request, const struct message *message,
                                    struct arena *arena);
struct waf_verdict waf_request_body(struct waf_request *request, struct slice body, struct arena *arena);
void waf_response_header(struct waf_request *request, struct slice name, struct slice value);
struct waf_verdict waf_response_head(struct waf_request *request, int status, struct arena *arena);
void waf_response_piece(struct waf_request *request, struct slice piece);
struct waf_verdict waf_response_body(struct waf_request *request, struct arena *arena);
/* The last phase, which can only log. */
void waf_request_end(struct waf_request *request);
void waf_request_close(struct waf_request *request);
