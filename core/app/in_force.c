/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/in_force.h"

#include <string.h>

void in_force_init(struct in_force *in_force)
{
    *in_force = (struct in_force){ 0 };
    pthread_mutex_init(&in_force->lock, NULL);
}

void in_force_deinit(struct in_force *in_force)
{
    pthread_mutex_destroy(&in_force->lock);
}

void in_force_show(struct in_force *in_force, const struct snapshot *snapshot, int64_t default_not_after_s)
{
    pthread_mutex_lock(&in_force->lock);
    in_force->snapshot = snapshot;
    in_force->expiry = (struct tls_expiry){ snapshot->model, default_not_after_s };
    pthread_mutex_unlock(&in_force->lock);
}

void in_force_drain(struct in_force *in_force)
{
    pthread_mutex_lock(&in_force->lock);
    in_force->draining = true;
    pthread_mutex_unlock(&in_force->lock);
}

static bool is_empty(const struct model *model)
{
    return model->services.count + model->routes.count + model->plugins.count == 0;
}

bool in_force_is_ready(struct in_force *in_force)
{
    const struct snapshot *snapshot = in_force_open(in_force);
    bool ready = !in_force->draining && snapshot && !is_empty(snapshot->model);
    in_force_close(in_force);
    return ready;
}

const struct snapshot *in_force_open(struct in_force *in_force)
{
    pthread_mutex_lock(&in_force->lock);
    return in_force->snapshot;
}

const struct catalog *in_force_open_catalog(struct in_force *in_force)
{
    const struct snapshot *snapshot = in_force_open(in_force);
    return snapshot ? snapshot->model->catalog : NULL;
}

void in_force_close(struct in_force *in_force)
{
    pthread_mutex_unlock(&in_force->lock);
}

void in_force_hash(struct in_force *in_force, char hash[33])
{
    const struct snapshot *snapshot = in_force_open(in_force);
    memcpy(hash, snapshot ? snapshot->model->hash : "", snapshot ? 33 : 1);
    in_force_close(in_force);
}

void in_force_write_metrics(struct in_force *in_force, FILE *out)
{
    if (in_force_open(in_force))
        tls_expiry_write(&in_force->expiry, out);
    in_force_close(in_force);
}
