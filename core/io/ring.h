/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's io_uring: prepares operations, submits and waits in one system call per turn, and hands
 * completions to their ops. Completions never run inside a prepare. Needs Linux 6.1; what newer kernels
 * offer is probed. Owned and used by one thread. */
#pragma once

#include "core/base/error.h"
#include "core/io/op.h"

#include <liburing.h>

struct ring {
    struct io_uring uring;
    uint64_t enter_count;
    uint64_t completion_count;
    uint64_t submission_full_count; /* prepares that had to submit first */
    uint64_t overflow_count; /* turns that found the completion queue overflown */
};

/* What the running kernel offers, for `sluice version` and for choosing. */
struct ring_features {
    bool works; /* everything this program needs (Linux 6.1) */
    bool defer_taskrun; /* else cooperative, slower */
    bool no_sqarray; /* 6.6 */
    bool receive_bundle; /* 6.10 */
    bool incremental_blocks; /* 6.12 */
    const char *missing; /* what is missing when it does not work */
};

struct ring_features ring_probe(void);

/* To be called by the thread that will use it. entries: a power of two, 64..32768. */
enum error ring_open(struct ring *ring, unsigned entries) MUST_CHECK;
void ring_close(struct ring *ring);

/* A submission entry for `op`, filled by the caller with an io_uring_prep_* function right away:
 *   struct io_uring_sqe *sqe = ring_prepare(ring);
 *   io_uring_prep_recv(sqe, ...);
 *   ring_arm(sqe, op, done); */
struct io_uring_sqe *ring_prepare(struct ring *ring);

static inline void ring_arm(struct io_uring_sqe *sqe, struct op *op, op_done_fn *done)
{
    op->done = done;
    op->armed = true;
    io_uring_sqe_set_data(sqe, op);
}

/* Asks the kernel to end an armed op; its completion still comes. */
void ring_cancel(struct ring *ring, struct op *op);

/* How a thread waits for its ring: in the system call that also submits, or in poll(2) between two of
 * them. The latter is for tools that run threads one at a time, like valgrind: they know that poll blocks,
 * but not that the ring does, and let no other thread run meanwhile. */
enum ring_wait { RING_WAIT_ENTERED, RING_WAIT_POLLED };

/* Submits and waits for at least one completion, at most timeout_ns (0: does not wait). */
void ring_wait(struct ring *ring, uint64_t timeout_ns);
void ring_poll(struct ring *ring, uint64_t timeout_ns);

/* Runs what has completed; returns how many. */
unsigned ring_dispatch(struct ring *ring);
