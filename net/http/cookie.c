/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/cookie.h"

static bool next_cookie(struct slice *rest, struct slice *pair, struct slice *name, struct slice *value)
{
    while (rest->data) {
        *pair = slice_trim(slice_split(*rest, ';', rest));
        *name = slice_trim(slice_split(*pair, '=', value));
        if (value->data)
            *value = slice_trim(*value);
        if (pair->size > 0)
            return true;
    }
    return false;
}

struct slice cookie_find(const struct message *request, struct slice name)
{
    struct slice none = { NULL, 0 };
    if (!message_has(request, HEADER_COOKIE))
        return none;
    for (uint32_t i = 0; i < request->header_count; i++) {
        struct slice rest = request->headers[i].value, pair, key, value;
        if (request->headers[i].id != HEADER_COOKIE)
            continue;
        while (next_cookie(&rest, &pair, &key, &value))
            if (value.data && slice_equal(key, name))
                return value;
    }
    return none;
}

bool cookie_others(struct arena *arena, const struct message *request, const struct cookie_choice *choice,
                   struct slice *left)
{
    struct slice others = SLICE("");
    bool found = false;
    *left = (struct slice){ NULL, 0 };
    for (uint32_t i = 0; message_has(request, HEADER_COOKIE) && i < request->header_count; i++) {
        struct slice rest = request->headers[i].value, pair, key, value;
        if (request->headers[i].id != HEADER_COOKIE)
            continue;
        while (next_cookie(&rest, &pair, &key, &value)) {
            bool ours = choice->is_ours(choice->context, key);
            found |= ours;
            if (!ours)
                others = arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(others), others.size ? "; " : "",
                                      SLICE_FORMAT(pair));
            if (others.data == NULL)
                return false;
        }
    }
    if (found)
        *left = others;
    return true;
}
