/* SPDX-License-Identifier: Apache-2.0 */
/* When the certificates of a configuration end: as metrics, and as lines in the journal before it is too
 * late. Control thread, or whoever holds what keeps the model alive. */
#pragma once

#include "config/model.h"

#include <stdio.h>

struct tls_expiry {
    const struct model *model;
    int64_t default_not_after_s; /* of the settings' pair that ends first; 0: there is none */
};

/* One line per certificate, in Prometheus' text format; nothing when there is none. */
void tls_expiry_write(const struct tls_expiry *expiry, FILE *out);

/* A warning for each that ends within 30 days of `now_s`, or has ended. */
void tls_expiry_warn(const struct tls_expiry *expiry, int64_t now_s);
