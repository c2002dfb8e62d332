/* SPDX-License-Identifier: Apache-2.0 */
/* Message digests in one call, for configuration hashes, ids and stored passwords: not tuned for the request
 * path (see hmac.h for that). MD5 and SHA-1 name things here, they protect nothing. Any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum digest_kind { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };

enum { DIGEST_MAX = 64, DIGEST_HEX_MAX = 2 * DIGEST_MAX + 1 };

/* Bytes of a digest of that kind. */
size_t digest_size(enum digest_kind kind);

/* Writes digest_size bytes; false when the library cannot compute it (memory, or a policy forbids the
 * kind). */
bool digest_of(enum digest_kind kind, struct slice bytes, unsigned char *out) MUST_CHECK;

/* The same in lower-case hexadecimal with a NUL: 2 * digest_size + 1 characters. */
bool digest_hex(enum digest_kind kind, struct slice bytes, char *out) MUST_CHECK;
