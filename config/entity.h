/* SPDX-License-Identifier: Apache-2.0 */
/* What every entity of the model begins with. Only read once the model is built. */
#pragma once

#include "config/schema.h"

enum { MODEL_ID_SIZE = 37 };

/* `index` counts within its kind, in the order of declaration. */
struct entity {
    char id[MODEL_ID_SIZE]; /* a UUID, lower case */
    uint32_t index;
    struct slice name; /* absent when it has none */
    struct slices tags;
    int64_t created_at_ms, updated_at_ms; /* since 1970; of the load when the configuration does not say */
    struct node_position position;
};

/* What people know it by. */
static inline struct slice entity_label(const struct entity *entity)
{
    return entity->name.data ? entity->name : slice_of(entity->id);
}
