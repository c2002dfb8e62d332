/* SPDX-License-Identifier: Apache-2.0 */
#include "config/catalog.h"

#include "core/crypto/uuid.h"

#include <stdio.h>
#include <stdlib.h>

void catalog_init(struct catalog *catalog, struct arena *arena)
{
    *catalog = (struct catalog){ .arena = arena };
    map_init(&catalog->keys, arena);
}

static bool grow(struct catalog *catalog)
{
    uint32_t capacity = catalog->capacity ? catalog->capacity * 2 : 64;
    struct catalog_row *rows = arena_array(catalog->arena, capacity, sizeof(*rows));
    if (rows == NULL)
        return false;
    if (catalog->count)
        memcpy(rows, catalog->rows, catalog->count * sizeof(*rows));
    catalog->rows = rows;
    catalog->capacity = capacity;
    return true;
}

bool catalog_add(struct catalog *catalog, const struct catalog_row *row)
{
    if (catalog->count == catalog->capacity && !grow(catalog))
        return false;
    struct catalog_row copy = { .kind = row->kind,
                                .id = arena_copy(catalog->arena, slice_of(row->id)).data,
                                .key = arena_copy(catalog->arena, row->key),
                                .text = arena_copy(catalog->arena, row->text) };
    if (copy.id == NULL || copy.text.data == NULL || (row->key.data && copy.key.data == NULL))
        return false;
    catalog->rows[catalog->count++] = copy;
    return true;
}

static int compare(const void *left, const void *right)
{
    const struct catalog_row *a = left, *b = right;
    int order = strcmp(a->kind, b->kind);
    return order ? order : strcmp(a->id, b->id);
}

bool catalog_finish(struct catalog *catalog)
{
    if (catalog->count)
        qsort(catalog->rows, catalog->count, sizeof(*catalog->rows), compare);
    for (uint32_t i = 0; i < catalog->count; i++) {
        struct catalog_row *row = &catalog->rows[i];
        if (row->key.data == NULL)
            continue;
        size_t front = strlen(row->kind);
        char *name = arena_alloc(catalog->arena, front + 1 + row->key.size);
        if (name == NULL)
            return false;
        memcpy(name, row->kind, front);
        name[front] = ':';
        memcpy(name + front + 1, row->key.data, row->key.size);
        if (!map_add(&catalog->keys, (struct slice){ name, front + 1 + row->key.size }, row, NULL))
            return false;
    }
    return true;
}

/* The first row that is not before kind and id. */
static uint32_t lower_bound(const struct catalog *catalog, const char *kind, const char *id)
{
    struct catalog_row wanted = { .kind = kind, .id = id };
    uint32_t low = 0, high = catalog->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&catalog->rows[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct catalog_row *catalog_of_kind(const struct catalog *catalog, const char *kind, uint32_t *count)
{
    uint32_t first = lower_bound(catalog, kind, ""), end = first;
    while (end < catalog->count && strcmp(catalog->rows[end].kind, kind) == 0)
        end++;
    *count = end - first;
    return catalog->rows + first;
}

static const struct catalog_row *find_id(const struct catalog *catalog, const char *kind, const char *id)
{
    uint32_t at = lower_bound(catalog, kind, id);
    const struct catalog_row *row = at < catalog->count ? &catalog->rows[at] : NULL;
    return row && strcmp(row->kind, kind) == 0 && strcmp(row->id, id) == 0 ? row : NULL;
}

const struct catalog_row *catalog_source_find(struct catalog_source *source, const char *kind, const char *id)
{
    const struct catalog *from = source->catalog;
    const struct catalog_row *row = from && source->next < from->count ? &from->rows[source->next] : NULL;
    if (from && (row == NULL || strcmp(row->id, id) != 0 || strcmp(row->kind, kind) != 0))
        row = find_id(from, kind, id); /* some were left out */
    if (row)
        source->next = (uint32_t)(row - from->rows) + 1;
    return row;
}

const struct catalog_row *catalog_find(const struct catalog *catalog, const char *kind, struct slice name)
{
    unsigned char bytes[UUID_BYTES];
    char id[UUID_TEXT_SIZE];
    if (uuid_read(name, bytes)) {
        uuid_write(bytes, id);
        const struct catalog_row *row = find_id(catalog, kind, id);
        if (row)
            return row;
    }
    if (name.size == 0)
        return NULL;
    size_t size = strlen(kind) + 1 + name.size;
    char *key = malloc(size + 1);
    if (key == NULL)
        return NULL;
    snprintf(key, size + 1, "%s:", kind);
    memcpy(key + strlen(kind) + 1, name.data, name.size);
    const struct catalog_row *row = map_find(&catalog->keys, (struct slice){ key, size });
    free(key);
    return row;
}

/* Documents are written without spaces, and in their texts quotes are escaped. */
bool catalog_refers(const struct catalog_row *row, const char *field, const char *id)
{
    char text[128];
    int size = snprintf(text, sizeof(text), "\"%s\":{\"id\":\"%s\"}", field, id);
    return size > 0 && (size_t)size < sizeof(text) &&
           memmem(row->text.data, row->text.size, text, (size_t)size) != NULL;
}
