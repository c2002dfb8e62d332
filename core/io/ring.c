/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif
#ifndef IORING_FEAT_RECVSEND_BUNDLE
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14)
#endif
#ifndef IOU_PBUF_RING_INC
#define IOU_PBUF_RING_INC 2
#endif

enum {
    FLAGS_BEST = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    FLAGS_COOPERATIVE = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
    COMPLETIONS_PER_ENTRY = 4,
    POLL_MAX_MS = 5
};

static int open_with(struct io_uring *uring, unsigned entries, unsigned flags, unsigned *features)
{
    struct io_uring_params params = {
        .flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
        .cq_entries = entries * COMPLETIONS_PER_ENTRY,
    };
    int result = io_uring_queue_init_params(entries, uring, &params);
    if (features)
        *features = params.features;
    return result;
}

static bool flag_works(unsigned flags)
{
    struct io_uring_params params = { .flags = flags };
    int fd = io_uring_setup(8, &params);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool incremental_blocks_work(struct io_uring *uring)
{
    enum { ENTRIES = 8 };
    struct io_uring_buf_ring *memory = NULL;
    if (posix_memalign((void **)&memory, 4096, 4096) != 0)
        return false;
    struct io_uring_buf_reg registration = { .ring_addr = (uint64_t)(uintptr_t)memory,
                                             .ring_entries = ENTRIES };
    /* The 16 bits behind bgid are named `pad` in liburing 2.3 and `flags` in 2.9. */
    uint16_t flags = IOU_PBUF_RING_INC;
    memcpy((char *)&registration + offsetof(struct io_uring_buf_reg, bgid) + sizeof(registration.bgid),
           &flags, sizeof(flags));
    bool works = io_uring_register_buf_ring(uring, &registration, 0) == 0;
    if (works)
        io_uring_unregister_buf_ring(uring, 0);
    free(memory);
    return works;
}

struct ring_features ring_probe(void)
{
    struct ring_features found = { 0 };
    struct io_uring uring;
    unsigned features = 0;
    found.defer_taskrun = flag_works(FLAGS_BEST);
    if (open_with(&uring, 8, found.defer_taskrun ? FLAGS_BEST : FLAGS_COOPERATIVE, &features) != 0) {
        found.missing = "io_uring (is it disabled by kernel.io_uring_disabled or a seccomp profile?)";
        return found;
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(&uring);
    if (probe == NULL || !io_uring_opcode_supported(probe, IORING_OP_SEND_ZC))
        found.missing = "operations of Linux 6.1";
    else if (!(features & IORING_FEAT_EXT_ARG) || !(features & IORING_FEAT_SUBMIT_STABLE))
        found.missing = "io_uring features of Linux 6.1";
    else
        found.works = true;
    if (probe)
        io_uring_free_probe(probe);
    found.no_sqarray = flag_works(IORING_SETUP_NO_SQARRAY);
    found.receive_bundle = features & IORING_FEAT_RECVSEND_BUNDLE;
    found.incremental_blocks = incremental_blocks_work(&uring);
    io_uring_queue_exit(&uring);
    return found;
}

enum error ring_open(struct ring *ring, unsigned entries)
{
    *ring = (struct ring){ 0 };
    int result = open_with(&ring->uring, entries, FLAGS_BEST, NULL);
    if (result == -EINVAL)
        result = open_with(&ring->uring, entries, FLAGS_COOPERATIVE, NULL);
    if (result != 0)
        return error_from_errno(-result);
    io_uring_register_ring_fd(&ring->uring); /* saves a file lookup per enter; failing changes nothing */
    return ERROR_OK;
}

void ring_close(struct ring *ring)
{
    io_uring_queue_exit(&ring->uring);
}

struct io_uring_sqe *ring_prepare(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    while (__builtin_expect(sqe == NULL, 0)) {
        ring->submission_full_count++;
        io_uring_submit(&ring->uring);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    return sqe;
}

/* A cancel has no owner that waits for it: user_data 0 is skipped by ring_dispatch. */
void ring_cancel(struct ring *ring, struct op *op)
{
    CHECK(op->armed);
    struct io_uring_sqe *sqe = ring_prepare(ring);
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data(sqe, NULL);
}

void ring_wait(struct ring *ring, uint64_t timeout_ns)
{
    struct __kernel_timespec timeout = { .tv_sec = (long long)(timeout_ns / 1000000000u),
                                         .tv_nsec = (long long)(timeout_ns % 1000000000u) };
    struct io_uring_cqe *cqe;
    ring->enter_count++;
    if (io_uring_cq_has_overflow(&ring->uring))
        ring->overflow_count++;
    int result = timeout_ns == 0 ? io_uring_submit_and_get_events(&ring->uring)
                                 : io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &timeout, NULL);
    /* EBUSY: completions must be taken first, which the caller does next. */
    CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY);
}

/* With deferred work a poll is not always woken (seen with Linux 6.18): it is never a long one. */
void ring_poll(struct ring *ring, uint64_t timeout_ns)
{
    struct pollfd ready = { .fd = ring->uring.ring_fd, .events = POLLIN };
    ring_wait(ring, 0);
    if (timeout_ns == 0 || io_uring_cq_ready(&ring->uring) > 0)
        return;
    int timeout_ms = timeout_ns < POLL_MAX_MS * 1000000u ? (int)(timeout_ns / 1000000u + 1) : POLL_MAX_MS;
    (void)poll(&ready, 1, timeout_ms); /* however it ends, the ring is asked */
    ring_wait(ring, 0);
}

unsigned ring_dispatch(struct ring *ring)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        struct op *op = io_uring_cqe_get_data(cqe);
        count++;
        if (op == NULL)
            continue;
        if (!(cqe->flags & IORING_CQE_F_MORE))
            op->armed = false;
        op->done(op, cqe->res, cqe->flags);
    }
    io_uring_cq_advance(&ring->uring, count);
    ring->completion_count += count;
    return count;
}
