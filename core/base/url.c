/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/url.h"

static struct slice cut_before(struct slice *text, const char *marks)
{
    size_t size = 0;
    while (size < text->size && (text->data[size] == '\0' || !strchr(marks, text->data[size])))
        size++;
    struct slice head = { text->data, size };
    *text = slice_from(*text, size);
    return head;
}

/* [user@]host[:port] */
static void split_authority(struct slice authority, struct url *url)
{
    const char *at = memrchr(authority.data, '@', authority.size);
    if (at != NULL) {
        url->user = (struct slice){ authority.data, (size_t)(at - authority.data) };
        authority = slice_from(authority, url->user.size + 1);
    }
    const char *colon = memrchr(authority.data, ':', authority.size);
    const char *bracket = memrchr(authority.data, ']', authority.size);
    url->host = authority;
    if (colon == NULL || (bracket != NULL && colon < bracket))
        return;
    url->host.size = (size_t)(colon - authority.data);
    url->port = slice_from(authority, url->host.size + 1);
}

bool url_split(struct slice text, struct url *url)
{
    *url = (struct url){ 0 };
    const char *slashes = text.size > 0 ? memmem(text.data, text.size, "//", 2) : NULL;
    if (slashes == NULL || (slashes != text.data && slashes[-1] != ':'))
        return false;
    if (slashes != text.data)
        url->scheme = (struct slice){ text.data, (size_t)(slashes - text.data) - 1 };
    struct slice rest = slice_from(text, (size_t)(slashes - text.data) + 2);
    struct slice authority = cut_before(&rest, "/?#");
    if (rest.size > 0 && rest.data[0] == '/')
        url->path = cut_before(&rest, "?#");
    if (rest.size > 0 && rest.data[0] == '?') {
        rest = slice_from(rest, 1);
        url->query = cut_before(&rest, "#");
    }
    if (rest.size > 0)
        url->fragment = slice_from(rest, 1);
    split_authority(authority, url);
    return url->host.size > 0;
}

struct slice url_origin(struct arena *arena, const struct url *url)
{
    bool usual = (slice_equal(url->scheme, SLICE("http")) && slice_equal(url->port, SLICE("80"))) ||
                 (slice_equal(url->scheme, SLICE("https")) && slice_equal(url->port, SLICE("443")));
    bool shown = url->port.size > 0 && !usual;
    return arena_format(arena, "%.*s://%.*s%s%.*s", SLICE_FORMAT(url->scheme), SLICE_FORMAT(url->host),
                        shown ? ":" : "", shown ? (int)url->port.size : 0, shown ? url->port.data : "");
}
