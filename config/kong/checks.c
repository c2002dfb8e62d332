/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/checks.h"

#include "config/kong/host.h"
#include "core/crypto/uuid.h"

#include <arpa/inet.h>

static bool is_alphanumeric(char c)
{
    char lower = slice_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

static bool is_utf8_byte(char c)
{
    return (unsigned char)c >= 0x80;
}

static bool is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

const char *kong_check_id(struct slice text)
{
    unsigned char bytes[UUID_BYTES];
    return uuid_read(text, bytes) ? NULL : "expected a valid UUID";
}

const char *kong_check_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_alphanumeric(text.data[i]) && !is_utf8_byte(text.data[i]) && !is_in(text.data[i], ".-_~"))
            return "invalid value '{}': the only accepted ascii characters are "
                   "alphanumerics or ., -, _, and ~";
    return NULL;
}

const char *kong_check_tag(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < ' ' || is_in(text.data[i], ",/\x7f"))
            return "invalid tag '{}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences";
    return NULL;
}

const char *kong_check_header_text(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_alphanumeric(text.data[i]) && !is_in(text.data[i], "-_"))
            return "bad header name '{}', allowed characters are A-Z, a-z, 0-9, '_', and '-'";
    return NULL;
}

const char *kong_check_cookie_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || is_in(text.data[i], "\x7f()<>@,;:\\\"/?={}[]"))
            return "contains one or more invalid characters. ASCII control characters (0-31;127), space, tab "
                   "and the characters ()<>@,;:\\\"/?=[] and braces are not allowed.";
    return NULL;
}

const char *kong_check_header_name(struct slice text)
{
    const char *reason = kong_check_header_text(text);
    if (reason != NULL)
        return reason;
    return slice_equal_nocase(text, SLICE("host"))
               ? "cannot contain 'host' header, which must be specified in the 'hosts' attribute"
               : NULL;
}

const char *kong_check_method(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 'A' || text.data[i] > 'Z')
            return "invalid value: {}";
    return NULL;
}

static bool is_ip(int family, struct slice text)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return inet_pton(family, copy, address) == 1;
}

/* Labels of letters, digits, hyphens and underscores with single dots between them; one at the end may be. */
static bool is_hostname(struct slice text)
{
    if (text.size == 0 || text.size > 255)
        return false;
    char before = '.';
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!is_alphanumeric(c) && !is_in(c, "-_."))
            return false;
        if (before == '.' && (c == '.' || c == '-'))
            return false;
        if (before == '-' && c == '.')
            return false;
        before = c;
    }
    return before != '-';
}

/* Cuts `:digits` off the end; absent when there is none. */
static struct slice cut_port(struct slice *text)
{
    size_t colon = text->size;
    while (colon > 0 && text->data[colon - 1] >= '0' && text->data[colon - 1] <= '9')
        colon--;
    if (colon == 0 || colon == text->size || text->data[colon - 1] != ':')
        return (struct slice){ NULL, 0 };
    struct slice port = slice_from(*text, colon);
    text->size = colon - 1;
    return port;
}

static bool is_bracketed(struct slice text)
{
    return text.size > 2 && text.data[0] == '[' && text.data[text.size - 1] == ']' &&
           is_ip(AF_INET6, (struct slice){ text.data + 1, text.size - 2 });
}

const char *kong_check_host(struct slice text)
{
    if (is_hostname(text) || is_ip(AF_INET6, text) || is_bracketed(text))
        return NULL;
    struct slice host = text;
    struct slice port = cut_port(&host);
    if (port.data != NULL && (is_hostname(host) || is_bracketed(host)))
        return "must not have a port";
    return "invalid value: {}";
}

/* One `*` as the whole first or last label. */
static const char *check_wildcard(struct slice text)
{
    const char *star = memchr(text.data, '*', text.size);
    size_t at = (size_t)(star - text.data);
    if (memchr(star + 1, '*', text.size - at - 1))
        return "invalid wildcard: must have at most one wildcard";
    struct slice rest = { text.data, text.size };
    if (at == 0 && text.size > 2 && text.data[1] == '.')
        rest = slice_from(text, 2);
    else if (at == text.size - 1 && text.size > 2 && text.data[at - 1] == '.')
        rest.size -= 2;
    else
        return "invalid wildcard: must be placed at leftmost or rightmost label";
    return is_hostname(rest) ? NULL : "invalid hostname: {}";
}

const char *kong_check_route_host(struct slice text)
{
    struct slice host = text;
    if (is_ip(AF_INET6, text))
        return NULL;
    struct slice port = cut_port(&host);
    uint64_t number = 0;
    if (port.data != NULL && (!slice_to_u64(port, &number) || number > 65535))
        return "invalid port number in '{}'";
    if (host.size > 0 && memchr(host.data, '*', host.size))
        return check_wildcard(host);
    return is_hostname(host) || is_bracketed(host) ? NULL : "invalid hostname: {}";
}

const char *kong_check_sni(struct slice text)
{
    if (is_ip(AF_INET, text) || is_ip(AF_INET6, text))
        return "must not be an IP";
    if (memchr(text.data, ':', text.size))
        return "must not have a port";
    if (memchr(text.data, '*', text.size))
        return check_wildcard(text);
    return is_hostname(text) ? NULL : "invalid hostname: {}";
}

/* The name that a certificate is for: `*` may stand for its first or last part, or for all of it. */
const char *kong_check_wildcard_host(struct slice text)
{
    struct kong_host host;
    const char *star = memchr(text.data, '*', text.size);
    size_t at = star ? (size_t)(star - text.data) : 0;
    char name[256];
    if (star == NULL) {
        const char *reason = kong_parse_host(text, &host);
        if (reason != NULL)
            return strcmp(reason, "invalid port number") == 0 ? "must not have a port" : "invalid value: {}";
        if (host.type != KONG_HOST_NAME)
            return "must not be an IP";
        return host.has_port ? "must not have a port" : NULL;
    }
    if (at != 0 && at != text.size - 1)
        return "wildcard must be leftmost or rightmost character";
    if (memchr(star + 1, '*', text.size - at - 1))
        return "only one wildcard must be specified";
    if (text.size >= sizeof(name))
        return "invalid value: {}";
    memcpy(name, text.data, text.size);
    name[at] = 'w';
    return kong_check_wildcard_host((struct slice){ name, text.size }) ? "invalid value: {}" : NULL;
}

const char *kong_check_path(struct slice text)
{
    if (text.data[0] != '/')
        return "should start with: /";
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '/' && i > 0 && text.data[i - 1] == '/')
            return "must not have empty segments";
        if (c == '%' && (text.size - i < 3 || slice_hex_value(text.data[i + 1]) < 0 ||
                         slice_hex_value(text.data[i + 2]) < 0))
            return "invalid url-encoded value in '{}'";
        if (!is_alphanumeric(c) && !is_in(c, "-._~:/?#[]@!$&'()*+,;=%"))
            return "invalid path: '{}' (characters outside of the reserved list of RFC 3986 found)";
    }
    return NULL;
}
