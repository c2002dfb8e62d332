/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/base64.h"

/* The value of each character, BAD for all others: bit 7 survives an "or" of four of them. */
#define BAD 0x80
#define B4 BAD, BAD, BAD, BAD
#define B16 B4, B4, B4, B4
#define LETTERS_UPPER \
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25
#define LETTERS_LOWER \
    26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51
#define DIGITS 52, 53, 54, 55, 56, 57, 58, 59, 60, 61

/* clang-format off */
static const uint8_t values[2][256] = {
    [BASE64_STANDARD] = {
        B16, B16,
        B4, B4, BAD, BAD, BAD, 62, BAD, BAD, BAD, 63,
        DIGITS, BAD, BAD, BAD, BAD, BAD, BAD,
        BAD, LETTERS_UPPER, BAD, BAD, BAD, BAD, BAD,
        BAD, LETTERS_LOWER, BAD, BAD, BAD, BAD, BAD,
        B16, B16, B16, B16, B16, B16, B16, B16,
    },
    [BASE64_URL] = {
        B16, B16,
        B4, B4, BAD, BAD, BAD, BAD, BAD, 62, BAD, BAD,
        DIGITS, BAD, BAD, BAD, BAD, BAD, BAD,
        BAD, LETTERS_UPPER, BAD, BAD, BAD, BAD, 63,
        BAD, LETTERS_LOWER, BAD, BAD, BAD, BAD, BAD,
        B16, B16, B16, B16, B16, B16, B16, B16,
    },
};
/* clang-format on */

static const char characters[2][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_encoded_size(enum base64_alphabet alphabet, size_t size)
{
    if (size / 3 >= SIZE_MAX / 4)
        return SIZE_MAX;
    size_t rest = size % 3;
    size_t tail = rest == 0 ? 0 : alphabet == BASE64_STANDARD ? 4 : rest + 1;
    return size / 3 * 4 + tail;
}

/* The last two or three characters: what their low bits say beyond whole bytes must be zero. */
static bool decode_tail(const uint8_t *table, const uint8_t *in, size_t count, uint8_t *out)
{
    unsigned a = table[in[0]], b = table[in[1]], c = count == 3 ? table[in[2]] : 0;
    if (((a | b | c) & BAD) != 0)
        return false;
    unsigned leftover = count == 3 ? c & 3 : b & 15;
    out[0] = (uint8_t)(a << 2 | b >> 4);
    if (count == 3)
        out[1] = (uint8_t)(b << 4 | c >> 2);
    return leftover == 0;
}

bool base64_decode(enum base64_alphabet alphabet, struct slice text, void *out, size_t *size)
{
    const uint8_t *table = values[alphabet], *in = (const uint8_t *)text.data;
    uint8_t *to = out;
    size_t count = text.size;
    if (alphabet == BASE64_STANDARD) {
        if (count % 4 != 0)
            return false;
        for (unsigned padding = 0; padding < 2 && count > 0 && in[count - 1] == '='; padding++)
            count--;
    }
    size_t whole = count / 4, tail = count % 4;
    unsigned bad = 0;
    for (size_t i = 0; i < whole; i++, in += 4, to += 3) {
        unsigned a = table[in[0]], b = table[in[1]], c = table[in[2]], d = table[in[3]];
        bad |= a | b | c | d;
        to[0] = (uint8_t)(a << 2 | b >> 4);
        to[1] = (uint8_t)(b << 4 | c >> 2);
        to[2] = (uint8_t)(c << 6 | d);
    }
    *size = whole * 3 + (tail ? tail - 1 : 0);
    if ((bad & BAD) != 0 || tail == 1)
        return false;
    return tail == 0 || decode_tail(table, in, tail, to);
}

size_t base64_encode(enum base64_alphabet alphabet, struct slice bytes, char *out)
{
    const char *table = characters[alphabet];
    const uint8_t *in = (const uint8_t *)bytes.data;
    char *start = out;
    size_t whole = bytes.size / 3, tail = bytes.size % 3;
    for (size_t i = 0; i < whole; i++, in += 3) {
        *out++ = table[in[0] >> 2];
        *out++ = table[(in[0] & 3) << 4 | in[1] >> 4];
        *out++ = table[(in[1] & 15) << 2 | in[2] >> 6];
        *out++ = table[in[2] & 63];
    }
    if (tail == 0)
        return (size_t)(out - start);
    unsigned second = tail == 2 ? in[1] : 0u;
    *out++ = table[in[0] >> 2];
    *out++ = table[(in[0] & 3u) << 4 | second >> 4];
    if (tail == 2)
        *out++ = table[(second & 15) << 2];
    while (alphabet == BASE64_STANDARD && (out - start) % 4 != 0)
        *out++ = '=';
    return (size_t)(out - start);
}
