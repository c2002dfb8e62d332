/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/url.h"

#include <criterion/criterion.h>

static const struct {
    const char *text, *scheme, *user, *host, *port, *path, *query, *fragment;
} cases[] = {
    { "http://a.test", "http", NULL, "a.test", NULL, NULL, NULL, NULL },
    { "https://a.test:8443/x/y?q=1&r#f", "https", NULL, "a.test", "8443", "/x/y", "q=1&r", "f" },
    { "//a.test/", NULL, NULL, "a.test", NULL, "/", NULL, NULL },
    { "http://u:p@a.test:80", "http", "u:p", "a.test", "80", NULL, NULL, NULL },
    { "http://u@v@a.test", "http", "u@v", "a.test", NULL, NULL, NULL, NULL },
    { "http://[::1]:8080/", "http", NULL, "[::1]", "8080", "/", NULL, NULL },
    { "http://[::1]", "http", NULL, "[::1]", NULL, NULL, NULL, NULL },
    { "http://a.test:", "http", NULL, "a.test", "", NULL, NULL, NULL },
    { "http://a.test?", "http", NULL, "a.test", NULL, NULL, "", NULL },
    { "http://a.test#", "http", NULL, "a.test", NULL, NULL, NULL, "" },
    { "http://a.test#f?g", "http", NULL, "a.test", NULL, NULL, NULL, "f?g" },
    { "http://a.test/;p?q//r", "http", NULL, "a.test", NULL, "/;p", "q//r", NULL },
    { "http://", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "http:///path", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "a.test", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "/a//b", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "null", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
    { "", NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};

static bool same(struct slice part, const char *want)
{
    return want ? part.data && slice_equal(part, slice_of(want)) : part.data == NULL;
}

Test(url, splits)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url url;
        cr_assert_eq(url_split(slice_of(cases[i].text), &url), cases[i].host != NULL, "%s", cases[i].text);
        if (cases[i].host == NULL)
            continue;
        cr_assert(same(url.scheme, cases[i].scheme) && same(url.user, cases[i].user) &&
                      same(url.host, cases[i].host) && same(url.port, cases[i].port) &&
                      same(url.path, cases[i].path) && same(url.query, cases[i].query) &&
                      same(url.fragment, cases[i].fragment),
                  "%s", cases[i].text);
    }
}

Test(url, origins)
{
    static const char *const texts[][2] = {
        { "http://a.test/x?y#z", "http://a.test" },     { "http://a.test:80", "http://a.test" },
        { "https://a.test:443/", "https://a.test" },    { "https://a.test:80", "https://a.test:80" },
        { "http://u@a.test:443", "http://a.test:443" }, { "http://[::1]:80", "http://[::1]" },
        { "http://a.test:", "http://a.test" },
    };
    struct arena arena;
    arena_init(&arena, NULL, 0, 4096);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct url url;
        cr_assert(url_split(slice_of(texts[i][0]), &url));
        struct slice origin = url_origin(&arena, &url);
        cr_assert(same(origin, texts[i][1]), "%s: %.*s", texts[i][0], SLICE_FORMAT(origin));
    }
    arena_deinit(&arena);
}
