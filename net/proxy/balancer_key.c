/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/balancer_key.h"

#include "net/proxy/balancer_hash.h"

#include "core/base/query.h"
#include "core/crypto/uuid.h"
#include "net/http/cookie.h"

#include <stdlib.h>

static const struct slice absent = { NULL, 0 };

static const struct upstream *upstream_of(const struct exchange *exchange)
{
    return exchange->service->service->upstream;
}

/* --- inputs: absent when the request has none ----------------------------------------------------------- */

/* All values of that name in one, as Kong takes them. */
static struct slice header_value(struct exchange *exchange, struct slice name)
{
    const struct message *request = &exchange->request;
    struct slice found = absent;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (header->name.data == NULL || !slice_equal_nocase(header->name, name))
            continue;
        if (found.data)
            found =
                arena_format(&exchange->arena, "%.*s%.*s", SLICE_FORMAT(found), SLICE_FORMAT(header->value));
        else
            found = header->value;
    }
    return found;
}

static int compare_values(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static struct slice join_sorted(struct arena *arena, struct slice *values, uint32_t count)
{
    struct slice joined = count ? values[0] : absent;
    if (count < 2)
        return joined;
    qsort(values, count, sizeof(*values), compare_values);
    joined = values[0];
    for (uint32_t i = 1; joined.data && i < count; i++)
        joined = arena_format(arena, "%.*s,%.*s", SLICE_FORMAT(joined), SLICE_FORMAT(values[i]));
    return joined;
}

/* An argument without a value is `true` to Kong. */
static struct slice query_value(struct exchange *exchange, struct slice name)
{
    enum { VALUES_MOST = 100 /* as many arguments as Kong reads */ };
    struct slice values[VALUES_MOST], query = exchange->query;
    uint32_t count = 0;
    for (unsigned i = 0; query.data && i < VALUES_MOST; i++) {
        struct slice rest, value, pair = slice_split(query, '&', &rest);
        query = rest;
        if (!query_names(slice_split(pair, '=', &value), name))
            continue;
        values[count] = value.data ? query_unescape(&exchange->arena, value) : SLICE("true");
        count += values[count].data != NULL;
    }
    return join_sorted(&exchange->arena, values, count);
}

static struct slice capture_value(const struct exchange *exchange, struct slice name)
{
    uint64_t number;
    if (slice_to_u64(name, &number))
        return number < exchange->match.capture_count && exchange->match.captures
                   ? exchange->match.captures[number]
                   : absent;
    return router_capture(&exchange->match, name);
}

static struct slice consumer_id(const struct exchange *exchange)
{
    if (exchange->consumer)
        return slice_of(exchange->consumer->entity.id);
    return exchange->credential ? slice_of(exchange->credential->entity.id) : absent;
}

static struct slice input_of(struct exchange *exchange, const struct hash_key *key)
{
    switch ((enum hash_input)key->input) {
    case HASH_CONSUMER: return consumer_id(exchange);
    case HASH_IP: return exchange->client_ip;
    case HASH_HEADER: return header_value(exchange, key->name);
    case HASH_COOKIE: return cookie_find(&exchange->request, key->name);
    case HASH_PATH: return exchange->path;
    case HASH_QUERY_ARG: return query_value(exchange, key->name);
    case HASH_URI_CAPTURE: return capture_value(exchange, key->name);
    case HASH_NONE: break;
    }
    return absent;
}

/* --- cookies -------------------------------------------------------------------------------------------- */

/* `Same-Site` is Kong's spelling, and browsers know better than to mind. */
static bool issue_cookie(struct exchange *exchange, struct slice value)
{
    const struct upstream *upstream = upstream_of(exchange);
    struct slice path = upstream->cookie_path.data ? upstream->cookie_path : SLICE("/"), age = SLICE("");
    if (upstream->cookie_ttl_s != INTEGER_NULL && upstream->cookie_ttl_s > 0)
        age = arena_format(&exchange->arena, "; Max-Age=%lld", (long long)upstream->cookie_ttl_s);
    exchange->cookie = arena_format(&exchange->arena, "%.*s=%.*s; Path=%.*s%.*s; Same-Site=Lax; HttpOnly",
                                    SLICE_FORMAT(upstream->hash_on.name), SLICE_FORMAT(value),
                                    SLICE_FORMAT(path), SLICE_FORMAT(age));
    return age.data && exchange->cookie.data;
}

static bool read_sticky(struct exchange *exchange)
{
    struct slice value = cookie_find(&exchange->request, upstream_of(exchange)->hash_on.name);
    uint64_t id = 0;
    for (size_t i = 0; value.size == 16 && i < value.size; i++) {
        int digit = slice_hex_value(value.data[i]);
        if (digit < 0)
            return true; /* somebody else's cookie: as if there were none */
        id = id << 4 | (uint64_t)digit;
    }
    exchange->choice.sticky_id = id;
    return true;
}

bool balancer_stick(struct exchange *exchange, const struct endpoint *endpoint)
{
    if (exchange->choice.sticky_id == endpoint->sticky_id) {
        exchange->cookie = absent;
        return true;
    }
    char text[24];
    struct writer out = writer_of(text, sizeof(text));
    for (int shift = 60; shift >= 0; shift -= 4)
        writer_byte(&out, "0123456789abcdef"[endpoint->sticky_id >> shift & 15]);
    return issue_cookie(exchange, (struct slice){ text, (size_t)(out.next - text) });
}

/* --- the key -------------------------------------------------------------------------------------------- */

bool balancer_read_key(struct exchange *exchange)
{
    const struct upstream *upstream = upstream_of(exchange);
    if (upstream->balance == BALANCE_STICKY)
        return read_sticky(exchange);
    struct slice key = input_of(exchange, &upstream->hash_on);
    char uuid[UUID_TEXT_SIZE];
    bool makes_cookie = upstream->hash_on.input == HASH_COOKIE && key.size == 0;
    if (makes_cookie &&
        (upstream->balance == BALANCE_CONSISTENT_HASHING || upstream->cookie_ttl_s != INTEGER_NULL)) {
        uuid_random(&exchange->proxy->balancers.randomness, uuid);
        key = slice_of(uuid);
        if (!issue_cookie(exchange, key))
            return false;
    }
    if (key.data == NULL)
        key = input_of(exchange, &upstream->hash_fallback);
    exchange->choice.has_key = key.data != NULL;
    if (key.data)
        exchange->choice.hash = balancer_hash(key, 0);
    return true;
}
