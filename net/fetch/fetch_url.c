/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch/fetch_url.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

static bool split_authority(struct slice authority, struct fetch_url *url)
{
    const char *colon = authority.size ? memrchr(authority.data, ':', authority.size) : NULL;
    const char *bracket = authority.size ? memrchr(authority.data, ']', authority.size) : NULL;
    uint64_t port = url->tls ? PORT_HTTPS : PORT_HTTP;
    url->host = authority;
    if (colon && colon > bracket) {
        url->host.size = (size_t)(colon - authority.data);
        if (!slice_to_u64(slice_from(authority, url->host.size + 1), &port) || port == 0 || port > UINT16_MAX)
            return false;
    }
    if (bracket && url->host.data[0] == '[')
        url->host = (struct slice){ url->host.data + 1, url->host.size - 2 };
    url->port = (uint16_t)port;
    return url->host.size > 0;
}

static bool has_only_url_bytes(struct slice text)
{
    static const char forbidden[] = "#\\\"<>^`{|}";
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f ||
            strchr(forbidden, text.data[i]))
            return false;
    return true;
}

bool fetch_url_parse_proxy(struct slice text, struct fetch_url *url)
{
    *url = (struct fetch_url){ .tls = slice_starts_with(text, SLICE("https://")) };
    if (!url->tls && !slice_starts_with(text, SLICE("http://")))
        return false;
    if (!has_only_url_bytes(text))
        return false;
    struct slice rest = slice_from(text, url->tls ? 8 : 7);
    size_t end = 0;
    while (end < rest.size && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    url->authority = (struct slice){ rest.data, end };
    url->target = end < rest.size ? slice_from(rest, end) : SLICE("/");
    const char *at = end ? memrchr(rest.data, '@', end) : NULL;
    if (at) {
        url->user = (struct slice){ rest.data, (size_t)(at - rest.data) };
        url->authority = slice_from(url->authority, url->user.size + 1);
    }
    return url->target.data[0] == '/' && split_authority(url->authority, url);
}

bool fetch_url_parse(struct slice text, struct fetch_url *url)
{
    return fetch_url_parse_proxy(text, url) && url->user.data == NULL &&
           memchr(text.data, '@', text.size) == NULL;
}
