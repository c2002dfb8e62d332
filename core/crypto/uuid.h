/* SPDX-License-Identifier: Apache-2.0 */
/* UUIDs (RFC 9562) as lower-case text: random ones, and ones derived from a name. Any thread. */
#pragma once

#include "core/crypto/random.h"

enum { UUID_BYTES = 16, UUID_TEXT_SIZE = 37 }; /* the text with its NUL */

/* Version 4; `pool` may be NULL. */
void uuid_random(struct random_pool *pool, char text[UUID_TEXT_SIZE]);

/* Version 5: of `name` within a namespace, which is a UUID too. False when SHA-1 is not to be had. */
bool uuid_of_name(const unsigned char space[UUID_BYTES], struct slice name,
                  unsigned char out[UUID_BYTES]) MUST_CHECK;

void uuid_write(const unsigned char bytes[UUID_BYTES], char text[UUID_TEXT_SIZE]);

/* Accepts the 8-4-4-4-12 form in either case and nothing else; any version and variant. */
bool uuid_read(struct slice text, unsigned char bytes[UUID_BYTES]) MUST_CHECK;
