/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/message.h"

#include <criterion/criterion.h>

static struct arena arena;
static struct message message;

static void begin(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
    message_init(&message, &arena);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(message, .init = begin, .fini = end);

static void add(const char *name, const char *value)
{
    cr_assert(message_add(&message, slice_of(name), slice_of(value)));
}

static bool is(struct slice text, const char *want)
{
    return slice_equal(text, slice_of(want)) && text.data != NULL;
}

/* The ids are found by size; a list that is not ordered by it would lose some. */
Test(message, every_known_name_has_its_id)
{
    for (int id = HEADER_OTHER + 1; id < HEADER_COUNT; id++) {
        struct slice name = message_header_name((enum header_id)id);
        char upper[64], wrong[64];
        for (size_t i = 0; i < name.size; i++)
            upper[i] = (char)(name.data[i] >= 'a' && name.data[i] <= 'z' ? name.data[i] - 32 : name.data[i]);
        cr_expect_eq(message_header_id(name), id, "%.*s", SLICE_FORMAT(name));
        cr_expect_eq(message_header_id((struct slice){ upper, name.size }), id, "%.*s", SLICE_FORMAT(name));
        for (size_t i = 0; i < name.size; i++)
            for (int bit = 1; bit < 256; bit <<= 1) {
                memcpy(wrong, name.data, name.size);
                wrong[i] = (char)(wrong[i] ^ bit);
                bool letter = name.data[i] >= 'a' && name.data[i] <= 'z';
                enum header_id found = message_header_id((struct slice){ wrong, name.size });
                cr_expect((letter && bit == 0x20) == (found == (enum header_id)id), "%.*s as %.*s",
                          SLICE_FORMAT(name), (int)name.size, wrong);
            }
        cr_expect_neq(message_header_id((struct slice){ upper, name.size - 1 }), id);
    }
}

Test(message, other_names_have_none)
{
    static const char *const names[] = { "",
                                         "x",
                                         "hosts",
                                         "hos",
                                         "x-forwarded-fo",
                                         "content-lengthy",
                                         "a-name-that-is-longer-than-all-known-ones" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        cr_expect_eq(message_header_id(slice_of(names[i])), HEADER_OTHER, "%s", names[i]);
}

Test(message, finds_the_first)
{
    add("X-A", "1");
    add("Host", "a");
    add("x-a", "2");
    cr_expect(is(message_find_name(&message, SLICE("x-A")), "1"));
    cr_expect(is(message_find_name(&message, SLICE("HOST")), "a"));
    cr_expect(is(message_find(&message, HEADER_HOST), "a"));
    cr_expect(message_has(&message, HEADER_HOST) && !message_has(&message, HEADER_TE));
    cr_expect(message_find(&message, HEADER_TE).data == NULL);
    cr_expect(message_find_name(&message, SLICE("x-b")).data == NULL);
}

Test(message, set_leaves_one)
{
    add("Via", "1");
    add("X-A", "1");
    add("via", "2");
    add("x-a", "2");
    cr_assert(message_set(&message, SLICE("VIA"), SLICE("3")));
    cr_assert(message_set(&message, SLICE("X-a"), SLICE("3")));
    cr_assert(message_set(&message, SLICE("new"), SLICE("4")));
    cr_expect(is(message.headers[0].name, "VIA") && is(message.headers[0].value, "3"));
    cr_expect(is(message.headers[1].name, "X-a") && is(message.headers[1].value, "3"));
    cr_expect(message.headers[2].name.data == NULL && message.headers[3].name.data == NULL);
    cr_expect(is(message_find_name(&message, SLICE("new")), "4"));
    cr_expect(message_has(&message, HEADER_VIA));
}

Test(message, remove_takes_all)
{
    add("Via", "1");
    add("X-A", "1");
    add("via", "2");
    add("x-a", "2");
    message_remove(&message, SLICE("via"));
    message_remove(&message, SLICE("x-a"));
    message_remove(&message, SLICE("x-b"));
    message_remove_id(&message, HEADER_TE);
    cr_expect_eq(message.present, 0);
    for (uint32_t i = 0; i < message.header_count; i++)
        cr_expect(message.headers[i].name.data == NULL && message.headers[i].id == HEADER_OTHER);
    add("via", "3");
    cr_expect(is(message_find(&message, HEADER_VIA), "3"));
}

Test(message, grows_until_memory_ends)
{
    bool added = true;
    uint32_t count = 0;
    while (added && count < 1000000)
        added = message_add(&message, SLICE("x"), SLICE("y")) && ++count;
    cr_expect(!added && count > 1000);
    cr_expect_eq(message.header_count, count);
}

Test(message, lists)
{
    struct slice list = SLICE(" a, Upgrade ,,b\t");
    cr_expect(message_list_has(list, SLICE("upgrade")));
    cr_expect(message_list_has(list, SLICE("A")));
    cr_expect(message_list_has(list, SLICE("b")));
    cr_expect(!message_list_has(list, SLICE("up")));
    cr_expect(!message_list_has(list, SLICE("upgraded")));
    cr_expect(!message_list_has((struct slice){ NULL, 0 }, SLICE("a")));
    cr_expect(!message_list_has(SLICE(""), SLICE("a")));
}
