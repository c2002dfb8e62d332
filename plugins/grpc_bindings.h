/* SPDX-License-Identifier: Apache-2.0 */
/* Which method of a service a call of HTTP stands for, by the rules of google.api.http. Made when a
 * configuration is loaded, constant afterwards. */
#pragma once

#include "core/base/regex.h"
#include "net/protobuf/proto_schema.h"

struct grpc_binding {
    const struct proto_binding *rule;
    const struct proto_method *method;
    struct regex path;
    struct slice *variables; /* the field paths of its groups, in order */
    uint32_t variable_count;
    const struct proto_field *body; /* NULL: all of it, or none */
    const struct proto_field *response_body; /* NULL: all of it */
};

struct grpc_bindings {
    struct grpc_binding *items;
    uint32_t count;
};

/* Reports what cannot be; then the list is not complete. */
void grpc_bindings_make(struct grpc_bindings *bindings, const struct proto_schema *schema,
                        const struct config_place *place);

enum grpc_finding { GRPC_FOUND, GRPC_NO_METHOD, GRPC_NO_PATH };

/* The groups stay in the scratch. */
enum grpc_finding grpc_bindings_find(const struct grpc_bindings *bindings, struct slice method,
                                     struct slice path, struct regex_scratch *scratch,
                                     const struct grpc_binding **found);

/* Does a path like "a.b" lead to a field? */
bool grpc_leads_to_field(const struct proto_message *message, struct slice path);
