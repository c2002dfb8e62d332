/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the admin or status listener on its way to the function that answers it, and what those
 * functions share. On the admin thread. */
#pragma once

#include "config/kong/document.h"
#include "core/app/admin_pages.h"

#include <jansson.h>

enum { ADMIN_SEGMENTS_MAX = 8 };

enum admin_method { ADMIN_GET = 1, ADMIN_POST = 2, ADMIN_PUT = 4, ADMIN_PATCH = 8, ADMIN_DELETE = 16 };

struct admin_call {
    const struct admin_node *node;
    const struct admin_request *request;
    struct admin_answer *answer;
    struct arena *arena; /* for the time of the call */
    enum admin_method method; /* HEAD is GET */
    struct slice path; /* as asked, without the query and a slash at its end */
    struct slice segments[ADMIN_SEGMENTS_MAX]; /* between the slashes, unescaped */
    unsigned segment_count;
    struct slice query; /* absent: none */
};

typedef void admin_handler_fn(struct admin_call *call);

/* Those of a path with `{}` for any segment. */
struct admin_endpoint {
    const char *path;
    unsigned methods; /* enum admin_method, several */
    admin_handler_fn *handler;
    bool on_status; /* also of the status listener */
};

/* Each table ends with a row without a path. */
extern const struct admin_endpoint admin_node_endpoints[], admin_schema_endpoints[], admin_config_endpoints[],
    admin_debug_endpoints[], admin_health_endpoints[], admin_tag_endpoints[], admin_ui_endpoints[];

/* Answers any request. */
void admin_api_answer(const struct admin_node *node, const struct admin_request *request,
                      struct admin_answer *answer);

/* --- admin_entities.c: paths of entities; false: it is none. --- */
bool admin_entities_methods(const struct admin_call *call, unsigned *methods);
void admin_entities_answer(struct admin_call *call);

/* --- what was asked --- */

/* A parameter of the query, unescaped; absent when it is not there. */
struct slice admin_parameter(const struct admin_call *call, const char *name);

/* The body as an object: JSON, a form or a multipart form. NULL: it was answered why not. *form tells that
 * all values are texts. */
json_t *admin_body(struct admin_call *call, bool *form);

/* --- answers --- */

void admin_json(struct admin_answer *answer, int status, json_t *value); /* takes the value */
void admin_message(struct admin_answer *answer, int status, const char *text);
void admin_empty(struct admin_answer *answer, int status);
void admin_page(struct admin_answer *answer, int status, const char *reason); /* HTML, as nginx writes it */
void admin_not_found(struct admin_call *call);
void admin_method_refused(struct admin_call *call);

/* {"code", "name", "message", and `fields` (taken, may be NULL) under its name} */
enum admin_error {
    ADMIN_ERROR_SCHEMA = 2,
    ADMIN_ERROR_PRIMARY_KEY = 3,
    ADMIN_ERROR_FOREIGN_KEY = 4,
    ADMIN_ERROR_UNIQUE = 5,
    ADMIN_ERROR_OFFSET = 7,
    ADMIN_ERROR_DATABASE = 8,
    ADMIN_ERROR_SIZE = 9,
    ADMIN_ERROR_OPTIONS = 11,
    ADMIN_ERROR_UNSUPPORTED = 12
};
void admin_error(struct admin_answer *answer, enum admin_error error, const char *message, json_t *fields);

/* "2 schema violations (a: ...; b: ...)"; takes the fields. */
void admin_schema_violation(struct admin_answer *answer, json_t *fields);
