/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a running gateway for its numbers, over its status or admin listener. One thread, blocking for at
 * most two seconds. */
#pragma once

#include "config/settings.h"

#include <stdio.h>

/* Prints a line per number, or nothing but a line that says that nobody answered. */
void status_query_print(const struct settings *settings, FILE *out);
