/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue of messages to one shard from one writer at a time (several agree among themselves). The
 * writer posts and wakes the shard; the shard hands each message to its `deliver` between two loop turns. A
 * full box refuses: the writer keeps its message and says so. A shard may listen at several boxes. */
#pragma once

#include "core/base/error.h"
#include "core/io/op.h"

struct shard;

struct mail {
    unsigned kind; /* the receiver's enum */
    void *pointer;
};

typedef void mail_deliver_fn(struct shard *shard, const struct mail *mail);

enum { MAILBOX_SLOTS = 64 };

struct mailbox {
    struct mail slots[MAILBOX_SLOTS];
    uint32_t written; /* by the writer, atomically */
    uint32_t read; /* by the shard, atomically */
    int event_fd;
    uint64_t event_value;
    struct op op;
    struct shard *shard;
    mail_deliver_fn *deliver;
};

enum error mailbox_open(struct mailbox *mailbox) MUST_CHECK;
void mailbox_close(struct mailbox *mailbox);

/* On the shard's thread, once its ring is open. */
void mailbox_listen(struct mailbox *mailbox, struct shard *shard, mail_deliver_fn *deliver);

/* The oldest message that was not delivered; by the reader, or by anybody once that one has ended. */
bool mailbox_take(struct mailbox *mailbox, struct mail *mail);

/* By the writer. ERROR_LIMIT when the box is full. */
enum error mailbox_post(struct mailbox *mailbox, unsigned kind, void *pointer) MUST_CHECK;
