/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libmodsecurity: every configuration that uses the plugin is refused, and says why. */
#include "plugins/waf.h"

const char *waf_engine_version(void)
{
    return NULL;
}

const char *waf_engine_load(void)
{
    return "it was built without libmodsecurity";
}

struct waf_engine *waf_engine_open(waf_log_fn *log)
{
    (void)log;
    return NULL;
}

void waf_engine_close(struct waf_engine *engine)
{
    (void)engine;
}

struct waf_rules *waf_rules_open(void)
{
    return NULL;
}

void waf_rules_close(struct waf_rules *rules)
{
    (void)rules;
}

const char *waf_rules_add(struct waf_rules *rules, const char *text, struct arena *arena)
{
    (void)rules;
    (void)text;
    (void)arena;
    return NULL;
}

const char *waf_rules_add_file(struct waf_rules *rules, const char *path, struct arena *arena)
{
    return waf_rules_add(rules, path, arena);
}

struct waf_request *waf_request_open(struct waf_engine *engine, struct waf_rules *rules,
                                     const struct waf_connection *connection, void *log_pointer)
{
    (void)engine;
    (void)rules;
    (void)connection;
    (void)log_pointer;
    return NULL;
}

struct waf_verdict waf_request_head(struct waf_request *request, const struct message *message,
                                    struct arena *arena)
{
    (void)request;
    (void)message;
    (void)arena;
    return (struct waf_verdict){ 0 };
}

struct waf_verdict waf_request_body(struct waf_request *request, struct slice body, struct arena *arena)
{
    (void)body;
    return waf_request_head(request, NULL, arena);
}

void waf_response_header(struct waf_request *request, struct slice name, struct slice value)
{
    (void)request;
    (void)name;
    (void)value;
}

struct waf_verdict waf_response_head(struct waf_request *request, int status, struct arena *arena)
{
    (void)status;
    return waf_request_head(request, NULL, arena);
}

void waf_response_piece(struct waf_request *request, struct slice piece)
{
    (void)request;
    (void)piece;
}

struct waf_verdict waf_response_body(struct waf_request *request, struct arena *arena)
{
    return waf_request_head(request, NULL, arena);
}

void waf_request_end(struct waf_request *request)
{
    (void)request;
}

void waf_request_close(struct waf_request *request)
{
    (void)request;
}
