/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/compression_accept.h"

enum { QUALITY_MAX = 1000 };

void accepted_init(struct accepted *accepted)
{
    for (size_t i = 0; i < CODING_COUNT; i++)
        accepted->quality[i] = -1;
    accepted->identity = accepted->any = -1;
}

/* 0, 1 and up to three decimals, in thousandths (RFC 9110 section 12.4.2); -1: malformed. */
static int read_quality(struct slice text)
{
    int quality = 0, scale = QUALITY_MAX;
    if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1'))
        return -1;
    quality = (text.data[0] - '0') * scale;
    if (text.size > 1 && text.data[1] != '.')
        return -1;
    for (size_t i = 2; i < text.size; i++) {
        if (!slice_is_digit(text.data[i]))
            return -1;
        scale /= 10;
        quality += (text.data[i] - '0') * scale;
    }
    return quality <= QUALITY_MAX ? quality : -1;
}

/* The weight among the parameters; QUALITY_MAX when there is none, -1: malformed. */
static int find_quality(struct slice parameters)
{
    while (parameters.data) {
        struct slice value, one = slice_trim(slice_split(parameters, ';', &parameters));
        struct slice name = slice_split(one, '=', &value);
        if (slice_equal_nocase(slice_trim(name), SLICE("q")))
            return value.data ? read_quality(slice_trim(value)) : -1;
    }
    return QUALITY_MAX;
}

static int *place_of(struct accepted *accepted, struct slice name)
{
    if (slice_equal(name, SLICE("*")))
        return &accepted->any;
    if (slice_equal_nocase(name, SLICE("identity")))
        return &accepted->identity;
    if (slice_equal_nocase(name, SLICE("x-gzip"))) /* RFC 9110 section 8.4.1.3 */
        return &accepted->quality[CODING_GZIP];
    for (size_t i = 0; i < CODING_COUNT; i++)
        if (slice_equal_nocase(name, slice_of(coding_names[i])))
            return &accepted->quality[i];
    return NULL;
}

void accepted_read(struct accepted *accepted, struct slice value)
{
    while (value.data) {
        struct slice parameters, one = slice_split(value, ',', &value);
        struct slice name = slice_trim(slice_split(one, ';', &parameters));
        int *place = place_of(accepted, name), quality = find_quality(parameters);
        if (place && quality >= 0)
            *place = quality;
    }
}

enum coding accepted_choose(const struct accepted *accepted, const enum coding *order, uint32_t count)
{
    enum coding best = CODING_COUNT;
    int best_quality = 0;
    for (uint32_t i = 0; i < count; i++) {
        int quality = accepted->quality[order[i]] >= 0 ? accepted->quality[order[i]] : accepted->any;
        if (quality > best_quality) {
            best_quality = quality;
            best = order[i];
        }
    }
    return accepted->identity > best_quality ? CODING_COUNT : best;
}
