/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/mailbox.h"

#include "core/io/shard.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum error mailbox_open(struct mailbox *mailbox)
{
    *mailbox = (struct mailbox){ .event_fd = eventfd(0, EFD_CLOEXEC) };
    return mailbox->event_fd < 0 ? ERROR_DESCRIPTORS : ERROR_OK;
}

void mailbox_close(struct mailbox *mailbox)
{
    if (mailbox->event_fd >= 0)
        close(mailbox->event_fd);
    mailbox->event_fd = -1;
}

static void listen_again(struct mailbox *mailbox);

static void wake_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct mailbox *mailbox = CONTAINER_OF(op, struct mailbox, op);
    CHECK(result == (int32_t)sizeof(mailbox->event_value));
    struct mail mail;
    while (mailbox_take(mailbox, &mail))
        mailbox->deliver(mailbox->shard, &mail);
    listen_again(mailbox);
}

static void listen_again(struct mailbox *mailbox)
{
    struct io_uring_sqe *sqe = ring_prepare(&mailbox->shard->ring);
    io_uring_prep_read(sqe, mailbox->event_fd, &mailbox->event_value, sizeof(mailbox->event_value), 0);
    ring_arm(sqe, &mailbox->op, wake_done);
}

void mailbox_listen(struct mailbox *mailbox, struct shard *shard, mail_deliver_fn *deliver)
{
    mailbox->shard = shard;
    mailbox->deliver = deliver;
    listen_again(mailbox);
}

bool mailbox_take(struct mailbox *mailbox, struct mail *mail)
{
    if (mailbox->read == __atomic_load_n(&mailbox->written, __ATOMIC_ACQUIRE))
        return false;
    *mail = mailbox->slots[mailbox->read % MAILBOX_SLOTS];
    __atomic_store_n(&mailbox->read, mailbox->read + 1, __ATOMIC_RELEASE);
    return true;
}

enum error mailbox_post(struct mailbox *mailbox, unsigned kind, void *pointer)
{
    uint32_t written = mailbox->written;
    if (written - __atomic_load_n(&mailbox->read, __ATOMIC_ACQUIRE) == MAILBOX_SLOTS)
        return ERROR_LIMIT;
    mailbox->slots[written % MAILBOX_SLOTS] = (struct mail){ kind, pointer };
    __atomic_store_n(&mailbox->written, written + 1, __ATOMIC_RELEASE);
    uint64_t one = 1;
    ssize_t size = write(mailbox->event_fd, &one, sizeof(one));
    CHECK(size == (ssize_t)sizeof(one));
    return ERROR_OK;
}
