/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/ring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <time.h>

enum { ENTRIES = 64 };

struct seen {
    struct op op;
    unsigned done;
    int32_t result;
    struct ring *again; /* prepares another one from inside the handler */
};

static struct ring ring;

static void start(void)
{
    cr_assert_eq(ring_open(&ring, ENTRIES), ERROR_OK);
}

static void end(void)
{
    ring_close(&ring);
}

TestSuite(ring, .init = start, .fini = end);

static void nothing(struct seen *seen);

static void note(struct op *op, int32_t result, uint32_t cqe_flags)
{
    struct seen *seen = CONTAINER_OF(op, struct seen, op);
    cr_assert_not(op->armed);
    (void)cqe_flags;
    seen->done++;
    seen->result = result;
    if (seen->again && seen->done < 3)
        nothing(seen);
}

static void nothing(struct seen *seen)
{
    struct io_uring_sqe *sqe = ring_prepare(&ring);
    io_uring_prep_nop(sqe);
    ring_arm(sqe, &seen->op, note);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Bounded: an operation that does not end fails the test. */
static void dispatch_until(const unsigned *count, unsigned wanted)
{
    for (uint64_t end_ms = now_ms() + 10000; *count < wanted && now_ms() < end_ms;) {
        ring_wait(&ring, 100000000);
        ring_dispatch(&ring);
    }
    cr_assert_eq(*count, wanted);
}

Test(ring, the_probe_agrees_with_opening)
{
    struct ring_features found = ring_probe();
    cr_assert(found.works, "%s", found.missing);
    cr_assert_null(found.missing);
}

Test(ring, bad_sizes_are_errors)
{
    struct ring other;
    cr_assert_eq(ring_open(&other, 0), ERROR_KERNEL);
}

Test(ring, completions_go_to_their_operations)
{
    struct seen seen[10] = { 0 };
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        nothing(&seen[i]);
    cr_assert(seen[3].op.armed);
    cr_assert_eq(ring_dispatch(&ring), 0, "nothing runs before the ring is entered");
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        dispatch_until(&seen[i].done, 1);
    cr_assert_eq(ring.completion_count, COUNT_OF(seen));
    cr_assert_geq(ring.enter_count, 1);
}

Test(ring, more_operations_than_entries)
{
    enum { COUNT = 5 * ENTRIES };
    static struct seen seen[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        nothing(&seen[i]);
    cr_assert_geq(ring.submission_full_count, 4);
    for (size_t i = 0; i < COUNT; i++)
        dispatch_until(&seen[i].done, 1);
    cr_assert_eq(ring.completion_count, COUNT);
}

Test(ring, a_handler_may_prepare_the_next)
{
    struct seen seen = { .again = &ring };
    nothing(&seen);
    dispatch_until(&seen.done, 3);
    cr_assert_not(seen.op.armed);
}

Test(ring, a_cancelled_operation_still_completes)
{
    struct seen seen = { 0 };
    int ends[2];
    char byte;
    cr_assert_eq(pipe(ends), 0);
    struct io_uring_sqe *sqe = ring_prepare(&ring);
    io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
    ring_arm(sqe, &seen.op, note);
    ring_wait(&ring, 0);
    cr_assert_eq(ring_dispatch(&ring), 0);
    ring_cancel(&ring, &seen.op);
    dispatch_until(&seen.done, 1);
    cr_assert(seen.result == -ECANCELED || seen.result == -EINTR);
    close(ends[0]);
    close(ends[1]);
}

Test(ring, waits_no_longer_than_told)
{
    uint64_t before_ms = now_ms();
    ring_wait(&ring, 0);
    ring_wait(&ring, 20000000);
    uint64_t waited_ms = now_ms() - before_ms;
    cr_assert(waited_ms >= 19 && waited_ms < 5000, "%lu", (unsigned long)waited_ms);
    cr_assert_eq(ring_dispatch(&ring), 0);
}

/* With an operation that is done at once, one that ends while it waits, and none. */
Test(ring, waits_in_poll_too)
{
    struct seen seen = { 0 }, late = { 0 };
    int ends[2];
    char byte;
    cr_assert_eq(pipe(ends), 0);
    nothing(&seen);
    ring_poll(&ring, 10000000000u);
    ring_dispatch(&ring);
    cr_assert_eq(seen.done, 1);
    struct io_uring_sqe *sqe = ring_prepare(&ring);
    io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
    ring_arm(sqe, &late.op, note);
    ring_poll(&ring, 0);
    cr_assert_eq(ring_dispatch(&ring), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    ring_poll(&ring, 10000000000u);
    ring_dispatch(&ring);
    cr_assert_eq(late.done, 1);
    uint64_t before_ms = now_ms();
    ring_poll(&ring, 4000000);
    cr_assert_geq(now_ms() - before_ms, 3);
    close(ends[0]);
    close(ends[1]);
}
