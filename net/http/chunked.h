/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the chunked coding off a body (RFC 9112 section 7.1) up to its last chunk; trailers come after it
 * and are not read here. Strict: sizes of 1 to 16 digits, CRLF only, no space in front of or behind the
 * size; extensions are skipped and bounded. Part of the parser. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

/* Zeroed, it is before the first chunk. */
struct chunked {
    uint64_t left; /* of the chunk's data */
    uint32_t extension_bytes; /* of all chunks */
    uint8_t state;
    uint8_t digits;
};

enum chunked_result {
    CHUNKED_MORE,
    CHUNKED_DATA, /* *data is a part of the input, never empty */
    CHUNKED_LAST, /* the line of the last chunk has ended */
    CHUNKED_BAD_SIZE,
    CHUNKED_BAD_EXTENSION,
    CHUNKED_BAD_END,
};

/* Reads on from input[*at] and moves *at behind what it has taken. */
enum chunked_result chunked_read(struct chunked *chunked, struct slice input, size_t *at,
                                 uint32_t extension_limit, struct slice *data) MUST_CHECK;
