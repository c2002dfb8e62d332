/* SPDX-License-Identifier: Apache-2.0 */
/* The characters of a token, RFC 9110 section 5.6.2: names of fields and methods are made of them. Any
 * thread. */
#pragma once

#include "core/base/slice.h"

/* Bit n of word c / 32: is character c one of a token? */
static inline bool token_has(char character)
{
    static const uint32_t members[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0 };
    unsigned char c = (unsigned char)character;
    return members[c >> 5] >> (c & 31) & 1;
}

/* The empty text is no token. */
static inline bool token_is(struct slice text)
{
    bool good = text.size > 0;
    for (size_t i = 0; i < text.size; i++)
        good &= token_has(text.data[i]);
    return good;
}
