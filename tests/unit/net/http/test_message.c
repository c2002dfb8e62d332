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

Test(message, a_header_may_come_back_after_it_went)
{
    add("X-Consumer-ID", "forged");
    add("X-Note", "1");
    message_remove(&message, SLICE("x-consumer-id"));
    message_remove(&message, SLICE("x-note"));
    cr_expect(!message_has(&message, HEADER_X_CONSUMER_ID));
    cr_assert(message_set_id(&message, HEADER_X_CONSUMER_ID, SLICE("X-Consumer-ID"), SLICE("own")));
    cr_assert(message_set(&message, SLICE("X-NOTE"), SLICE("2")));
    cr_expect(is(message_find_name(&message, SLICE("x-consumer-id")), "own"));
    cr_expect(is(message_find_name(&message, SLICE("x-note")), "2"));
    message_remove_id(&message, HEADER_X_CONSUMER_ID);
    cr_expect_null(message_find_name(&message, SLICE("X-Consumer-ID")).data);
    cr_expect_null(message_find(&message, HEADER_OTHER).data);
}

/* Some share a bit, some differ in case or in `_` only. */
static const char *const spellings[] = {
    "X-Consumer-ID", "x-consumer-id", "X_Consumer_Id", "x-consumer_id", "Host", "HOST", "x-a", "X-A",
    "y-a",           "X-B",           "cookie",        "Via",           "etag", "ETag", "x",   "X-Api-Key"
};

struct pair {
    const char *name, *value;
};

static struct pair plain[1024];
static size_t plain_count;

/* Returns where the first was, or the end. */
static size_t drop_plain(const char *name)
{
    size_t kept = 0, first = plain_count;
    for (size_t i = 0; i < plain_count; i++)
        if (strcasecmp(plain[i].name, name) != 0)
            plain[kept++] = plain[i];
        else if (first == plain_count)
            first = kept;
    plain_count = kept;
    return first < kept ? first : kept;
}

static void set_plain(const char *name, const char *value)
{
    size_t at = drop_plain(name);
    memmove(plain + at + 1, plain + at, (plain_count - at) * sizeof(*plain));
    plain[at] = (struct pair){ name, value };
    plain_count++;
}

static void expect_plain(void)
{
    size_t at = 0;
    for (uint32_t i = 0; i < message.header_count; i++) {
        const struct header *header = &message.headers[i];
        if (header->name.data == NULL)
            continue;
        cr_assert(at < plain_count && is(header->name, plain[at].name) && is(header->value, plain[at].value));
        cr_assert_eq(header->id, message_header_id(header->name));
        at++;
    }
    cr_assert_eq(at, plain_count);
    for (size_t i = 0; i < COUNT_OF(spellings); i++) {
        size_t first = 0;
        while (first < plain_count && strcasecmp(plain[first].name, spellings[i]) != 0)
            first++;
        struct slice found = message_find_name(&message, slice_of(spellings[i]));
        cr_assert(first < plain_count ? is(found, plain[first].value) : found.data == NULL);
        enum header_id id = message_header_id(slice_of(spellings[i]));
        cr_assert(first == plain_count || message_may_have(&message, id, slice_of(spellings[i])));
        cr_assert(id == HEADER_OTHER || message_has(&message, id) == (first < plain_count));
    }
}

/* Whatever is done to a message, its quick answers are those of a plain list. */
Test(message, changes_agree_with_a_plain_list)
{
    static const char *const values[] = { "", "1", "22" };
    uint64_t random = 1;
    for (int step = 0; step < 20000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const char *name = spellings[(random >> 33) % COUNT_OF(spellings)];
        const char *value = values[(random >> 43) % COUNT_OF(values)];
        struct slice text = slice_of(name);
        enum header_id id = message_header_id(text);
        if (plain_count > 40 || message.header_count > 400) {
            message_init(&message, &arena);
            arena_reset(&arena);
            plain_count = 0;
        }
        unsigned kind = (unsigned)(random >> 53) % 6;
        switch (kind) {
        case 0: cr_assert(message_set(&message, text, slice_of(value))); break;
        case 1: cr_assert(message_set_id(&message, id, text, slice_of(value))); break;
        case 2: message_remove(&message, text); break;
        case 3:
            if (id == HEADER_OTHER)
                continue;
            message_remove_id(&message, id);
            break;
        default: cr_assert(message_add(&message, text, slice_of(value))); break;
        }
        if (kind < 2)
            set_plain(name, value);
        else if (kind < 4)
            (void)drop_plain(name);
        else
            plain[plain_count++] = (struct pair){ name, value };
        expect_plain();
    }
}

Test(message, connection_names_fields)
{
    static const struct {
        const char *values[2];
        bool names;
    } rows[] = { { { "close", NULL }, false },
                 { { "Keep-Alive", "close" }, false },
                 { { "x-a", NULL }, true },
                 { { "close, x-a", NULL }, true },
                 { { "keep-alive", "x-a" }, true } };
    cr_expect(!message_connection_names_fields(&message));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        message_init(&message, &arena);
        for (int n = 0; n < 2 && rows[i].values[n]; n++)
            add("Connection", rows[i].values[n]);
        cr_expect_eq(message_connection_names_fields(&message), rows[i].names, "%zu", i);
        cr_expect_eq(message_is_named_by_connection(&message, SLICE("X-A")), rows[i].names, "%zu", i);
    }
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
