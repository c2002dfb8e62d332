/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/address.h"

#include <arpa/inet.h>

static bool copy_text(struct slice text, char *copy, size_t copy_size)
{
    if (text.size == 0 || text.size >= copy_size || memchr(text.data, '\0', text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return true;
}

bool address_parse(struct slice text, uint16_t port, struct address *address)
{
    char copy[ADDRESS_TEXT_SIZE];
    if (text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']')
        text = (struct slice){ text.data + 1, text.size - 2 };
    if (!copy_text(text, copy, sizeof(copy)))
        return false;
    *address = (struct address){ 0 };
    if (inet_pton(AF_INET, copy, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        address->size = sizeof(address->v4);
        return true;
    }
    if (inet_pton(AF_INET6, copy, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons(port);
        address->size = sizeof(address->v6);
        return true;
    }
    return false;
}

/* The 4 or 16 bytes of the address; an IPv4-mapped one counts as IPv4. */
static const uint8_t *bytes_of(const struct address *address, bool *is_v6)
{
    *is_v6 = address->any.sa_family == AF_INET6;
    if (!*is_v6)
        return (const uint8_t *)&address->v4.sin_addr;
    const uint8_t *bytes = address->v6.sin6_addr.s6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return bytes;
    *is_v6 = false;
    return bytes + 12;
}

bool address_parse_range(struct slice text, struct address_range *range)
{
    struct slice bits_text, host = slice_split(text, '/', &bits_text);
    struct address address;
    if (!address_parse(host, 0, &address))
        return false;
    bool is_v6;
    const uint8_t *bytes = bytes_of(&address, &is_v6);
    uint64_t most = is_v6 ? 128 : 32, bits = most;
    if (bits_text.data && (!slice_to_u64(bits_text, &bits) || bits > most))
        return false;
    *range = (struct address_range){ .is_v6 = is_v6, .prefix_bits = (uint8_t)bits };
    memcpy(range->bytes, bytes, is_v6 ? 16 : 4);
    return true;
}

struct address_range address_single(const struct address *address)
{
    bool is_v6;
    const uint8_t *bytes = bytes_of(address, &is_v6);
    struct address_range range = { .is_v6 = is_v6, .prefix_bits = is_v6 ? 128 : 32 };
    memcpy(range.bytes, bytes, is_v6 ? 16 : 4);
    return range;
}

uint16_t address_port(const struct address *address)
{
    return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port);
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
    else
        address->v4.sin_port = htons(port);
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->size != b->size || a->any.sa_family != b->any.sa_family)
        return false;
    if (address_port(a) != address_port(b))
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

size_t address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    bool is_v6;
    const uint8_t *bytes = bytes_of(address, &is_v6);
    if (address->size == 0 || inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes, text, ADDRESS_TEXT_SIZE) == NULL)
        text[0] = '\0';
    return strlen(text);
}

static bool in_range(const uint8_t *bytes, const struct address_range *range)
{
    unsigned whole = range->prefix_bits / 8, rest = range->prefix_bits % 8;
    if (memcmp(bytes, range->bytes, whole) != 0)
        return false;
    return rest == 0 || (bytes[whole] ^ range->bytes[whole]) >> (8 - rest) == 0;
}

bool address_in_ranges(const struct address *address, const struct address_ranges *ranges)
{
    bool is_v6;
    const uint8_t *bytes = bytes_of(address, &is_v6);
    for (uint32_t i = 0; i < ranges->count; i++)
        if (ranges->items[i].is_v6 == is_v6 && in_range(bytes, &ranges->items[i]))
            return true;
    return false;
}
