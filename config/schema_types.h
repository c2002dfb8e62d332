/* SPDX-License-Identifier: Apache-2.0 */
/* Values of fields that are more than a scalar (config/schema.h says which field has which). In the arena of
 * whoever reads them. */
#pragma once

#include "core/base/slice.h"

#define INTEGER_NULL INT64_MIN

struct schema_integers {
    int64_t *items;
    uint32_t count;
};

struct schema_records {
    char *items; /* structs of `record`, one behind the other */
    uint32_t count;
};

struct schema_record_entry {
    struct slice name;
    void *record;
};

struct schema_record_map {
    struct schema_record_entry *entries;
    uint32_t count;
};

struct schema_map_entry {
    struct slice name;
    struct slices values;
};

struct schema_map {
    struct schema_map_entry *entries;
    uint32_t count;
};
