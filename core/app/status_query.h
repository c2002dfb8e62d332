/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a running gateway for its numbers, over its status or admin listener. One thread, blocking for at
 * most two seconds. */
#pragma once

#include "config/settings.h"

#include <jansson.h>
#include <stdio.h>

/* Prints a line per number, or nothing but a line that says that nobody answered. */
void status_query_print(const struct settings *settings, FILE *out);

/* What the admin listener answers to a GET of `target`; NULL: nobody answers, or with something else than 200
 * and JSON. The caller's. */
json_t *status_query_admin(const struct settings *settings, const char *target);
