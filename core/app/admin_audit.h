/* SPDX-License-Identifier: Apache-2.0 */
/* What was changed through the admin listener, by whom and with which result: a line in the journal, and one
 * of JSON in the file of the setting admin_audit_log. Never what was sent, which may hold secrets.
 * Admin thread. */
#pragma once

#include "core/app/admin_api.h"

/* Opens the file. False: *reason says why it cannot be written. */
bool admin_audit_open(struct admin_node *node, const char **reason);
void admin_audit_close(struct admin_node *node);

/* Does nothing for what only reads. */
void admin_audit(const struct admin_node *node, const struct admin_request *request,
                 const struct admin_answer *answer);
