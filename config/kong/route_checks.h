/* SPDX-License-Identifier: Apache-2.0 */
/* What a route's fields must be together, by protocol and router flavor. Private to config/kong; control
 * thread only. */
#pragma once

#include "config/kong/reader.h"

/* Reports what is wrong, and compiles the expression if there is one. */
void kong_check_route(struct kong_reader *reader, struct route *route, const struct node *node,
                      const struct config_place *place);

/* path.c: false when it does not compile, or not in the dialect of the router's flavor: it was reported. */
bool kong_check_regex(struct kong_reader *reader, struct slice pattern, const struct node *node,
                      const struct config_place *place);
