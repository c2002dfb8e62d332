/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF as TLS 1.3 uses it (RFC 5869, RFC 8446 section 7.1). Any thread. This header names nothing of
 * libcrypto, whose headers and wolfSSL's cannot be included together. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum tls_hash { TLS_SHA256, TLS_SHA384 };

enum { TLS_SECRET_MAX = 48 };

static inline size_t tls_secret_size(enum tls_hash hash)
{
    return hash == TLS_SHA256 ? 32 : 48;
}

/* Writes tls_secret_size bytes. */
void tls_secret_extract(enum tls_hash hash, struct slice salt, struct slice secret, unsigned char *out);

struct tls_label {
    struct slice prefix; /* "tls13 " */
    struct slice label;
    struct slice context; /* at most 255 bytes */
};

/* HKDF-Expand-Label. False when more than one block is asked for, or the label is too long. */
bool tls_secret_expand(enum tls_hash hash, struct slice secret, const struct tls_label *label,
                       unsigned char *out, size_t size) MUST_CHECK;
