/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/block_store.h"

#include "core/base/poison.h"

#include <stdlib.h>
#include <sys/mman.h>

enum block_kind { BLOCK_RECEIVE, BLOCK_SMALL, BLOCK_LARGE, BLOCK_OWN_SIZE };

enum {
    GROW_COUNT = 64,
    STAGGER_BYTES =
        4096 + 64, /* between two blocks: their beginnings fall into different cache sets and pages */
    WINDOW_MIN = 32,
    WINDOW_STEP_MS = 1000 /* how often the window may become narrower */
};

struct block_slab {
    struct block_slab *next;
    char *memory;
    size_t size;
    struct block blocks[GROW_COUNT];
};

struct block_store {
    struct ring *ring;
    struct io_uring_buf_ring *lent;
    size_t lent_size;
    struct block_limits limits;
    struct block **by_id; /* receive blocks by buffer id */
    struct block *spare;  /* receive blocks neither lent nor held */
    struct block *free_small, *free_large;
    struct block_slab *slabs;
    uint32_t receive_total, lent_count, held_count;
    uint32_t window; /* how many are to be lent: few that stay in the cache, as long as they are enough */
    uint32_t taken, most_taken; /* in this turn; in the fullest turn since narrowed_ms */
    uint64_t taken_bytes; /* in this turn */
    uint64_t narrowed_ms;
    bool widened; /* in this turn */
    uint64_t write_bytes;
};

static bool grow(struct block_store *store)
{
    uint32_t room = store->limits.receive_count - store->receive_total;
    uint32_t count = room < GROW_COUNT ? room : GROW_COUNT;
    size_t stride = store->limits.receive_bytes + STAGGER_BYTES, size = GROW_COUNT * stride;
    struct block_slab *slab = count ? calloc(1, sizeof(*slab)) : NULL;
    if (slab == NULL)
        return false;
    slab->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slab->memory == MAP_FAILED) {
        free(slab);
        return false;
    }
    slab->size = size;
    slab->next = store->slabs;
    store->slabs = slab;
    for (uint32_t i = count; i-- > 0;) {
        struct block *block = &slab->blocks[i];
        *block = (struct block){ .data = slab->memory + i * stride,
                                 .capacity = store->limits.receive_bytes,
                                 .store = store,
                                 .kind = BLOCK_RECEIVE,
                                 .buffer_id = (uint16_t)(store->receive_total + i),
                                 .next_free = store->spare };
        store->spare = block;
        store->by_id[block->buffer_id] = block;
    }
    store->receive_total += count;
    return true;
}

/* What comes to a connection before it can be told to pause is as much as is lent. So when more than half of
 * all blocks are held, fewer are, by the square of what is left: however many readers take nothing, there is
 * something for those who do. */
static uint32_t lent_wanted(const struct block_store *store)
{
    uint64_t half = store->limits.receive_count / 2, left = store->limits.receive_count - store->held_count;
    if (left >= half)
        return store->window;
    uint64_t wanted = store->window * left * left / (half * half);
    return wanted > 0 ? (uint32_t)wanted : 1;
}

static void lend_window(struct block_store *store)
{
    int added = 0, mask = io_uring_buf_ring_mask(store->limits.lent_count);
    uint32_t wanted = lent_wanted(store);
    while (store->lent_count < wanted && (store->spare || grow(store))) {
        struct block *block = store->spare;
        store->spare = block->next_free;
        POISON(block->data, block->capacity); /* the kernel's until it comes back */
        io_uring_buf_ring_add(store->lent, block->data, block->capacity, block->buffer_id, mask, added++);
        store->lent_count++;
    }
    if (added)
        io_uring_buf_ring_advance(store->lent, added);
}

void block_store_refill(struct block_store *store, uint64_t now_ms)
{
    if (store->most_taken < store->taken)
        store->most_taken = store->taken;
    store->taken = 0;
    store->taken_bytes = 0;
    store->widened = false;
    if (now_ms - store->narrowed_ms >= WINDOW_STEP_MS) {
        if (store->window > WINDOW_MIN && store->most_taken <= store->window / 4)
            store->window /= 2;
        store->most_taken = 0;
        store->narrowed_ms = now_ms;
    }
    lend_window(store);
}

void block_store_widen(struct block_store *store)
{
    bool bulk = store->taken_bytes > (uint64_t)store->taken * store->limits.receive_bytes / 2;
    if (store->widened || store->lent_count > 0 || bulk || store->window >= store->limits.lent_count ||
        lent_wanted(store) < store->window)
        return;
    store->window *= 2;
    store->widened = true;
}

enum error block_store_open(struct block_store **out, struct ring *ring, const struct block_limits *limits)
{
    struct block_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return ERROR_MEMORY;
    store->ring = ring;
    store->limits = *limits;
    store->window = limits->lent_count < WINDOW_MIN ? limits->lent_count : WINDOW_MIN;
    store->by_id = calloc(limits->receive_count, sizeof(struct block *));
    store->lent_size = limits->lent_count * sizeof(struct io_uring_buf);
    store->lent = mmap(NULL, store->lent_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = store;
    if (store->by_id == NULL || store->lent == MAP_FAILED)
        return ERROR_MEMORY;
    io_uring_buf_ring_init(store->lent);
    struct io_uring_buf_reg registration = { .ring_addr = (uint64_t)(uintptr_t)store->lent,
                                             .ring_entries = limits->lent_count,
                                             .bgid = BLOCK_GROUP };
    int result = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (result != 0)
        return error_from_errno(-result);
    lend_window(store);
    return store->lent_count ? ERROR_OK : ERROR_MEMORY;
}

static void free_list(struct block *block)
{
    while (block) {
        struct block *next = block->next_free;
        free(block);
        block = next;
    }
}

void block_store_close(struct block_store *store)
{
    free_list(store->free_small);
    free_list(store->free_large);
    while (store->slabs) {
        struct block_slab *next = store->slabs->next;
        UNPOISON(store->slabs->memory, store->slabs->size);
        munmap(store->slabs->memory, store->slabs->size);
        free(store->slabs);
        store->slabs = next;
    }
    munmap(store->lent, store->lent_size);
    free(store->by_id);
    free(store);
}

struct chunk block_store_received(struct block_store *store, uint32_t cqe_flags, uint32_t size)
{
    CHECK(cqe_flags & IORING_CQE_F_BUFFER);
    uint32_t id = cqe_flags >> IORING_CQE_BUFFER_SHIFT;
    CHECK(id < store->receive_total);
    struct block *block = store->by_id[id];
    CHECK(size <= block->capacity);
    UNPOISON(block->data, block->capacity);
    block->references = 1;
    store->lent_count--;
    store->held_count++;
    store->taken++;
    store->taken_bytes += size;
    return (struct chunk){ block, 0, size };
}

bool block_store_is_scarce(const struct block_store *store)
{
    return store->held_count > store->limits.receive_count / 4;
}

struct block_counts block_store_counts(const struct block_store *store)
{
    return (struct block_counts){ .receive_held = store->held_count,
                                  .receive_total = store->receive_total,
                                  .lent = store->lent_count,
                                  .lent_wanted = lent_wanted(store),
                                  .write_bytes = store->write_bytes };
}

struct block *block_open(struct block_store *store, size_t size_bytes)
{
    enum block_kind kind = size_bytes <= BLOCK_SMALL_BYTES   ? BLOCK_SMALL
                           : size_bytes <= BLOCK_LARGE_BYTES ? BLOCK_LARGE
                                                             : BLOCK_OWN_SIZE;
    size_t capacity = kind == BLOCK_SMALL   ? BLOCK_SMALL_BYTES
                      : kind == BLOCK_LARGE ? BLOCK_LARGE_BYTES
                                            : size_bytes;
    struct block **list = kind == BLOCK_SMALL ? &store->free_small : &store->free_large;
    struct block *block = kind == BLOCK_OWN_SIZE ? NULL : *list;
    if (block) {
        *list = block->next_free;
        UNPOISON(block->data, block->capacity);
    } else {
        if (capacity > UINT32_MAX || store->write_bytes + capacity > store->limits.write_bytes)
            return NULL;
        block = malloc(sizeof(*block) + capacity);
        if (block == NULL)
            return NULL;
        store->write_bytes += capacity;
    }
    *block = (struct block){ .data = (char *)(block + 1),
                             .capacity = (uint32_t)capacity,
                             .references = 1,
                             .store = store,
                             .kind = (uint16_t)kind };
    return block;
}

static void give_back(struct block *block, struct block **list)
{
    POISON(block->data, block->capacity);
    block->next_free = *list;
    *list = block;
}

/* Kept for the next use, but not more of them than a quarter of what may be: a burst is not paid for ever. */
static void keep_or_free(struct block *block, struct block **list)
{
    struct block_store *store = block->store;
    if (store->write_bytes <= store->limits.write_bytes / 4) {
        give_back(block, list);
        return;
    }
    store->write_bytes -= block->capacity;
    free(block);
}

void block_release(struct block *block)
{
    struct block_store *store = block->store;
    CHECK(block->references > 0);
    if (--block->references > 0)
        return;
    switch ((enum block_kind)block->kind) {
    case BLOCK_SMALL: keep_or_free(block, &store->free_small); break;
    case BLOCK_LARGE: keep_or_free(block, &store->free_large); break;
    case BLOCK_OWN_SIZE:
        store->write_bytes -= block->capacity;
        free(block);
        break;
    case BLOCK_RECEIVE:
        store->held_count--;
        give_back(block, &store->spare);
        break;
    }
}
