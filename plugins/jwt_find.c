/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/jwt_find.h"

#include "core/base/query.h"
#include "plugins/jwt_token.h"

struct findings {
    struct arena *arena;
    enum jwt_presence presence;
    struct slice token;
};

static void add(struct findings *found, struct slice token)
{
    if (token.size == 0 || found->presence == JWT_OUT_OF_MEMORY)
        return;
    if (found->presence == JWT_NONE) {
        found->presence = JWT_ONE;
        found->token = token;
    } else if (found->presence != JWT_ONE || !slice_equal(found->token, token))
        found->presence = JWT_SEVERAL;
}

/* --- headers -------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* What follows "Bearer" or "bearer" and space; absent for any other scheme. */
static struct slice bearer(struct slice value)
{
    enum { SCHEME_SIZE = 6 };
    value = slice_trim(value);
    if (value.size <= SCHEME_SIZE || (value.data[0] | 0x20) != 'b' || !is_space(value.data[SCHEME_SIZE]) ||
        memcmp(value.data + 1, "earer", SCHEME_SIZE - 1) != 0)
        return (struct slice){ NULL, 0 };
    return slice_trim(slice_from(value, SCHEME_SIZE));
}

static void look_in_headers(struct findings *found, const struct message *request, const struct slices *names)
{
    for (uint32_t i = 0; i < names->count; i++)
        add(found, bearer(message_find_name(request, names->items[i])));
}

/* --- cookies -------------------------------------------------------------------------------------------- */

/* The value of the first cookie of that name, any case, in one Cookie header (RFC 6265 section 4.2.1). */
static bool find_cookie(struct slice header, struct slice name, struct slice *value)
{
    while (header.data != NULL) {
        struct slice pair = slice_split(header, ';', &header);
        struct slice key = slice_split(pair, '=', value);
        if (value->data != NULL && slice_equal_nocase(slice_trim(key), name)) {
            *value = slice_trim(*value);
            return true;
        }
    }
    return false;
}

static void look_for_cookie(struct findings *found, const struct message *request, struct slice name)
{
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        struct slice value;
        if (header->id != HEADER_COOKIE || header->name.data == NULL)
            continue;
        if (find_cookie(header->value, name, &value)) {
            add(found, value);
            return;
        }
    }
}

static void look_in_cookies(struct findings *found, const struct message *request, const struct slices *names)
{
    if (names->count == 0 || !message_has(request, HEADER_COOKIE))
        return;
    for (uint32_t i = 0; i < names->count; i++)
        look_for_cookie(found, request, names->items[i]);
}

/* --- query parameters ----------------------------------------------------------------------------------- */

static void add_escaped(struct findings *found, struct slice text)
{
    /* What is too long to be a token, whatever it stands for, is refused as it is. */
    if (text.size <= 3 * JWT_TOKEN_MAX)
        text = query_unescape(found->arena, text);
    if (text.data == NULL)
        found->presence = JWT_OUT_OF_MEMORY;
    else
        add(found, text);
}

static void add_valueless(struct findings *found)
{
    if (found->presence == JWT_NONE)
        found->presence = JWT_VALUELESS;
    else if (found->presence == JWT_ONE)
        found->presence = JWT_SEVERAL;
}

static void look_in_query(struct findings *found, struct slice query, const struct slices *names)
{
    if (names->count == 0)
        return;
    while (query.data != NULL) {
        struct slice value, pair = slice_split(query, '&', &query);
        struct slice key = slice_split(pair, '=', &value);
        for (uint32_t i = 0; i < names->count; i++) {
            if (key.size == 0 || !query_names(key, names->items[i]))
                continue;
            if (value.data == NULL)
                add_valueless(found);
            else
                add_escaped(found, value);
        }
    }
}

enum jwt_presence jwt_find(struct exchange *exchange, const struct jwt_places *places, struct slice *token)
{
    const struct message *request = exchange_request(exchange);
    struct findings found = { .arena = exchange_arena(exchange), .presence = JWT_NONE };
    look_in_query(&found, exchange_query(exchange), places->parameters);
    look_in_cookies(&found, request, places->cookies);
    look_in_headers(&found, request, places->headers);
    *token = found.token;
    return found.presence;
}
