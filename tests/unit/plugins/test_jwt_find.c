/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/jwt_find.h"
#include "tests/support/fake_exchange.h"

#include <criterion/criterion.h>

static struct slice parameter_names[] = { { "jwt", 3 }, { "a b", 3 } };
static struct slice cookie_names[] = { { "tok", 3 }, { "Other", 5 } };
static struct slice header_names[] = { { "authorization", 13 }, { "x-token", 7 } };

static enum jwt_presence find(struct exchange *exchange, struct slice *token)
{
    const struct slices parameters = { parameter_names, 2 }, cookies = { cookie_names, 2 },
                        headers = { header_names, 2 };
    const struct jwt_places places = { &parameters, &cookies, &headers };
    return jwt_find(exchange, &places, token);
}

/* A header given as NULL is left out. */
static const struct {
    const char *target, *cookie, *authorization, *own;
    enum jwt_presence presence;
    const char *token;
} rows[] = {
    { "/", NULL, NULL, NULL, JWT_NONE, NULL },
    { "/?", "", "", "", JWT_NONE, NULL },
    /* headers */
    { "/", NULL, "Bearer t", NULL, JWT_ONE, "t" },
    { "/", NULL, "bearer t", NULL, JWT_ONE, "t" },
    { "/", NULL, "  Bearer \t  t  ", NULL, JWT_ONE, "t" },
    { "/", NULL, "Bearer t u", NULL, JWT_ONE, "t u" },
    { "/", NULL, NULL, "Bearer t", JWT_ONE, "t" },
    { "/", NULL, "Bearer t", "bearer t", JWT_ONE, "t" },
    { "/", NULL, "Bearer t", "Bearer u", JWT_SEVERAL, NULL },
    { "/", NULL, "BEARER t", NULL, JWT_NONE, NULL },
    { "/", NULL, "Bearer", NULL, JWT_NONE, NULL },
    { "/", NULL, "Bearer ", NULL, JWT_NONE, NULL },
    { "/", NULL, "Bearert", NULL, JWT_NONE, NULL },
    { "/", NULL, "Basic Bearer t", NULL, JWT_NONE, NULL },
    { "/", NULL, "t", NULL, JWT_NONE, NULL },
    /* cookies */
    { "/", "tok=t", NULL, NULL, JWT_ONE, "t" },
    { "/", "a=1; tok=t; b=2", NULL, NULL, JWT_ONE, "t" },
    { "/", "a=1;TOK = t ;b=2", NULL, NULL, JWT_ONE, "t" },
    { "/", "tok=t; tok=u", NULL, NULL, JWT_ONE, "t" }, /* the first one counts */
    { "/", "tok=t; other=t", NULL, NULL, JWT_ONE, "t" },
    { "/", "tok=t; other=u", NULL, NULL, JWT_SEVERAL, NULL },
    { "/", "tok=a=b", NULL, NULL, JWT_ONE, "a=b" },
    { "/", "tok; xtok=t; tokx=t; tok=", NULL, NULL, JWT_NONE, NULL },
    { "/", "tok=t", "Bearer u", NULL, JWT_SEVERAL, NULL },
    /* parameters */
    { "/?jwt=t", NULL, NULL, NULL, JWT_ONE, "t" },
    { "/?a=1&jwt=t&b", NULL, NULL, NULL, JWT_ONE, "t" },
    { "/?jwt=t&jwt=t", NULL, NULL, NULL, JWT_ONE, "t" },
    { "/?jwt=t&jwt=u", NULL, NULL, NULL, JWT_SEVERAL, NULL },
    { "/?jwt=", NULL, NULL, NULL, JWT_NONE, NULL },
    { "/?jwt", NULL, NULL, NULL, JWT_VALUELESS, NULL },
    { "/?jwt&jwt", NULL, NULL, NULL, JWT_VALUELESS, NULL },
    { "/?jwt&jwt=t", NULL, NULL, NULL, JWT_SEVERAL, NULL },
    { "/?jwt=t&jwt", NULL, NULL, NULL, JWT_SEVERAL, NULL },
    { "/?jwt=t", NULL, "Bearer t", NULL, JWT_ONE, "t" },
    { "/?jwt", NULL, "Bearer t", NULL, JWT_SEVERAL, NULL },
    { "/?JWT=t&=t&jwtx=t&jw=t&", NULL, NULL, NULL, JWT_NONE, NULL },
    { "/?%6awt=%74", NULL, NULL, NULL, JWT_ONE, "t" },
    { "/?a+b=t&a%20b=t", NULL, NULL, NULL, JWT_ONE, "t" },
    { "/?jwt=a%2Eb.c", NULL, NULL, NULL, JWT_ONE, "a.b.c" },
    { "/?jwt=a+%zz%", NULL, NULL, NULL, JWT_ONE, "a %zz%" },
    { "/?jwt=a%4", NULL, NULL, NULL, JWT_ONE, "a%4" },
    { "/?jwt=a?b=c", NULL, NULL, NULL, JWT_ONE, "a?b=c" },
};

static void add(struct exchange *exchange, const char *name, const char *value)
{
    if (value)
        fake_exchange_header(exchange, name, slice_of(value));
}

Test(jwt_find, places)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct exchange *exchange = fake_exchange_open("GET", rows[i].target);
        struct slice token;
        add(exchange, "Cookie", rows[i].cookie);
        add(exchange, "Authorization", rows[i].authorization);
        add(exchange, "X-Token", rows[i].own);
        cr_assert_eq(find(exchange, &token), rows[i].presence, "%zu", i);
        if (rows[i].token)
            cr_assert(slice_equal(token, slice_of(rows[i].token)), "%zu: %.*s", i, SLICE_FORMAT(token));
        fake_exchange_close(exchange);
    }
}

Test(jwt_find, second_cookie_header)
{
    struct exchange *exchange = fake_exchange_open("GET", "/");
    struct slice token;
    add(exchange, "Cookie", "a=1");
    add(exchange, "Cookie", "tok=t");
    cr_assert_eq(find(exchange, &token), JWT_ONE);
    cr_assert(slice_equal(token, SLICE("t")));
    fake_exchange_close(exchange);
}

Test(jwt_find, tells_when_memory_is_exhausted)
{
    struct exchange *exchange = fake_exchange_open("GET", "/?jwt=%41&jwt=b");
    struct slice token;
    exchange->arena.next = exchange->arena.end;
    exchange->arena.limit_bytes = exchange->arena.used_bytes;
    cr_assert_eq(find(exchange, &token), JWT_OUT_OF_MEMORY);
    fake_exchange_close(exchange);
}
