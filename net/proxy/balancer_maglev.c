/* SPDX-License-Identifier: Apache-2.0 */
/* Maglev hashing (Eisenbud and others, NSDI 2016, section 3.4): a table of a prime size that the endpoints
 * fill in turn, each by a permutation of its own; more weight, more turns. */
#include "net/proxy/balancer_hash.h"
#include "net/proxy/balancer_pick.h"
#include "net/proxy/proxy.h"

#include <stdlib.h>

/* One endpoint's way through the table. */
struct walk {
    struct endpoint *endpoint;
    uint32_t at, skip;
    double turns; /* saved up; one fills an entry */
};

static bool is_prime(uint32_t number)
{
    for (uint32_t i = 2; (uint64_t)i * i <= number; i++)
        if (number % i == 0)
            return false;
    return number > 1;
}

static uint32_t prime_from(uint32_t number)
{
    while (!is_prime(number))
        number++;
    return number;
}

static struct walk walk_of(struct endpoint *endpoint, uint32_t size)
{
    struct slice name = { endpoint->authority, endpoint->authority_size };
    char text[ADDRESS_TEXT_SIZE];
    struct slice address = { text, address_text(&endpoint->address, text) };
    return (struct walk){ .endpoint = endpoint,
                          .at = balancer_hash(name, balancer_hash(address, 0)) % size,
                          .skip = balancer_hash(name, balancer_hash(address, 1)) % (size - 1) + 1 };
}

/* The next free entry on its way. */
static void fill_one(struct picker *picker, struct walk *walk)
{
    while (picker->table[walk->at])
        walk->at = (uint32_t)(((uint64_t)walk->at + walk->skip) % picker->table_size);
    picker->table[walk->at] = walk->endpoint;
}

static void fill(struct balancer *balancer, struct walk *walks)
{
    struct picker *picker = &balancer->picker;
    uint32_t heaviest = 0, filled = 0;
    for (uint32_t i = 0; i < balancer->usable_count; i++) {
        walks[i] = walk_of(balancer->usable[i], picker->table_size);
        if (balancer->usable[i]->weight > heaviest)
            heaviest = balancer->usable[i]->weight;
    }
    while (filled < picker->table_size) {
        for (uint32_t i = 0; i < balancer->usable_count && filled < picker->table_size; i++) {
            walks[i].turns += (double)balancer->usable[i]->weight / heaviest;
            if (walks[i].turns < 1)
                continue;
            walks[i].turns -= 1;
            fill_one(picker, &walks[i]);
            filled++;
        }
    }
}

bool balancer_build_maglev(struct balancer *balancer)
{
    struct picker *picker = &balancer->picker;
    free(picker->table);
    picker->table = NULL;
    picker->table_size = 0;
    if (balancer->usable_count < 2)
        return true;
    uint32_t size = prime_from(balancer->table->proxy->options->maglev_size);
    struct walk *walks = calloc(balancer->usable_count, sizeof(*walks));
    picker->table = calloc(size, sizeof(struct endpoint *));
    bool enough = walks && picker->table;
    if (enough) {
        picker->table_size = size;
        fill(balancer, walks);
    }
    free(walks);
    return enough;
}

/* After a failure the key is hashed again, so that one endpoint's load is spread over all others. */
struct endpoint *balancer_pick_maglev(struct balancer *balancer, const struct balancer_choice *choice)
{
    enum { REHASHES = 16 };
    const struct picker *picker = &balancer->picker;
    uint32_t hash = choice->has_key ? choice->hash : balancer_draw(balancer->table, UINT32_MAX);
    for (uint32_t i = 0; picker->table_size && i < REHASHES; i++) {
        struct endpoint *endpoint = picker->table[hash % picker->table_size];
        if (!balancer_choice_avoids(choice, endpoint))
            return endpoint;
        hash = balancer_hash((struct slice){ (const char *)&hash, sizeof(hash) }, i + 1);
    }
    for (uint32_t i = 0; i < balancer->usable_count; i++)
        if (!balancer_choice_avoids(choice, balancer->usable[i]))
            return balancer->usable[i];
    return NULL;
}
