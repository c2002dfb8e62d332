/* SPDX-License-Identifier: Apache-2.0 */
/* AWS definitions for unit tests: read them into a model, and route requests by it. The test owns it; one
 * thread. */
#pragma once

#include "config/aws/aws.h"
#include "net/proxy/router.h"

struct aws_setup {
    struct arena arena; /* of texts and requests */
    struct report report;
    struct settings settings;
    struct model *model;
    struct router router;
    struct regex_scratch scratch;
    struct aws_source sources[8];
    uint32_t source_count;
};

void aws_setup_init(struct aws_setup *setup);
void aws_setup_deinit(struct aws_setup *setup);

/* One more file; the ending of its name says what it is. */
void aws_setup_add(struct aws_setup *setup, const char *path, const char *text);

/* Reads all of them. False when something was reported. */
bool aws_setup_read(struct aws_setup *setup);

/* The route of a request ("METHOD /path"), or NULL. `headers`: "Name: value" lines, may be NULL. */
const struct route *aws_setup_match(struct aws_setup *setup, const char *host, const char *request,
                                    const char *headers);

/* What a route is for: its name behind the host and the prefix, "GET /users"; "none" without a route. */
const char *aws_setup_key(const struct route *route);

/* Is there such an entry? `line` 0: anywhere. */
bool aws_setup_reported(const struct aws_setup *setup, enum report_kind kind, uint32_t line,
                        const char *text);

/* The plugin instance of that kind on the route, or NULL. */
const struct plugin_instance *aws_setup_plugin(const struct aws_setup *setup, const struct route *route,
                                               const char *kind);
