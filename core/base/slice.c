/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slice.h"

bool slices_hold(struct slices texts, struct slice text)
{
    for (uint32_t i = 0; i < texts.count; i++)
        if (slice_equal(texts.items[i], text))
            return true;
    return false;
}

bool slice_has_word(struct slice text, struct slice word)
{
    while (text.data)
        if (slice_equal(slice_split(text, ' ', &text), word))
            return true;
    return false;
}

bool slice_ends_with(struct slice text, struct slice suffix)
{
    return text.size >= suffix.size &&
           (suffix.size == 0 || memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0);
}

enum { WORD_BYTES = sizeof(uint64_t) };

static uint64_t load_word(const char *data)
{
    uint64_t word;
    memcpy(&word, data, WORD_BYTES);
    return word;
}

/* slice_lower of eight bytes at a time; the eighth bit of each byte keeps carries from its neighbour. */
static uint64_t lower_word(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, high = ones * 0x80;
    uint64_t low = word & ~high;
    uint64_t from_a = low + ones * (0x80 - 'A'), beyond_z = low + ones * (0x7f - 'Z');
    uint64_t is_upper = (from_a ^ beyond_z) & ~word & high;
    return word | is_upper >> 2;
}

static bool same_word(uint64_t a, uint64_t b)
{
    return a == b || lower_word(a) == lower_word(b);
}

/* Four bytes as a word. */
static uint64_t load_half(const char *data)
{
    uint32_t half;
    memcpy(&half, data, sizeof(half));
    return half;
}

bool slice_same_nocase(const char *a, const char *b, size_t size)
{
    enum { HALF = WORD_BYTES / 2 };
    if (size < WORD_BYTES && size >= HALF) /* two halves that may overlap */
        return same_word(load_half(a) << 32 | load_half(a + size - HALF),
                         load_half(b) << 32 | load_half(b + size - HALF));
    if (size < HALF) {
        for (size_t i = 0; i < size; i++)
            if (slice_lower(a[i]) != slice_lower(b[i]))
                return false;
        return true;
    }
    size_t last = size - WORD_BYTES; /* that word overlaps the one before */
    for (size_t i = 0; i < last; i += WORD_BYTES)
        if (!same_word(load_word(a + i), load_word(b + i)))
            return false;
    return same_word(load_word(a + last), load_word(b + last));
}

int slice_compare(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

struct slice slice_trim(struct slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = slice_from(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

struct slice slice_split(struct slice text, char separator, struct slice *rest)
{
    const char *at = text.size ? memchr(text.data, separator, text.size) : NULL;
    if (at == NULL) {
        *rest = (struct slice){ NULL, 0 };
        return text;
    }
    size_t before = (size_t)(at - text.data);
    *rest = slice_from(text, before + 1);
    return (struct slice){ text.data, before };
}

bool slice_to_u64(struct slice text, uint64_t *value)
{
    uint64_t sum = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!slice_is_digit(text.data[i]))
            return false;
        if (__builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(text.data[i] - '0'), &sum))
            return false;
    }
    *value = sum;
    return true;
}

const char slice_digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";

/* The least number of so many digits and one. */
static const uint64_t powers_of_10[SLICE_U64_SIZE] = { 0,
                                                       10,
                                                       100,
                                                       1000,
                                                       10000,
                                                       100000,
                                                       1000000,
                                                       10000000,
                                                       100000000,
                                                       1000000000,
                                                       10000000000,
                                                       100000000000,
                                                       1000000000000,
                                                       10000000000000,
                                                       100000000000000,
                                                       1000000000000000,
                                                       10000000000000000,
                                                       100000000000000000,
                                                       1000000000000000000,
                                                       10000000000000000000u };

/* A number of n bits has n log10(2) digits, rounded down, or one more. */
size_t slice_u64_size(uint64_t number)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(number | 1);
    unsigned least = bits * 1233 >> 12;
    return least + (number >= powers_of_10[least]);
}

char *slice_write_u64(char *out, uint64_t number)
{
    char *end = out + slice_u64_size(number), *next = end;
    for (; number >= 100; number /= 100)
        memcpy(next -= 2, slice_digit_pairs + number % 100 * 2, 2);
    if (number >= 10)
        memcpy(next - 2, slice_digit_pairs + number * 2, 2);
    else
        next[-1] = (char)('0' + number);
    return end;
}

bool slice_equal_constant_time(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.size; i++)
        difference = (unsigned char)(difference | (a.data[i] ^ b.data[i]));
    return difference == 0;
}
