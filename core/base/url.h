/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a URL (RFC 3986 section 3): views of its text, each absent when it is not there. Nothing is
 * decoded, and nothing is checked beyond the split. Any thread. */
#pragma once

#include "core/base/arena.h"

struct url {
    struct slice scheme, user, host, port; /* the host of an IPv6 address keeps its brackets */
    struct slice path; /* from its slash on */
    struct slice query, fragment; /* without their marks */
};

/* False when there is no `//` with a host behind it. */
bool url_split(struct slice text, struct url *url);

/* scheme://host[:port] as browsers write an origin: without a port that the scheme implies. Absent when
 * memory is exhausted. */
struct slice url_origin(struct arena *arena, const struct url *url);
