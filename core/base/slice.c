/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/slice.h"

bool slice_ends_with(struct slice text, struct slice suffix)
{
    return text.size >= suffix.size &&
           (suffix.size == 0 || memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0);
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (slice_lower(a.data[i]) != slice_lower(b.data[i]))
            return false;
    return true;
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

bool slice_equal_constant_time(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.size; i++)
        difference = (unsigned char)(difference | (a.data[i] ^ b.data[i]));
    return difference == 0;
}
