/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/body_arguments.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"
#define MULTIPART "multipart/form-data; boundary=b"
#define PART(name, content) "--b\r\nContent-Disposition: form-data; name=" name "\r\n\r\n" content "\r\n"

static struct arena arena;
static struct body_arguments arguments;

static void open_sized(const char *type, const char *body, size_t size)
{
    struct message message;
    arena_init(&arena, NULL, 0, (size_t)1024 * 1024);
    message_init(&message, &arena);
    if (type)
        cr_assert(message_add(&message, SLICE("Content-Type"), slice_of(type)));
    body_arguments_open(&arguments, &message, (struct slice){ body, size });
}

static void open(const char *type, const char *body)
{
    open_sized(type, body, strlen(body));
}

static void close(void)
{
    body_arguments_close(&arguments);
    arena_deinit(&arena);
}

/* name=value;... with "!" in front of JSON that is no string, and "name;" for a bare one; "?" for no
 * arguments at all. */
static const struct {
    const char *type, *body, *said;
} bodies[] = {
    { FORM, "a=1&b=2&a=3", "a=1;b=2;a=3;" },
    { FORM "; charset=utf-8", "a=%41+%2B&b&=x&c=", "a=A +;b;=x;c=;" },
    { "Application/X-WWW-form-urlencoded", "&&a=1&", "a=1;" },
    { FORM, "", "" },
    { JSON, "{\"a\":\"x\\ny\",\"b\":[1, 2],\"c\":null}", "a=x\ny;b=![1, 2];c=!null;" },
    { JSON " ; charset=utf-8", " { \"\\u0061\" : \"\" } ", "a=;" },
    { JSON, "{}", "" },
    { JSON, "[1]", "?" },
    { JSON, "{\"a\":1", "?" },
    { JSON, "", "?" },
    { "application/json-patch+json", "{}", "?" },
    { "text/plain", "a=1", "?" },
    { NULL, "a=1", "?" },
    { MULTIPART, PART("\"a\"", "1") PART("b", "x\r\ny") "--b--\r\n", "a=1;b=x\r\ny;" },
    { "multipart/form-data;boundary=\"b\"", "preamble\r\n" PART("\"a\\\"b\"", "") "--b--", "a\"b=;" },
    { "multipart/form-data; x=\"; boundary=c\"; BOUNDARY=b", PART("\"a\"; filename=\"n\"", "1") "--b--",
      "a=1;" },
    { MULTIPART, "--b  \r\n\r\ncontent\r\n--b--", "=content;" },
    { MULTIPART, "--b--\r\n", "" },
    { MULTIPART, "", "" },
    { MULTIPART, PART("\"a\"", "1"), "?" },
    { MULTIPART, "--b\r\nContent-Disposition: form-data; name=a\r\n--b--", "?" },
    { MULTIPART, "--b\nContent-Disposition: form-data; name=a\n\n1\n--b--", "?" },
    { MULTIPART, "no delimiter", "?" },
    { "multipart/form-data", "--b--", "?" },
    { "multipart/form-data; boundary=", "--b--", "?" },
    { "multipart/form-data; boundary=\"b", "--b--", "" },
    { "multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901234567890x",
      "--b--", "?" },
};

Test(body_arguments, reads)
{
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        char said[128] = "?";
        size_t size = 0;
        open(bodies[i].type, bodies[i].body);
        if (arguments.kind != BODY_ARGUMENTS_NONE)
            said[0] = '\0';
        for (uint32_t k = 0; arguments.kind != BODY_ARGUMENTS_NONE && k < arguments.count; k++) {
            const struct body_argument *argument = &arguments.items[k];
            size += (size_t)snprintf(said + size, sizeof(said) - size, "%.*s%s%.*s;",
                                     SLICE_FORMAT(argument->name),
                                     argument->type == BODY_VALUE_TEXT   ? "="
                                     : argument->type == BODY_VALUE_BARE ? ""
                                                                         : "=!",
                                     SLICE_FORMAT(argument->value));
        }
        cr_expect_str_eq(said, bodies[i].said, "%s: %s", bodies[i].type, bodies[i].body);
        cr_assert_not(arguments.failed);
        close();
    }
}

static void expect_written(const char *text)
{
    struct slice written = body_arguments_write(&arguments);
    cr_expect(slice_equal(written, slice_of(text)), "%.*s", SLICE_FORMAT(written));
    cr_expect_not_null(written.data);
}

/* What is not changed is written as it was. */
Test(body_arguments, keeps_spellings)
{
    open(FORM, "a=%41+%2b&b&a=");
    expect_written("a=%41+%2b&b&a=");
    close();
    open(JSON, " { \"\\u0061\" : 1.0 ,\"b\":{ } } ");
    expect_written("{\"\\u0061\" : 1.0,\"b\":{ }}");
    close();
    open(MULTIPART,
         "preamble\r\n--b \r\nX: y\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\nend");
    expect_written("--b\r\nX: y\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\n");
    close();
}

/* The same changes to all three: a removed, b renamed to c"d, e set, f added. */
static void change(void)
{
    uint32_t from = 0;
    cr_assert_eq(body_arguments_remove(&arguments, SLICE("a")), 2);
    cr_assert_eq(body_arguments_remove(&arguments, SLICE("a")), 0);
    body_argument_rename(body_arguments_next(&arguments, SLICE("b"), &from), SLICE("c\"\r\nd"));
    cr_assert_null(body_arguments_next(&arguments, SLICE("b"), &from));
    from = 0;
    body_argument_set(body_arguments_next(&arguments, SLICE("e"), &from), BODY_VALUE_TEXT, SLICE("\"&\n"));
    cr_assert(body_arguments_add(&arguments, SLICE("f"), BODY_VALUE_TEXT, SLICE("")));
}

Test(body_arguments, writes_forms)
{
    open(FORM, "a=1&b=2&a&e=5");
    change();
    expect_written("c%22%0D%0Ad=2&e=%22%26%0A&f=");
    uint32_t from = 0;
    body_argument_set(body_arguments_next(&arguments, SLICE("f"), &from), BODY_VALUE_BARE,
                      (struct slice){ NULL, 0 });
    body_arguments_remove(&arguments, SLICE("e"));
    expect_written("c%22%0D%0Ad=2&f");
    close();
}

Test(body_arguments, writes_json)
{
    open(JSON, "{\"a\":1,\"b\":[2],\"a\":3,\"e\":5}");
    change();
    cr_assert(body_arguments_add(&arguments, SLICE("n"), BODY_VALUE_JSON, SLICE("12")));
    expect_written("{\"c\\\"\\r\\nd\":[2],\"e\":\"\\\"&\\n\",\"f\":\"\",\"n\":12}");
    close();
}

Test(body_arguments, writes_parts)
{
    open(MULTIPART, PART("a", "1") PART("b", "2") PART("a", "3") PART("e", "5") "--b--\r\n");
    change();
    expect_written(PART("\"c%22%0D%0Ad\"", "2") PART("\"e\"", "\"&\n") PART("\"f\"", "") "--b--\r\n");
    close();
}

Test(body_arguments, everything_removed)
{
    static const char *const texts[][3] = { { FORM, "a=1", "" },
                                            { JSON, "{\"a\":1}", "{}" },
                                            { MULTIPART, PART("a", "1") "--b--", "--b--\r\n" } };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        open(texts[i][0], texts[i][1]);
        cr_assert_eq(body_arguments_remove(&arguments, SLICE("a")), 1);
        expect_written(texts[i][2]);
        close();
    }
}

Test(body_arguments, has_a_limit)
{
    size_t size = (size_t)2 * BODY_ARGUMENTS_MAX + 2;
    char *body = malloc(size);
    cr_assert_not_null(body);
    for (size_t i = 0; i < size; i += 2)
        memcpy(body + i, "a&", 2);
    open_sized(FORM, body, size);
    cr_assert_eq(arguments.kind, BODY_ARGUMENTS_NONE);
    close();
    open_sized(FORM, body, size - 2);
    cr_assert_eq(arguments.count, BODY_ARGUMENTS_MAX);
    close();
    free(body);
}
