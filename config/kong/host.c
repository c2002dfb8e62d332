/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/host.h"

#include <arpa/inet.h>
#include <stdio.h>

/* By exclusion, as Kong does: two colons make an IPv6 address, digits and dots an IPv4 address. */
static enum kong_host_type type_of(struct slice text)
{
    size_t colons = 0;
    bool numeric = true;
    for (size_t i = 0; i < text.size; i++) {
        colons += text.data[i] == ':';
        numeric = numeric && (slice_is_digit(text.data[i]) || text.data[i] == '.' || text.data[i] == ':');
    }
    if (colons > 1)
        return KONG_HOST_IPV6;
    return numeric && text.size > colons ? KONG_HOST_IPV4 : KONG_HOST_NAME;
}

static const char *parse_port(struct slice digits, struct kong_host *out)
{
    uint64_t port;
    if (!slice_to_u64(digits, &port) || port > 65535)
        return "invalid port number";
    out->has_port = true;
    out->port = (uint16_t)port;
    return NULL;
}

/* One to three digits, leading zeros allowed. */
static bool parse_byte(struct slice text, unsigned char *out)
{
    uint64_t number;
    if (text.size == 0 || text.size > 3 || !slice_to_u64(text, &number) || number > 255)
        return false;
    *out = (unsigned char)number;
    return true;
}

static const char *parse_ipv4(struct slice text, struct kong_host *out)
{
    struct slice port, rest;
    rest = slice_split(text, ':', &port);
    for (int i = 0; i < 4; i++) {
        struct slice part = slice_split(rest, '.', &rest);
        if (!parse_byte(part, &out->address[i]) || (rest.data == NULL) != (i == 3))
            return "invalid ipv4 address: {}";
    }
    if (port.data == NULL)
        return NULL;
    for (size_t i = 0; i < port.size; i++)
        if (!slice_is_digit(port.data[i]))
            return "invalid ipv4 address: {}";
    return port.size ? parse_port(port, out) : "invalid ipv4 address: {}";
}

static const char *parse_ipv6(struct slice text, struct kong_host *out)
{
    char copy[INET6_ADDRSTRLEN];
    struct slice address = text, port = { NULL, 0 };
    const char *end = text.data[0] == '[' ? memchr(text.data, ']', text.size) : NULL;
    if (end != NULL) {
        address = (struct slice){ text.data + 1, (size_t)(end - text.data) - 1 };
        port = slice_from(text, address.size + 2);
    }
    if (port.size > 0 && port.data[0] != ':')
        return "invalid ipv6 address: {}";
    if (address.size >= sizeof(copy))
        return "invalid ipv6 address: {}";
    memcpy(copy, address.data, address.size);
    copy[address.size] = '\0';
    if (inet_pton(AF_INET6, copy, out->address) != 1)
        return "invalid ipv6 address: {}";
    return port.size > 0 ? parse_port(slice_from(port, 1), out) : NULL;
}

static bool is_name_character(char c)
{
    char lower = slice_lower(c);
    return (lower >= 'a' && lower <= 'z') || slice_is_digit(c) || c == '-' || c == '.' || c == '_';
}

/* Labels that do not end with a hyphen; only the last one may be empty, of a name that ends with a dot. */
static bool is_name(struct slice name)
{
    if (name.size == 0)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        bool last = i + 1 == name.size;
        if (!is_name_character(name.data[i]))
            return false;
        if (name.data[i] == '-' && (last || name.data[i + 1] == '.'))
            return false;
        if (name.data[i] == '.' && (i == 0 || name.data[i - 1] == '.'))
            return false;
    }
    return true;
}

static const char *parse_name(struct slice text, struct kong_host *out)
{
    struct slice port;
    out->name = slice_split(text, ':', &port);
    bool digits = port.data != NULL && port.size > 0;
    for (size_t i = 0; digits && i < port.size; i++)
        digits = slice_is_digit(port.data[i]);
    if (port.data != NULL && !digits)
        return "invalid hostname: {}";
    const char *reason = digits ? parse_port(port, out) : NULL;
    if (reason != NULL)
        return reason;
    return is_name(out->name) ? NULL : "invalid hostname: {}";
}

const char *kong_parse_host(struct slice text, struct kong_host *out)
{
    *out = (struct kong_host){ .type = type_of(text) };
    if (text.size == 0)
        return "invalid hostname: {}";
    switch (out->type) {
    case KONG_HOST_IPV4: return parse_ipv4(text, out);
    case KONG_HOST_IPV6: return parse_ipv6(text, out);
    case KONG_HOST_NAME: break;
    }
    return parse_name(text, out);
}

void kong_host_short(const struct kong_host *host, char text[KONG_HOST_TEXT_SIZE])
{
    int family = host->type == KONG_HOST_IPV6 ? AF_INET6 : AF_INET;
    CHECK(host->type != KONG_HOST_NAME);
    CHECK(inet_ntop(family, host->address, text, KONG_HOST_TEXT_SIZE) != NULL);
}

void kong_host_long(const struct kong_host *host, char text[KONG_HOST_TEXT_SIZE])
{
    if (host->type != KONG_HOST_IPV6) {
        kong_host_short(host, text);
        return;
    }
    char *out = text;
    for (int i = 0; i < 16; i += 2)
        out += snprintf(out, 6, "%s%02x%02x", i ? ":" : "", host->address[i], host->address[i + 1]);
}
