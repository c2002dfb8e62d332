/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 and base64url (RFC 4648 sections 4 and 5). Decoding is strict: one text has one meaning, so
 * nothing foreign, no line ends, no wrong length and no leftover bits are accepted. Nothing is allocated.
 * Any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum base64_alphabet {
    BASE64_STANDARD, /* + and /, always padded with = */
    BASE64_URL       /* - and _, never padded */
};

/* An upper bound of the bytes `size` characters decode to; cannot overflow. */
static inline size_t base64_decoded_bound(size_t size)
{
    return size / 4 * 3 + size % 4;
}

/* The characters `size` bytes encode to, padding included; SIZE_MAX when that is more than a size_t holds. */
size_t base64_encoded_size(enum base64_alphabet alphabet, size_t size);

/* Writes the decoded bytes to `out` (room for base64_decoded_bound(text.size)); may be text.data itself.
 * False when the text is not what the encoder would have written; `out` is then unspecified. */
bool base64_decode(enum base64_alphabet alphabet, struct slice text, void *out, size_t *size) MUST_CHECK;

/* Writes base64_encoded_size characters, without a NUL, to `out`; returns their number. */
size_t base64_encode(enum base64_alphabet alphabet, struct slice bytes, char *out);
