/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/balancer_hash.h"

#include "tests/support/balancer_setup.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { KEYS = 100000, TARGETS = 10 };

static struct balancer_setup setup;

static void close_setup(void)
{
    balancer_setup_close(&setup);
}

static void open_used(enum balance balance, const uint32_t *weights, uint32_t count)
{
    balancer_setup_open(&setup, balance, weights, count);
    balancer_setup_use(&setup);
}

Test(balancer_hash, vectors)
{
    static const struct {
        const char *text;
        uint32_t seed, hash;
    } vectors[] = {
        { "", 0, 0x02cc5d05 },
        { "", 0x9e3779b1, 0x36b78ae7 },
        { "a", 0, 0x550d7456 },
        { "abc", 0, 0x32d153ff },
        { "Nobody inspects the spammish repetition", 0, 0xe2293b2f },
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        cr_expect_eq(balancer_hash(slice_of(vectors[i].text), vectors[i].seed), vectors[i].hash, "%zu", i);
}

/* Worked out apart from this program, after the published rule: a ring of that many slots for weights 100,
 * 50, 0 and 200, and who gets key-0, key-1 ... */
TestSuite(balancer_ring, .fini = close_setup);

Test(balancer_ring, is_laid_out_like_kongs)
{
    static const uint32_t weights[] = { 100, 50, 0, 200 };
    static const struct {
        uint32_t slots;
        const char *owners;
    } rings[] = {
        { 10, "313000303133133003103000003013103033010300313301333311333103" }, /* 1000 at least */
        { 10000, "133033303333003131101330313313133133303000303301333331313003" },
    };
    open_used(BALANCE_CONSISTENT_HASHING, weights, 4);
    for (size_t i = 0; i < 2; i++) {
        setup.upstream.slots = rings[i].slots;
        balancer_setup_reload(&setup);
        balancer_setup_use(&setup);
        for (unsigned key = 0; rings[i].owners[key]; key++) {
            char text[16];
            snprintf(text, sizeof(text), "key-%u", key);
            unsigned owner = balancer_setup_pick(&setup, text, NULL) - 1;
            cr_expect_eq(owner, (unsigned)(rings[i].owners[key] - '0'), "slots %u, %s", rings[i].slots, text);
        }
    }
    cr_expect_eq(balancer_setup_pick(&setup, NULL, NULL), 4, "no key is the empty text");
}

static void find_owners(unsigned char *owners)
{
    for (unsigned key = 0; key < KEYS; key++) {
        char text[16];
        snprintf(text, sizeof(text), "user-%u", key);
        owners[key] = (unsigned char)balancer_setup_pick(&setup, text, NULL);
    }
}

struct moves {
    unsigned lost; /* keys of the one that left */
    unsigned others; /* keys that moved though theirs stayed */
    unsigned astray; /* keys that are still at the one that left */
};

static struct moves compare(const unsigned char *before, const unsigned char *after, unsigned left)
{
    struct moves moves = { 0 };
    for (unsigned key = 0; key < KEYS; key++) {
        moves.lost += before[key] == left;
        moves.others += before[key] != left && before[key] != after[key];
        moves.astray += after[key] == left;
    }
    return moves;
}

static double deviation(const unsigned char *owners)
{
    unsigned counts[TARGETS + 1] = { 0 };
    double sum = 0;
    for (unsigned key = 0; key < KEYS; key++)
        counts[owners[key]]++;
    for (unsigned i = 1; i <= TARGETS; i++) {
        double off = counts[i] - (double)KEYS / TARGETS;
        sum += off * off / ((double)KEYS / TARGETS);
    }
    return sum;
}

static const uint32_t even[TARGETS] = { 100, 100, 100, 100, 100, 100, 100, 100, 100, 100 };
static const uint32_t third_gone[TARGETS] = { 100, 100, UINT32_MAX, 100, 100, 100, 100, 100, 100, 100 };
static const uint32_t third_down[TARGETS] = { 0, 0, 1 }, third_back[TARGETS] = { 0, 0, 2 };
static unsigned char before[KEYS], after[KEYS];

Test(balancer_ring, spreads_keys_by_its_slots)
{
    open_used(BALANCE_CONSISTENT_HASHING, even, TARGETS);
    const struct picker *picker = &setup.balancer->picker;
    unsigned slots[TARGETS] = { 0 }, counts[TARGETS + 1] = { 0 };
    double sum = 0;
    for (uint32_t i = 0; i < picker->slots; i++)
        slots[picker->nearest[i]]++;
    find_owners(before);
    for (unsigned key = 0; key < KEYS; key++)
        counts[before[key]]++;
    for (unsigned i = 0; i < TARGETS; i++) {
        double wanted = (double)KEYS * slots[i] / picker->slots, off = counts[i + 1] - wanted;
        sum += off * off / wanted;
        cr_expect_float_eq((double)slots[i], 1000, 250,
                           "160 points each leave shares within a quarter, got %u", slots[i]);
    }
    cr_expect_lt(sum, 27.88, "9 degrees of freedom, p = 0.001: %f", sum);
}

Test(balancer_ring, who_is_down_moves_nobody_else)
{
    open_used(BALANCE_CONSISTENT_HASHING, even, TARGETS);
    find_owners(before);
    balancer_setup_publish(&setup, even, third_down, TARGETS);
    find_owners(after);
    struct moves moves = compare(before, after, 3);
    cr_expect_eq(moves.others, 0);
    cr_expect_eq(moves.astray, 0);
    balancer_setup_publish(&setup, even, third_back, TARGETS);
    find_owners(after);
    cr_expect_eq(memcmp(before, after, sizeof(before)), 0, "and comes back to all of its own");
}

/* Points that met a taken slot were placed elsewhere, so a few keys of others move when that slot is free. */
Test(balancer_ring, who_leaves_moves_little_else)
{
    open_used(BALANCE_CONSISTENT_HASHING, even, TARGETS);
    find_owners(before);
    setup.upstream.target_count = TARGETS - 1;
    balancer_setup_reload(&setup);
    balancer_setup_use(&setup);
    balancer_setup_publish(&setup, third_gone, NULL, TARGETS);
    find_owners(after);
    struct moves moves = compare(before, after, 3);
    cr_expect_eq(moves.astray, 0);
    cr_expect_lt(moves.others, KEYS / 50, "of the others' keys at most 2 percent, got %u", moves.others);
    cr_expect_leq(moves.lost + moves.others, KEYS * 13 / 100, "got %u", moves.lost + moves.others);
}

TestSuite(balancer_maglev, .fini = close_setup);

Test(balancer_maglev, spreads_keys_evenly)
{
    open_used(BALANCE_MAGLEV, even, TARGETS);
    find_owners(before);
    cr_expect_lt(deviation(before), 27.88, "9 degrees of freedom, p = 0.001: %f", deviation(before));
}

Test(balancer_maglev, weighs)
{
    static const uint32_t weights[] = { 100, 200, 0, 700 };
    unsigned counts[5] = { 0 };
    open_used(BALANCE_MAGLEV, weights, 4);
    for (uint32_t i = 0; i < setup.balancer->picker.table_size; i++)
        for (unsigned number = 1; number <= 4; number++)
            counts[number] += setup.balancer->picker.table[i] == balancer_setup_endpoint(&setup, number);
    cr_expect_eq(setup.balancer->picker.table_size, 65537);
    cr_expect_float_eq((double)counts[1], 6554, 10);
    cr_expect_float_eq((double)counts[2], 13107, 10);
    cr_expect_eq(counts[3], 0);
}

Test(balancer_maglev, who_leaves_moves_little_else)
{
    open_used(BALANCE_MAGLEV, even, TARGETS);
    find_owners(before);
    balancer_setup_publish(&setup, third_gone, NULL, TARGETS);
    find_owners(after);
    struct moves moves = compare(before, after, 3);
    cr_expect_eq(moves.astray, 0);
    cr_expect_lt(moves.others, KEYS * 3 / 100, "of the others' keys at most 3 percent, got %u", moves.others);
}

Test(balancer_maglev, takes_the_next_prime_and_draws_without_a_key)
{
    balancer_setup_open(&setup, BALANCE_MAGLEV, even, TARGETS);
    setup.options.maglev_size = 1000;
    balancer_setup_use(&setup);
    cr_expect_eq(setup.balancer->picker.table_size, 1009);
    unsigned seen = 0, counts[TARGETS + 1] = { 0 };
    for (unsigned i = 0; i < 200; i++)
        seen += counts[balancer_setup_pick(&setup, NULL, NULL)]++ == 0;
    cr_expect_eq(seen, TARGETS);
}
