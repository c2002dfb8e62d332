/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's tables of path normalisation, joining and escaping. */
#include "core/base/path.h"

#include <criterion/criterion.h>

struct pair {
    const char *in, *out; /* out NULL: refused */
};

static const struct pair normal[] = {
    { "/", "/" },
    { "/a/b", "/a/b" },
    { "/a/.hidden", "/a/.hidden" },
    { "/a/...", "/a/..." },
    { "/a.", "/a." },
    { "/a..", "/a.." },
    { "//a", "/a" },
    { "/a///b//c", "/a/b/c" },
    { "/a//", "/a/" },
    { "/./a", "/a" },
    { "/a/.", "/a/" },
    { "/a/./b", "/a/b" },
    { "/x/../a", "/a" },
    { "/a/..", "/" },
    { "/a/b/..", "/a/" },
    { "/a//../b", "/b" },
    { "/%2e/a", "/a" },
    { "/x/%2E./a/b", "/a/b" },
    { "/%61", "/a" },
    { "/a%2fb", "/a%2Fb" },
    { "/a%2Fb", "/a%2Fb" },
    { "/a%25b", "/a%25b" },
    { "/a%3fb", "/a%3Fb" },
    { "/%7euser", "/~user" },
    { "/a%20b", "/a b" },
    { "/caf%C3%A9", "/caf\xc3\xa9" },
    { "/a%0ab", "/a\nb" },
    { "/%21%24%27%28%29%2A", "/%21%24%27%28%29%2A" },
    { "/%5bx%5d", "/%5Bx%5D" },
    { "/a+b;c=d,e", "/a+b;c=d,e" },
    { "/A/b", "/A/b" },
    { "/seg#frag", "/seg#frag" },
    { "/..", NULL },
    { "/../a", NULL },
    { "/a/../..", NULL },
    { "/a%", NULL },
    { "/a%2", NULL },
    { "/a%zz", NULL },
    { "/a%00", NULL },
    { "", NULL },
    { "a", NULL },
};

Test(path, normalise_follows_the_table)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(normal); i++) {
        struct slice out = { 0 };
        enum error error = path_normalise(&arena, slice_of(normal[i].in), &out);
        if (!normal[i].out) {
            cr_assert_eq(error, ERROR_INVALID, "%s was accepted", normal[i].in);
            continue;
        }
        cr_assert_eq(error, ERROR_OK, "%s was refused", normal[i].in);
        cr_assert(slice_equal(out, slice_of(normal[i].out)), "%s became %.*s", normal[i].in,
                  SLICE_FORMAT(out));
    }
    arena_deinit(&arena);
}

Test(path, normalise_copies_only_what_changes_and_is_stable)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(normal); i++) {
        struct slice in = slice_of(normal[i].out), out;
        if (!in.data)
            continue;
        cr_assert_eq(path_normalise(&arena, in, &out), ERROR_OK, "%s", normal[i].out);
        cr_assert_eq(out.data, in.data, "%s was copied", normal[i].out);
        cr_assert_eq(out.size, in.size);
    }
    arena_deinit(&arena);
}

Test(path, normalise_reports_a_full_arena)
{
    struct arena arena;
    struct slice out;
    arena_init(&arena, NULL, 0, 0);
    cr_assert_eq(path_normalise(&arena, SLICE("/a//b"), &out), ERROR_MEMORY);
    arena_deinit(&arena);
}

struct join_case {
    const char *base, *prefix, *path;
    bool strip;
    const char *v0, *v1;
};

static const struct join_case joins[] = {
    { "/", "/route", "/route", true, "/", "/" },
    { "/", "/route", "/routereq", true, "/req", "/req" },
    { "/", "/route", "/route/", false, "/route/", "/route/" },
    { NULL, "/route", "/route/a", true, "/a", "/a" },
    { "/srv", "/rou", "/roureq", true, "/srv/req", "/srvreq" },
    { "/srv", "/rou", "/roureq", false, "/srv/roureq", "/srvroureq" },
    { "/srv/", "/rou", "/rou", true, "/srv", "/srv/" },
    { "/srv/", "/rou", "/rou/a", true, "/srv/a", "/srv/a" },
    { "/srv/", "/rou", "/rou/", true, "/srv/", "/srv/" },
    { "/service", "/", "/route", true, "/service/route", "/serviceroute" },
    { "/service", "/", "/route", false, "/service/route", "/serviceroute" },
    { "/service", "/route", "/route/", true, "/service/", "/service/" },
    { "/service", "/route/", "/route/", true, "/service/", "/service" },
    { "/service/", "/route", "/route", true, "/service", "/service/" },
    { "/service/", NULL, "/", true, "/service/", "/service/" },
    { "/service", NULL, "/", true, "/service", "/service" },
    { "/service", NULL, "/abc/", true, "/service/abc/", "/serviceabc/" },
    { "/service", "/route", "/route./req", true, "/service/req", "/servicereq" },
    { "/service", "/route", "/route../req", true, "/service/req", "/servicereq" },
    { "/service", "/route", "/route.", true, "/service", "/service" },
    { "/service", "/route", "/route..", true, "/service", "/service" },
    { "/service", "/route", "/route./req", false, "/service/route./req", "/serviceroute./req" },
};

Test(path, join_follows_the_table)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(joins); i++) {
        const struct join_case *c = &joins[i];
        for (int style = PATH_JOIN_V0; style <= PATH_JOIN_V1; style++) {
            struct path_join join = { slice_of(c->base), slice_of(c->path), slice_of(c->prefix), c->strip,
                                      (enum path_join_style)style };
            struct slice out;
            const char *want = style == PATH_JOIN_V0 ? c->v0 : c->v1;
            cr_assert_eq(path_join_upstream(&arena, &join, &out), ERROR_OK);
            cr_assert(slice_equal(out, slice_of(want)), "row %zu v%d: %.*s, not %s", i, style,
                      SLICE_FORMAT(out), want);
        }
    }
    arena_deinit(&arena);
}

static const struct pair escapes[] = {
    { "/a/b-c_d.e~f", "/a/b-c_d.e~f" },
    { "/!#$&'()*+,:;=?@[]%", "/!#$&'()*+,:;=?@[]%" },
    { "/a b", "/a%20b" },
    { "/a\"<>\\^`{|}", "/a%22%3C%3E%5C%5E%60%7B%7C%7D" },
    { "/caf\xc3\xa9", "/caf%C3%A9" },
    { "/a\r\n\x7f", "/a%0D%0A%7F" },
};

Test(path, escape_follows_the_table)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(escapes); i++) {
        struct slice in = slice_of(escapes[i].in), out;
        cr_assert_eq(path_escape(&arena, in, &out), ERROR_OK);
        cr_assert(slice_equal(out, slice_of(escapes[i].out)), "%s became %.*s", escapes[i].in,
                  SLICE_FORMAT(out));
        cr_assert_eq(out.data == in.data, slice_equal(in, slice_of(escapes[i].out)));
    }
    arena_deinit(&arena);
}
