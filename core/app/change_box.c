/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/change_box.h"

void change_box_open(struct change_box *box)
{
    *box = (struct change_box){ .control = pthread_self() };
    pthread_mutex_init(&box->lock, NULL);
    pthread_cond_init(&box->answered, NULL);
}

void change_box_free(struct change_box *box)
{
    pthread_cond_destroy(&box->answered);
    pthread_mutex_destroy(&box->lock);
}

enum change_result change_box_ask(struct change_box *box, const struct change *change)
{
    enum change_result result = CHANGE_CLOSED;
    pthread_mutex_lock(&box->lock);
    if (!box->closed) {
        box->pending = change;
        pthread_kill(box->control, CHANGE_SIGNAL);
        while (box->pending)
            pthread_cond_wait(&box->answered, &box->lock);
        result = box->result;
    }
    pthread_mutex_unlock(&box->lock);
    return result;
}

const struct change *change_box_take(struct change_box *box)
{
    pthread_mutex_lock(&box->lock);
    const struct change *change = box->pending;
    pthread_mutex_unlock(&box->lock);
    return change;
}

static void answer(struct change_box *box, enum change_result result)
{
    box->pending = NULL;
    box->result = result;
    pthread_cond_broadcast(&box->answered);
}

void change_box_answer(struct change_box *box, enum change_result result)
{
    pthread_mutex_lock(&box->lock);
    answer(box, result);
    pthread_mutex_unlock(&box->lock);
}

void change_box_close(struct change_box *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    answer(box, CHANGE_CLOSED);
    pthread_mutex_unlock(&box->lock);
}
