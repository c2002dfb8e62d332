/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and how one proves it. Part of the model: built by a front-end on the control thread, then only
 * read. */
#pragma once

#include "config/entity.h"

struct credential_kind;

/* Consumers that are treated alike: plugins may be attached to it. */
struct consumer_group {
    struct entity entity;
};

struct consumer {
    struct entity entity; /* name = username */
    struct slice custom_id;
    struct credential *credentials, *last_credential; /* of the kinds that are `per_consumer` */
    struct consumer_group **groups; /* by name, bytewise */
    uint32_t group_count;
};

/* A credential of a plugin: its own struct begins with this one. */
struct credential {
    struct entity entity;
    struct consumer *consumer;
    const struct credential_kind *kind;
    struct credential *next; /* of the same consumer, in the order of declaration */
};
