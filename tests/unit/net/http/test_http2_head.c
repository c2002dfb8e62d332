/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http2_head.h"

#include <criterion/criterion.h>

static struct arena arena;
static struct message message;
static struct http2_head head;

static void begin(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
    message_init(&message, &arena);
    head = (struct http2_head){ .message = &message, .limits = &http1_default_limits };
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(http2_head, .init = begin, .fini = end);

static void add(const char *name, const char *value)
{
    http2_head_add(&head, slice_of(name), slice_of(value));
}

static void add_request(void)
{
    add(":method", "POST");
    add(":scheme", "https");
    add(":authority", "a.test");
    add(":path", "/p?q");
}

static bool is(struct slice text, const char *want)
{
    return text.data && slice_equal(text, slice_of(want));
}

Test(http2_head, a_request)
{
    add_request();
    add("x-a", " v ");
    add("content-length", "3");
    cr_assert_eq(http2_head_finish(&head, false), HTTP1_REFUSED_NONE);
    cr_assert(is(message.method, "POST") && is(message.origin_form, "/p?q") && is(message.target, "/p?q"));
    cr_assert(is(message_find(&message, HEADER_HOST), "a.test"));
    cr_assert(is(message_find_name(&message, SLICE("X-A")), "v"));
    cr_assert(message.framing == BODY_LENGTH && message.body_bytes == 3);
    cr_assert(message.http2 && message.keep_alive && is(message_version(&message), "HTTP/2.0"));
}

Test(http2_head, how_the_body_is_framed)
{
    static const struct {
        const char *length;
        bool ends;
        enum http1_refusal refusal;
        enum body_framing framing;
    } rows[] = {
        { NULL, true, HTTP1_REFUSED_NONE, BODY_NONE },    { NULL, false, HTTP1_REFUSED_NONE, BODY_CHUNKED },
        { "0", true, HTTP1_REFUSED_NONE, BODY_LENGTH },   { "7", false, HTTP1_REFUSED_NONE, BODY_LENGTH },
        { "7", true, HTTP1_REFUSED_LENGTH, BODY_LENGTH }, { "-1", false, HTTP1_REFUSED_LENGTH, BODY_NONE },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        end();
        begin();
        add_request();
        if (rows[i].length)
            add("content-length", rows[i].length);
        cr_expect_eq(http2_head_finish(&head, rows[i].ends), rows[i].refusal, "row %zu", i);
        cr_expect_eq(message.framing, rows[i].framing, "row %zu", i);
    }
}

Test(http2_head, cookie_crumbs_are_joined)
{
    add_request();
    add("cookie", "a=b");
    add("x-a", "1");
    add("cookie", "c=d");
    add("cookie", "e=f");
    cr_assert_eq(http2_head_finish(&head, true), HTTP1_REFUSED_NONE);
    cr_assert(is(message_find(&message, HEADER_COOKIE), "a=b; c=d; e=f"));
}

Test(http2_head, one_host)
{
    static const struct {
        const char *authority, *host;
        enum http1_refusal refusal;
        const char *found;
    } rows[] = {
        { "a", NULL, HTTP1_REFUSED_NONE, "a" },
        { NULL, "b", HTTP1_REFUSED_NONE, "b" },
        { "a", "A", HTTP1_REFUSED_NONE, "A" },
        { "a", "b", HTTP1_REFUSED_HOST, NULL },
        { NULL, NULL, HTTP1_REFUSED_HOST_MISSING, NULL },
        { "u@a", NULL, HTTP1_REFUSED_HOST, NULL },
        { "a,b", NULL, HTTP1_REFUSED_HOST, NULL },
        { "", NULL, HTTP1_REFUSED_HOST, NULL },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        end();
        begin();
        add(":method", "GET");
        add(":scheme", "http");
        add(":path", "/");
        if (rows[i].authority)
            add(":authority", rows[i].authority);
        if (rows[i].host)
            add("host", rows[i].host);
        cr_expect_eq(http2_head_finish(&head, true), rows[i].refusal, "row %zu", i);
        if (rows[i].found)
            cr_expect(is(message_find(&message, HEADER_HOST), rows[i].found), "row %zu", i);
    }
}

Test(http2_head, what_is_refused)
{
    static const struct {
        const char *method, *scheme, *path, *name, *value;
        enum http1_refusal refusal;
    } rows[] = {
        { "get", "http", "/", NULL, NULL, HTTP1_REFUSED_METHOD },
        { "GET /", "http", "/", NULL, NULL, HTTP1_REFUSED_METHOD },
        { "", "http", "/", NULL, NULL, HTTP1_REFUSED_METHOD },
        { "CONNECT", "http", "/", NULL, NULL, HTTP1_REFUSED_METHOD_FORBIDDEN },
        { "TRACE", "http", "/", NULL, NULL, HTTP1_REFUSED_METHOD_FORBIDDEN },
        { "GET", "ftp", "/", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "a", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "*", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "/a b", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "/\r\n", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "/a#b", NULL, NULL, HTTP1_REFUSED_TARGET },
        { "GET", "http", "/", "x a", "v", HTTP1_REFUSED_CHARACTER },
        { "GET", "http", "/", "", "v", HTTP1_REFUSED_CHARACTER },
        { "GET", "http", "/", "x", "a\nb", HTTP1_REFUSED_CHARACTER },
        { "GET", "http", "/", "x", "a\x7f", HTTP1_REFUSED_CHARACTER },
        { "GET", "http", "/", "connection", "close", HTTP1_REFUSED_FIELD },
        { "GET", "http", "/", "transfer-encoding", "chunked", HTTP1_REFUSED_FIELD },
        { "GET", "http", "/", ":x", "v", HTTP1_REFUSED_FIELD },
        { "GET", "http", "/", ":path", "/", HTTP1_REFUSED_FIELD },
        { "GET", "http", "/", "expect", "x", HTTP1_REFUSED_EXPECTATION },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        end();
        begin();
        add(":method", rows[i].method);
        add(":scheme", rows[i].scheme);
        add(":authority", "a");
        add(":path", rows[i].path);
        if (rows[i].name)
            add(rows[i].name, rows[i].value);
        cr_expect_eq(http2_head_finish(&head, true), rows[i].refusal, "row %zu: %d", i, head.refusal);
    }
}

/* RFC 8441: what HTTP/1 would say is a request for an upgrade. */
Test(http2_head, extended_connect)
{
    static const struct {
        const char *method, *authority, *path, *protocol, *length;
        enum http1_refusal refusal;
    } rows[] = {
        { "CONNECT", "a.test", "/ws?a", "websocket", NULL, HTTP1_REFUSED_NONE },
        { "CONNECT", "a.test", "/ws?a", "connect-udp", NULL, HTTP1_REFUSED_NONE },
        { "CONNECT", "a.test", "/ws?a", "spdy/3.1", NULL, HTTP1_REFUSED_NONE },
        { "CONNECT", "a.test", "/ws?a", "spdy/", NULL, HTTP1_REFUSED_FIELD },
        { "CONNECT", "a.test", "/ws?a", "a/b/c", NULL, HTTP1_REFUSED_FIELD },
        { "CONNECT", "a.test", "/ws?a", "web socket", NULL, HTTP1_REFUSED_FIELD },
        { "CONNECT", "a.test", "/ws?a", "", NULL, HTTP1_REFUSED_FIELD },
        { "CONNECT", NULL, "/ws?a", "websocket", NULL, HTTP1_REFUSED_FIELD },
        { "CONNECT", "a.test", NULL, "websocket", NULL, HTTP1_REFUSED_TARGET },
        { "GET", "a.test", "/ws?a", "websocket", NULL, HTTP1_REFUSED_FIELD },
        { "CONNECT", "a.test", "/ws?a", "websocket", "0", HTTP1_REFUSED_LENGTH },
        { "CONNECT", "a.test", "/ws?a", "websocket", "3", HTTP1_REFUSED_LENGTH },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        end();
        begin();
        add(":method", rows[i].method);
        add(":scheme", "https");
        if (rows[i].authority)
            add(":authority", rows[i].authority);
        if (rows[i].path)
            add(":path", rows[i].path);
        add(":protocol", rows[i].protocol);
        if (rows[i].length)
            add("content-length", rows[i].length);
        cr_expect_eq(http2_head_finish(&head, false), rows[i].refusal, "row %zu: %d", i, head.refusal);
        if (rows[i].refusal != HTTP1_REFUSED_NONE)
            continue;
        cr_expect(is(message.method, "GET") && is(message.origin_form, "/ws?a"), "row %zu", i);
        cr_expect(is(message_find(&message, HEADER_UPGRADE), rows[i].protocol), "row %zu", i);
        cr_expect(message.upgrade && message.http2 && message.framing == BODY_NONE, "row %zu", i);
    }
}

Test(http2_head, limits)
{
    static const struct http1_limits few = {
        .head_bytes = 1000, .line_bytes = 200, .header_fields = 4, .target_bytes = 20
    };
    static char long_text[300];
    memset(long_text, 'a', sizeof(long_text) - 1);
    static const enum http1_refusal wanted[] = { HTTP1_REFUSED_FIELD_LONG, HTTP1_REFUSED_FIELDS_MANY,
                                                 HTTP1_REFUSED_HEAD_LONG, HTTP1_REFUSED_TARGET_LONG };
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        end();
        begin();
        head.limits = &few;
        long_text[i == 0 ? 250 : 190] = '\0';
        add(":method", "GET");
        add(":path", i == 3 ? "/aaaaaaaaaaaaaaaaaaaaaaaa" : "/");
        for (int j = 0; j < 10; j++)
            add("x", i == 1 ? "1" : long_text);
        cr_expect_eq(http2_head_finish(&head, true), wanted[i], "row %zu: %d", i, head.refusal);
    }
}

Test(http2_head, lines_become_fields)
{
    char text[] =
        ":status: 200\r\nX-A: b: c\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nEmpty: \r\n";
    nghttp2_nv fields[8];
    cr_assert_eq(http2_fields_of(text, sizeof(text) - 1, fields, 8), 3);
    static const char *const wanted[][2] = { { ":status", "200" }, { "x-a", "b: c" }, { "empty", "" } };
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        struct slice name = { (const char *)fields[i].name, fields[i].namelen };
        struct slice value = { (const char *)fields[i].value, fields[i].valuelen };
        cr_expect(is(name, wanted[i][0]) && is(value, wanted[i][1]), "%zu", i);
    }
}

Test(http2_head, more_lines_than_there_is_room)
{
    char text[] = ":status: 200\r\na: b\r\n";
    nghttp2_nv fields[1];
    cr_assert_eq(http2_fields_of(text, sizeof(text) - 1, fields, 1), 0);
}
