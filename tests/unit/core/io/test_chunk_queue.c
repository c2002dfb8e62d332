/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/chunk_queue.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct shard shard;
static struct chunk_queue queue;

static void start(void)
{
    shard_setup_open(&shard);
    chunk_queue_init(&queue);
}

static void end(void)
{
    chunk_queue_clear(&queue);
    shard_setup_close(&shard);
}

TestSuite(chunk_queue, .init = start, .fini = end);

static void push(const char *text)
{
    cr_assert(chunk_queue_push(&queue, shard_setup_chunk(&shard, slice_of(text))));
}

/* What is queued, in one text. */
static void check(const char *text)
{
    char found[256];
    size_t size = 0;
    for (uint32_t i = 0; i < queue.count; i++) {
        struct slice bytes = chunk_slice(chunk_queue_at(&queue, i));
        cr_assert_lt(size + bytes.size, sizeof(found));
        memcpy(found + size, bytes.data, bytes.size);
        size += bytes.size;
    }
    found[size] = '\0';
    cr_expect_str_eq(found, text);
    cr_expect_eq(queue.bytes, strlen(text));
}

Test(chunk_queue, keeps_the_order)
{
    char text[2] = "a";
    push("a");
    push("b");
    for (text[0] = 'c'; text[0] <= 'z'; text[0]++) {
        push(text);
        struct chunk first = chunk_queue_pop(&queue);
        cr_assert_eq(*chunk_slice(&first).data, text[0] - 2);
        chunk_release(&first);
    }
    check("yz");
}

Test(chunk_queue, grows_while_wrapped_and_shrinks_when_empty)
{
    for (int round = 0; round < 3; round++) {
        push("a");
        push("b");
        chunk_queue_consume(&queue, 1);
        push("c"); /* wrapped */
        for (char text[2] = "d"; text[0] <= 'k'; text[0]++)
            push(text);
        check("bcdefghijk");
        cr_assert_not_null(queue.items);
        chunk_queue_consume(&queue, 10);
        cr_assert_null(queue.items);
        cr_assert_eq(queue.capacity, CHUNK_QUEUE_INLINE);
        check("");
    }
}

Test(chunk_queue, consumes_any_number_of_bytes)
{
    static const char text[] = "abcdefghij";
    for (size_t size = 0; size <= strlen(text); size++) {
        push("abc");
        push("d");
        push("efghi");
        push("j");
        chunk_queue_consume(&queue, size);
        check(text + size);
        chunk_queue_clear(&queue);
    }
}

Test(chunk_queue, holds_one_reference_per_chunk)
{
    struct chunk chunk = shard_setup_chunk(&shard, SLICE("abcdef"));
    struct block *block = chunk.block;
    block_take(block); /* the test's own */
    cr_assert(chunk_queue_push(&queue, chunk_part(&chunk, 0, 2)));
    cr_assert(chunk_queue_push(&queue, chunk_part(&chunk, 2, 4)));
    chunk_release(&chunk);
    cr_assert_null(chunk.block);
    cr_assert_eq(block->references, 3);
    check("abcdef");
    chunk_queue_consume(&queue, 3);
    cr_assert_eq(block->references, 2);
    struct chunk rest = chunk_queue_pop(&queue);
    cr_assert(slice_equal(chunk_slice(&rest), SLICE("def")));
    cr_assert_eq(block->references, 2);
    chunk_release(&rest);
    cr_assert_eq(block->references, 1);
    block_release(block);
}

Test(chunk_queue, many_chunks)
{
    enum { COUNT = 2000 };
    struct chunk chunk = shard_setup_chunk(&shard, SLICE("abcdef"));
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert(chunk_queue_push(&queue, chunk_part(&chunk, i % 6, 1)));
    for (uint32_t i = 0; i < COUNT; i++) {
        struct chunk first = chunk_queue_pop(&queue);
        cr_assert_eq(*chunk_slice(&first).data, "abcdef"[i % 6]);
        chunk_release(&first);
    }
    cr_assert_eq(chunk.block->references, 1);
    chunk_release(&chunk);
}

static void append(struct chunk chunk, uint32_t fixed_count)
{
    cr_assert(chunk_queue_append(&queue, chunk, shard.blocks, fixed_count));
}

Test(chunk_queue, small_pieces_join_behind_what_is_not_being_sent)
{
    append(shard_setup_chunk(&shard, SLICE("a")), 0);
    append(shard_setup_chunk(&shard, SLICE("b")), 0);
    cr_assert_eq(queue.count, 1);
    append(shard_setup_chunk(&shard, SLICE("c")), 1);
    cr_assert_eq(queue.count, 2);
    append(shard_setup_chunk(&shard, SLICE("d")), 1);
    cr_assert_eq(queue.count, 2);
    check("abcd");
}

/* As received blocks are: `used` is 0. */
Test(chunk_queue, small_pieces_of_received_blocks_let_them_go)
{
    struct chunk whole = shard_setup_chunk(&shard, SLICE("abcdef"));
    whole.block->used = 0;
    append(chunk_part(&whole, 0, 2), 0); /* the first may leave at once */
    cr_assert_eq(whole.block->references, 2);
    append(chunk_part(&whole, 2, 2), 0);
    append(chunk_part(&whole, 4, 2), 0);
    cr_assert_eq(whole.block->references, 2);
    cr_assert_eq(queue.count, 2);
    check("abcdef");
    chunk_release(&whole);
}

Test(chunk_queue, nothing_can_be_taken_from_an_empty_one, .signal = SIGABRT)
{
    (void)chunk_queue_pop(&queue);
}
