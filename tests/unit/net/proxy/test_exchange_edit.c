/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/exchange_edit.h"
#include "net/proxy/exchange_steps.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct exchange *exchange;

static void start(void)
{
    exchange = calloc(1, sizeof(*exchange));
    cr_assert_not_null(exchange);
    arena_init(&exchange->arena, NULL, 0, 1 << 20);
    message_init(&exchange->response, &exchange->arena);
    exchange->response.status = 200;
    cr_assert(message_add(&exchange->response, SLICE("Content-Type"), SLICE("text/plain")));
    cr_assert(message_add(&exchange->response, SLICE("X-A"), SLICE("1")));
    cr_assert(message_add(&exchange->response, SLICE("x-a"), SLICE("2")));
}

static void stop(void)
{
    arena_deinit(&exchange->arena);
    free(exchange);
}

TestSuite(exchange_edit, .init = start, .fini = stop);

/* All fields as one text, as they would go out. */
static void expect(const char *expected)
{
    char text[512] = "";
    struct header header;
    for (uint32_t cursor = 0; exchange_next_response_header(exchange, &cursor, &header);) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%.*s=%.*s ", SLICE_FORMAT(header.name),
                 SLICE_FORMAT(header.value));
    }
    cr_assert_str_eq(text, expected);
}

Test(exchange_edit, what_was_received_is_there)
{
    expect("Content-Type=text/plain X-A=1 x-a=2 ");
    cr_assert(slice_equal(exchange_response_header(exchange, SLICE("x-A")), SLICE("1")));
    cr_assert_null(exchange_response_header(exchange, SLICE("X-B")).data);
}

Test(exchange_edit, set_stands_for_all_of_that_name)
{
    cr_assert(exchange_set_response_header(exchange, SLICE("X-a"), SLICE("3")));
    expect("Content-Type=text/plain X-a=3 ");
    cr_assert(exchange_set_response_header(exchange, SLICE("X-A"), SLICE("4")));
    expect("Content-Type=text/plain X-A=4 ");
}

Test(exchange_edit, add_stands_beside_the_others)
{
    cr_assert(exchange_add_response_header(exchange, SLICE("X-A"), SLICE("3")));
    cr_assert(exchange_add_response_header(exchange, SLICE("X-B"), SLICE("1")));
    expect("Content-Type=text/plain X-A=1 x-a=2 X-A=3 X-B=1 ");
    cr_assert(exchange_set_response_header(exchange, SLICE("X-A"), SLICE("4")));
    expect("Content-Type=text/plain X-A=4 X-B=1 ");
}

Test(exchange_edit, remove_takes_added_ones_too)
{
    cr_assert(exchange_add_response_header(exchange, SLICE("X-A"), SLICE("3")));
    cr_assert(exchange_add_response_header(exchange, SLICE("X-A"), SLICE("4")));
    cr_assert(exchange_remove_response_header(exchange, SLICE("X-A")));
    expect("Content-Type=text/plain ");
    cr_assert_null(exchange_response_header(exchange, SLICE("X-A")).data);
    cr_assert(exchange_hides_header(exchange, SLICE("x-a")));
    cr_assert(exchange_add_response_header(exchange, SLICE("X-A"), SLICE("5")));
    expect("Content-Type=text/plain X-A=5 ");
}

Test(exchange_edit, the_length_is_the_gateways_own)
{
    cr_assert(exchange_set_response_header(exchange, SLICE("Content-Length"), SLICE("5")));
    cr_assert(exchange_add_response_header(exchange, SLICE("transfer-encoding"), SLICE("chunked")));
    expect("Content-Type=text/plain X-A=1 x-a=2 ");
}

Test(exchange_edit, an_answer_of_the_gateways_own)
{
    exchange->answer = (struct answer){ 404, SLICE("text/html"), SLICE("gone") };
    cr_assert(exchange_response_is_own(exchange));
    cr_assert_eq(exchange_response_status(exchange), 404);
    cr_assert(exchange_add_response_header(exchange, SLICE("X-B"), SLICE("1")));
    expect("Content-Type=text/html X-B=1 ");
    exchange_set_response_status(exchange, 410);
    cr_assert_eq(exchange->answer.status, 410);
    cr_assert(slice_equal(exchange_own_body(exchange), SLICE("gone")));
}

Test(exchange_edit, many_edits)
{
    enum { COUNT = 40 };
    static char names[COUNT][16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "X-%d", i);
        cr_assert(exchange_set_response_header(exchange, slice_of(names[i]), SLICE("v")));
    }
    for (int i = 0; i < COUNT; i++)
        cr_assert(slice_equal(exchange_response_header(exchange, slice_of(names[i])), SLICE("v")));
    cr_assert_eq(exchange->edit_count, COUNT);
}

static void set_three(void)
{
    const struct header_edit three[] = { { HEADER_EDIT_SET, SLICE("X-A"), SLICE("3") },
                                         { HEADER_EDIT_SET, SLICE("X-Limit"), SLICE("9") },
                                         { HEADER_EDIT_SET, SLICE("Server"), SLICE("me") } };
    uint64_t bits = 0;
    for (size_t i = 0; i < COUNT_OF(three); i++)
        bits |= message_name_bit(three[i].name);
    cr_assert(exchange_set_response_headers(exchange, three, COUNT_OF(three), bits));
}

Test(exchange_edit, several_are_set_at_once)
{
    set_three();
    expect("Content-Type=text/plain X-A=3 X-Limit=9 Server=me ");
    cr_assert(exchange_hides_header(exchange, SLICE("x-limit")));
    cr_assert(exchange_set_response_header(exchange, SLICE("x-limit"), SLICE("8")));
    cr_assert(exchange_remove_response_header(exchange, SLICE("SERVER")));
    expect("Content-Type=text/plain X-A=3 x-limit=8 ");
}

Test(exchange_edit, several_replace_what_was_set_before)
{
    cr_assert(exchange_add_response_header(exchange, SLICE("x-limit"), SLICE("1")));
    cr_assert(exchange_add_response_header(exchange, SLICE("X-LIMIT"), SLICE("2")));
    cr_assert(exchange_remove_response_header(exchange, SLICE("server")));
    set_three();
    expect("Content-Type=text/plain X-Limit=9 Server=me X-A=3 ");
    set_three();
    expect("Content-Type=text/plain X-Limit=9 Server=me X-A=3 ");
}

Test(exchange_edit, several_more_than_there_was_room_for)
{
    static char names[20][16];
    struct header_edit headers[20];
    uint64_t bits = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof(names[i]), "Y-%d", i);
        headers[i] = (struct header_edit){ HEADER_EDIT_SET, slice_of(names[i]), SLICE("v") };
        bits |= message_name_bit(headers[i].name);
    }
    cr_assert(exchange_set_response_header(exchange, SLICE("Before"), SLICE("1")));
    cr_assert(exchange_set_response_headers(exchange, headers, 20, bits));
    cr_assert_eq(exchange->edit_count, 21);
    cr_assert(slice_equal(exchange_response_header(exchange, SLICE("y-19")), SLICE("v")));
    cr_assert(slice_equal(exchange_response_header(exchange, SLICE("before")), SLICE("1")));
}
