/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/balancer_setup.h"

#include "net/proxy/balancer_hash.h"

#include <stdio.h>

static struct roster *make_roster(struct balancer_setup *setup, const uint32_t *weights,
                                  const uint32_t *flips, uint32_t count)
{
    struct roster *roster = roster_open(slice_of(setup->upstream.entity.id), setup->version);
    for (uint32_t i = 0; i < count; i++) {
        char text[24];
        snprintf(text, sizeof(text), "10.0.0.%u", i + 1);
        struct roster_entry entry = {
            .host = slice_of(text), .weight = weights[i], .target_index = i, .flips = flips ? flips[i] : 0
        };
        entry.healthy = entry.flips % 2 == 0;
        CHECK(address_parse(entry.host, 8000, &entry.address));
        if (weights[i] != UINT32_MAX)
            CHECK(roster_add(roster, &entry));
    }
    return roster;
}

void balancer_setup_open(struct balancer_setup *setup, enum balance balance, const uint32_t *weights,
                         uint32_t count)
{
    *setup = (struct balancer_setup){ .shard = { .now_ms = 1000000, .now_ns = 1000000000000u, .count = 1 } };
    timer_wheel_init(&setup->shard.timers, setup->shard.now_ms);
    list_init(&setup->shard.tasks);
    setup->options.maglev_size = 65537;
    setup->proxy.shard = &setup->shard;
    setup->proxy.options = &setup->options;
    setup->proxy.snapshot = &setup->snapshot;
    list_init(&setup->proxy.idle_origins);
    CHECK(balancer_table_open(&setup->proxy.balancers, &setup->proxy) == ERROR_OK);
    setup->proxy.balancers.random = 42;
    setup->upstream = (struct upstream){ .balance = (int)balance, .slots = 10000, .target_count = count };
    snprintf(setup->upstream.entity.id, MODEL_ID_SIZE, "f0e1d2c3-0000-4000-8000-000000000001");
    setup->version = roster_first_version(1);
    setup->roster = make_roster(setup, weights, NULL, count);
    setup->cells = &setup->cell;
    arena_init(&setup->snapshot.arena, NULL, 0, SIZE_MAX);
    map_init(&setup->snapshot.upstreams, &setup->snapshot.arena);
    CHECK(map_add(&setup->snapshot.upstreams, slice_of(setup->upstream.entity.id), &setup->upstream, NULL));
    setup->snapshot.generation = 1;
    setup->snapshot.rosters = &setup->roster;
    setup->snapshot.balancers = &setup->cells;
}

void balancer_setup_use(struct balancer_setup *setup)
{
    setup->balancer = balancer_find(&setup->proxy.balancers, &setup->snapshot, &setup->upstream);
    CHECK(setup->balancer != NULL);
}

void balancer_setup_close(struct balancer_setup *setup)
{
    for (uint32_t i = 0; setup->balancer && i < setup->balancer->count; i++)
        setup->balancer->endpoints[i]->active = 0; /* a load that the test made up */
    balancer_table_close(&setup->proxy.balancers);
    roster_release(setup->roster);
    arena_deinit(&setup->snapshot.arena);
}

void balancer_setup_publish(struct balancer_setup *setup, const uint32_t *weights, const uint32_t *flips,
                            uint32_t count)
{
    setup->version++;
    balancer_take_roster(&setup->proxy.balancers, make_roster(setup, weights, flips, count));
}

void balancer_setup_reload(struct balancer_setup *setup)
{
    if (setup->cell)
        balancer_let_go(setup->cell);
    setup->cell = NULL;
    setup->snapshot.generation++;
    setup->version = roster_first_version(setup->snapshot.generation);
    setup->roster->version = setup->version;
}

void balancer_setup_pass(struct balancer_setup *setup, uint64_t time_ms)
{
    setup->shard.now_ms += time_ms;
    setup->shard.now_ns += time_ms * 1000000u;
    timer_wheel_advance(&setup->shard.timers, setup->shard.now_ms);
}

unsigned balancer_setup_pick(struct balancer_setup *setup, const char *key, struct endpoint *failed)
{
    uint32_t serial = failed ? failed->serial : 0;
    struct balancer_choice choice = { .has_key = key != NULL,
                                      .hash = key ? balancer_hash(slice_of(key), 0) : 0,
                                      .failed = &serial,
                                      .failed_count = failed != NULL };
    struct endpoint *endpoint = balancer_pick(setup->balancer, &choice);
    return endpoint ? ntohl(endpoint->address.v4.sin_addr.s_addr) & 0xff : 0;
}

struct endpoint *balancer_setup_endpoint(const struct balancer_setup *setup, unsigned number)
{
    for (uint32_t i = 0; i < setup->balancer->count; i++)
        if ((ntohl(setup->balancer->endpoints[i]->address.v4.sin_addr.s_addr) & 0xff) == number)
            return setup->balancer->endpoints[i];
    return NULL;
}
