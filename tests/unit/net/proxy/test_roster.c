/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/roster.h"

#include <criterion/criterion.h>

Test(roster, holds_what_is_added)
{
    struct roster *roster = roster_open(SLICE("f0e1d2c3-0000-4000-8000-000000000001"), 7);
    cr_assert_not_null(roster);
    cr_expect_eq(roster->version, 7);
    char host[] = "h-000";
    for (unsigned i = 0; i < 100; i++) {
        host[3] = (char)('0' + i / 10);
        host[4] = (char)('0' + i % 10);
        struct roster_entry entry = {
            .host = slice_of(host), .weight = i, .target_index = i, .healthy = i % 2
        };
        cr_assert(address_parse(SLICE("10.1.2.3"), (uint16_t)(1000 + i), &entry.address));
        cr_assert(roster_add(roster, &entry));
    }
    cr_assert_eq(roster->count, 100);
    for (unsigned i = 0; i < 100; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        cr_expect_eq(address_port(&entry->address), 1000 + i);
        cr_expect_eq(entry->weight, i);
        cr_expect_eq(entry->healthy, i % 2 == 1);
        cr_expect_eq(entry->host.data[4], (char)('0' + i % 10));
    }
    cr_expect_eq(roster_take(roster), roster);
    roster_release(roster);
    cr_expect(slice_equal(roster->key, SLICE("f0e1d2c3-0000-4000-8000-000000000001")));
    roster_release(roster);
    roster_release(NULL);
}

Test(roster, versions_of_later_generations_are_later)
{
    cr_expect_lt(roster_first_version(1) + 1000000, roster_first_version(2));
}
