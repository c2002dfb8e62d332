/* SPDX-License-Identifier: Apache-2.0 */
/* The formats that are checked (JSON Schema validation, section 7.3), each a function over the text. */
#include "core/base/json_schema_tree.h"

#include <arpa/inet.h>

typedef bool format_check(struct slice text);

/* `count` digits at the beginning, as a number; -1: there are not. */
static int digits(struct slice text, size_t count)
{
    int number = 0;
    if (text.size < count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!slice_is_digit(text.data[i]))
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

/* RFC 3339 section 5.6 */
static bool is_date(struct slice text)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (text.size != 10 || text.data[4] != '-' || text.data[7] != '-')
        return false;
    int year = digits(text, 4), month = digits(slice_from(text, 5), 2), day = digits(slice_from(text, 8), 2);
    if (year < 0 || month < 1 || month > 12 || day < 1)
        return false;
    bool leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + leap;
}

static bool is_offset(struct slice text)
{
    if (text.size == 1)
        return slice_lower(text.data[0]) == 'z';
    if (text.size != 6 || (text.data[0] != '+' && text.data[0] != '-') || text.data[3] != ':')
        return false;
    int hours = digits(slice_from(text, 1), 2), minutes = digits(slice_from(text, 4), 2);
    return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59;
}

/* A leap second is at the end of a day in UTC; where that is, is not looked at. */
static bool is_time(struct slice text)
{
    if (text.size < 9 || text.data[2] != ':' || text.data[5] != ':')
        return false;
    int hours = digits(text, 2), minutes = digits(slice_from(text, 3), 2),
        seconds = digits(slice_from(text, 6), 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 60)
        return false;
    text = slice_from(text, 8);
    if (text.data[0] == '.') {
        size_t size = 1;
        while (size < text.size && slice_is_digit(text.data[size]))
            size++;
        if (size == 1)
            return false;
        text = slice_from(text, size);
    }
    return is_offset(text);
}

static bool is_date_time(struct slice text)
{
    return text.size > 11 && slice_lower(text.data[10]) == 't' && is_date((struct slice){ text.data, 10 }) &&
           is_time(slice_from(text, 11));
}

static bool is_address(int family, struct slice text)
{
    char copy[64];
    unsigned char address[16];
    if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return inet_pton(family, copy, address) == 1;
}

static bool is_ipv4(struct slice text)
{
    return text.size > 0 && is_address(AF_INET, text);
}

static bool is_ipv6(struct slice text)
{
    return text.size > 0 && is_address(AF_INET6, text);
}

static bool is_alphanumeric(char c)
{
    return slice_is_digit(c) || (slice_lower(c) >= 'a' && slice_lower(c) <= 'z');
}

/* RFC 1123 section 2.1 */
static bool is_hostname(struct slice text)
{
    if (text.size == 0 || text.size > 253)
        return false;
    while (text.data) {
        struct slice label = slice_split(text, '.', &text);
        if (label.size == 0 || label.size > 63 || label.data[0] == '-' || label.data[label.size - 1] == '-')
            return false;
        for (size_t i = 0; i < label.size; i++)
            if (!is_alphanumeric(label.data[i]) && label.data[i] != '-')
                return false;
    }
    return true;
}

/* The usual form of RFC 5321's mailbox: no quotes, a host name or an address in brackets. */
static bool is_email(struct slice text)
{
    const char *at = text.size ? memrchr(text.data, '@', text.size) : NULL;
    if (at == NULL || at == text.data || at - text.data > 64)
        return false;
    struct slice local = { text.data, (size_t)(at - text.data) }, host = slice_from(text, local.size + 1);
    while (local.data) {
        struct slice atom = slice_split(local, '.', &local);
        if (atom.size == 0)
            return false;
        for (size_t i = 0; i < atom.size; i++)
            if (!is_alphanumeric(atom.data[i]) && (unsigned char)atom.data[i] < 0x80 &&
                (atom.data[i] == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", atom.data[i]) == NULL))
                return false;
    }
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        struct slice address = { host.data + 1, host.size - 2 };
        return slice_starts_with(address, SLICE("IPv6:")) ? is_ipv6(slice_from(address, 5))
                                                          : is_ipv4(address);
    }
    return is_hostname(host);
}

static bool is_uuid(struct slice text)
{
    if (text.size != 36)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.data[i] != '-' : slice_hex_value(text.data[i]) < 0)
            return false;
    }
    return true;
}

/* The characters of RFC 3986 and whole escapes; the parts are not taken apart. */
static bool is_uri_reference(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            if (i + 2 >= text.size || slice_hex_value(text.data[i + 1]) < 0 ||
                slice_hex_value(text.data[i + 2]) < 0)
                return false;
            continue;
        }
        if (!is_alphanumeric(c) && (c == '\0' || strchr("-._~:/?#[]@!$&'()*+,;=", c) == NULL))
            return false;
    }
    return true;
}

static bool is_uri(struct slice text)
{
    size_t size = 0;
    while (size < text.size && (is_alphanumeric(text.data[size]) || memchr("+-.", text.data[size], 3)))
        size++;
    return size > 0 && size < text.size && !slice_is_digit(text.data[0]) && text.data[size] == ':' &&
           is_uri_reference(text);
}

static bool is_regex(struct slice text)
{
    char pattern[512];
    struct arena arena;
    arena_init(&arena, pattern, sizeof(pattern), 65536);
    struct slice written = schema_pattern_text(&arena, text);
    bool good = written.data && regex_check(written, NULL, 0);
    arena_deinit(&arena);
    return good;
}

static bool is_json_pointer(struct slice text)
{
    if (text.size > 0 && text.data[0] != '/')
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '~' &&
            (i + 1 == text.size || (text.data[i + 1] != '0' && text.data[i + 1] != '1')))
            return false;
    return true;
}

static const struct {
    const char *name;
    format_check *check;
} formats[] = {
    { "", NULL }, /* 0: none */
    { "date", is_date },
    { "date-time", is_date_time },
    { "email", is_email },
    { "hostname", is_hostname },
    { "ipv4", is_ipv4 },
    { "ipv6", is_ipv6 },
    { "json-pointer", is_json_pointer },
    { "regex", is_regex },
    { "time", is_time },
    { "uri", is_uri },
    { "uri-reference", is_uri_reference },
    { "uuid", is_uuid },
};

int json_format_find(struct slice name)
{
    for (size_t i = 1; i < COUNT_OF(formats); i++)
        if (slice_equal(name, slice_of(formats[i].name)))
            return (int)i;
    return 0;
}

bool json_format_check(int format, struct slice text)
{
    return formats[format].check(text);
}

const char *json_format_name(int format)
{
    return formats[format].name;
}
