/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of Mappings with the same conditions, and the order in which they are asked. */
#include "config/emissary/parts.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- order ------------------------------------------------------------------------------------------ */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static struct slice text_of(const struct emissary_condition *condition)
{
    return condition->value.data ? condition->value : SLICE("*");
}

/* As "name-value", without writing it down. */
static int compare_conditions(const struct emissary_condition *a, const struct emissary_condition *b)
{
    struct slice left[] = { a->name, SLICE("-"), text_of(a) }, right[] = { b->name, SLICE("-"), text_of(b) };
    size_t i = 0, j = 0;
    while (i < COUNT_OF(left) && j < COUNT_OF(right)) {
        size_t size = left[i].size < right[j].size ? left[i].size : right[j].size;
        int order = size ? memcmp(left[i].data, right[j].data, size) : 0;
        if (order)
            return order;
        left[i] = slice_from(left[i], size);
        right[j] = slice_from(right[j], size);
        i += left[i].size == 0;
        j += right[j].size == 0;
    }
    return (i < COUNT_OF(left)) - (j < COUNT_OF(right));
}

/* Keys of the headers and then of the query as one list; what is longer is greater. */
static const struct emissary_condition *condition_at(const struct emissary_mapping *mapping, uint32_t index)
{
    if (index < mapping->header_list.count)
        return &mapping->header_list.items[index];
    index -= mapping->header_list.count;
    return index < mapping->query_list.count ? &mapping->query_list.items[index] : NULL;
}

/* Below 0: `a` is asked after `b`. */
int emissary_compare(const struct emissary_mapping *a, const struct emissary_mapping *b)
{
    int order = (a->precedence > b->precedence) - (a->precedence < b->precedence);
    if (order == 0)
        order = compare_numbers(a->prefix.size, b->prefix.size);
    if (order == 0)
        order = compare_numbers(a->header_weight, b->header_weight);
    if (order == 0)
        order = compare_numbers(a->query_weight, b->query_weight);
    if (order == 0)
        order = slice_compare(a->prefix, b->prefix);
    if (order == 0)
        order = slice_compare(a->method.data ? a->method : SLICE("GET"),
                              b->method.data ? b->method : SLICE("GET"));
    for (uint32_t i = 0; order == 0; i++) {
        const struct emissary_condition *one = condition_at(a, i), *other = condition_at(b, i);
        if (one == NULL || other == NULL)
            return (one != NULL) - (other != NULL);
        order = compare_conditions(one, other);
    }
    return order;
}

/* --- groups ----------------------------------------------------------------------------------------- */

static void add_text(struct emissary_reader *reader, struct slice *key, struct slice text)
{
    if (key->data)
        *key = arena_format(&reader->kube->scratch, "%.*s %zu:%.*s", SLICE_FORMAT(*key), text.size,
                            SLICE_FORMAT(text));
    if (key->data == NULL)
        kube_fail_memory(reader->kube);
}

static void add_list(struct emissary_reader *reader, struct slice *key,
                     const struct emissary_conditions *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        add_text(reader, key, list->items[i].name);
        add_text(reader, key, text_of(&list->items[i]));
        add_text(reader, key, list->items[i].regex ? SLICE("~") : SLICE("="));
    }
    add_text(reader, key, SLICE("."));
}

/* The labels that Hosts select by part Mappings that have no name of their own. */
static void add_labels(struct emissary_reader *reader, struct slice *key,
                       const struct emissary_mapping *mapping)
{
    for (uint32_t i = 0; i < reader->hosts.count; i++) {
        const struct schema_map *selector = &reader->hosts.items[i]->selector;
        for (uint32_t j = 0; j < selector->count; j++) {
            struct slice value = kube_label(&mapping->object->labels, selector->entries[j].name);
            add_text(reader, key, value.data ? value : SLICE(""));
        }
    }
}

static void make_key(struct emissary_reader *reader, struct emissary_mapping *mapping)
{
    struct slice key = arena_format(&reader->kube->scratch, "%" PRId64, mapping->precedence);
    add_text(reader, &key, mapping->method.data ? mapping->method : SLICE("GET"));
    add_text(reader, &key, mapping->prefix);
    add_list(reader, &key, &mapping->header_list);
    add_list(reader, &key, &mapping->query_list);
    if (mapping->domain.data == NULL)
        add_labels(reader, &key, mapping);
    mapping->group_key = key;
}

static bool same_circuit(const struct emissary_mapping *a, const struct emissary_mapping *b)
{
    return memcmp(&a->circuit, &b->circuit, sizeof(a->circuit)) == 0;
}

static bool same_balance(const struct emissary_mapping *a, const struct emissary_mapping *b)
{
    return a->balance.set == b->balance.set && a->balance.balance == b->balance.balance &&
           a->balance.hash.input == b->balance.hash.input &&
           slice_equal(a->balance.hash.name, b->balance.hash.name) &&
           a->balance.cookie_ttl_s == b->balance.cookie_ttl_s;
}

/* What has to be the same in a group: the name of the first field that is not, or NULL. */
static const char *find_difference(const struct emissary_mapping *a, const struct emissary_mapping *b)
{
    const struct {
        const char *field;
        bool same;
    } rows[] = {
        { "bypass_auth", a->bypass_auth == b->bypass_auth },
        { "circuit_breakers", same_circuit(a, b) },
        { "connect_timeout_ms", a->connect_timeout_ms == b->connect_timeout_ms },
        { "load_balancer", same_balance(a, b) },
        { "prefix_regex", a->prefix_regex == b->prefix_regex },
        { "prefix_exact", a->prefix_exact == b->prefix_exact },
        { "host_redirect", a->host_redirect == b->host_redirect },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!rows[i].same)
            return rows[i].field;
    return NULL;
}

static struct emissary_group *open_group(struct emissary_reader *reader)
{
    struct emissary_group *group = kube_take(reader->kube, sizeof(*group));
    struct emissary_group **items = model_reserve(reader->kube->model, reader->groups.items,
                                                  reader->groups.count, &reader->groups.capacity);
    if (group == NULL || items == NULL) {
        kube_fail_memory(reader->kube);
        return NULL;
    }
    reader->groups.items = items;
    items[reader->groups.count++] = group;
    return group;
}

static void join_shadow(struct emissary_reader *reader, struct emissary_group *group,
                        struct emissary_mapping *mapping)
{
    struct config_place place = kube_place(reader->kube, mapping->object, "spec");
    if (group->shadow)
        schema_error(&place, mapping->object->spec, "shadow", "%s shadows the same requests",
                     group->shadow->object->path);
    else
        group->shadow = mapping;
}

static void check_shadow(struct emissary_reader *reader, const struct emissary_group *group)
{
    const struct node *spec = group->shadow->object->spec;
    struct config_place place = kube_place(reader->kube, group->shadow->object, "spec");
    if (group->count == 0) {
        schema_error(&place, spec, "shadow", "there is no other Mapping with the same conditions");
        return;
    }
    struct emissary_mapping like = *group->shadow;
    like.host_redirect = group->items[0]->host_redirect; /* a shadow's has no meaning */
    const char *difference = find_difference(group->items[0], &like);
    if (difference)
        schema_error(&place, spec, difference, "differs from %s, which has the same conditions",
                     group->items[0]->object->path);
}

/* Shadows alone are no groups. */
static void settle_shadows(struct emissary_reader *reader)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < reader->groups.count; i++) {
        struct emissary_group *group = reader->groups.items[i];
        if (group->shadow)
            check_shadow(reader, group);
        if (group->count > 0)
            reader->groups.items[kept++] = group;
    }
    reader->groups.count = kept;
}

static void join(struct emissary_reader *reader, struct emissary_group *group,
                 struct emissary_mapping *mapping)
{
    if (group->count) {
        struct config_place place = kube_place(reader->kube, mapping->object, "spec");
        const char *field = find_difference(group->items[0], mapping);
        if (field) {
            schema_error(&place, mapping->object->spec, field,
                         "differs from %s, which has the same conditions", group->items[0]->object->path);
            return;
        }
        if (mapping->host_redirect) {
            schema_error(&place, mapping->object->spec, "host_redirect", "%s redirects the same requests",
                         group->items[0]->object->path);
            return;
        }
    }
    struct emissary_mapping **items =
        model_reserve(reader->kube->model, group->items, group->count, &group->capacity);
    if (items == NULL) {
        kube_fail_memory(reader->kube);
        return;
    }
    group->items = items;
    items[group->count++] = mapping;
}

/* Whatever the order of the files. */
static int compare_names(const void *left, const void *right)
{
    return slice_compare((*(struct emissary_mapping *const *)left)->name,
                         (*(struct emissary_mapping *const *)right)->name);
}

static int compare_groups(const void *left, const void *right)
{
    const struct emissary_group *a = *(struct emissary_group *const *)left;
    const struct emissary_group *b = *(struct emissary_group *const *)right;
    int order = emissary_compare(b->items[0], a->items[0]);
    return order ? order : slice_compare(a->items[0]->name, b->items[0]->name);
}

void emissary_group_mappings(struct emissary_reader *reader)
{
    struct map known;
    map_init(&known, &reader->kube->scratch);
    if (reader->mappings.count)
        qsort(reader->mappings.items, reader->mappings.count, sizeof(*reader->mappings.items), compare_names);
    for (uint32_t i = 0; i < reader->mappings.count && !reader->kube->out_of_memory; i++) {
        struct emissary_mapping *mapping = reader->mappings.items[i];
        make_key(reader, mapping);
        struct emissary_group *group = mapping->group_key.data ? map_find(&known, mapping->group_key) : NULL;
        if (group == NULL) {
            group = mapping->group_key.data ? open_group(reader) : NULL;
            if (group == NULL || !map_add(&known, mapping->group_key, group, NULL)) {
                kube_fail_memory(reader->kube);
                return;
            }
        }
        if (mapping->shadow)
            join_shadow(reader, group, mapping);
        else
            join(reader, group, mapping);
    }
    settle_shadows(reader);
    if (reader->groups.count)
        qsort(reader->groups.items, reader->groups.count, sizeof(*reader->groups.items), compare_groups);
}
