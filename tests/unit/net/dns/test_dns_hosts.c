/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_hosts.h"

#include "core/base/hash.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/sluice-hosts-XXXXXX";
static char path[64], other[64];
static struct dns_hosts hosts;

static void start(void)
{
    hash_start();
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/hosts", folder);
    snprintf(other, sizeof(other), "%s/new", folder);
    dns_hosts_init(&hosts, path);
}

static void end(void)
{
    dns_hosts_deinit(&hosts);
    (void)unlink(path);
    (void)rmdir(folder);
}

TestSuite(dns_hosts, .init = start, .fini = end);

static void put(const char *text)
{
    FILE *file = fopen(other, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(rename(other, path), 0);
}

/* The addresses in order, with spaces between. */
static const char *found(const char *name)
{
    static char text[256];
    size_t size = 0;
    const struct dns_hosts_entry *entry = dns_hosts_find(&hosts, slice_of(name));
    text[0] = '\0';
    for (uint32_t i = 0; entry && i < entry->count; i++) {
        char one[ADDRESS_TEXT_SIZE];
        address_text(&entry->addresses[i], one);
        size += (size_t)snprintf(text + size, sizeof(text) - size, i ? " %s" : "%s", one);
    }
    return text;
}

Test(dns_hosts, reads_the_file)
{
    put("# a comment\n"
        "127.0.0.1 localhost\n"
        "::1\tlocalhost ip6-localhost\n"
        "  10.0.0.1   Api.Test  alias.test # trailing words\n"
        "10.0.0.2 api.test\r\n"
        "10.0.0.2 api.test\n"
        "nonsense api.test\n"
        "10.0.0.3\n"
        "\n"
        "10.0.0.4 last.test");
    cr_assert(dns_hosts_refresh(&hosts));
    cr_expect_str_eq(found("localhost"), "127.0.0.1 ::1");
    cr_expect_str_eq(found("api.test"), "10.0.0.1 10.0.0.2");
    cr_expect_str_eq(found("alias.test"), "10.0.0.1");
    cr_expect_str_eq(found("last.test"), "10.0.0.4");
    cr_expect_str_eq(found("words"), "");
    cr_expect_str_eq(found("nowhere.test"), "");
}

Test(dns_hosts, reads_it_again_only_when_it_has_changed)
{
    put("10.0.0.1 a.test\n");
    cr_expect(dns_hosts_refresh(&hosts));
    cr_expect(!dns_hosts_refresh(&hosts));
    put("10.0.0.2 a.test\n");
    cr_expect(dns_hosts_refresh(&hosts));
    cr_expect_str_eq(found("a.test"), "10.0.0.2");
    cr_assert_eq(unlink(path), 0);
    cr_expect(dns_hosts_refresh(&hosts));
    cr_expect_str_eq(found("a.test"), "");
    cr_expect(!dns_hosts_refresh(&hosts));
}

Test(dns_hosts, a_missing_file_is_an_empty_one)
{
    cr_expect(!dns_hosts_refresh(&hosts));
    cr_expect_str_eq(found("a.test"), "");
}

Test(dns_hosts, no_file_at_all)
{
    struct dns_hosts none;
    dns_hosts_init(&none, NULL);
    cr_expect(!dns_hosts_refresh(&none));
    cr_expect_null(dns_hosts_find(&none, SLICE("a.test")));
    dns_hosts_deinit(&none);
}
