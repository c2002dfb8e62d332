/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/shard_setup.h"

#include <dirent.h>

enum { LONGEST_MS = 10000 };

void shard_setup_open_with(struct shard *shard, const struct block_limits *limits)
{
    struct shard_options options = { .count = 1, .cpu = -1, .ring_entries = 64, .blocks = *limits };
    *shard = (struct shard){ .mailbox = { .event_fd = -1 } };
    CHECK(shard_open(shard, &options) == ERROR_OK);
}

void shard_setup_open(struct shard *shard)
{
    struct block_limits limits = { .lent_count = SHARD_SETUP_BLOCKS,
                                   .receive_bytes = SHARD_SETUP_BLOCK_BYTES,
                                   .receive_count = SHARD_SETUP_BLOCKS_MOST,
                                   .write_bytes = 64u << 20 };
    shard_setup_open_with(shard, &limits);
}

void shard_setup_close(struct shard *shard)
{
    shard_disconnect(shard);
    shard_close(shard);
}

static void wake(struct timer *timer)
{
    (void)timer;
}

/* The timer bounds the waits of the turns. */
static bool turn(struct shard *shard, uint64_t end_ms, bool (*is_true)(void *pointer), void *pointer)
{
    struct timer timer;
    bool found = is_true && is_true(pointer);
    timer_init(&timer, wake);
    timer_arm(&shard->timers, &timer, end_ms);
    while (!found && shard->now_ms < end_ms) {
        shard_turn(shard);
        found = is_true && is_true(pointer);
    }
    timer_disarm(&shard->timers, &timer);
    return found;
}

bool shard_setup_turn_until(struct shard *shard, bool (*is_true)(void *pointer), void *pointer)
{
    return turn(shard, shard->now_ms + LONGEST_MS, is_true, pointer);
}

struct counting {
    const uint64_t *counter;
    uint64_t wanted;
};

static bool is_reached(void *pointer)
{
    const struct counting *counting = pointer;
    return *counting->counter >= counting->wanted;
}

bool shard_setup_turn_until_count(struct shard *shard, const uint64_t *counter, uint64_t wanted)
{
    struct counting counting = { counter, wanted };
    return shard_setup_turn_until(shard, is_reached, &counting);
}

void shard_setup_turn_for(struct shard *shard, uint64_t time_ms)
{
    shard_update_clock(shard);
    (void)turn(shard, shard->now_ms + time_ms, NULL, NULL);
}

struct chunk shard_setup_chunk(struct shard *shard, struct slice text)
{
    struct block *block = block_open(shard->blocks, text.size);
    CHECK(block != NULL && text.size <= UINT32_MAX);
    memcpy(block->data, text.data, text.size);
    block->used = (uint32_t)text.size;
    return (struct chunk){ block, 0, (uint32_t)text.size };
}

unsigned shard_setup_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}
