/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/start_line.h"

#include "net/http/token.h"

enum { METHOD_BYTES = 32, VERSION_BYTES = sizeof("HTTP/1.1") - 1, PORT_MAX = 65535 };

/* --- method and version --------------------------------------------------------------------------------- */

/* Upper-case tokens are methods, known or not; Kong refuses lower-case ones as well. *size may be all there
 * is. */
static enum http1_refusal read_method(struct slice line, size_t *size)
{
    size_t at = 0;
    while (at < line.size && line.data[at] != ' ') {
        char c = line.data[at];
        if (at == METHOD_BYTES || !token_has(c) || (c >= 'a' && c <= 'z'))
            return HTTP1_REFUSED_METHOD;
        at++;
    }
    *size = at;
    return at == 0 && line.size > 0 ? HTTP1_REFUSED_METHOD : HTTP1_REFUSED_NONE;
}

/* Tunnels are not for a gateway, and TRACE would show others' credentials. */
static bool is_forbidden(struct slice method)
{
    return slice_equal(method, SLICE("CONNECT")) || slice_equal(method, SLICE("TRACE"));
}

/* HTTP/1.x of any one-digit x is served as 1.1 would be (Kong serves 1.2), other majors from 2 on get the
 * 505. */
static enum http1_refusal read_version(struct slice text, uint8_t *minor)
{
    if (text.size != VERSION_BYTES || !slice_starts_with(text, SLICE("HTTP/")) ||
        !slice_is_digit(text.data[5]) || text.data[6] != '.' || !slice_is_digit(text.data[7]) ||
        text.data[5] == '0')
        return HTTP1_REFUSED_VERSION;
    if (text.data[5] != '1')
        return HTTP1_REFUSED_VERSION_UNSUPPORTED;
    *minor = text.data[7] == '0' ? 0 : 1;
    return HTTP1_REFUSED_NONE;
}

/* --- target --------------------------------------------------------------------------------------------- */

static bool is_port(struct slice text)
{
    uint64_t port;
    return text.size == 0 || (slice_to_u64(text, &port) && port <= PORT_MAX);
}

static bool is_address6(char c)
{
    return slice_hex_value(c) >= 0 || c == ':' || c == '.';
}

/* Characters of a registered name (RFC 3986 section 3.2.2) but the comma and the semicolon, which would let
 * it pass for a list: letters, digits and -._~%!$&'()*+= */
static bool is_name(char character)
{
    static const uint32_t members[8] = { 0, 0x23ff6ff2, 0x87fffffe, 0x47fffffe, 0, 0, 0, 0 };
    unsigned char c = (unsigned char)character;
    return members[c >> 5] >> (c & 31) & 1;
}

bool start_line_is_authority(struct slice text)
{
    bool bracketed = text.size > 0 && text.data[0] == '[';
    size_t at = bracketed ? 1 : 0, begin = at;
    while (at < text.size && (bracketed ? is_address6(text.data[at]) : is_name(text.data[at])))
        at++;
    if (at == begin)
        return false;
    if (bracketed && (at == text.size || text.data[at++] != ']'))
        return false;
    return at == text.size || (text.data[at] == ':' && is_port(slice_from(text, at + 1)));
}

static size_t scheme_size(struct slice target)
{
    static const struct slice schemes[] = { { "http://", 7 }, { "https://", 8 } };
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (target.size >= schemes[i].size &&
            slice_equal_nocase((struct slice){ target.data, schemes[i].size }, schemes[i]))
            return schemes[i].size;
    return 0;
}

static enum http1_refusal read_absolute(struct message *message, struct slice *authority)
{
    size_t scheme = scheme_size(message->target);
    if (scheme == 0)
        return HTTP1_REFUSED_TARGET;
    struct slice rest = slice_from(message->target, scheme);
    size_t size = 0;
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?' && rest.data[size] != '#')
        size++;
    *authority = (struct slice){ rest.data, size };
    if (!start_line_is_authority(*authority))
        return HTTP1_REFUSED_TARGET;
    rest = slice_from(rest, size);
    if (rest.size == 0)
        rest = SLICE("/");
    if (rest.data[0] != '/') {
        rest = arena_format(message->arena, "/%.*s", SLICE_FORMAT(rest));
        if (rest.data == NULL)
            return HTTP1_REFUSED_MEMORY;
    }
    message->origin_form = rest;
    return HTTP1_REFUSED_NONE;
}

static enum http1_refusal read_target(struct message *message, struct slice *authority)
{
    struct slice target = message->target;
    if (target.size == 0 || memchr(target.data, ' ', target.size) != NULL ||
        memchr(target.data, '\t', target.size) != NULL)
        return HTTP1_REFUSED_TARGET;
    message->origin_form = target;
    if (target.data[0] == '/')
        return HTTP1_REFUSED_NONE;
    if (target.data[0] == '*' && target.size == 1 && slice_equal(message->method, SLICE("OPTIONS")))
        return HTTP1_REFUSED_NONE;
    message->origin_form = (struct slice){ NULL, 0 };
    return read_absolute(message, authority);
}

/* --- lines ---------------------------------------------------------------------------------------------- */

enum http1_refusal start_line_request(struct message *message, struct slice line, uint32_t target_limit,
                                      struct slice *authority)
{
    size_t size;
    *authority = (struct slice){ NULL, 0 };
    enum http1_refusal refusal = read_method(line, &size);
    if (refusal)
        return refusal;
    if (size == line.size)
        return HTTP1_REFUSED_METHOD;
    message->method = (struct slice){ line.data, size };
    if (is_forbidden(message->method))
        return HTTP1_REFUSED_METHOD_FORBIDDEN;
    struct slice rest = slice_from(line, size + 1);
    const char *space = memrchr(rest.data, ' ', rest.size);
    if (space == NULL)
        return HTTP1_REFUSED_VERSION;
    message->target = (struct slice){ rest.data, (size_t)(space - rest.data) };
    if (message->target.size > target_limit)
        return HTTP1_REFUSED_TARGET_LONG;
    refusal = read_version(slice_from(rest, message->target.size + 1), &message->version_minor);
    return refusal ? refusal : read_target(message, authority);
}

enum http1_refusal start_line_status(struct message *message, struct slice line)
{
    if (!slice_starts_with(line, SLICE("HTTP/")))
        return HTTP1_REFUSED_STATUS_LINE;
    struct slice version = { line.data, line.size < VERSION_BYTES ? line.size : VERSION_BYTES };
    enum http1_refusal refusal = read_version(version, &message->version_minor);
    if (refusal)
        return refusal;
    const char *code = line.data + VERSION_BYTES;
    size_t size = line.size - VERSION_BYTES;
    if (size < 4 || code[0] != ' ' || !slice_is_digit(code[1]) || !slice_is_digit(code[2]) ||
        !slice_is_digit(code[3]) || code[1] == '0' || (size > 4 && code[4] != ' '))
        return HTTP1_REFUSED_STATUS_LINE;
    message->status = (code[1] - '0') * 100 + (code[2] - '0') * 10 + (code[3] - '0');
    message->reason = size > 5 ? (struct slice){ code + 5, size - 5 } : SLICE("");
    return HTTP1_REFUSED_NONE;
}

enum http1_refusal start_line_prefix(struct message *message, enum http1_role role, struct slice prefix)
{
    if (role == HTTP1_RESPONSE) {
        static const struct slice begin = { "HTTP/", 5 };
        size_t size = prefix.size < begin.size ? prefix.size : begin.size;
        return memcmp(prefix.data, begin.data, size) == 0 ? HTTP1_REFUSED_NONE : HTTP1_REFUSED_STATUS_LINE;
    }
    size_t size;
    enum http1_refusal refusal = read_method(prefix, &size);
    if (refusal != HTTP1_REFUSED_NONE || size == prefix.size)
        return refusal;
    message->method = (struct slice){ prefix.data, size };
    return is_forbidden(message->method) ? HTTP1_REFUSED_METHOD_FORBIDDEN : HTTP1_REFUSED_NONE;
}
