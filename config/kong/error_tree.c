/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/error_tree.h"

#include "config/kong/entity_kinds.h"

#include <jansson.h>
#include <stdlib.h>

enum { STEPS_MAX = 160 };

/* One error on its way into the tree. */
struct placing {
    const struct kong_error_source *source;
    const struct report_entry *entry;
    struct kong_error_tree *tree;
    int64_t document; /* the one it is about; -1: none */
    struct report_step steps[STEPS_MAX];
    size_t count;
};

static size_t count_elements(const struct documents *documents, size_t before, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < before; i++) {
        const struct node *list = node_find(documents->items[i], name);
        count += list && list->kind == NODE_SEQUENCE ? list->count : 0;
    }
    return count;
}

const struct node *kong_error_element(const struct documents *documents, const char *name, size_t index)
{
    for (size_t i = 0; i < documents->count; i++) {
        const struct node *list = node_find(documents->items[i], name);
        if (list == NULL || list->kind != NODE_SEQUENCE)
            continue;
        if (index < list->count)
            return list->entries[index].value;
        index -= list->count;
    }
    return NULL;
}

/* Of several documents in one file the last that begins before the error. */
static int64_t find_document(const struct documents *documents, const struct report_entry *entry)
{
    int64_t found = -1;
    for (uint32_t i = 0; i < documents->count; i++) {
        const struct node_position *start = &documents->items[i]->position;
        if (strcmp(start->file ? start->file : "", entry->file) == 0 && start->line <= entry->line)
            found = i;
    }
    return found;
}

/* The bytes that begin a UTF-8 sequence as JSON takes it, 0 when they do not. */
static size_t sequence_size(const char *text, size_t left)
{
    for (size_t size = 1; size <= 4 && size <= left; size++) {
        json_t *value = json_stringn(text, size);
        json_decref(value);
        if (value != NULL)
            return size;
    }
    return 0;
}

json_t *kong_error_text(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    json_t *value = json_string(text);
    size_t size = strlen(text), used = 0;
    char *clean = value == NULL ? malloc(size * (sizeof(replacement) - 1) + 1) : NULL;
    if (clean == NULL)
        return value;
    for (size_t at = 0; at < size;) {
        size_t good = sequence_size(text + at, size - at);
        const char *from = good ? text + at : replacement;
        size_t count = good ? good : sizeof(replacement) - 1;
        memcpy(clean + used, from, count);
        used += count;
        at += good ? good : 1;
    }
    value = json_stringn(clean, used);
    free(clean);
    return value;
}

/* --- slots ---------------------------------------------------------------------------------------------- */

/* A container that cannot hold such a step answers NULL. */
static json_t *get(json_t *container, const struct report_step *step)
{
    return step->name ? json_object_get(container, step->name) : json_array_get(container, step->index);
}

static bool set(json_t *container, const struct report_step *step, json_t *value)
{
    if (step->name)
        return json_object_set_new(container, step->name, value) == 0;
    while (json_is_array(container) && json_array_size(container) <= step->index)
        if (json_array_append_new(container, json_null()) != 0)
            break;
    return json_array_set_new(container, step->index, value) == 0;
}

static bool has(const json_t *list, const json_t *text)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) if (json_equal(one, text)) return true;
    return false;
}

/* Adds a text to the list of that name; takes over the reference. */
static bool add_to_list(json_t *object, const char *name, json_t *text)
{
    json_t *list = json_object_get(object, name);
    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(object, name, list) != 0)
            list = NULL;
    }
    if (list != NULL && has(list, text)) {
        json_decref(text);
        return true;
    }
    return json_array_append_new(list, text) == 0;
}

/* The container at that step, for `next` to be found in. A message that stands there becomes a rule of it. */
static json_t *descend(json_t *container, const struct report_step *step, const struct report_step *next)
{
    json_t *child = get(container, step);
    if (json_is_object(child) || json_is_array(child))
        return child;
    json_t *text = json_is_string(child) ? json_incref(child) : NULL;
    json_t *made = next->name ? json_object() : json_array();
    bool good = text == NULL || (next->name && add_to_list(made, "@entity", json_incref(text)));
    json_decref(text);
    if (good && set(container, step, json_incref(made))) {
        json_decref(made);
        return made;
    }
    json_decref(made);
    return NULL;
}

/* The container of the last step; NULL when the tree has another shape there. */
static json_t *reach(json_t *root, const struct report_step *steps, size_t count)
{
    json_t *at = root;
    for (size_t i = 0; i + 1 < count && at; i++)
        at = descend(at, &steps[i], &steps[i + 1]);
    return at;
}

static bool add_text(json_t *container, const struct report_step *step, const char *reason)
{
    json_t *there = get(container, step), *text = kong_error_text(reason);
    if (there == NULL || json_is_null(there))
        return set(container, step, text);
    if (json_is_object(there))
        return add_to_list(there, "@entity", text);
    bool again = json_equal(there, text);
    json_t *both = json_is_string(there) && !again ? json_pack("[OO]", there, text) : NULL;
    json_decref(text);
    return again || (both && set(container, step, both));
}

/* --- errors --------------------------------------------------------------------------------------------- */

/* What has no place in the tree is still said. */
static void place_aside(struct placing *placing)
{
    const struct report_entry *entry = placing->entry;
    char text[1536];
    snprintf(text, sizeof(text), "%s%s%s", entry->path, entry->path[0] ? ": " : "", entry->reason);
    add_to_list(placing->tree->fields, "@entity", kong_error_text(text));
}

/* Of no field: the text could not be read. */
static void place_parsing(struct placing *placing)
{
    const struct report_entry *entry = placing->entry;
    struct report_step step = { .name = "error" };
    char text[1536], at[64] = "";
    if (entry->line > 0)
        snprintf(at, sizeof(at), "%u:%u: ", entry->line, entry->column);
    snprintf(text, sizeof(text), "failed parsing declarative configuration: %s%s", at, entry->reason);
    if (!add_text(placing->tree->fields, &step, text))
        place_aside(placing);
}

/* Rules over the configuration of a plugin are rules of the plugin. */
static bool is_plugin_config(const struct placing *placing)
{
    const struct report_step *steps = placing->steps;
    size_t count = placing->count;
    return count >= 3 && steps[count - 1].name && strcmp(steps[count - 1].name, "config") == 0 &&
           !steps[count - 2].name && steps[count - 3].name && strstr(steps[count - 3].name, "plugins");
}

static bool place_rule(struct placing *placing)
{
    struct report_step *steps = placing->steps;
    if (is_plugin_config(placing))
        placing->count--;
    if (placing->count == STEPS_MAX)
        return false;
    steps[placing->count] = (struct report_step){ .name = "@entity" };
    json_t *record = reach(placing->tree->fields, steps, placing->count + 1);
    return json_is_object(record) && add_to_list(record, "@entity", kong_error_text(placing->entry->reason));
}

static bool place_text(struct placing *placing, size_t count)
{
    if (count == 0)
        return false;
    json_t *container = reach(placing->tree->fields, placing->steps, count);
    return container && add_text(container, &placing->steps[count - 1], placing->entry->reason);
}

/* "services[0].routes[1]" */
static void note_id(struct placing *placing, size_t count)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 1024 * 1024);
    struct slice path = SLICE("");
    for (size_t i = 0; i < count && path.data; i++) {
        const struct report_step *step = &placing->steps[i];
        path = step->name ? report_join(&arena, path.data, step->name)
                          : arena_format(&arena, "%s[%u]", path.data, step->index);
    }
    if (path.data)
        json_object_set_new(placing->tree->ids, path.data, json_string(placing->entry->id));
    arena_deinit(&arena);
}

static bool place_twice(struct placing *placing)
{
    size_t count = placing->count - 1;
    if (placing->entry->id)
        note_id(placing, count);
    return place_text(placing, count);
}

/* The record that names what is not there, by the name it may be called by, else its id. */
static struct slice name_of(const struct placing *placing)
{
    const struct report_step *steps = placing->steps;
    const struct node *node = kong_error_element(placing->source->documents, steps[0].name, steps[1].index);
    for (size_t i = 2; i + 1 < placing->count; i++) {
        if (steps[i].name)
            node = node_find(node, steps[i].name);
        else
            node = node && steps[i].index < node->count ? node->entries[steps[i].index].value : NULL;
    }
    const struct kong_entity_kind *kind = kong_find_entity_kind(slice_of(steps[placing->count - 3].name));
    const struct node *name = kind && kind->key ? node_find(node, kind->key) : NULL;
    if (name == NULL || name->kind != NODE_STRING)
        name = kind ? node_find(node, "id") : NULL;
    return name && name->kind == NODE_STRING ? name->text : (struct slice){ NULL, 0 };
}

/* Kong files these by the kind and the name of the record, wherever it stands; but where the tree holds other
 * errors of that kind, it keeps the shape of the input. */
static bool place_dangling(struct placing *placing, json_t *filed)
{
    const struct report_step *steps = placing->steps;
    size_t count = placing->count;
    bool in_collection =
        count >= 3 && steps[0].name && !steps[1].name && !steps[count - 2].name && steps[count - 3].name;
    struct slice name = in_collection ? name_of(placing) : (struct slice){ NULL, 0 };
    const char *kind = in_collection ? steps[count - 3].name : "";
    bool free_kind = json_object_get(filed, kind) || !json_object_get(placing->tree->fields, kind);
    if (name.data == NULL || !free_kind)
        return place_text(placing, count);
    json_object_set_new(filed, kind, json_true());
    json_t *of_kind = json_object_get(placing->tree->fields, kind);
    if (of_kind == NULL) {
        of_kind = json_object();
        json_object_set_new(placing->tree->fields, kind, of_kind);
    }
    return add_to_list(of_kind, name.data, kong_error_text(placing->entry->reason));
}

/* Every element on the way is one of the document: a path that names others would make a tree of any size. */
static bool fits(const struct placing *placing)
{
    if (placing->document < 0)
        return false;
    const struct node *node = placing->source->documents->items[placing->document];
    for (size_t i = 0; i < placing->count; i++) {
        const struct report_step *step = &placing->steps[i];
        if (step->name) {
            node = node_find(node, step->name);
            continue;
        }
        if (node == NULL || node->kind != NODE_SEQUENCE || step->index >= node->count)
            return false;
        node = node->entries[step->index].value;
    }
    return true;
}

/* The elements of several documents are counted through. */
static void count_through(struct placing *placing)
{
    struct report_step *steps = placing->steps;
    if (placing->document > 0 && placing->count >= 2 && steps[0].name && !steps[1].name)
        steps[1].index +=
            (uint32_t)count_elements(placing->source->documents, (size_t)placing->document, steps[0].name);
}

static void place(struct placing *placing, json_t *filed)
{
    const struct report_entry *entry = placing->entry;
    bool good = false;
    placing->document = find_document(placing->source->documents, entry);
    if (placing->count == 0 && entry->shape != REPORT_RULE) {
        place_parsing(placing);
        return;
    }
    if (!fits(placing)) {
        place_aside(placing);
        return;
    }
    count_through(placing);
    switch (entry->shape) {
    case REPORT_FIELD: good = place_text(placing, placing->count); break;
    case REPORT_RULE: good = place_rule(placing); break;
    case REPORT_TWICE: good = place_twice(placing); break;
    case REPORT_DANGLING:
        good = filed ? place_dangling(placing, filed) : place_text(placing, placing->count);
        break;
    }
    if (!good)
        place_aside(placing);
}

/* The dangling ones come last: where they go depends on the others. */
struct kong_error_tree kong_error_tree(const struct kong_error_source *source, enum kong_error_form form)
{
    struct kong_error_tree tree = { json_object(), json_object() };
    json_t *filed = form == KONG_ERRORS_NESTED ? json_object() : NULL;
    const struct report *report = source->report;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < report->count; i++) {
            const struct report_entry *entry = &report->entries[i];
            struct placing placing = { .source = source, .entry = entry, .tree = &tree };
            char *path = NULL;
            if (entry->kind == REPORT_ERROR && (entry->shape == REPORT_DANGLING) == (pass == 1))
                path = strdup(entry->path);
            if (path == NULL)
                continue;
            placing.count = report_split(path, placing.steps, STEPS_MAX);
            place(&placing, filed);
            free(path);
        }
    }
    json_decref(filed);
    return tree;
}
