/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds per question whether an address is in a set, over the number of ranges that it was built from;
 * every question is about another address, in an order that caches cannot guess. Prints CSV: ranges, spans
 * (after merging), build_ms, ns (a text parsed and looked up, as ip-restriction does), ns_parse (of these, to
 * parse the text), ns_one (always the same address). */
#include "net/transport/address_set.h"
#include "core/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { QUESTIONS = 1 << 16, ROUNDS = 16, TEXT_BYTES = 16 };

struct fixture {
    struct arena arena;
    struct address_set set;
    char (*texts)[TEXT_BYTES];
    double build_ms;
};

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* The same numbers in every run. */
static uint32_t draw(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void build(struct fixture *fixture, uint32_t count)
{
    uint32_t state = 1;
    struct address_ranges ranges = { calloc(count + 1u, sizeof(struct address_range)), 0 };
    arena_init(&fixture->arena, NULL, 0, SIZE_MAX);
    CHECK(ranges.items != NULL);
    for (; ranges.count < count; ranges.count++) {
        struct address_range *range = &ranges.items[ranges.count];
        uint32_t number = draw(&state);
        memcpy(range->bytes, &number, sizeof number);
        range->prefix_bits = (uint8_t)(24 + draw(&state) % 9);
    }
    double begin = now_ns();
    CHECK(address_set_build(&fixture->set, &ranges, &fixture->arena));
    fixture->build_ms = (now_ns() - begin) / 1e6;
    free(ranges.items);
}

static void write_texts(struct fixture *fixture)
{
    uint32_t state = 7;
    fixture->texts = calloc(QUESTIONS, TEXT_BYTES);
    CHECK(fixture->texts != NULL);
    for (int i = 0; i < QUESTIONS; i++) {
        uint32_t number = draw(&state);
        snprintf(fixture->texts[i], TEXT_BYTES, "%u.%u.%u.%u", number >> 24, number >> 16 & 255,
                 number >> 8 & 255, number & 255);
    }
}

enum question { PARSE, PARSE_AND_LOOK, LOOK_FOR_ONE };

static double measure(const struct fixture *fixture, enum question question, uint32_t *found)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        for (int i = 0; i < QUESTIONS; i++) {
            struct address address;
            const char *text = fixture->texts[question == LOOK_FOR_ONE ? 0 : i];
            CHECK(address_parse(slice_of(text), 0, &address));
            *found += question == PARSE ? address.size : address_set_has(&fixture->set, &address);
        }
        double ns = (now_ns() - begin) / QUESTIONS;
        best = ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    static const uint32_t counts[] = { 0, 1, 10, 1000, 100000, 1000000 };
    uint32_t found = 0;
    printf("ranges,spans,build_ms,ns,ns_parse,ns_one\n");
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct fixture fixture = { 0 };
        build(&fixture, counts[i]);
        write_texts(&fixture);
        double parse = measure(&fixture, PARSE, &found);
        double all = measure(&fixture, PARSE_AND_LOOK, &found);
        printf("%u,%u,%.2f,%.1f,%.1f,%.1f\n", counts[i], fixture.set.v4.count, fixture.build_ms, all, parse,
               measure(&fixture, LOOK_FOR_ONE, &found));
        free(fixture.texts);
        arena_deinit(&fixture.arena);
    }
    return found == 0;
}
