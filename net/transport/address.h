/* SPDX-License-Identifier: Apache-2.0 */
/* Internet addresses: parsing, printing, ranges. Plain values; any thread. */
#pragma once

#include "core/base/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size; /* 0: none */
};

enum { ADDRESS_TEXT_SIZE = 46 };

/* A range of addresses: a single one or a CIDR. IPv4-mapped IPv6 addresses count as IPv4. */
struct address_range {
    uint8_t bytes[16];
    uint8_t is_v6;
    uint8_t prefix_bits;
};

struct address_ranges {
    struct address_range *items;
    uint32_t count;
};

/* A numeric address without port ("1.2.3.4", "::1", "[::1]"); false for anything else. */
bool address_parse(struct slice text, uint16_t port, struct address *address);
bool address_parse_range(struct slice text, struct address_range *range);
struct address_range address_single(const struct address *address); /* the range of that one */
uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);
bool address_equal(const struct address *a, const struct address *b); /* port included */

/* The numeric text without port and brackets, with NUL; its size. */
size_t address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

bool address_in_ranges(const struct address *address, const struct address_ranges *ranges);
