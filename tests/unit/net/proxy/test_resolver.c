/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/resolver.h"

#include "core/base/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static struct arena arena;
static struct name_table table;
static char path[] = "/tmp/test_resolver_XXXXXX";
static struct resolver_options options = { path, 5000 };

/* No system resolver takes a label of that length, so that no test asks the network. */
static const char unknown[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test";

/* glibc asks on a thread that ThreadSanitizer does not know, and which it ends for that. */
#if defined(__SANITIZE_THREAD__)
enum { NO_SYSTEM_RESOLVER = true };
#else
enum { NO_SYSTEM_RESOLVER = false };
#endif

static void start(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    hash_start();
    arena_init(&arena, NULL, 0, 1 << 20);
    name_table_init(&table, &arena);
}

static void end(void)
{
    unlink(path);
    arena_deinit(&arena);
}

TestSuite(resolver, .init = start, .fini = end);

static void write_hosts(const char *text)
{
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void need(struct name_table *names, const char *name)
{
    cr_assert(name_table_need(names, slice_of(name)));
}

/* The addresses of a name as one text, "a b c". */
static const char *found(const struct name_table *names, const char *name)
{
    static char text[256];
    struct address addresses[4];
    uint32_t count = name_table_lookup(names, slice_of(name), 8080, addresses, COUNT_OF(addresses));
    text[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        char one[ADDRESS_TEXT_SIZE];
        size_t size = strlen(text);
        address_text(&addresses[i], one);
        cr_assert_eq(address_port(&addresses[i]), 8080);
        snprintf(text + size, sizeof(text) - size, "%s%s", i ? " " : "", one);
    }
    return text;
}

Test(resolver, reads_the_hosts_file)
{
    static const struct {
        const char *name, *addresses;
    } cases[] = {
        { "one.test", "10.0.0.1" },   { "ONE.Test", "10.0.0.1" },
        { "alias.test", "10.0.0.1" }, { "many.test", "10.0.0.2 10.0.0.3 2001:db8::1" },
        { "tabs.test", "10.0.0.4" },  { "indented.test", "10.0.0.5" },
        { "commented.test", "" },     { "bad.test", "" },
        { "last.test", "10.0.0.6" },  { "crlf.test", "10.0.0.7" },
    };
    write_hosts("# a comment\n"
                "10.0.0.1 one.test  alias.test\n"
                "10.0.0.2 many.test # commented.test\n"
                "10.0.0.3 MANY.test\n"
                "10.0.0.2 many.test\n"
                "2001:db8::1 many.test\n"
                "\n"
                "10.0.0.4\ttabs.test\t\n"
                "  10.0.0.5 indented.test\n"
                "10.0.0 bad.test\n"
                "10.0.0.7 crlf.test\r\n"
                "#10.0.0.8 one.test\n"
                "10.0.0.9 not.needed\n"
                "10.0.0.6 last.test");
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (cases[i].addresses[0])
            need(&table, cases[i].name);
    cr_assert(name_table_resolve(&table, &options, NULL));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_str_eq(found(&table, cases[i].name), cases[i].addresses, "%s", cases[i].name);
    cr_expect_str_eq(found(&table, "not.needed"), "");
}

Test(resolver, numeric_addresses_are_no_names)
{
    static const char *const numeric[] = { "127.0.0.1", "::1", "[::1]", "" };
    for (size_t i = 0; i < COUNT_OF(numeric); i++)
        need(&table, numeric[i]);
    cr_assert_eq(table.names.count, 0);
    cr_assert(name_table_resolve(&table, &options, NULL));
    cr_assert_str_eq(found(&table, "127.0.0.1"), "127.0.0.1");
    cr_assert_str_eq(found(&table, "[::1]"), "::1");
    cr_assert_str_eq(found(&table, ""), "");
}

Test(resolver, at_most_what_is_asked_for)
{
    struct address addresses[2];
    write_hosts("10.0.0.1 a.test\n10.0.0.2 a.test\n10.0.0.3 a.test\n");
    need(&table, "a.test");
    cr_assert(name_table_resolve(&table, &options, NULL));
    cr_assert_eq(name_table_lookup(&table, SLICE("a.test"), 1, addresses, 2), 2);
    cr_assert_eq(name_table_lookup(&table, SLICE("a.test"), 1, addresses, 0), 0);
}

Test(resolver, no_more_addresses_than_the_limit)
{
    char text[8192];
    size_t size = 0;
    struct address addresses[2 * RESOLVER_ADDRESSES_MAX];
    for (int i = 1; i < 100; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "10.0.0.%d a.test\n", i);
    write_hosts(text);
    need(&table, "a.test");
    cr_assert(name_table_resolve(&table, &options, NULL));
    cr_assert_eq(name_table_lookup(&table, SLICE("a.test"), 1, addresses, COUNT_OF(addresses)),
                 RESOLVER_ADDRESSES_MAX);
}

Test(resolver, what_does_not_resolve_keeps_its_old_addresses, .disabled = NO_SYSTEM_RESOLVER)
{
    struct name_table next;
    write_hosts("10.0.0.1 a.test\n");
    need(&table, "a.test");
    need(&table, unknown);
    cr_assert(name_table_resolve(&table, &options, NULL));
    cr_assert_str_eq(found(&table, "a.test"), "10.0.0.1");
    cr_assert_str_eq(found(&table, unknown), "");
    struct resolved_name *entry = map_find(&table.names, slice_of(unknown));
    cr_assert_not_null(entry);
    struct address old;
    cr_assert(address_parse(SLICE("10.0.0.9"), 0, &old));
    entry->addresses = &old;
    entry->count = 1;
    write_hosts("10.0.0.2 a.test\n");
    name_table_init(&next, &arena);
    need(&next, "a.test");
    need(&next, unknown);
    cr_assert(name_table_resolve(&next, &options, &table));
    cr_assert_str_eq(found(&next, "a.test"), "10.0.0.2");
    cr_assert_str_eq(found(&next, unknown), "10.0.0.9");
}

Test(resolver, a_missing_hosts_file_is_an_empty_one, .disabled = NO_SYSTEM_RESOLVER)
{
    struct resolver_options other = { "/nonexistent/hosts", 5000 };
    need(&table, unknown);
    cr_assert(name_table_resolve(&table, &other, NULL));
    other.hosts_file = "";
    cr_assert(name_table_resolve(&table, &other, NULL));
    cr_assert_str_eq(found(&table, unknown), "");
}

/* What "a.test b.test" are in a file of that text. */
static struct name_table resolved(const char *hosts, const char *second)
{
    struct name_table names;
    name_table_init(&names, &arena);
    need(&names, "a.test");
    need(&names, second);
    write_hosts(hosts);
    cr_assert(name_table_resolve(&names, &options, NULL));
    return names;
}

Test(resolver, equality)
{
    static const struct {
        const char *hosts, *second;
        bool equal;
    } cases[] = {
        { "10.0.0.1 a.test b.test\n10.0.0.2 a.test\n", "b.test", true },
        { "10.0.0.2 a.test\n10.0.0.1 a.test b.test\n", "b.test", true },
        { "10.0.0.1 a.test b.test\n10.0.0.2 a.test\n", "a.test", false },
        { "10.0.0.1 a.test b.test\n10.0.0.3 a.test\n", "b.test", false },
        { "10.0.0.1 a.test b.test\n10.0.0.2 a.test b.test\n", "b.test", false },
        { "10.0.0.1 a.test c.test\n10.0.0.2 a.test\n", "c.test", false },
    };
    struct name_table base = resolved(cases[0].hosts, cases[0].second);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct name_table other = resolved(cases[i].hosts, cases[i].second);
        cr_expect_eq(name_table_equal(&base, &other), cases[i].equal, "%zu", i);
        cr_expect_eq(name_table_equal(&other, &base), cases[i].equal, "%zu", i);
    }
}
