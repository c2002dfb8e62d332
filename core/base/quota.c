/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/quota.h"

#include "core/base/check.h"
#include "core/base/pages.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_BYTES = 64,
    BUCKET_SLOTS = 8,
    LEASE = 64, /* tokens a shard takes from the word at once */
    LEASE_SHARDS_MAX = 255, /* later shards always count in the word */
    VIEW_NS_PER_SHARD = 20000,
    RECENT_NS = 1000000000,
    STALE_S = 86400, /* a counter unused for so long starts afresh: window numbers are compared modulo 2^24 */
    LOCK_SPINS = 64,
    LOCK_YIELDS = 20000
};

/* The word of a key: window:24 | pending:8 | granted:32. `granted` tokens have left the word, one by one or
 * as leases. pending - 1 is the shard that took the last lease, which may not be in its cell yet.
 *
 * A shard's cell of a key: window:24 | generation:7 | lease:26 | tokens:7. `lease` names the last lease put
 * into it: the word's `granted` after it, divided by LEASE, which is different for each. The generation
 * changes when the slot is given to another key. */
enum { WINDOW_SHIFT = 40, PENDING_SHIFT = 32, GENERATION_SHIFT = 33, LEASE_SHIFT = 7 };
enum { WINDOW_MASK = 0xffffff, PENDING_MASK = 0xff };
enum { GENERATION_MASK = 0x7f, LEASE_MASK = 0x3ffffff, TOKEN_MASK = 0x7f };

/* One line per shard and key. Others write `word` only to steal or to help. */
struct cell {
    _Alignas(LINE_BYTES) _Atomic uint64_t word;
    /* Of the shard itself: what it last knew to be left. */
    uint64_t view_ns;
    uint64_t view_of; /* window and generation */
    uint32_t view_limit;
    uint32_t view_remaining;
};

struct slot {
    _Alignas(LINE_BYTES) _Atomic uint64_t word;
    _Atomic uint64_t ends_s;
};

/* The first two lines change only when a key moves in or leases for the first time: shards keep copies. */
struct bucket {
    _Alignas(LINE_BYTES) _Atomic uint64_t tags[BUCKET_SLOTS]; /* the key; 0: free */
    _Alignas(LINE_BYTES) _Atomic(struct cell *) cells[BUCKET_SLOTS];
    struct slot slots[BUCKET_SLOTS];
};

struct shard_stats {
    _Alignas(LINE_BYTES) _Atomic uint64_t evictions;
    _Atomic uint64_t uncounted;
};

struct quota {
    unsigned shard_count;
    atomic_flag making; /* the table, once */
    uint64_t bucket_mask;
    struct bucket *buckets;
    atomic_flag *locks; /* one per bucket, held only while a key moves in */
    struct shard_stats *stats;
};

/* Where a key lives, and what the call is about. */
struct place {
    struct quota *quota;
    struct bucket *bucket;
    unsigned index;
    uint64_t tag;
    const struct quota_window *window;
};

enum attempt { ATTEMPT_TAKEN, ATTEMPT_NONE, ATTEMPT_AGAIN, ATTEMPT_MOVED };

/* --- packing -------------------------------------------------------------------------------------------- */

static inline uint32_t window_of(uint64_t word)
{
    return (uint32_t)(word >> WINDOW_SHIFT);
}

static inline uint32_t pending_of(uint64_t word)
{
    return (uint32_t)(word >> PENDING_SHIFT) & PENDING_MASK;
}

static inline uint32_t granted_of(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint64_t word_make(uint32_t window, uint32_t pending, uint32_t granted)
{
    return (uint64_t)(window & WINDOW_MASK) << WINDOW_SHIFT | (uint64_t)pending << PENDING_SHIFT | granted;
}

static inline uint32_t generation_of(uint64_t cell)
{
    return (uint32_t)(cell >> GENERATION_SHIFT) & GENERATION_MASK;
}

static inline uint32_t lease_of(uint64_t cell)
{
    return (uint32_t)(cell >> LEASE_SHIFT) & LEASE_MASK;
}

static inline uint32_t tokens_of(uint64_t cell)
{
    return (uint32_t)cell & TOKEN_MASK;
}

static inline uint64_t cell_make(uint32_t window, uint32_t generation, uint32_t lease, uint32_t tokens)
{
    return (uint64_t)(window & WINDOW_MASK) << WINDOW_SHIFT |
           (uint64_t)(generation & GENERATION_MASK) << GENERATION_SHIFT | (uint64_t)lease << LEASE_SHIFT |
           tokens;
}

/* Is window a later than b? Both modulo 2^24. */
static inline bool window_later(uint32_t a, uint32_t b)
{
    uint32_t ahead = (a - b) & WINDOW_MASK;
    return ahead != 0 && ahead < (WINDOW_MASK + 1) / 2;
}

/* Tokens of `cell` that a limit lets use in `window`. Those of a lease beyond it (the limit was lowered) do
 * not count. */
static inline uint32_t usable(uint64_t cell, uint32_t window, uint32_t limit)
{
    if (window_of(cell) != window || (uint64_t)lease_of(cell) * LEASE > limit)
        return 0;
    return tokens_of(cell);
}

static inline _Atomic uint64_t *word_at(const struct place *place)
{
    return &place->bucket->slots[place->index].word;
}

static inline struct cell *cells_at(const struct place *place)
{
    return atomic_load(&place->bucket->cells[place->index]);
}

/* Asked after a word or cell was read: what was read belongs to the key, and a compare-and-swap from it fails
 * if the key has left since. */
static inline bool still_there(const struct place *place)
{
    return atomic_load(&place->bucket->tags[place->index]) == place->tag;
}

/* --- the table ------------------------------------------------------------------------------------------ */

struct quota *quota_open(unsigned shard_count)
{
    CHECK(shard_count > 0);
    struct quota *quota = calloc(1, sizeof(*quota));
    if (quota == NULL)
        return NULL;
    quota->shard_count = shard_count;
    quota->stats = aligned_alloc(LINE_BYTES, shard_count * sizeof(*quota->stats));
    if (quota->stats == NULL) {
        free(quota);
        return NULL;
    }
    memset(quota->stats, 0, shard_count * sizeof(*quota->stats));
    return quota;
}

/* Under the lock of the table. */
static void make_table(struct quota *quota, uint64_t entries)
{
    uint64_t buckets = 1;
    while (buckets * BUCKET_SLOTS < entries && buckets < UINT64_C(1) << 32)
        buckets *= 2;
    quota->bucket_mask = buckets - 1;
    quota->locks = calloc(buckets, sizeof(*quota->locks));
    quota->buckets = pages_open(buckets, sizeof(*quota->buckets));
    if (quota->buckets && quota->locks)
        return;
    pages_close(quota->buckets, buckets, sizeof(*quota->buckets));
    free(quota->locks);
    quota->buckets = NULL;
    quota->locks = NULL;
}

bool quota_make_room(struct quota *quota, uint64_t entries)
{
    while (atomic_flag_test_and_set_explicit(&quota->making, memory_order_acquire))
        sched_yield();
    if (quota->buckets == NULL)
        make_table(quota, entries);
    bool made = quota->buckets != NULL;
    atomic_flag_clear_explicit(&quota->making, memory_order_release);
    return made;
}

void quota_close(struct quota *quota)
{
    if (quota == NULL)
        return;
    for (uint64_t i = 0; quota->buckets && i <= quota->bucket_mask; i++)
        for (unsigned j = 0; j < BUCKET_SLOTS; j++)
            free(atomic_load(&quota->buckets[i].cells[j]));
    pages_close(quota->buckets, quota->bucket_mask + 1, sizeof(*quota->buckets));
    free(quota->locks);
    free(quota->stats);
    free(quota);
}

struct quota_stats quota_read_stats(const struct quota *quota, unsigned shard)
{
    struct shard_stats *stats = &quota->stats[shard];
    return (struct quota_stats){ .evictions = atomic_load_explicit(&stats->evictions, memory_order_relaxed),
                                 .uncounted = atomic_load_explicit(&stats->uncounted, memory_order_relaxed) };
}

static struct place place_of(struct quota *quota, const struct quota_window *window)
{
    CHECK(window->limit > 0);
    return (struct place){ .quota = quota,
                           .bucket = &quota->buckets[window->key & quota->bucket_mask],
                           .tag = window->key ? window->key : 1,
                           .window = window };
}

/* Sets place->index. */
static bool find(struct place *place)
{
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        if (atomic_load_explicit(&place->bucket->tags[i], memory_order_acquire) != place->tag)
            continue;
        place->index = i;
        return true;
    }
    return false;
}

/* Not asked of the slot, which others write, while the own cell shows that the key is in use. */
static bool is_stale(const struct place *place, unsigned shard, const struct quota_clock *clock)
{
    const struct cell *cells = cells_at(place);
    if (cells && clock->now_ns - cells[shard].view_ns < RECENT_NS)
        return false;
    uint64_t ends_s = atomic_load_explicit(&place->bucket->slots[place->index].ends_s, memory_order_relaxed);
    return ends_s + STALE_S < clock->now_s;
}

static atomic_flag *lock_of(const struct place *place)
{
    return &place->quota->locks[place->bucket - place->quota->buckets];
}

static bool lock(const struct place *place)
{
    for (unsigned i = 0; i < LOCK_SPINS + LOCK_YIELDS; i++) {
        if (!atomic_flag_test_and_set_explicit(lock_of(place), memory_order_acquire))
            return true;
        if (i >= LOCK_SPINS)
            sched_yield();
    }
    return false;
}

/* A free slot, else the one whose window ended or ends first. */
static unsigned choose(const struct place *place, uint64_t now_s, struct shard_stats *stats)
{
    unsigned best = 0;
    uint64_t best_ends_s = UINT64_MAX;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        if (atomic_load(&place->bucket->tags[i]) == 0)
            return i;
        uint64_t ends_s = atomic_load_explicit(&place->bucket->slots[i].ends_s, memory_order_relaxed);
        if (ends_s >= best_ends_s)
            continue;
        best = i;
        best_ends_s = ends_s;
    }
    if (best_ends_s > now_s)
        atomic_fetch_add_explicit(&stats->evictions, 1, memory_order_relaxed);
    return best;
}

/* Under the lock. The order matters: who reads a word or a cell and then still finds the old tag has read the
 * old key's, and its compare-and-swap fails once they are written here. */
static void move_in(struct place *place)
{
    struct bucket *bucket = place->bucket;
    struct slot *slot = &bucket->slots[place->index];
    atomic_store(&bucket->tags[place->index], 0);
    atomic_store(&slot->word, word_make(place->window->number, 0, 0));
    struct cell *cells = cells_at(place);
    for (unsigned i = 0; cells && i < place->quota->shard_count; i++) {
        uint32_t generation = generation_of(atomic_load(&cells[i].word)) + 1;
        atomic_store(&cells[i].word, cell_make(place->window->number, generation, 0, 0));
    }
    atomic_store_explicit(&slot->ends_s, place->window->ends_s, memory_order_relaxed);
    atomic_store(&bucket->tags[place->index], place->tag);
}

static bool insert(struct place *place, unsigned shard, const struct quota_clock *clock)
{
    struct shard_stats *stats = &place->quota->stats[shard];
    if (!lock(place)) {
        atomic_fetch_add_explicit(&stats->uncounted, 1, memory_order_relaxed);
        return false;
    }
    if (!find(place)) {
        place->index = choose(place, clock->now_s, stats);
        move_in(place);
    } else if (is_stale(place, shard, clock)) {
        move_in(place);
    }
    atomic_flag_clear_explicit(lock_of(place), memory_order_release);
    return true;
}

/* --- leases --------------------------------------------------------------------------------------------- */

/* Puts the pending lease of `word`, as read, into its cell, exactly once however many try: the cell remembers
 * the last lease it got. Nobody changes a word with a pending lease without this. */
static void apply_lease(const struct place *place, uint64_t word)
{
    uint32_t lease = granted_of(word) / LEASE, window = window_of(word);
    struct cell *cell = &cells_at(place)[pending_of(word) - 1];
    uint64_t old = atomic_load(&cell->word);
    for (;;) {
        bool same_window = window_of(old) == window;
        if (same_window ? lease_of(old) >= lease : !window_later(window, window_of(old)))
            return;
        if (atomic_load(word_at(place)) != word)
            return; /* whoever changed it has applied this lease, or the key has left */
        uint32_t tokens = LEASE + (same_window ? tokens_of(old) : 0);
        if (tokens > TOKEN_MASK)
            tokens = TOKEN_MASK;
        if (atomic_compare_exchange_weak(&cell->word, &old,
                                         cell_make(window, generation_of(old), lease, tokens)))
            return;
    }
}

/* The key's cells, made when it is busy enough to be worth them; NULL: count in the word. */
static struct cell *cells_for_lease(const struct place *place, uint32_t granted)
{
    struct cell *cells = cells_at(place);
    if (cells || granted < LEASE)
        return cells;
    size_t size = place->quota->shard_count * sizeof(*cells);
    struct cell *made = aligned_alloc(LINE_BYTES, size);
    if (made == NULL)
        return NULL;
    memset(made, 0, size);
    for (unsigned i = 0; i < place->quota->shard_count; i++)
        atomic_init(&made[i].word, cell_make(place->window->number - 1, 0, 0, 0));
    if (atomic_compare_exchange_strong(&place->bucket->cells[place->index], &cells, made))
        return made;
    free(made);
    return cells;
}

static bool wants_lease(const struct place *place, unsigned shard, uint32_t granted)
{
    unsigned shards = place->quota->shard_count;
    if (shards == 1 || shard >= LEASE_SHARDS_MAX)
        return false;
    return place->window->limit - granted > (uint64_t)LEASE * shards && cells_for_lease(place, granted);
}

/* All that the key's current window has left. */
static uint32_t count_remaining(const struct place *place)
{
    uint64_t word = atomic_load(word_at(place));
    uint32_t limit = place->window->limit, window = window_of(word);
    if (window_later(place->window->number, window))
        return limit;
    if (pending_of(word))
        apply_lease(place, word);
    uint64_t remaining = granted_of(word) < limit ? limit - granted_of(word) : 0;
    const struct cell *cells = cells_at(place);
    for (unsigned i = 0; cells && i < place->quota->shard_count; i++)
        remaining += usable(atomic_load(&cells[i].word), window, limit);
    return remaining < limit ? (uint32_t)remaining : limit;
}

/* --- taking --------------------------------------------------------------------------------------------- */

/* After a token came from the own cell: the last count less what was taken here since, or a new count. */
static void update_view(const struct place *place, struct cell *own, uint64_t cell, uint64_t now_ns)
{
    uint64_t view_of = cell >> GENERATION_SHIFT;
    bool fresh = own->view_of == view_of && own->view_limit == place->window->limit &&
                 own->view_remaining > 0 &&
                 now_ns - own->view_ns < (uint64_t)VIEW_NS_PER_SHARD * place->quota->shard_count;
    if (fresh) {
        own->view_remaining--;
        return;
    }
    own->view_of = view_of;
    own->view_limit = place->window->limit;
    own->view_ns = now_ns;
    own->view_remaining = count_remaining(place);
}

static enum attempt take_own(const struct place *place, struct cell *own, uint64_t now_ns,
                             struct quota_view *view)
{
    uint64_t old = atomic_load_explicit(&own->word, memory_order_acquire);
    for (;;) {
        if (window_later(place->window->number, window_of(old)))
            return ATTEMPT_NONE;
        if (usable(old, window_of(old), place->window->limit) == 0)
            return ATTEMPT_NONE;
        if (!still_there(place))
            return ATTEMPT_MOVED;
        if (atomic_compare_exchange_weak(&own->word, &old, old - 1))
            break;
    }
    update_view(place, own, old, now_ns);
    view->remaining = own->view_remaining;
    return ATTEMPT_TAKEN;
}

/* The word is used up: one token from whoever still has some. Cells of the window only fall from here on, so
 * a walk that finds none proves that all have been taken. */
static enum attempt steal(const struct place *place, unsigned shard, uint32_t window)
{
    struct cell *cells = cells_at(place);
    unsigned shards = place->quota->shard_count;
    for (unsigned i = 0; cells && i < shards; i++) {
        struct cell *cell = &cells[(shard + i) % shards];
        uint64_t old = atomic_load(&cell->word);
        while (usable(old, window, place->window->limit) > 0) {
            if (!still_there(place))
                return ATTEMPT_MOVED;
            if (atomic_compare_exchange_weak(&cell->word, &old, old - 1))
                return ATTEMPT_TAKEN;
        }
    }
    if (!still_there(place))
        return ATTEMPT_MOVED;
    /* A newer window has opened meanwhile, and its leases may have replaced tokens: it decides. */
    return window_of(atomic_load(word_at(place))) == window ? ATTEMPT_NONE : ATTEMPT_AGAIN;
}

/* One token, or a lease (then AGAIN: it is in the own cell now) from the word. */
static enum attempt take_word(const struct place *place, unsigned shard)
{
    uint64_t old = atomic_load(word_at(place));
    for (;;) {
        if (!still_there(place))
            return ATTEMPT_MOVED;
        if (pending_of(old))
            apply_lease(place, old);
        bool opens = window_later(place->window->number, window_of(old));
        uint32_t window = opens ? place->window->number & WINDOW_MASK : window_of(old);
        uint32_t granted = opens ? 0 : granted_of(old);
        if (granted >= place->window->limit)
            return steal(place, shard, window);
        bool leases = wants_lease(place, shard, granted);
        uint64_t new =
            leases ? word_make(window, shard + 1, granted + LEASE) : word_make(window, 0, granted + 1);
        if (!atomic_compare_exchange_weak(word_at(place), &old, new))
            continue;
        if (opens)
            atomic_store_explicit(&place->bucket->slots[place->index].ends_s, place->window->ends_s,
                                  memory_order_relaxed);
        if (!leases)
            return ATTEMPT_TAKEN;
        apply_lease(place, new);
        return ATTEMPT_AGAIN;
    }
}

static enum attempt take_once(const struct place *place, unsigned shard, uint64_t now_ns,
                              struct quota_view *view)
{
    struct cell *cells = cells_at(place);
    if (cells) {
        enum attempt own = take_own(place, &cells[shard], now_ns, view);
        if (own != ATTEMPT_NONE)
            return own;
    }
    enum attempt attempt = take_word(place, shard);
    if (attempt == ATTEMPT_TAKEN)
        view->remaining = count_remaining(place);
    return attempt;
}

enum quota_result quota_take(struct quota *quota, unsigned shard, const struct quota_window *window,
                             const struct quota_clock *clock, struct quota_view *view)
{
    CHECK(shard < quota->shard_count);
    struct place place = place_of(quota, window);
    for (;;) {
        if ((!find(&place) || is_stale(&place, shard, clock)) && !insert(&place, shard, clock)) {
            view->remaining = window->limit - 1;
            return QUOTA_TAKEN;
        }
        enum attempt attempt;
        do
            attempt = take_once(&place, shard, clock->now_ns, view);
        while (attempt == ATTEMPT_AGAIN);
        if (attempt == ATTEMPT_TAKEN)
            return QUOTA_TAKEN;
        view->remaining = 0;
        if (attempt == ATTEMPT_NONE)
            return QUOTA_EXHAUSTED;
    }
}

enum quota_result quota_peek(struct quota *quota, const struct quota_window *window, struct quota_view *view)
{
    struct place place = place_of(quota, window);
    view->remaining = find(&place) ? count_remaining(&place) : window->limit;
    return view->remaining > 0 ? QUOTA_TAKEN : QUOTA_EXHAUSTED;
}

/* --- giving back ---------------------------------------------------------------------------------------- */

/* Into the own cell once there are cells: the word's count must not fall then, leases are named by it. */
static bool return_to_cell(const struct place *place, struct cell *own, uint32_t window)
{
    uint64_t old = atomic_load(&own->word);
    for (;;) {
        uint64_t new = old + 1;
        if (window_later(window, window_of(old)))
            new = cell_make(window, generation_of(old), 0, 1);
        else if (window_of(old) != window || tokens_of(old) == TOKEN_MASK)
            return true;
        if (!still_there(place) || atomic_compare_exchange_weak(&own->word, &old, new))
            return true;
    }
}

void quota_return(struct quota *quota, unsigned shard, const struct quota_window *window)
{
    struct place place = place_of(quota, window);
    if (!find(&place))
        return;
    for (;;) {
        uint64_t old = atomic_load(word_at(&place));
        if (!still_there(&place) || window_later(window_of(old), window->number))
            return;
        struct cell *cells = cells_at(&place);
        if (cells && return_to_cell(&place, &cells[shard], window_of(old)))
            return;
        if (cells == NULL && atomic_compare_exchange_weak(word_at(&place), &old, old - 1))
            return;
    }
}

/* --- counting many at once ------------------------------------------------------------------------------ */

static uint32_t add_within(uint32_t granted, int64_t amount, uint32_t limit)
{
    if (amount < 0)
        return -amount < (int64_t)granted ? granted - (uint32_t)-amount : 0;
    if (granted >= limit)
        return granted;
    return amount < (int64_t)(limit - granted) ? granted + (uint32_t)amount : limit;
}

static enum attempt count_once(const struct place *place, int64_t amount)
{
    uint64_t old = atomic_load(word_at(place));
    bool opens;
    uint64_t new;
    do {
        if (!still_there(place))
            return ATTEMPT_MOVED;
        opens = window_later(place->window->number, window_of(old));
        uint32_t granted = add_within(opens ? 0 : granted_of(old), amount, place->window->limit);
        new = word_make(opens ? place->window->number : window_of(old), 0, granted);
    } while (!atomic_compare_exchange_weak(word_at(place), &old, new));
    if (opens)
        atomic_store_explicit(&place->bucket->slots[place->index].ends_s, place->window->ends_s,
                              memory_order_relaxed);
    return ATTEMPT_TAKEN;
}

void quota_count(struct quota *quota, const struct quota_window *window, const struct quota_clock *clock,
                 int64_t amount)
{
    struct place place = place_of(quota, window);
    enum attempt attempt = ATTEMPT_MOVED;
    amount = amount > UINT32_MAX ? UINT32_MAX : amount < -(int64_t)UINT32_MAX ? -(int64_t)UINT32_MAX : amount;
    while (attempt == ATTEMPT_MOVED) {
        bool found = find(&place) && !is_stale(&place, 0, clock);
        if (!found && !insert(&place, 0, clock))
            return;
        attempt = count_once(&place, amount);
    }
}
