/* SPDX-License-Identifier: Apache-2.0 */
/* Which certificate is shown for which name, and which names ask clients for one: the certificates of a
 * model, and the routes whose plugins want to know who connects. Control thread. */
#pragma once

#include "net/proxy/tls_profiles.h"

struct tls_sites {
    struct tls_site_options *items; /* the first one is for names that nothing else is for */
    uint32_t count;
};

/* False: reported with its place, or no memory. The keys are released by tls_sites_drop, in either case. */
bool tls_sites_build(const struct tls_profile_source *source, struct tls_sites *sites) MUST_CHECK;
void tls_sites_drop(const struct tls_sites *sites);
