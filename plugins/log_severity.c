/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/log_severity.h"

const char *const log_severity_names[] = { "emerg",  "alert", "crit",  "err", "warning",
                                           "notice", "info",  "debug", NULL };

int log_severity_of(const struct log_severities *severities, int status)
{
    int severity = status >= 500   ? severities->server_errors
                   : status >= 400 ? severities->client_errors
                                   : severities->successful;
    return severity <= severities->least ? severity : -1;
}
