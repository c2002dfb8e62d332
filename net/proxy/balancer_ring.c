/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's consistent hashing: a ring of slots, on which each address has as many points as its share of the
 * weight says. A key's slot belongs to the first usable address at it or below. */
#include "net/http/http1_write.h"
#include "net/proxy/balancer_hash.h"
#include "net/proxy/balancer_pick.h"

#include <stdlib.h>

enum { RING_SLOTS_LEAST = 1000, POINTS_PER_TARGET = 160 };

static uint32_t slots_of(const struct balancer *balancer)
{
    return balancer->rules.slots > RING_SLOTS_LEAST ? balancer->rules.slots : RING_SLOTS_LEAST;
}

/* "ip::port " as Kong's points begin, with both colons; the size. */
static size_t write_point_name(const struct endpoint *endpoint, char *text, size_t room)
{
    struct writer out = writer_of(text, room);
    out.next += address_text(&endpoint->address, text);
    writer_text(&out, "::");
    writer_u64(&out, address_port(&endpoint->address));
    writer_byte(&out, ' ');
    return (size_t)(out.next - text);
}

/* The points of one address. A point that meets a taken slot is made up for by a further one, as long as
 * there is hope. */
static void place_points(struct picker *picker, const struct endpoint *endpoint, uint32_t index,
                         uint64_t wanted, uint32_t *taken)
{
    char text[ADDRESS_TEXT_SIZE + 32];
    size_t size = write_point_name(endpoint, text, sizeof(text));
    uint64_t tries_most = wanted + picker->slots;
    for (uint64_t i = 1; wanted > 0 && i <= tries_most && *taken < picker->slots; i++) {
        struct writer out = writer_of(text + size, sizeof(text) - size);
        writer_u64(&out, i);
        uint32_t slot = balancer_hash((struct slice){ text, (size_t)(out.next - text) }, 0) % picker->slots;
        if (picker->points[slot] != NO_ENDPOINT)
            continue;
        picker->points[slot] = index;
        (*taken)++;
        wanted--;
    }
}

static void place_all(struct balancer *balancer)
{
    struct picker *picker = &balancer->picker;
    uint64_t total = 0;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < picker->slots; i++)
        picker->points[i] = NO_ENDPOINT;
    for (uint32_t i = 0; i < balancer->count; i++)
        total += balancer->endpoints[i]->weight;
    for (uint32_t i = 0; i < balancer->count; i++) {
        const struct endpoint *endpoint = balancer->endpoints[i];
        if (endpoint->weight == 0)
            continue;
        double share = (double)endpoint->weight / (double)total; /* in Kong's order: it rounds as there */
        uint64_t wanted = (uint64_t)(share * balancer->rules.target_count * POINTS_PER_TARGET);
        place_points(picker, endpoint, i, wanted ? wanted : 1, &taken);
    }
}

/* Twice around, so that the slots below the first point get what stands at the top. */
static void find_nearest(struct balancer *balancer)
{
    struct picker *picker = &balancer->picker;
    uint32_t last = NO_ENDPOINT;
    for (uint32_t i = 0; i < 2 * picker->slots; i++) {
        uint32_t slot = i % picker->slots, point = picker->points[slot];
        if (point != NO_ENDPOINT && balancer->endpoints[point]->usable)
            last = point;
        picker->nearest[slot] = last;
    }
}

bool balancer_build_ring(struct balancer *balancer, enum balancer_change change)
{
    struct picker *picker = &balancer->picker;
    uint32_t slots = slots_of(balancer);
    if (picker->slots != slots) {
        free(picker->points);
        free(picker->nearest);
        picker->points = calloc(slots, sizeof(*picker->points));
        picker->nearest = calloc(slots, sizeof(*picker->nearest));
        picker->slots = picker->points && picker->nearest ? slots : 0;
        change = CHANGE_MEMBERS;
    }
    if (picker->slots == 0)
        return false;
    if (change == CHANGE_MEMBERS)
        place_all(balancer);
    find_nearest(balancer);
    return true;
}

struct endpoint *balancer_pick_ring(const struct balancer *balancer, const struct balancer_choice *choice)
{
    const struct picker *picker = &balancer->picker;
    uint32_t hash = choice->has_key ? choice->hash : balancer_hash(SLICE(""), 0);
    uint32_t slot = picker->slots ? hash % picker->slots : 0;
    for (uint32_t i = 0; i < picker->slots; i++) {
        uint32_t index = picker->nearest[slot];
        if (index == NO_ENDPOINT)
            return NULL;
        if (!balancer_choice_avoids(choice, balancer->endpoints[index]))
            return balancer->endpoints[index];
        slot = slot == 0 ? picker->slots - 1 : slot - 1;
    }
    return NULL;
}
