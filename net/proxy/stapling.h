/* SPDX-License-Identifier: Apache-2.0 */
/* Asks responders for the status of the certificates that are served (tls/tls_staple.h), a few at a time: at
 * once for those that are new, and again before what is shown ends. On one shard of the process, which owns
 * it. */
#pragma once

#include "net/proxy/proxy.h"

struct stapling_options {
    struct slice responder; /* asked in place of those that certificates name; empty: none */
    int64_t refresh_s, retry_s;
};

struct stapling;

/* What the options point to lives as long. NULL: out of memory. */
struct stapling *stapling_open(struct shard *shard, const struct stapling_options *options) MUST_CHECK;
void stapling_close(struct stapling *stapling); /* legal for NULL */
