/* SPDX-License-Identifier: Apache-2.0 */
/* What tells one stored response from another. Parts are written with their sizes before them, so that no two
 * requests write the same; X-Cache-Key is an HMAC of it. */
#include "plugins/proxy_cache.h"

#include "core/base/hash.h"
#include "core/base/query.h"

#include <stdlib.h>

struct buffer {
    char *data;
    size_t size, room;
};

static void add(struct buffer *out, struct slice part)
{
    uint32_t size = part.data ? (uint32_t)part.size : UINT32_MAX;
    CHECK(out->size + sizeof(size) + part.size <= out->room);
    memcpy(out->data + out->size, &size, sizeof(size));
    if (part.size)
        memcpy(out->data + out->size + sizeof(size), part.data, part.size);
    out->size += sizeof(size) + part.size;
}

static void add_lower(struct buffer *out, struct slice part, bool fold)
{
    size_t from = out->size + sizeof(uint32_t);
    add(out, part);
    for (size_t i = from; fold && i < out->size; i++)
        out->data[i] = slice_lower(out->data[i]);
}

/* --- the query ------------------------------------------------------------------------------------------ */

struct parameter {
    struct slice text;
    size_t name_size;
    uint32_t place;
};

/* By name; those of one name stay in their order. */
static int compare(const void *left, const void *right)
{
    const struct parameter *a = left, *b = right;
    int order = slice_compare((struct slice){ a->text.data, a->name_size },
                              (struct slice){ b->text.data, b->name_size });
    if (order == 0)
        order = a->place < b->place ? -1 : 1;
    return order;
}

static uint32_t split(struct slice query, struct parameter *into)
{
    uint32_t count = 0;
    bool sorted = true;
    while (query.data) {
        struct slice rest, value, text = slice_split(query, '&', &rest);
        query = rest;
        into[count] = (struct parameter){ text, slice_split(text, '=', &value).size, count };
        sorted = sorted && (count == 0 || compare(&into[count - 1], &into[count]) < 0);
        count++;
    }
    if (!sorted)
        qsort(into, count, sizeof(*into), compare);
    return count;
}

static uint32_t count_parameters(struct slice query)
{
    uint32_t count = query.data ? 1 : 0;
    for (size_t i = 0; i < query.size; i++)
        count += query.data[i] == '&';
    return count;
}

/* Sorted by name. False: out of memory. */
static bool add_query(struct buffer *out, struct arena *arena, struct slice query)
{
    uint32_t count = count_parameters(query);
    if (count <= 1) {
        add(out, query);
        return true;
    }
    struct parameter *parameters = arena_array(arena, count, sizeof(*parameters));
    if (parameters == NULL)
        return false;
    count = split(query, parameters);
    for (uint32_t i = 0; i < count; i++)
        add(out, parameters[i].text);
    return true;
}

/* All values of each parameter listed. */
static void add_listed(struct buffer *out, const struct slices *names, struct slice query)
{
    for (uint32_t i = 0; i < names->count; i++) {
        add(out, (struct slice){ NULL, 0 });
        for (struct slice left = query, rest; left.data; left = rest) {
            struct slice value, name = slice_split(slice_split(left, '&', &rest), '=', &value);
            if (query_names(name, names->items[i]))
                add(out, value.data ? value : SLICE(""));
        }
    }
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static void add_headers(struct buffer *out, const struct slices *names, const struct message *request)
{
    for (uint32_t i = 0; i < names->count; i++) {
        add(out, (struct slice){ NULL, 0 });
        for (uint32_t h = 0; h < request->header_count; h++)
            if (slice_equal_nocase(request->headers[h].name, names->items[i]))
                add(out, request->headers[h].value);
    }
}

static size_t room_for(const struct proxy_cache_config *config, const struct message *request)
{
    size_t size = 256 + 2 * MODEL_ID_SIZE + request->target.size * 5 * (1 + config->vary_query_params.count) +
                  message_find(request, HEADER_HOST).size + config->vary_query_params.count * 4 +
                  message_find(request, HEADER_AUTHORIZATION).size;
    for (uint32_t h = 0; config->vary_headers.count && h < request->header_count; h++)
        size += (request->headers[h].value.size + 4) * config->vary_headers.count;
    return size + config->vary_headers.count * 4;
}

static struct slice id_of(const struct entity *entity)
{
    return (struct slice){ entity->id, MODEL_ID_SIZE - 1 };
}

static uint64_t group_of(const struct exchange *exchange, struct slice path, struct slice query,
                         struct buffer *scratch)
{
    scratch->size = 0;
    add_lower(scratch, message_find(exchange_request(exchange), HEADER_HOST), true);
    add(scratch, path);
    add(scratch, query);
    uint64_t group = hash_of((struct slice){ scratch->data, scratch->size });
    return group ? group : 1;
}

uint64_t proxy_cache_group(struct exchange *exchange, struct slice path, struct slice query)
{
    struct buffer scratch = { .room = 32 + path.size + query.size +
                                      message_find(exchange_request(exchange), HEADER_HOST).size };
    scratch.data = arena_alloc(exchange_arena(exchange), scratch.room);
    return scratch.data ? group_of(exchange, path, query, &scratch) : 0;
}

bool proxy_cache_make_key(struct proxy_cache_exchange *state)
{
    struct exchange *exchange = state->exchange;
    const struct proxy_cache_config *config = state->config;
    const struct message *request = exchange_request(exchange);
    const struct consumer *consumer = exchange_consumer(exchange);
    const struct route *route = exchange_route(exchange);
    struct slice none = { NULL, 0 }, query, path = slice_split(request->origin_form, '?', &query);
    struct buffer out = { .room = room_for(config, request) };
    out.data = arena_alloc(exchange_arena(exchange), out.room);
    if (out.data == NULL)
        return false;
    bool rfc = config->cache_control;
    if (rfc)
        state->group = group_of(exchange, path, query, &out);
    out.size = 0;
    add(&out, rfc ? SLICE("R") : SLICE("K"));
    add(&out, consumer ? id_of(&consumer->entity) : none);
    add(&out, route ? id_of(&route->entity) : none);
    add(&out, rfc ? SLICE("GET") : request->method); /* HEAD can be answered from it */
    add_lower(&out, message_find(request, HEADER_HOST), true);
    add_lower(&out, path, config->ignore_uri_case);
    add(&out, rfc ? none : message_find(request, HEADER_AUTHORIZATION));
    add_headers(&out, &config->vary_headers, request);
    if (config->vary_query_params.count)
        add_listed(&out, &config->vary_query_params, query);
    else if (!add_query(&out, exchange_arena(exchange), query))
        return false;
    hmac_sign(state->shard->keys, (struct slice){ out.data, out.size }, state->key);
    return true;
}

void proxy_cache_key_text(const unsigned char key[SHARED_KEY_BYTES], char text[2 * SHARED_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SHARED_KEY_BYTES; i++) {
        text[2 * i] = digits[key[i] >> 4];
        text[2 * i + 1] = digits[key[i] & 15];
    }
}
