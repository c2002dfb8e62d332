/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/block_store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { LENT = 4, BLOCK_BYTES = 256, BLOCKS_MOST = 10 };

static struct ring ring;
static struct block_store *store;
static int ends[2]; /* what is written to the second is received from the first */

static void start_with(uint32_t lent, uint32_t most)
{
    struct block_limits limits = {
        .lent_count = lent, .receive_bytes = BLOCK_BYTES, .receive_count = most, .write_bytes = 100000
    };
    cr_assert_eq(ring_open(&ring, 64), ERROR_OK);
    cr_assert_eq(block_store_open(&store, &ring, &limits), ERROR_OK);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void start(void)
{
    start_with(LENT, BLOCKS_MOST);
}

static void end(void)
{
    close(ends[0]);
    close(ends[1]);
    ring_close(&ring);
    block_store_close(store);
}

TestSuite(block_store, .init = start, .fini = end);

struct receive {
    struct op op;
    int32_t result;
    bool done;
    struct chunk chunk;
};

static void received(struct op *op, int32_t result, uint32_t cqe_flags)
{
    struct receive *receive = CONTAINER_OF(op, struct receive, op);
    receive->done = true;
    receive->result = result;
    if (cqe_flags & IORING_CQE_F_BUFFER)
        receive->chunk = block_store_received(store, cqe_flags, result > 0 ? (uint32_t)result : 0);
}

/* Of up to a block of what was sent. */
static void receive(struct receive *receive)
{
    *receive = (struct receive){ .result = 0 };
    block_store_refill(store, 0);
    struct io_uring_sqe *sqe = ring_prepare(&ring);
    io_uring_prep_recv(sqe, ends[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BLOCK_GROUP;
    ring_arm(sqe, &receive->op, received);
    for (int turn = 0; turn < 100 && !receive->done; turn++) {
        ring_wait(&ring, 100000000);
        ring_dispatch(&ring);
    }
    cr_assert(receive->done);
}

static void send_bytes(size_t size, char byte)
{
    char bytes[BLOCK_BYTES * 20];
    cr_assert_leq(size, sizeof(bytes));
    memset(bytes, byte, size);
    cr_assert_eq(write(ends[1], bytes, size), (ssize_t)size);
}

Test(block_store, receives_into_its_blocks)
{
    struct receive one;
    send_bytes(BLOCK_BYTES + 5, 'x');
    receive(&one);
    cr_assert_eq(one.result, BLOCK_BYTES);
    cr_assert_eq(one.chunk.size, BLOCK_BYTES);
    cr_assert_eq(one.chunk.block->references, 1);
    cr_assert_eq(chunk_slice(&one.chunk).data[BLOCK_BYTES - 1], 'x');
    struct receive two;
    receive(&two);
    cr_assert_eq(two.chunk.size, 5);
    cr_assert_neq(two.chunk.block, one.chunk.block);
    cr_assert_eq(block_store_counts(store).receive_held, 2);
    block_store_refill(store, 0);
    cr_assert_eq(block_store_counts(store).lent, LENT);
    chunk_release(&one.chunk);
    chunk_release(&two.chunk);
    cr_assert_eq(block_store_counts(store).receive_held, 0);
}

/* Holding them makes the store grow up to its limit, and lend fewer when most are held; then the ring runs
 * dry until one comes back. */
Test(block_store, runs_dry_at_the_limit_and_recovers)
{
    static const uint32_t lent[BLOCKS_MOST] = { LENT, LENT, LENT, LENT, LENT, 3, 2, 1, 1, 0 };
    struct receive held[BLOCKS_MOST], more;
    send_bytes(BLOCK_BYTES * (BLOCKS_MOST + 2), 'x');
    for (uint32_t i = 0; i < BLOCKS_MOST; i++) {
        receive(&held[i]);
        block_store_refill(store, 0);
        cr_assert_eq(held[i].result, BLOCK_BYTES);
        cr_assert_eq(block_store_counts(store).lent, lent[i], "%u held: %u", i + 1,
                     block_store_counts(store).lent);
    }
    cr_assert_eq(block_store_counts(store).receive_total, BLOCKS_MOST);
    receive(&more);
    cr_assert_eq(more.result, -ENOBUFS);
    cr_assert_eq(block_store_counts(store).lent, 0);
    chunk_release(&held[7].chunk);
    block_store_refill(store, 0);
    cr_assert_eq(block_store_counts(store).lent, 1);
    receive(&more);
    cr_assert_eq(more.result, BLOCK_BYTES);
    chunk_release(&more.chunk);
    for (uint32_t i = 0; i < BLOCKS_MOST; i++)
        chunk_release(&held[i].chunk);
    block_store_refill(store, 0);
    cr_assert_eq(block_store_counts(store).lent, LENT);
    cr_assert_eq(block_store_counts(store).receive_held, 0);
}

Test(block_store, a_block_comes_back_at_the_last_release)
{
    struct receive one;
    send_bytes(10, 'x');
    receive(&one);
    struct chunk part = chunk_part(&one.chunk, 3, 4);
    chunk_release(&one.chunk);
    cr_assert_null(one.chunk.block);
    cr_assert_eq(block_store_counts(store).receive_held, 1);
    cr_assert(slice_equal(chunk_slice(&part), SLICE("xxxx")));
    chunk_release(&part);
    chunk_release(&part);
    cr_assert_eq(block_store_counts(store).receive_held, 0);
}

Test(block_store, the_same_blocks_go_round)
{
    for (int i = 0; i < 1000; i++) {
        struct receive one;
        send_bytes(1 + (size_t)i % BLOCK_BYTES, (char)i);
        receive(&one);
        cr_assert_eq(one.chunk.size, 1 + (uint32_t)i % BLOCK_BYTES);
        cr_assert_eq(chunk_slice(&one.chunk).data[0], (char)i);
        chunk_release(&one.chunk);
    }
    cr_assert_leq(block_store_counts(store).receive_total, BLOCKS_MOST);
}

enum { WIDE = 128, NARROW = 32, WIDE_MOST = 256 };

static void take_all(struct chunk *chunks)
{
    for (uint32_t i = 0; block_store_counts(store).lent > 0; i++) {
        uint32_t flags = IORING_CQE_F_BUFFER | i << IORING_CQE_BUFFER_SHIFT;
        chunks[i] = block_store_received(store, flags, 1);
    }
}

/* Without a kernel: what it does with the ring is only that blocks are taken from it. */
Test(block_store, the_window_follows_the_demand)
{
    struct chunk chunks[WIDE_MOST] = { 0 };
    end();
    start_with(WIDE, WIDE_MOST);
    cr_assert_eq(block_store_counts(store).lent, NARROW);
    block_store_widen(store);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW, "a ring with blocks in it is wide enough");
    take_all(chunks);
    block_store_widen(store);
    block_store_widen(store);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW * 2, "one step per turn");
    block_store_refill(store, 10);
    cr_assert_eq(block_store_counts(store).lent, NARROW * 2);
    for (uint32_t i = 0; i < NARROW; i++)
        chunk_release(&chunks[i]);
    block_store_refill(store, 1010);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW * 2, "half of it was in use");
    block_store_refill(store, 2010);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW);
    cr_assert_eq(block_store_counts(store).lent, NARROW * 2, "what the kernel has, it keeps");
}

/* Takes what is lent and holds it, turn by turn, until `most` are held of which `held` are already. */
static void hold(struct chunk *chunks, uint32_t held, uint32_t most)
{
    for (; held < most; block_store_refill(store, 0))
        for (; held < most && block_store_counts(store).lent > 0; held++)
            chunks[held] =
                block_store_received(store, IORING_CQE_F_BUFFER | held << IORING_CQE_BUFFER_SHIFT, 1);
}

Test(block_store, lends_fewer_when_most_are_held)
{
    struct chunk chunks[WIDE_MOST] = { 0 };
    end();
    start_with(WIDE, WIDE_MOST);
    hold(chunks, 0, WIDE_MOST / 2);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW);
    hold(chunks, WIDE_MOST / 2, WIDE_MOST / 4 * 3);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW / 4);
    hold(chunks, WIDE_MOST / 4 * 3, WIDE_MOST - 1);
    cr_assert_eq(block_store_counts(store).lent, 1, "the last");
    for (uint32_t i = 0; i < WIDE_MOST; i++)
        if (chunks[i].block)
            chunk_release(&chunks[i]);
    cr_assert_eq(block_store_counts(store).lent_wanted, NARROW);
}

Test(block_store, blocks_to_write_into)
{
    static const struct {
        size_t asked;
        uint32_t capacity;
    } cases[] = {
        { 0, BLOCK_SMALL_BYTES },
        { 1, BLOCK_SMALL_BYTES },
        { BLOCK_SMALL_BYTES, BLOCK_SMALL_BYTES },
        { BLOCK_SMALL_BYTES + 1, BLOCK_LARGE_BYTES },
        { BLOCK_LARGE_BYTES, BLOCK_LARGE_BYTES },
        { BLOCK_LARGE_BYTES + 1, BLOCK_LARGE_BYTES + 1 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct block *block = block_open(store, cases[i].asked);
        cr_assert_not_null(block);
        cr_expect_eq(block->capacity, cases[i].capacity);
        cr_expect_eq(block->used, 0);
        cr_expect_eq(block->references, 1);
        memset(block->data, 'x', block->capacity);
        block->used = block->capacity;
        block_release(block);
    }
}

Test(block_store, writing_has_a_limit)
{
    struct block *blocks[100];
    size_t count = 0;
    cr_assert_null(block_open(store, 100001));
    cr_assert_null(block_open(store, (size_t)UINT32_MAX + 1));
    cr_assert_null(block_open(store, SIZE_MAX));
    while (count < COUNT_OF(blocks) && (blocks[count] = block_open(store, 100)) != NULL)
        count++;
    cr_assert_eq(count, 100000 / BLOCK_SMALL_BYTES);
    cr_assert_leq(block_store_counts(store).write_bytes, 100000);
    block_release(blocks[--count]);
    cr_assert_not_null(blocks[count] = block_open(store, 100));
    for (size_t i = 0; i <= count; i++)
        block_release(blocks[i]);
}

Test(block_store, memory_of_unusual_size_is_given_back)
{
    for (int i = 0; i < 100; i++) {
        struct block *block = block_open(store, 60000);
        cr_assert_not_null(block);
        cr_assert_eq(block_store_counts(store).write_bytes, 60000);
        block_release(block);
        cr_assert_eq(block_store_counts(store).write_bytes, 0);
    }
}
