/* SPDX-License-Identifier: Apache-2.0 */
/* Between the parts that put a linked definition into the model. Used by config/aws alone. */
#pragma once

#include "config/aws/reader.h"

/* Requests of one host (or of any) under one prefix, which one stage serves. */
struct aws_scope {
    struct aws_api *api;
    struct aws_stage *stage; /* NULL: all of it is answered with 404 */
    struct slice host; /* absent: any */
    enum match_wildcard wildcard;
    struct slice prefix; /* of the path: empty, or / and whole segments */
    const struct aws_object *object; /* who asked for it */
};

/* scope.c: all of them, in the order in which they are tried. */
bool aws_scopes(struct aws_reader *reader, struct aws_list *scopes);

/* rules.c */
struct aws_rule {
    const struct aws_scope *scope;
    const struct route *route;
    struct slice method; /* absent: any */
    bool preflight; /* only requests that ask for leave (CORS) */
};
bool aws_rule_for_key(struct aws_reader *reader, const struct aws_rule *rule,
                      const struct aws_route_key *key);
bool aws_rule_for_all(struct aws_reader *reader, const struct aws_rule *rule); /* under the prefix */

/* The name of a variable in a rule's regex, and in templates for its path. */
struct slice aws_capture_name(struct aws_reader *reader, const struct aws_route_key *key, struct slice name);

/* upstream.c: where the route's requests go: route->service and the action's edits. */
struct aws_target {
    const struct aws_scope *scope;
    const struct aws_route *route;
    struct route *out;
    struct action *action;
};
bool aws_set_upstream(struct aws_reader *reader, const struct aws_target *target);

/* parameters.c: the integration's request_parameters. *path becomes the one that is overwritten. */
bool aws_set_parameters(struct aws_reader *reader, const struct aws_target *target, struct slice *path);

/* `${stageVariables.x}` replaced; absent when it was reported why not. */
struct slice aws_with_stage_variables(struct aws_reader *reader, const struct aws_target *target,
                                      const char *field, struct slice text);

/* instances.c: the plugins of a route. */
bool aws_add_authorizer(struct aws_reader *reader, const struct aws_route *route, struct route *out);
bool aws_add_throttle(struct aws_reader *reader, const struct aws_target *target);
enum aws_cors_use { AWS_CORS_PREFLIGHT, AWS_CORS_RESPONSE }; /* answer by itself, or add to the answer */
bool aws_add_cors(struct aws_reader *reader, const struct aws_api *api, struct route *out,
                  enum aws_cors_use use);
