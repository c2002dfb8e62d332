/* SPDX-License-Identifier: Apache-2.0 */
/* Functions over lists and objects. */
#include "config/hcl/functions.h"

#include <stdlib.h>

static struct hcl_builder start(const struct hcl_call *call, enum node_kind kind)
{
    return (struct hcl_builder){ call->evaluation, hcl_make(call->evaluation, kind, call->position), 0 };
}

static bool is_collection(const struct node *node)
{
    return node->kind == NODE_SEQUENCE || node->kind == NODE_MAPPING;
}

static const struct node *refuse_collection(const struct hcl_call *call)
{
    return hcl_refuse(call->evaluation, call->position, "%.*s: expected a list or an object",
                      SLICE_FORMAT(call->name));
}

static bool append_all(struct hcl_builder *out, const struct node *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!hcl_append(out, list->entries[i].value))
            return false;
    return true;
}

static const struct node *run_concat(const struct hcl_call *call)
{
    struct hcl_builder out = start(call, NODE_SEQUENCE);
    bool good = out.node != NULL;
    for (uint32_t i = 0; good && i < call->count; i++)
        good = hcl_argument(call, i, NODE_SEQUENCE) && append_all(&out, call->arguments[i]);
    return good ? out.node : NULL;
}

static bool flatten_into(struct hcl_builder *out, const struct node *list, int depth)
{
    bool good = depth < 32;
    for (uint32_t i = 0; good && i < list->count; i++) {
        const struct node *value = list->entries[i].value;
        good = value->kind == NODE_SEQUENCE ? flatten_into(out, value, depth + 1) : hcl_append(out, value);
    }
    return good;
}

static const struct node *run_flatten(const struct hcl_call *call)
{
    struct hcl_builder out = start(call, NODE_SEQUENCE);
    const struct node *list = hcl_argument(call, 0, NODE_SEQUENCE);
    return out.node && list && flatten_into(&out, list, 0) ? out.node : NULL;
}

static const struct node *run_compact(const struct hcl_call *call)
{
    struct hcl_builder out = start(call, NODE_SEQUENCE);
    const struct node *list = hcl_argument(call, 0, NODE_SEQUENCE);
    bool good = out.node && list;
    for (uint32_t i = 0; good && i < list->count; i++) {
        const struct node *value = list->entries[i].value;
        bool empty = value->kind == NODE_NULL || (value->kind == NODE_STRING && value->text.size == 0);
        good = empty || hcl_append(&out, value);
    }
    return good ? out.node : NULL;
}

/* Each value once; as in Terraform a set of texts is sorted. */
static int compare_texts(const void *left, const void *right)
{
    const struct node_entry *a = left, *b = right;
    return slice_compare(a->value->text, b->value->text);
}

static bool holds(const struct hcl_builder *out, const struct node *value)
{
    out->evaluation->steps += out->node->count;
    if (out->evaluation->steps > HCL_STEPS_MAX)
        return false;
    for (uint32_t i = 0; i < out->node->count; i++)
        if (hcl_same(out->node->entries[i].value, value))
            return true;
    return false;
}

static const struct node *run_distinct(const struct hcl_call *call)
{
    struct hcl_builder out = start(call, NODE_SEQUENCE);
    const struct node *list = hcl_argument(call, 0, NODE_SEQUENCE);
    bool good = out.node && list;
    for (uint32_t i = 0; good && i < list->count; i++)
        good = holds(&out, list->entries[i].value) || hcl_append(&out, list->entries[i].value);
    return good ? out.node : NULL;
}

static const struct node *run_toset(const struct hcl_call *call)
{
    const struct node *set = run_distinct(call);
    bool texts = set != NULL;
    for (uint32_t i = 0; texts && i < set->count; i++)
        texts = set->entries[i].value->kind == NODE_STRING;
    if (texts && set->count > 1)
        qsort(set->entries, set->count, sizeof(*set->entries), compare_texts);
    return set;
}

static const struct node *run_tolist(const struct hcl_call *call)
{
    return hcl_argument(call, 0, NODE_SEQUENCE);
}

static const struct node *run_tomap(const struct hcl_call *call)
{
    return hcl_argument(call, 0, NODE_MAPPING);
}

static const struct node *run_merge(const struct hcl_call *call)
{
    struct hcl_builder out = start(call, NODE_MAPPING);
    bool good = out.node != NULL;
    for (uint32_t i = 0; good && i < call->count; i++) {
        const struct node *one = call->arguments[i];
        if (one->kind == NODE_NULL)
            continue;
        good = hcl_argument(call, i, NODE_MAPPING) != NULL;
        for (uint32_t j = 0; good && j < one->count; j++)
            good = hcl_set(&out, one->entries[j].key, one->entries[j].value);
    }
    return good ? out.node : NULL;
}

static const struct node *run_lookup(const struct hcl_call *call)
{
    const struct node *map = hcl_argument(call, 0, NODE_MAPPING);
    struct slice key = hcl_text_argument(call, 1);
    if (map == NULL || key.data == NULL)
        return NULL;
    const struct node *value = hcl_part(map, key);
    if (value || call->count == 3)
        return value ? value : call->arguments[2];
    return hcl_refuse(call->evaluation, call->position, "lookup: there is no '%.*s'", SLICE_FORMAT(key));
}

static const struct node *run_element(const struct hcl_call *call)
{
    const struct node *list = hcl_argument(call, 0, NODE_SEQUENCE);
    const struct node *index = hcl_argument(call, 1, NODE_NUMBER);
    if (list == NULL || index == NULL)
        return NULL;
    if (list->count == 0 || !index->is_integer || index->integer < 0)
        return hcl_refuse(call->evaluation, call->position, "element: there is no such element");
    return list->entries[(uint64_t)index->integer % list->count].value;
}

static const struct node *run_length(const struct hcl_call *call)
{
    const struct node *of = call->arguments[0];
    size_t length = of->count;
    if (of->kind == NODE_STRING) {
        length = 0;
        for (size_t i = 0; i < of->text.size; i++)
            length += ((unsigned char)of->text.data[i] & 0xc0) != 0x80;
    } else if (!is_collection(of)) {
        return refuse_collection(call);
    }
    return hcl_make_number(call->evaluation, call->position, (double)length);
}

static int compare_keys(const void *left, const void *right)
{
    return slice_compare(((const struct node_entry *)left)->key, ((const struct node_entry *)right)->key);
}

/* The keys or the values, in the order of the keys. */
static const struct node *list_entries(const struct hcl_call *call, bool keys)
{
    const struct node *map = hcl_argument(call, 0, NODE_MAPPING);
    struct hcl_builder sorted = start(call, NODE_MAPPING), out = start(call, NODE_SEQUENCE);
    bool good = map && sorted.node && out.node;
    for (uint32_t i = 0; good && i < map->count; i++)
        good = hcl_set(&sorted, map->entries[i].key, map->entries[i].value);
    if (good && map->count > 1)
        qsort(sorted.node->entries, map->count, sizeof(struct node_entry), compare_keys);
    for (uint32_t i = 0; good && i < map->count; i++) {
        const struct node_entry *entry = &sorted.node->entries[i];
        const struct node *one =
            keys ? hcl_make_text(call->evaluation, call->position, entry->key) : entry->value;
        good = one && hcl_append(&out, one);
    }
    return good ? out.node : NULL;
}

static const struct node *run_keys(const struct hcl_call *call)
{
    return list_entries(call, true);
}

static const struct node *run_values(const struct hcl_call *call)
{
    return list_entries(call, false);
}

static const struct node *run_contains(const struct hcl_call *call)
{
    const struct node *list = hcl_argument(call, 0, NODE_SEQUENCE);
    bool found = false;
    for (uint32_t i = 0; list && i < list->count; i++)
        found |= hcl_same(list->entries[i].value, call->arguments[1]);
    return list ? hcl_make_boolean(call->evaluation, call->position, found) : NULL;
}

static const struct node *run_coalesce(const struct hcl_call *call)
{
    for (uint32_t i = 0; i < call->count; i++) {
        const struct node *one = call->arguments[i];
        if (one->kind != NODE_NULL && (one->kind != NODE_STRING || one->text.size))
            return one;
    }
    return hcl_refuse(call->evaluation, call->position, "coalesce: all arguments are empty");
}

const struct hcl_function hcl_collection_functions[] = {
    { "coalesce", 1, HCL_ANY_NUMBER, run_coalesce },
    { "compact", 1, 1, run_compact },
    { "concat", 0, HCL_ANY_NUMBER, run_concat },
    { "contains", 2, 2, run_contains },
    { "distinct", 1, 1, run_distinct },
    { "element", 2, 2, run_element },
    { "flatten", 1, 1, run_flatten },
    { "keys", 1, 1, run_keys },
    { "length", 1, 1, run_length },
    { "lookup", 2, 3, run_lookup },
    { "merge", 0, HCL_ANY_NUMBER, run_merge },
    { "tolist", 1, 1, run_tolist },
    { "tomap", 1, 1, run_tomap },
    { "toset", 1, 1, run_toset },
    { "values", 1, 1, run_values },
    { NULL, 0, 0, NULL },
};
