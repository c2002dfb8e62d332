/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/request_json.h"

#include "core/base/query.h"

json_t *request_json_text(struct slice text)
{
    json_t *json = text.data ? json_stringn(text.data, text.size) : NULL;
    return json ? json : json_null();
}

void request_json_add(json_t *object, struct slice name, json_t *value)
{
    json_t *existing = json_object_getn(object, name.data, name.size);
    if (json_is_array(existing)) {
        (void)json_array_append_new(existing, value);
    } else if (existing) {
        json_t *both = json_array();
        (void)json_array_append(both, existing);
        (void)json_array_append_new(both, value);
        (void)json_object_setn_new(object, name.data, name.size, both);
    } else {
        (void)json_object_setn_new(object, name.data, name.size, value);
    }
}

json_t *request_json_headers(struct exchange *exchange)
{
    const struct message *request = exchange_request(exchange);
    json_t *object = json_object();
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (header->name.data == NULL)
            continue;
        char *name = arena_alloc(exchange_arena(exchange), header->name.size);
        for (size_t j = 0; name && j < header->name.size; j++)
            name[j] = slice_lower(header->name.data[j]);
        if (name)
            request_json_add(object, (struct slice){ name, header->name.size },
                             request_json_text(header->value));
    }
    return object;
}

json_t *request_json_query(struct exchange *exchange, enum request_json_spelling spelling)
{
    struct arena *arena = exchange_arena(exchange);
    json_t *object = json_object();
    struct slice rest = exchange_query(exchange);
    while (rest.data) {
        struct slice value, name = slice_split(slice_split(rest, '&', &rest), '=', &value);
        if (name.size == 0)
            continue;
        if (spelling == REQUEST_JSON_UNESCAPED) {
            name = query_unescape(arena, name);
            value = value.data ? query_unescape(arena, value) : value;
        }
        if (name.data)
            request_json_add(object, name, value.data ? request_json_text(value) : json_true());
    }
    return object;
}
