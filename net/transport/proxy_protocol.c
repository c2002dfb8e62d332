/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/proxy_protocol.h"

#include "core/base/check.h"

#include <arpa/inet.h>
#include <stdio.h>

enum {
    V2_HEAD_BYTES = 16, /* signature, command, family, length */
    V2_COMMAND_AT = 12,
    V2_FAMILY_AT = 13,
    V2_LENGTH_AT = 14,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_EXTENSION_HEAD_BYTES = 3,
    V2_CHECKSUM = 0x03 /* the extension that holds a CRC32c of the whole header */
};

static const char v1_start[] = "PROXY ";
static const char v2_signature[V2_COMMAND_AT] = "\r\n\r\n\0\r\nQUIT\n";

/* --- version 1 ------------------------------------------------------------------------------------------ */

static bool read_address(struct slice text, int family, struct address *address)
{
    return text.data && address_parse(text, 0, address) && text.data[0] != '[' &&
           address->any.sa_family == family;
}

/* A port is written in one way only: without zeros in front. */
static bool read_port(struct slice text, struct address *address)
{
    uint64_t port;
    if (text.size == 0 || text.size > 5 || (text.size > 1 && text.data[0] == '0') ||
        !slice_to_u64(text, &port) || port > UINT16_MAX)
        return false;
    address_set_port(address, (uint16_t)port);
    return true;
}

/* What stands between `PROXY ` and the end of the line. */
static bool read_line(struct slice line, struct proxy_protocol *header)
{
    struct slice rest, protocol = slice_split(line, ' ', &rest);
    if (slice_equal(protocol, SLICE("UNKNOWN")))
        return true; /* what follows, if anything, is to be ignored */
    bool is_v6 = slice_equal(protocol, SLICE("TCP6"));
    if (!is_v6 && !slice_equal(protocol, SLICE("TCP4")))
        return false;
    int family = is_v6 ? AF_INET6 : AF_INET;
    struct slice words[4];
    for (size_t i = 0; i < COUNT_OF(words); i++)
        words[i] = slice_split(rest, ' ', &rest);
    return rest.data == NULL && read_address(words[0], family, &header->source) &&
           read_address(words[1], family, &header->destination) && read_port(words[2], &header->source) &&
           read_port(words[3], &header->destination);
}

static enum proxy_protocol_result read_v1(struct slice bytes, struct proxy_protocol *header, size_t *size)
{
    size_t start = sizeof(v1_start) - 1, given = bytes.size < start ? bytes.size : start;
    if (memcmp(bytes.data, v1_start, given) != 0)
        return PROXY_PROTOCOL_BAD;
    if (bytes.size > PROXY_PROTOCOL_V1_MAX)
        bytes.size = PROXY_PROTOCOL_V1_MAX;
    const char *end = memchr(bytes.data, '\r', bytes.size);
    size_t at = end ? (size_t)(end - bytes.data) : bytes.size;
    if (memchr(bytes.data, '\n', at) || memchr(bytes.data, '\0', at))
        return PROXY_PROTOCOL_BAD;
    if (at + 1 >= bytes.size)
        return bytes.size < PROXY_PROTOCOL_V1_MAX ? PROXY_PROTOCOL_MORE : PROXY_PROTOCOL_BAD;
    if (bytes.data[at + 1] != '\n')
        return PROXY_PROTOCOL_BAD;
    header->version = 1;
    *size = at + 2;
    return read_line((struct slice){ bytes.data + start, at - start }, header) ? PROXY_PROTOCOL_DONE
                                                                               : PROXY_PROTOCOL_BAD;
}

/* --- version 2 ------------------------------------------------------------------------------------------ */

static unsigned number_at(struct slice bytes, size_t at)
{
    return (unsigned)(unsigned char)bytes.data[at] << 8 | (unsigned char)bytes.data[at + 1];
}

/* RFC 3720, with the field itself taken for zeros. Headers are short and rarely carry it. */
static uint32_t checksum(struct slice bytes, size_t field_at)
{
    uint32_t sum = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        sum ^= i - field_at < 4 ? 0 : (unsigned char)bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
    }
    return ~sum;
}

static bool checksum_is_right(struct slice bytes, size_t field_at)
{
    uint32_t sum = (uint32_t)number_at(bytes, field_at) << 16 | number_at(bytes, field_at + 2);
    return sum == checksum(bytes, field_at);
}

/* Type, length and that many bytes, up to the end of the header. */
static bool extensions_are_good(struct slice bytes, size_t at)
{
    while (at < bytes.size) {
        if (bytes.size - at < V2_EXTENSION_HEAD_BYTES)
            return false;
        size_t length = number_at(bytes, at + 1), value_at = at + V2_EXTENSION_HEAD_BYTES;
        if (length > bytes.size - value_at)
            return false;
        if (bytes.data[at] == V2_CHECKSUM && (length != 4 || !checksum_is_right(bytes, value_at)))
            return false;
        at = value_at + length;
    }
    return true;
}

static void set_v4(struct address *address, const char *ip, const char *port)
{
    *address = (struct address){ .v4 = { .sin_family = AF_INET }, .size = sizeof(address->v4) };
    memcpy(&address->v4.sin_addr, ip, 4);
    memcpy(&address->v4.sin_port, port, 2);
}

static void set_v6(struct address *address, const char *ip, const char *port)
{
    *address = (struct address){ .v6 = { .sin6_family = AF_INET6 }, .size = sizeof(address->v6) };
    memcpy(&address->v6.sin6_addr, ip, 16);
    memcpy(&address->v6.sin6_port, port, 2);
}

/* The bytes of the address block of each family of addresses. */
static bool block_size_of(unsigned family, size_t *size)
{
    static const size_t sizes[] = { 0, 12, 36, 216 }; /* none, IPv4, IPv6, paths of sockets */
    if (family >> 4 >= COUNT_OF(sizes) || (family & 15) > 2)
        return false;
    *size = sizes[family >> 4];
    return true;
}

/* All of it is here. Families that a TCP connection does not have are taken for unknown, as nginx does. */
static bool read_block(struct slice bytes, struct proxy_protocol *header)
{
    unsigned command = (unsigned char)bytes.data[V2_COMMAND_AT],
             family = (unsigned char)bytes.data[V2_FAMILY_AT];
    const char *at = bytes.data + V2_HEAD_BYTES;
    size_t block;
    if (command == V2_LOCAL) /* a check of the balancer's own: whatever follows is to be ignored */
        return true;
    if (!block_size_of(family, &block) || block > bytes.size - V2_HEAD_BYTES)
        return false;
    if (family == V2_TCP4) {
        set_v4(&header->source, at, at + 8);
        set_v4(&header->destination, at + 4, at + 10);
    } else if (family == V2_TCP6) {
        set_v6(&header->source, at, at + 32);
        set_v6(&header->destination, at + 16, at + 34);
    }
    /* Without a family nothing says where extensions would begin. */
    return family == 0 || extensions_are_good(bytes, V2_HEAD_BYTES + block);
}

static enum proxy_protocol_result read_v2(struct slice bytes, struct proxy_protocol *header, size_t *size)
{
    size_t given = bytes.size < sizeof(v2_signature) ? bytes.size : sizeof(v2_signature);
    if (memcmp(bytes.data, v2_signature, given) != 0)
        return PROXY_PROTOCOL_BAD;
    unsigned command = bytes.size > V2_COMMAND_AT ? (unsigned char)bytes.data[V2_COMMAND_AT] : V2_LOCAL;
    if (command != V2_LOCAL && command != V2_PROXY)
        return PROXY_PROTOCOL_BAD;
    if (bytes.size < V2_HEAD_BYTES)
        return PROXY_PROTOCOL_MORE;
    size_t whole = V2_HEAD_BYTES + (size_t)number_at(bytes, V2_LENGTH_AT);
    if (whole > PROXY_PROTOCOL_MAX)
        return PROXY_PROTOCOL_BAD;
    if (bytes.size < whole)
        return PROXY_PROTOCOL_MORE;
    header->version = 2;
    *size = whole;
    return read_block((struct slice){ bytes.data, whole }, header) ? PROXY_PROTOCOL_DONE : PROXY_PROTOCOL_BAD;
}

enum proxy_protocol_result proxy_protocol_read(struct slice bytes, struct proxy_protocol *header,
                                               size_t *size)
{
    *header = (struct proxy_protocol){ 0 };
    *size = 0;
    if (bytes.size == 0)
        return PROXY_PROTOCOL_MORE;
    return bytes.data[0] == v2_signature[0] ? read_v2(bytes, header, size) : read_v1(bytes, header, size);
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* An IPv4 address that a socket for IPv6 shows in its own form. */
static struct address unmap(const struct address *address)
{
    struct address plain = *address;
    const char *bytes = (const char *)&address->v6.sin6_addr;
    if (address->size > 0 && address->any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        set_v4(&plain, bytes + 12, (const char *)&address->v6.sin6_port);
    return plain;
}

static bool is_known(const struct proxy_protocol *header, int family)
{
    return header->source.size && header->destination.size && header->source.any.sa_family == family &&
           header->destination.any.sa_family == family;
}

static size_t write_v1(char *out, const struct proxy_protocol *header)
{
    bool is_v6 = is_known(header, AF_INET6);
    const struct address *from = &header->source, *to = &header->destination;
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
    if (!is_v6 && !is_known(header, AF_INET))
        return (size_t)snprintf(out, PROXY_PROTOCOL_WRITTEN_MAX, "PROXY UNKNOWN\r\n");
    int family = from->any.sa_family;
    (void)inet_ntop(family, is_v6 ? (const void *)&from->v6.sin6_addr : &from->v4.sin_addr, source,
                    sizeof(source));
    (void)inet_ntop(family, is_v6 ? (const void *)&to->v6.sin6_addr : &to->v4.sin_addr, destination,
                    sizeof(destination));
    return (size_t)snprintf(out, PROXY_PROTOCOL_WRITTEN_MAX, "PROXY TCP%c %s %s %u %u\r\n", is_v6 ? '6' : '4',
                            source, destination, address_port(from), address_port(to));
}

static size_t write_v2(char *out, const struct proxy_protocol *header)
{
    bool is_v4 = is_known(header, AF_INET), is_v6 = is_known(header, AF_INET6);
    size_t block = is_v4 ? 12 : is_v6 ? 36 : 0;
    char *at = out + V2_HEAD_BYTES;
    memcpy(out, v2_signature, sizeof(v2_signature));
    out[V2_COMMAND_AT] = V2_PROXY;
    out[V2_FAMILY_AT] = (char)(is_v4 ? V2_TCP4 : is_v6 ? V2_TCP6 : 0);
    out[V2_LENGTH_AT] = 0;
    out[V2_LENGTH_AT + 1] = (char)block;
    if (is_v4) {
        memcpy(at, &header->source.v4.sin_addr, 4);
        memcpy(at + 4, &header->destination.v4.sin_addr, 4);
        memcpy(at + 8, &header->source.v4.sin_port, 2);
        memcpy(at + 10, &header->destination.v4.sin_port, 2);
    } else if (is_v6) {
        memcpy(at, &header->source.v6.sin6_addr, 16);
        memcpy(at + 16, &header->destination.v6.sin6_addr, 16);
        memcpy(at + 32, &header->source.v6.sin6_port, 2);
        memcpy(at + 34, &header->destination.v6.sin6_port, 2);
    }
    return V2_HEAD_BYTES + block;
}

size_t proxy_protocol_write(char out[PROXY_PROTOCOL_WRITTEN_MAX], const struct proxy_protocol *header)
{
    struct proxy_protocol plain = { header->version, unmap(&header->source), unmap(&header->destination) };
    if (is_known(&plain, AF_INET))
        header = &plain;
    return header->version == 2 ? write_v2(out, header) : write_v1(out, header);
}
