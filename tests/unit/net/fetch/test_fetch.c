/* SPDX-License-Identifier: Apache-2.0 */
/* Which URLs are fetched, and what they say. Fetching itself is tested end to end
 * (test_jwt_authorizer.py). */
#include "net/fetch/fetch.h"

#include <criterion/criterion.h>

Test(fetch, reads_a_url)
{
    static const struct {
        const char *text, *host, *authority, *target;
        uint16_t port;
        bool tls;
    } cases[] = {
        { "http://a", "a", "a", "/", 80, false },
        { "https://a.b.c/", "a.b.c", "a.b.c", "/", 443, true },
        { "http://a:8080/x/y?z=1&w", "a", "a:8080", "/x/y?z=1&w", 8080, false },
        { "https://[::1]:444/k", "::1", "[::1]:444", "/k", 444, true },
        { "http://[::1]/k", "::1", "[::1]", "/k", 80, false },
        { "http://127.0.0.1:1", "127.0.0.1", "127.0.0.1:1", "/", 1, false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fetch_url url;
        cr_assert(fetch_url_parse(slice_of(cases[i].text), &url), "%s", cases[i].text);
        cr_expect(slice_equal(url.host, slice_of(cases[i].host)), "%s", cases[i].text);
        cr_expect(slice_equal(url.authority, slice_of(cases[i].authority)), "%s", cases[i].text);
        cr_expect(slice_equal(url.target, slice_of(cases[i].target)), "%s", cases[i].text);
        cr_expect_eq(url.port, cases[i].port, "%s", cases[i].text);
        cr_expect_eq(url.tls, cases[i].tls, "%s", cases[i].text);
    }
}

Test(fetch, refuses_what_is_no_url)
{
    static const char *const cases[] = {
        "",
        "a",
        "/a",
        "ftp://a/",
        "http:/a",
        "http://",
        "http:///x",
        "http://:80/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:/",
        "http://a:b/",
        "http://u@a/",
        "http://u:p@a/",
        "http://a/#f",
        "http://a/ b",
        "http://a/\r\nb",
        "http://a/\x7f",
        "http://a\xc3\xa4/",
        "http://a?b",
        "HTTP://a/",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fetch_url url;
        cr_expect_not(fetch_url_parse(slice_of(cases[i]), &url), "%s", cases[i]);
    }
}
