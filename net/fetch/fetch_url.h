/* SPDX-License-Identifier: Apache-2.0 */
/* The URLs that the gateway itself calls: http and https with a host. Views of the text; any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

struct fetch_url {
    bool tls;
    struct slice host; /* without brackets */
    struct slice authority; /* as written: host and port */
    struct slice target; /* path and query, "/" at least */
    struct slice user; /* "name:password" before the host, of a proxy; else absent */
    uint16_t port;
};

/* False: no http or https URL with a host, or one with user information or a fragment. */
bool fetch_url_parse(struct slice text, struct fetch_url *url) MUST_CHECK;

/* The same for the proxy that requests go through: user information is allowed. */
bool fetch_url_parse_proxy(struct slice text, struct fetch_url *url) MUST_CHECK;
