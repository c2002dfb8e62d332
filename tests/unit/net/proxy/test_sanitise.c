/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/sanitise.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct exchange *exchange;

static void start(void)
{
    exchange = calloc(1, sizeof(*exchange));
    cr_assert_not_null(exchange);
    arena_init(&exchange->arena, NULL, 0, 1 << 20);
    message_init(&exchange->request, &exchange->arena);
}

static void stop(void)
{
    arena_deinit(&exchange->arena);
    free(exchange);
}

TestSuite(sanitise, .init = start, .fini = stop);

static void add(struct slice name, const char *value)
{
    cr_assert(message_add(&exchange->request, name, slice_of(value)));
}

static bool is_there(struct slice name)
{
    const struct message *request = &exchange->request;
    bool there = false;
    for (uint32_t i = 0; i < request->header_count; i++)
        there |= request->headers[i].name.data && slice_equal_nocase(request->headers[i].name, name);
    cr_expect_eq(there, message_find_name(request, name).data != NULL);
    return there;
}

static const char *const vouching[] = {
    "X-Consumer-ID",          "X-Consumer-Custom-ID",    "X-Consumer-Username",   "X-Consumer-Groups",
    "X-Consumer-Anything",    "X-Credential-Identifier", "X-Credential-Username", "X-Anonymous-Consumer",
    "X-Authenticated-Groups", "X-Authenticated-Userid",  "X-Authenticated-Scope",
};

enum { ROOM = 64 };

/* bit 0: in lower case; 1: in upper case; 2 and 3: every second and every other `-` as `_`. */
static struct slice spell(const char *name, unsigned how, char out[ROOM])
{
    struct slice text = { out, strlen(name) };
    unsigned dashes = 0;
    for (size_t i = 0; i < text.size; i++) {
        out[i] = how & 1 ? slice_lower(name[i]) : name[i];
        if (how & 2 && out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 0x20);
        if (out[i] == '-' && how & (dashes++ % 2 ? 4u : 8u))
            out[i] = '_';
    }
    return text;
}

Test(sanitise, nobody_vouches_for_himself)
{
    char out[ROOM];
    for (size_t i = 0; i < COUNT_OF(vouching); i++)
        for (unsigned how = 0; how < 16; how++) {
            message_init(&exchange->request, &exchange->arena);
            add(SLICE("Host"), "a");
            struct slice name = spell(vouching[i], how, out);
            add(name, "forged");
            add(SLICE("X-Mine"), "1");
            add(name, "forged again");
            sanitise_request(exchange);
            cr_expect(!is_there(name), "%.*s", SLICE_FORMAT(name));
            cr_expect(is_there(SLICE("host")) && is_there(SLICE("x-mine")));
        }
}

/* A name with an id is in a table; one that vouches must be among those that are taken away by it. */
Test(sanitise, no_known_name_is_forgotten)
{
    static const char *const prefixes[] = { "x-consumer-", "x-credential-", "x-anonymous-consumer",
                                            "x-authenticated-" };
    for (int id = HEADER_OTHER + 1; id < HEADER_COUNT; id++) {
        struct slice name = message_header_name((enum header_id)id);
        bool vouches = false;
        for (size_t i = 0; i < COUNT_OF(prefixes); i++)
            vouches |= slice_starts_with(name, slice_of(prefixes[i]));
        message_init(&exchange->request, &exchange->arena);
        add(name, "1");
        sanitise_request(exchange);
        cr_expect_eq(is_there(name), !vouches, "%.*s", SLICE_FORMAT(name));
    }
}

Test(sanitise, own_names_in_other_spellings_go)
{
    static const char *const names[] = { "X_Forwarded_For", "x-forwarded_proto", "X_Real-IP",
                                         "X-Kong_Request-Id" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        add(slice_of(names[i]), "forged");
    add(SLICE("X-Forwarded-For"), "1.2.3.4");
    sanitise_request(exchange);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        cr_expect(!is_there(slice_of(names[i])), "%s", names[i]);
    cr_expect(is_there(SLICE("x-forwarded-for")));
}

Test(sanitise, what_connection_names_goes)
{
    add(SLICE("Connection"), "keep-alive");
    add(SLICE("connection"), "X-Secret, Authorization, Host");
    add(SLICE("X-Secret"), "1");
    add(SLICE("authorization"), "2");
    add(SLICE("Host"), "a");
    add(SLICE("X-Other"), "3");
    sanitise_request(exchange);
    cr_expect(!is_there(SLICE("X-Secret")) && !is_there(SLICE("Authorization")));
    cr_expect(is_there(SLICE("Host")) && is_there(SLICE("X-Other")));
}

Test(sanitise, trailers)
{
    static char text[COUNT_OF(vouching) * 16][ROOM];
    struct header trailers[COUNT_OF(vouching) * 16 + 3];
    uint32_t count = 0;
    trailers[count++] = (struct header){ SLICE("x-sum"), SLICE("1"), HEADER_OTHER };
    for (size_t i = 0; i < COUNT_OF(vouching); i++)
        for (unsigned how = 0; how < 16; how++, count++) {
            struct slice name = spell(vouching[i], how, text[i * 16 + how]);
            trailers[count] = (struct header){ name, SLICE("evil"), message_header_id(name) };
        }
    trailers[count++] = (struct header){ SLICE("x_real-ip"), SLICE("evil"), HEADER_OTHER };
    trailers[count++] = (struct header){ SLICE("sum"), SLICE("2"), HEADER_OTHER };
    cr_assert_eq(sanitise_trailers(trailers, count), 2);
    cr_expect(slice_equal(trailers[0].name, SLICE("x-sum")) && slice_equal(trailers[1].name, SLICE("sum")));
    cr_expect_eq(sanitise_trailers(NULL, 0), 0);
}
