/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_form.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static json_t *read_form(const char *type, const char *body)
{
    struct arena arena;
    struct message request;
    arena_init(&arena, NULL, 0, 65536);
    message_init(&request, &arena);
    cr_assert(message_add(&request, SLICE("Content-Type"), slice_of(type)));
    json_t *object = admin_form_read(&request, slice_of(body));
    arena_deinit(&arena);
    return object;
}

Test(admin_form, names_say_where_values_go)
{
    static const struct {
        const char *form, *json;
    } rows[] = {
        { "a=1&b=", "{\"a\":\"1\",\"b\":\"\"}" },
        { "config.minute=5&config.a.b=x+y", "{\"config\":{\"minute\":\"5\",\"a\":{\"b\":\"x y\"}}}" },
        { "hosts[]=a&hosts[]=b", "{\"hosts\":[\"a\",\"b\"]}" },
        { "hosts%5B%5D=a", "{\"hosts\":[\"a\"]}" },
        { "hosts[2]=b&hosts[1]=a", "{\"hosts\":[\"a\",\"b\"]}" },
        { "hosts=a&hosts=b&hosts=c", "{\"hosts\":[\"a\",\"b\",\"c\"]}" },
        { "headers.x-a[]=1&headers.x-a[]=2", "{\"headers\":{\"x-a\":[\"1\",\"2\"]}}" },
        { "sources[1].ip=::1&sources[1].port=2", "{\"sources\":[{\"ip\":\"::1\",\"port\":\"2\"}]}" },
        { "a[b]=1", "{\"a\":{\"b\":\"1\"}}" },
        { "", "{}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_t *got = read_form("application/x-www-form-urlencoded", rows[i].form);
        json_t *want = json_loads(rows[i].json, 0, NULL);
        char *text = json_dumps(got, JSON_COMPACT);
        cr_assert(json_equal(got, want), "%s: %s", rows[i].form, text ? text : "NULL");
        free(text);
        json_decref(got);
        json_decref(want);
    }
}

Test(admin_form, names_that_contradict_each_other)
{
    static const char *const forms[] = { "a=1&a.b=2", "a[]=1&a.b=2",  "a.b=1&a[]=2", "=1",
                                         "[]=1",      "a[]=1&a[b]=2", "a%ff=1&b=%ff" };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        json_t *got = read_form("application/x-www-form-urlencoded", forms[i]);
        char *text = got ? json_dumps(got, JSON_COMPACT) : NULL;
        cr_assert_null(got, "%s: %s", forms[i], text ? text : "");
        free(text);
        json_decref(got);
    }
}

Test(admin_form, parts_and_other_bodies)
{
    json_t *got = read_form("multipart/form-data; boundary=x",
                            "--x\r\nContent-Disposition: form-data; name=\"tags[]\"\r\n\r\na\r\n--x--\r\n");
    cr_assert_str_eq(json_string_value(json_array_get(json_object_get(got, "tags"), 0)), "a");
    json_decref(got);
    cr_assert_null(read_form("application/json", "{}"));
    cr_assert_null(read_form("text/plain", "a=1"));
}
