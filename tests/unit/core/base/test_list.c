/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/list.h"

#include "core/base/check.h"

#include <criterion/criterion.h>

struct item {
    struct list_node node;
    char name;
};

static struct item items[4] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' }, { .name = 'd' } };

static void start(void)
{
    for (size_t i = 0; i < COUNT_OF(items); i++)
        list_init(&items[i].node);
}

TestSuite(list, .init = start);

/* The names, walked both ways. */
static void check(struct list_node *list, const char *names)
{
    char forward[8] = "", backward[8] = "";
    size_t count = 0, size = strlen(names);
    for (struct list_node *at = list->next; at != list; at = at->next)
        forward[count++] = CONTAINER_OF(at, struct item, node)->name;
    cr_expect_str_eq(forward, names);
    count = size;
    for (struct list_node *at = list->previous; at != list && count > 0; at = at->previous)
        backward[--count] = CONTAINER_OF(at, struct item, node)->name;
    cr_expect_str_eq(backward, names);
    cr_expect_eq(list_is_empty(list), size == 0);
}

Test(list, appends_and_prepends)
{
    struct list_node list;
    list_init(&list);
    check(&list, "");
    list_append(&list, &items[1].node);
    list_append(&list, &items[2].node);
    list_prepend(&list, &items[0].node);
    check(&list, "abc");
}

Test(list, removes_from_any_place_and_twice)
{
    static const char *const left[] = { "bc", "ac", "ab" };
    for (size_t i = 0; i < COUNT_OF(left); i++) {
        struct list_node list;
        list_init(&list);
        start();
        for (size_t j = 0; j < 3; j++)
            list_append(&list, &items[j].node);
        list_remove(&items[i].node);
        cr_assert(list_is_empty(&items[i].node));
        list_remove(&items[i].node);
        check(&list, left[i]);
    }
}

Test(list, moves_all_behind)
{
    static const struct {
        size_t have, from;
        const char *names;
    } cases[] = { { 0, 0, "" }, { 2, 0, "ab" }, { 0, 2, "ab" }, { 1, 1, "ab" }, { 2, 2, "abcd" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct list_node list, from;
        list_init(&list);
        list_init(&from);
        start();
        for (size_t j = 0; j < cases[i].have + cases[i].from; j++)
            list_append(j < cases[i].have ? &list : &from, &items[j].node);
        list_move_all(&list, &from);
        check(&list, cases[i].names);
        check(&from, "");
    }
}
