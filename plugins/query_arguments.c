/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/query_arguments.h"

#include "core/base/query.h"

static void insert_at(struct query_arguments *arguments, uint32_t index, struct query_argument argument)
{
    enum { FIRST_CAPACITY = 16 };
    if (arguments->count == arguments->capacity) {
        uint32_t capacity = arguments->capacity ? arguments->capacity * 2 : FIRST_CAPACITY;
        struct query_argument *items = NULL;
        if (arguments->count < QUERY_ARGUMENTS_MAX)
            items = arena_array(arguments->arena, capacity, sizeof(*items));
        arguments->failed |= items == NULL;
        if (items == NULL)
            return;
        if (arguments->count)
            memcpy(items, arguments->items, arguments->count * sizeof(*items));
        arguments->items = items;
        arguments->capacity = capacity;
    }
    struct query_argument *item = &arguments->items[index];
    memmove(item + 1, item, (arguments->count - index) * sizeof(*item));
    arguments->count++;
    *item = argument;
}

static struct query_argument *find(const struct query_arguments *arguments, struct slice name)
{
    for (uint32_t i = 0; i < arguments->count; i++)
        if (slice_equal(arguments->items[i].name, name))
            return &arguments->items[i];
    return NULL;
}

static void remove_from(struct query_arguments *arguments, uint32_t first, struct slice name)
{
    uint32_t kept = first;
    for (uint32_t i = first; i < arguments->count; i++)
        if (!slice_equal(arguments->items[i].name, name))
            arguments->items[kept++] = arguments->items[i];
    arguments->count = kept;
}

void query_arguments_remove(struct query_arguments *arguments, struct slice name)
{
    remove_from(arguments, 0, name);
}

void query_arguments_rename(struct query_arguments *arguments, struct slice name, struct slice new_name)
{
    if (slice_equal(name, new_name) || find(arguments, name) == NULL)
        return;
    remove_from(arguments, 0, new_name);
    for (uint32_t i = 0; i < arguments->count; i++)
        if (slice_equal(arguments->items[i].name, name))
            arguments->items[i].name = new_name;
}

void query_arguments_replace(struct query_arguments *arguments, struct slice name, struct slice value)
{
    struct query_argument *item = find(arguments, name);
    if (item == NULL)
        return;
    item->value = value;
    remove_from(arguments, (uint32_t)(item - arguments->items) + 1, name);
}

void query_arguments_add(struct query_arguments *arguments, struct slice name, struct slice value)
{
    if (find(arguments, name) == NULL)
        insert_at(arguments, arguments->count, (struct query_argument){ name, value });
}

void query_arguments_append(struct query_arguments *arguments, struct slice name, struct slice value)
{
    uint32_t index = arguments->count;
    while (index > 0 && !slice_equal(arguments->items[index - 1].name, name))
        index--;
    insert_at(arguments, index > 0 ? index : arguments->count, (struct query_argument){ name, value });
}

void query_arguments_read(struct query_arguments *arguments, struct slice query)
{
    while (query.data && !arguments->failed) {
        struct slice value, pair = slice_split(query, '&', &query);
        struct slice name = slice_split(pair, '=', &value);
        if (name.size == 0) /* Kong drops what has no name */
            continue;
        struct query_argument argument = { query_unescape(arguments->arena, name), value };
        if (value.data)
            argument.value = query_unescape(arguments->arena, value);
        arguments->failed |= argument.name.data == NULL || (value.data && argument.value.data == NULL);
        insert_at(arguments, arguments->count, argument);
    }
}

static bool is_unreserved(char c)
{
    char lower = slice_lower(c);
    return (lower >= 'a' && lower <= 'z') || slice_is_digit(c) ||
           (c != '\0' && strchr("-._~!'()*", c) != NULL);
}

static char *write_escaped(char *to, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (is_unreserved(text.data[i])) {
            *to++ = text.data[i];
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return to;
}

struct slice query_arguments_write(const struct query_arguments *arguments)
{
    size_t size = 1;
    for (uint32_t i = 0; i < arguments->count; i++)
        size += (arguments->items[i].name.size + arguments->items[i].value.size) * 3 + 2;
    char *out = arguments->failed ? NULL : arena_alloc(arguments->arena, size), *to = out;
    for (uint32_t i = 0; out && i < arguments->count; i++) {
        if (i > 0)
            *to++ = '&';
        to = write_escaped(to, arguments->items[i].name);
        if (arguments->items[i].value.data == NULL)
            continue;
        *to++ = '=';
        to = write_escaped(to, arguments->items[i].value);
    }
    return (struct slice){ out, (size_t)(to - out) };
}
