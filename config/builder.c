/* SPDX-License-Identifier: Apache-2.0 */
#include "config/builder.h"

#include <stdarg.h>
#include <stdlib.h>

enum { SCRATCH_BYTES = 1 << 30 };

bool builder_init(struct builder *builder, const char *file, const struct document_limits *limits,
                  struct arena *arena, struct report *report)
{
    *builder = (struct builder){ .arena = arena, .report = report, .limits = limits };
    builder->file = arena_copy(arena, slice_of(file)).data;
    builder->frames = calloc(limits->depth + 1u, sizeof(*builder->frames));
    arena_init(&builder->scratch, builder->scratch_page, sizeof(builder->scratch_page), SCRATCH_BYTES);
    map_init(&builder->anchors, arena);
    return builder->file != NULL && builder->frames != NULL;
}

void builder_deinit(struct builder *builder)
{
    free(builder->frames);
    free(builder->entries);
    arena_deinit(&builder->scratch);
}

bool builder_fail(struct builder *builder, uint32_t line, uint32_t column, const char *format, ...)
{
    if (builder->failed)
        return false;
    builder->failed = builder->bad = true;
    if (builder->report == NULL)
        return false;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct node_position position = { builder->file, line, column };
    report_add(builder->report, REPORT_ERROR, &position, "", "%s", text);
    return false;
}

static bool fail_at(struct builder *builder, struct node_position position, const char *reason)
{
    return builder_fail(builder, position.line, position.column, "%s", reason);
}

static bool count_nodes(struct builder *builder, uint64_t count, struct node_position position)
{
    builder->node_count += count;
    if (builder->node_count <= builder->limits->nodes)
        return true;
    return builder_fail(builder, position.line, position.column,
                        "too large: more than %u nodes, aliases expanded", builder->limits->nodes);
}

struct node *builder_node(struct builder *builder, enum node_kind kind, uint32_t line, uint32_t column)
{
    struct node *node = arena_alloc_zero(builder->arena, sizeof(*node));
    struct node_position position = { builder->file, line, column };
    if (node == NULL) {
        fail_at(builder, position, "out of memory");
        return NULL;
    }
    node->kind = kind;
    node->position = position;
    return count_nodes(builder, 1, position) ? node : NULL;
}

static bool push(struct builder *builder, struct node_entry entry)
{
    if (builder->entry_count == builder->entry_capacity) {
        size_t capacity = builder->entry_capacity ? builder->entry_capacity * 2 : 256;
        struct node_entry *entries = reallocarray(builder->entries, capacity, sizeof(*entries));
        if (entries == NULL)
            return fail_at(builder, entry.value->position, "out of memory");
        builder->entries = entries;
        builder->entry_capacity = capacity;
    }
    builder->entries[builder->entry_count++] = entry;
    return true;
}

static struct builder_frame *top(struct builder *builder)
{
    return builder->depth ? &builder->frames[builder->depth - 1] : NULL;
}

static bool is_key(struct builder *builder)
{
    struct builder_frame *frame = top(builder);
    return frame != NULL && frame->node->kind == NODE_MAPPING && !frame->has_key;
}

static bool take_key(struct builder *builder, const struct node *node)
{
    if (node->kind == NODE_SEQUENCE || node->kind == NODE_MAPPING)
        return fail_at(builder, node->position, "a key must be a string");
    struct builder_frame *frame = top(builder);
    frame->key = node->text;
    frame->key_position = node->position;
    frame->has_key = true;
    return true;
}

/* Puts a complete node where the reader stands. */
static bool place(struct builder *builder, struct node *node, uint32_t height)
{
    struct builder_frame *frame = top(builder);
    if (frame == NULL) {
        builder->root = node;
        return true;
    }
    if (frame->height < height)
        frame->height = height;
    if (is_key(builder))
        return take_key(builder, node);
    frame->has_key = false;
    return push(builder, (struct node_entry){ frame->key, frame->key_position, node });
}

static bool add_anchor(struct builder *builder, struct slice name, struct builder_anchor anchor)
{
    if (name.data == NULL)
        return true;
    struct builder_anchor *known = map_find(&builder->anchors, name);
    if (known == NULL) {
        known = arena_alloc_zero(builder->arena, sizeof(*known));
        if (known == NULL || !map_add(&builder->anchors, name, known, NULL))
            return builder_fail(builder, 0, 0, "out of memory");
    }
    *known = anchor;
    return true;
}

bool builder_scalar(struct builder *builder, struct node *scalar, struct slice anchor)
{
    return add_anchor(builder, anchor, (struct builder_anchor){ scalar, 1, 0 }) && place(builder, scalar, 0);
}

/* Recognised by its address: a quoted "<<" is a key like any other. */
static const char merge_text[] = "<<";

bool builder_merge_key(struct builder *builder, const struct node *scalar)
{
    struct builder_frame *frame = top(builder);
    if (!is_key(builder) || !slice_equal(scalar->text, SLICE("<<")))
        return false;
    frame->key = (struct slice){ merge_text, 2 };
    frame->key_position = scalar->position;
    frame->has_key = frame->has_merge = true;
    return true;
}

bool builder_begin(struct builder *builder, struct node *collection, struct slice anchor)
{
    if (is_key(builder))
        return fail_at(builder, collection->position, "a key must be a string");
    if (builder->depth >= builder->limits->depth)
        return builder_fail(builder, collection->position.line, collection->position.column,
                            "nested deeper than %u levels", builder->limits->depth);
    if (!add_anchor(builder, anchor, (struct builder_anchor){ NULL, 0, 0 }))
        return false;
    builder->frames[builder->depth++] = (struct builder_frame){
        .node = collection,
        .first_entry = builder->entry_count,
        .nodes_before = builder->node_count - 1,
        .anchor = anchor,
    };
    return true;
}

static bool report_duplicate(struct builder *builder, const struct node_entry *entry)
{
    builder->bad = true;
    if (builder->report)
        report_add(builder->report, REPORT_ERROR, &entry->key_position, "", "duplicate key '%.*s'",
                   SLICE_FORMAT(entry->key));
    return true;
}

/* Keeps the first of each key; what was there before is reported when it was written twice. */
static bool add_unique(struct builder *builder, struct map *keys, const struct node_entry *entry, bool merged)
{
    void *existing;
    if (!map_add(keys, entry->key, entry->value, &existing))
        return fail_at(builder, entry->key_position, "out of memory");
    if (existing == NULL)
        return push(builder, *entry);
    return merged || report_duplicate(builder, entry);
}

static bool merge_from(struct builder *builder, struct map *keys, const struct node *source)
{
    if (source->kind == NODE_MAPPING) {
        for (uint32_t i = 0; i < source->count; i++)
            if (!add_unique(builder, keys, &source->entries[i], true))
                return false;
        return true;
    }
    if (source->kind != NODE_SEQUENCE)
        return fail_at(builder, source->position, "'<<' expects a mapping or an array of mappings");
    for (uint32_t i = 0; i < source->count; i++) {
        const struct node *one = source->entries[i].value;
        if (one->kind != NODE_MAPPING)
            return fail_at(builder, one->position, "'<<' expects a mapping or an array of mappings");
        if (!merge_from(builder, keys, one))
            return false;
    }
    return true;
}

/* Rewrites the entries of the mapping from `first` on: its own keys once, then what it merges. */
static bool unite_keys(struct builder *builder, size_t first, bool has_merge)
{
    size_t end = builder->entry_count;
    struct map keys;
    arena_reset(&builder->scratch);
    map_init(&keys, &builder->scratch);
    for (size_t i = first; i < end; i++) {
        struct node_entry entry = builder->entries[i];
        if (entry.key.data != merge_text && !add_unique(builder, &keys, &entry, false))
            return false;
    }
    for (size_t i = first; has_merge && i < end; i++) {
        struct node_entry entry = builder->entries[i];
        if (entry.key.data == merge_text && !merge_from(builder, &keys, entry.value))
            return false;
    }
    size_t count = builder->entry_count - end;
    memmove(&builder->entries[first], &builder->entries[end], count * sizeof(struct node_entry));
    builder->entry_count = first + count;
    return true;
}

bool builder_end(struct builder *builder)
{
    struct builder_frame frame = *top(builder);
    struct node *node = frame.node;
    if (builder->entry_count - frame.first_entry > 0 && node->kind == NODE_MAPPING &&
        !unite_keys(builder, frame.first_entry, frame.has_merge))
        return false;
    size_t count = builder->entry_count - frame.first_entry;
    if (count > 0) {
        node->entries = arena_array(builder->arena, count, sizeof(struct node_entry));
        if (node->entries == NULL)
            return fail_at(builder, node->position, "out of memory");
        memcpy(node->entries, &builder->entries[frame.first_entry], count * sizeof(struct node_entry));
    }
    node->count = (uint32_t)count;
    builder->entry_count = frame.first_entry;
    builder->depth--;
    struct builder_anchor anchor = { node, builder->node_count - frame.nodes_before, frame.height + 1 };
    return add_anchor(builder, frame.anchor, anchor) && place(builder, node, frame.height + 1);
}

bool builder_alias(struct builder *builder, struct slice name, uint32_t line, uint32_t column)
{
    struct builder_anchor *anchor = map_find(&builder->anchors, name);
    if (anchor == NULL)
        return builder_fail(builder, line, column, "unknown alias '%.*s'", SLICE_FORMAT(name));
    if (anchor->node == NULL)
        return builder_fail(builder, line, column, "alias '%.*s' stands inside its own anchor",
                            SLICE_FORMAT(name));
    if (builder->depth + anchor->height > builder->limits->depth)
        return builder_fail(builder, line, column, "nested deeper than %u levels", builder->limits->depth);
    struct node_position position = { builder->file, line, column };
    return count_nodes(builder, anchor->nodes, position) && place(builder, anchor->node, anchor->height);
}

struct node *builder_take(struct builder *builder)
{
    struct node *root = builder->root;
    builder->root = NULL;
    map_init(&builder->anchors, builder->arena);
    return root;
}
