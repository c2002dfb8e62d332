/* SPDX-License-Identifier: Apache-2.0 */
/* Where a change waits for the control thread, and its asker for the result: one at a time. */
#pragma once

#include "core/app/change.h"

#include <pthread.h>
#include <signal.h>

/* Tells the control thread, which blocks it and waits for it, to look. */
#define CHANGE_SIGNAL SIGURG

struct change_box {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    pthread_t control;
    const struct change *pending;
    enum change_result result; /* once nothing is pending any more */
    bool closed;
};

/* By the control thread; free when no other thread asks any more. */
void change_box_open(struct change_box *box);
void change_box_free(struct change_box *box);

/* By another thread; waits. */
enum change_result change_box_ask(struct change_box *box, const struct change *change);

/* By the control thread: the change that waits, or NULL; each is to be answered. */
const struct change *change_box_take(struct change_box *box);
void change_box_answer(struct change_box *box, enum change_result result);

/* By the control thread: whoever asks from now on is told CHANGE_CLOSED, and who waits as well. */
void change_box_close(struct change_box *box);
