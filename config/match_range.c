/* SPDX-License-Identifier: Apache-2.0 */
#include "config/match_range.h"

#include <arpa/inet.h>

/* ::ffff:a.b.c.d is a.b.c.d. */
static void unmap(struct match_range *range)
{
    static const uint8_t mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    if (!range->is_v6 || range->prefix_bits < 96 || memcmp(range->bytes, mapped, sizeof(mapped)) != 0)
        return;
    memmove(range->bytes, range->bytes + 12, 4);
    memset(range->bytes + 4, 0, 12);
    range->prefix_bits = (uint8_t)(range->prefix_bits - 96);
    range->is_v6 = false;
}

bool match_range_has_host_bits(const struct match_range *range)
{
    size_t size = range->is_v6 ? 16 : 4, whole = range->prefix_bits / 8;
    if (whole < size && range->bytes[whole] & (0xFF >> (range->prefix_bits % 8)))
        return true;
    for (size_t i = whole + 1; i < size; i++)
        if (range->bytes[i] != 0)
            return true;
    return false;
}

const char *match_range_parse(struct slice text, struct match_range *range)
{
    char address[INET6_ADDRSTRLEN];
    struct slice bits_text;
    struct slice host = slice_split(text, '/', &bits_text);
    *range = (struct match_range){ .is_v6 = host.size && memchr(host.data, ':', host.size) };
    if (host.size == 0 || host.size >= sizeof(address))
        return "not an IP address";
    memcpy(address, host.data, host.size);
    address[host.size] = '\0';
    if (inet_pton(range->is_v6 ? AF_INET6 : AF_INET, address, range->bytes) != 1)
        return "not an IP address";
    uint64_t bits = range->is_v6 ? 128 : 32;
    if (bits_text.data && (bits_text.size > 3 || !slice_to_u64(bits_text, &bits)))
        return "the number of bits is no number";
    if (bits > (range->is_v6 ? 128 : 32))
        return "more bits than the address has";
    range->prefix_bits = (uint8_t)bits;
    unmap(range);
    return NULL;
}

bool match_range_holds(const struct match_range *range, const struct match_range *single)
{
    size_t whole = range->prefix_bits / 8;
    unsigned rest = range->prefix_bits % 8;
    if (range->is_v6 != single->is_v6 || memcmp(range->bytes, single->bytes, whole) != 0)
        return false;
    return rest == 0 || ((range->bytes[whole] ^ single->bytes[whole]) & (0xFF00u >> rest) & 0xFF) == 0;
}
