/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_form.h"

#include "plugins/body_arguments.h"

#include <stdlib.h>

enum { DEPTH_MAX = 16, INDEX_MAX = 1000 };

/* The first step of "a.b[].c" and what follows it: "a", "b", "[]", "c". */
static struct slice next_step(struct slice *rest)
{
    size_t size = 0;
    if (rest->size > 0 && rest->data[0] == '[') {
        while (size < rest->size && rest->data[size] != ']')
            size++;
        size += size < rest->size;
    } else {
        while (size < rest->size && rest->data[size] != '.' && rest->data[size] != '[')
            size++;
    }
    struct slice step = { rest->data, size };
    *rest = slice_from(*rest, size);
    if (rest->size > 0 && rest->data[0] == '.')
        *rest = slice_from(*rest, 1);
    return step;
}

static bool is_bracket(struct slice step)
{
    return step.size >= 2 && step.data[0] == '[' && step.data[step.size - 1] == ']';
}

/* "[]" and "[3]" are places in a list, "[name]" is a member. */
static bool is_index(struct slice step, size_t *index)
{
    uint64_t number = 0;
    struct slice inner = { step.data + 1, step.size - 2 };
    *index = SIZE_MAX;
    if (inner.size == 0)
        return true;
    if (!slice_to_u64(inner, &number) || number == 0 || number > INDEX_MAX)
        return false;
    *index = (size_t)number - 1;
    return true;
}

static bool put_into_list(json_t *list, size_t index, json_t *value)
{
    if (index == SIZE_MAX)
        return json_array_append_new(list, value) == 0;
    while (json_array_size(list) <= index)
        if (json_array_append_new(list, json_null()) != 0)
            break;
    return json_array_set_new(list, index, value) == 0;
}

/* Takes the value. A member that is there already becomes a list, as repeated arguments do. */
static bool put_member(json_t *object, struct slice name, json_t *value)
{
    char *key = strndup(name.data, name.size);
    json_t *there = key ? json_object_get(object, key) : NULL;
    bool good = false;
    if (key && json_is_string(there) && json_is_string(value))
        good = json_object_set_new(object, key, json_pack("[O, o]", there, value)) == 0;
    else if (key && json_is_array(there) && json_is_string(value))
        good = json_array_append_new(there, value) == 0;
    else if (key)
        good = json_object_set_new(object, key, value) == 0;
    else
        json_decref(value);
    free(key);
    return good;
}

/* The container at that step, made as the next step wants it; NULL: something else stands there. */
static json_t *descend(json_t *container, struct slice step, struct slice next)
{
    size_t index, ignored;
    bool list_next = is_bracket(next) && is_index(next, &ignored);
    bool bracket = is_bracket(step), by_index = bracket && is_index(step, &index);
    struct slice name = bracket ? (struct slice){ step.data + 1, step.size - 2 } : step;
    json_t *there = NULL, *made = NULL;
    if (by_index && json_is_array(container))
        there = index == SIZE_MAX ? NULL : json_array_get(container, index);
    else if (!by_index && json_is_object(container))
        there = json_object_getn(container, name.data, name.size);
    else
        return NULL;
    if (there && !json_is_null(there))
        return json_is_array(there) == list_next && (json_is_object(there) || list_next) ? there : NULL;
    made = list_next ? json_array() : json_object();
    bool good = by_index ? put_into_list(container, index, made) : put_member(container, name, made);
    return good ? made : NULL;
}

/* Takes the value. */
static bool put(json_t *root, struct slice path, json_t *value)
{
    json_t *container = root;
    struct slice step = next_step(&path);
    for (unsigned depth = 0; path.size > 0 && container; depth++) {
        struct slice next = next_step(&path);
        container = depth < DEPTH_MAX ? descend(container, step, next) : NULL;
        step = next;
    }
    size_t index;
    if (is_bracket(step) && is_index(step, &index) && json_is_array(container))
        return put_into_list(container, index, value);
    struct slice name = is_bracket(step) ? (struct slice){ step.data + 1, step.size - 2 } : step;
    if (json_is_object(container) && name.size > 0)
        return put_member(container, name, value);
    json_decref(value);
    return false;
}

json_t *admin_form_read(const struct message *request, struct slice body)
{
    struct body_arguments arguments;
    json_t *object = json_object();
    body_arguments_open(&arguments, request, body);
    bool good = arguments.kind == BODY_ARGUMENTS_FORM || arguments.kind == BODY_ARGUMENTS_MULTIPART;
    for (uint32_t i = 0; good && i < arguments.count; i++) {
        struct slice value = arguments.items[i].value;
        json_t *text = value.data ? json_stringn(value.data, value.size) : json_string("");
        good = text && put(object, arguments.items[i].name, text);
    }
    body_arguments_close(&arguments);
    if (good)
        return object;
    json_decref(object);
    return NULL;
}
