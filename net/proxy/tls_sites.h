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

/* Reports, with their places, what of a model's certificates and keys cannot be used: what building would
 * refuse, and those for which no name is asked. */
void tls_sites_check(const struct model *model, struct arena *scratch, struct report *report);
