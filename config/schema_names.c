/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <stdio.h>

/* Most names differ at once. */
static inline bool is_named(struct slice name, const char *text)
{
    return name.size > 0 && name.data[0] == text[0] && slice_equal(name, slice_of(text));
}

const struct field *schema_find(const struct schema *schema, struct slice name)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        if (is_named(name, field->name) || (field->alias && is_named(name, field->alias)))
            return field;
    }
    return NULL;
}

enum { LONGEST_NAME = 48 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn one name into the other. */
static unsigned distance(struct slice a, struct slice b)
{
    unsigned rows[3][LONGEST_NAME + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b.size; j++)
        above[j] = j;
    for (unsigned i = 1; i <= a.size; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b.size; j++) {
            unsigned differ = slice_lower(a.data[i - 1]) != slice_lower(b.data[j - 1]);
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + differ);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b.size];
}

struct nearest {
    struct slice wanted;
    const char *name;
    unsigned distance;
};

static void consider(struct nearest *best, const char *name)
{
    struct slice candidate = slice_of(name);
    if (candidate.size > LONGEST_NAME || name[0] == '_')
        return;
    unsigned far = distance(best->wanted, candidate);
    if (far < best->distance) {
        best->distance = far;
        best->name = name;
    }
}

const char *schema_nearest(const struct schema *schema, struct slice name)
{
    if (name.size > LONGEST_NAME || name.size == 0 || name.data[0] == '_')
        return NULL;
    /* A third of the letters may be wrong, of a short name one. */
    struct nearest best = { name, NULL, (unsigned)(name.size < 6 ? 2 : name.size / 3 + 1) };
    for (size_t i = 0; i < schema->field_count; i++)
        if (!(schema->fields[i].flags & FIELD_UNSUPPORTED))
            consider(&best, schema->fields[i].name);
    for (const char *const *other = schema->others; other && *other; other++)
        consider(&best, *other);
    return best.name;
}
