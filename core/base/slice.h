/* SPDX-License-Identifier: Apache-2.0 */
/* A view of bytes that owns nothing: it dies with what it views, and is stored past a callback only after a
 * copy into an arena. data == NULL is "absent", which differs from the empty text. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t size;
};

struct slices {
    struct slice *items;
    uint32_t count;
};

/* Printing a slice with %.*s. */
#define SLICE_FORMAT(slice) (int)(slice).size, (slice).data ? (slice).data : ""
#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })

static inline struct slice slice_of(const char *text)
{
    return (struct slice){ text, text ? strlen(text) : 0 };
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_starts_with(struct slice text, struct slice prefix)
{
    return text.size >= prefix.size && (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static inline struct slice slice_from(struct slice text, size_t offset)
{
    return (struct slice){ text.data + offset, text.size - offset };
}

/* ASCII letters only, whatever the locale. */
static inline char slice_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool slice_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of a hexadecimal digit in either case; -1: it is none. */
static inline int slice_hex_value(char c)
{
    if (slice_is_digit(c))
        return c - '0';
    char lower = slice_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Is it one of them, in the same spelling? */
bool slices_hold(struct slices texts, struct slice text);

/* Is it one of the words between spaces? */
bool slice_has_word(struct slice text, struct slice word);

bool slice_ends_with(struct slice text, struct slice suffix);
/* Of two texts of `size` bytes. */
bool slice_same_nocase(const char *a, const char *b, size_t size);

/* Most names that are compared differ in size or in their first letter already: no call for those. */
static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || (((a.data[0] ^ b.data[0]) & ~0x20) == 0 &&
                                                slice_same_nocase(a.data, b.data, a.size)));
}

int slice_compare(struct slice a, struct slice b);
struct slice slice_trim(struct slice text); /* spaces and tabs at both ends */

/* The part before the first `separator`; *rest is what follows it, or absent when there was none. */
struct slice slice_split(struct slice text, char separator, struct slice *rest);

/* Decimal digits only, nothing else around them; false on overflow or another character. */
bool slice_to_u64(struct slice text, uint64_t *value);

extern const char slice_digit_pairs[]; /* "00" to "99", one behind the other */

/* Decimal, without a sign; returns its end, at most SLICE_U64_SIZE further. */
enum { SLICE_U64_SIZE = 20 };
char *slice_write_u64(char *out, uint64_t number);
size_t slice_u64_size(uint64_t number);

/* Equality in time that depends only on the sizes: for secrets. */
bool slice_equal_constant_time(struct slice a, struct slice b);
