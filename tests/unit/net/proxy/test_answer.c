/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of the gateway's own errors, by Accept, Content-Type and default (Kong). */
#include "net/proxy/answer.h"

#include <criterion/criterion.h>

#define ID "0123456789abcdef0123456789abcdef"

static struct proxy_options options;
static struct proxy proxy = { .options = &options };
static struct exchange exchange;

static void start(void)
{
    memset(&exchange, 0, sizeof(exchange));
    exchange.proxy = &proxy;
    arena_init(&exchange.arena, exchange.page, sizeof(exchange.page), 1 << 20);
    message_init(&exchange.request, &exchange.arena);
    memcpy(exchange.request_id, ID, REQUEST_ID_SIZE);
}

static void end(void)
{
    arena_deinit(&exchange.arena);
}

TestSuite(answer, .init = start, .fini = end);

static void restart(void)
{
    end();
    start();
}

static void add(const char *name, const char *value)
{
    if (value)
        cr_assert(message_add(&exchange.request, slice_of(name), slice_of(value)));
}

static void check_type(const char *type, const char *of)
{
    cr_expect(slice_starts_with(exchange.answer.content_type, slice_of(type)), "%s for %s",
              exchange.answer.content_type.data, of ? of : "(absent)");
    cr_expect(slice_ends_with(exchange.answer.content_type, SLICE("; charset=utf-8")));
}

Test(answer, accept)
{
    static const struct {
        const char *accept, *type;
    } cases[] = {
        { NULL, "application/json" },
        { "", "application/json" },
        { "*/*", "application/json" },
        { "application/json", "application/json" },
        { "application/*", "application/json" },
        { "text/html", "text/html" },
        { "text/plain", "text/plain" },
        { "text/*", "text/plain" },
        { "application/xml", "application/xml" },
        { "image/png", "application/json" },
        { "image/png, text/html", "text/html" },
        { "TEXT/HTML", "application/json" },
        { "text/html; charset=utf-8", "text/html" },
        { " text/html ", "text/html" },
        { "text/html,application/xml", "text/html" },
        { "application/xml,text/html", "application/xml" },
        { "text/html;q=0.5, application/xml;q=0.6", "application/xml" },
        { "text/html;q=0.5, application/xml;q=0.5", "text/html" },
        { "text/html;q=0.5, application/xml", "application/xml" },
        { "text/html; Q=0.1 , application/xml ; q=0.2", "application/xml" },
        { "text/html;level=1;q=0.4,text/plain;q=0.5", "text/plain" },
        { "text/html;q=0.009,text/plain;q=0.01", "text/plain" },
        { "text/html;q=0.999,text/plain;q=1.000", "text/plain" },
        { "text/html;q=0", "application/json" },
        { "text/html;q=0.000,text/plain;q=0.001", "text/plain" },
        { "text/html;q=x,text/plain;q=0.1", "text/plain" },
        { "text/html;q=,text/plain", "text/html" },
        { ",,;;,text/html", "text/html" },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        restart();
        add("Accept", cases[i].accept);
        answer_error(&exchange, 404, SLICE("m"), ANSWER_FROM_PLUGIN);
        check_type(cases[i].type, cases[i].accept);
        cr_expect_eq(exchange.answer.status, 404);
    }
}

Test(answer, from_below_without_accept)
{
    static const struct {
        const char *type, *default_type, *expected;
    } cases[] = {
        { NULL, "text/plain", "text/plain" },
        { NULL, "text/html", "text/html" },
        { NULL, "application/json", "application/json" },
        { NULL, "application/xml", "application/xml" },
        { NULL, NULL, "text/plain" },
        { "application/xml", "text/plain", "application/xml" },
        { "text/html; charset=latin1", "text/plain", "text/html" },
        { "application/json;v=1", "text/plain", "application/json" },
        { "application/grpc+proto", "text/plain", "application/json" },
        { "image/png", "text/plain", "application/json" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        restart();
        options.default_type = slice_of(cases[i].default_type);
        add("Content-Type", cases[i].type);
        answer_error(&exchange, 502, SLICE("m"), ANSWER_FROM_BELOW);
        check_type(cases[i].expected, cases[i].type);
        exchange.request.present = 0;
        exchange.request.header_count = 0;
        add("Accept", "text/html");
        answer_error(&exchange, 502, SLICE("m"), ANSWER_FROM_BELOW);
        check_type("text/html", "Accept");
    }
}

Test(answer, bodies_and_escapes)
{
    static const struct {
        const char *accept, *body;
    } cases[] = {
        { "application/json", "{\n  \"message\":\"%s\",\n  \"request_id\":\"" ID "\"\n}" },
        { "text/plain", "%s\nrequest_id: " ID "\n" },
        { "text/html", "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n"
                       "    <title>Error</title>\n  </head>\n  <body>\n    <h1>Error</h1>\n"
                       "    <p>%s.</p>\n    <p>request_id: " ID "</p>\n  </body>\n</html>\n" },
        { "application/xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%s</message>\n"
                             "  <requestid>" ID "</requestid>\n</error>\n" },
        { "application/grpc", "{\"message\":\"%s\"}" },
    };
    static const struct {
        const char *message;
        const char *escaped[COUNT_OF(cases)];
    } messages[] = {
        { "Not found", { "Not found", "Not found", "Not found", "Not found", "Not found" } },
        { "", { "", "", "", "", "" } },
        { "a\"b\\c", { "a\\\"b\\\\c", "a\"b\\c", "a\"b\\c", "a\"b\\c", "a\\\"b\\\\c" } },
        { "<a>&", { "<a>&", "<a>&", "&lt;a>&amp;", "&lt;a>&amp;", "<a>&" } },
        { "a\r\n\tb", { "a   b", "a   b", "a   b", "a   b", "a   b" } },
        { "\xC3\xA4", { "\xC3\xA4", "\xC3\xA4", "\xC3\xA4", "\xC3\xA4", "\xC3\xA4" } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t j = 0; j < COUNT_OF(messages); j++) {
            restart();
            const char *mark = strstr(cases[i].body, "%s");
            struct slice expected = arena_format(&exchange.arena, "%.*s%s%s", (int)(mark - cases[i].body),
                                                 cases[i].body, messages[j].escaped[i], mark + 2);
            add("Accept", cases[i].accept);
            answer_error(&exchange, 404, slice_of(messages[j].message), ANSWER_FROM_PLUGIN);
            cr_expect(slice_equal(exchange.answer.body, expected), "%zu %zu: %.*s", i, j,
                      SLICE_FORMAT(exchange.answer.body));
        }
}

Test(answer, usual_messages)
{
    static const struct {
        int status;
        const char *message;
    } cases[] = {
        { 400, "Bad request" },
        { 404, "Not found" },
        { 413, "Payload too large" },
        { 429, "Too many requests" },
        { 500, "An unexpected error occurred" },
        { 502, "An invalid response was received from the upstream server" },
        { 503, "The upstream server is currently unavailable" },
        { 504, "The upstream server is timing out" },
        { 418, "The upstream server responded with 418" },
        { 599, "The upstream server responded with 599" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect(slice_equal(answer_message(&exchange, cases[i].status), slice_of(cases[i].message)));
        answer_error(&exchange, cases[i].status, (struct slice){ NULL, 0 }, ANSWER_FROM_PLUGIN);
        cr_expect_not_null(strstr(exchange.answer.body.data, cases[i].message));
    }
}

Test(answer, json_as_it_is)
{
    add("Accept", "text/html");
    answer_json(&exchange, 401, SLICE("{\"message\":\"Unauthorized\"}"));
    cr_assert_eq(exchange.answer.status, 401);
    check_type("application/json", "JSON");
    cr_assert(slice_equal(exchange.answer.body, SLICE("{\"message\":\"Unauthorized\"}")));
}

Test(answer, without_memory_the_status_remains)
{
    arena_deinit(&exchange.arena);
    arena_init(&exchange.arena, NULL, 0, 0);
    answer_error(&exchange, 503, SLICE("a \"quoted\" text"), ANSWER_FROM_PLUGIN);
    cr_assert_eq(exchange.answer.status, 503);
    cr_assert_eq(exchange.answer.body.size, 0);
}
