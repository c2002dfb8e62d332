/* SPDX-License-Identifier: Apache-2.0 */
/* Responses as they lie in the store: fields as offsets, then their texts, then the body, in one piece that
 * can be moved and is copied out when it is served. */
#include "plugins/proxy_cache_entry.h"
#include "plugins/proxy_cache.h"

#include "net/http/http_date.h"

/* --- reading -------------------------------------------------------------------------------------------- */

static struct slice name_of(const struct stored *stored, uint32_t index)
{
    const struct stored_field *field = &stored->fields[index];
    return (struct slice){ (const char *)stored + field->name, field->name_size };
}

static struct slice value_of(const struct stored *stored, uint32_t index)
{
    const struct stored_field *field = &stored->fields[index];
    return (struct slice){ field->value ? (const char *)stored + field->value : NULL, field->value_size };
}

struct slice stored_find(const struct stored *stored, struct slice name)
{
    for (uint32_t i = 0; i < stored->header_count; i++)
        if (slice_equal_nocase(name_of(stored, i), name))
            return value_of(stored, i);
    return (struct slice){ NULL, 0 };
}

int64_t stored_age_s(const struct stored *stored, uint64_t now_ms)
{
    return stored->age_s + (now_ms > stored->stored_ms ? (int64_t)((now_ms - stored->stored_ms) / 1000) : 0);
}

/* Without the spaces around commas, which mean nothing. The same text when there are none. */
static struct slice tight(struct arena *arena, struct slice text)
{
    if (memchr(text.data, ',', text.size) == NULL)
        return text;
    char *copy = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    struct slice rest = text;
    while (copy && rest.data) {
        struct slice part = slice_trim(slice_split(rest, ',', &rest));
        memcpy(copy + size, part.data, part.size);
        size += part.size;
        if (rest.data)
            copy[size++] = ',';
    }
    return copy ? (struct slice){ copy, size } : text;
}

/* All field lines of that name as one value; absent: none. */
static struct slice combined(struct arena *arena, const struct message *request, struct slice name)
{
    struct slice first = { NULL, 0 };
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (!slice_equal_nocase(header->name, name))
            continue;
        struct slice value = slice_trim(header->value);
        first = first.data == NULL
                    ? value
                    : arena_format(arena, "%.*s,%.*s", SLICE_FORMAT(first), SLICE_FORMAT(value));
    }
    return first.data ? tight(arena, first) : first;
}

bool stored_matches(const struct stored *stored, const struct message *request)
{
    for (uint32_t i = stored->header_count; i < stored->header_count + stored->vary_count; i++) {
        struct slice then = value_of(stored, i);
        struct slice now = combined(request->arena, request, name_of(stored, i));
        if ((then.data == NULL) != (now.data == NULL) || !slice_equal(then, now))
            return false;
    }
    return true;
}

/* Another variant is only what varies by the same fields and differs in one. */
bool stored_is_same(const struct shared_entry *old_entry, const struct shared_entry *entry)
{
    const struct stored *old = stored_of(old_entry), *new = stored_of(entry);
    if (old->vary_count != new->vary_count)
        return true;
    bool equal = true;
    for (uint32_t i = 0; i < old->vary_count; i++) {
        uint32_t a = old->header_count + i, b = new->header_count + i;
        if (!slice_equal_nocase(name_of(old, a), name_of(new, b)))
            return true;
        equal = equal && (value_of(old, a).data == NULL) == (value_of(new, b).data == NULL) &&
                slice_equal(value_of(old, a), value_of(new, b));
    }
    return equal;
}

/* --- building ------------------------------------------------------------------------------------------- */

/* Fields that are about the connection, that are written anew, or that are somebody else's count (Kong). */
static bool is_kept(const struct message *response, const struct header *header)
{
    switch (header->id) {
    case HEADER_CONNECTION:
    case HEADER_KEEP_ALIVE:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TE:
    case HEADER_TRAILER:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE:
    case HEADER_CONTENT_LENGTH: return false;
    default: break;
    }
    static const char *const dropped[] = { "Age", "Proxy-Authenticate", "Proxy-Authentication-Info",
                                           "Proxy-Authorization" };
    if (header->name.data == NULL || message_is_named_by_connection(response, header->name))
        return false;
    for (size_t i = 0; i < COUNT_OF(dropped); i++)
        if (slice_equal_nocase(header->name, slice_of(dropped[i])))
            return false;
    static const char counted[] = "ratelimit-remaining";
    size_t size = sizeof(counted) - 1;
    for (size_t i = 0; i + size <= header->name.size; i++)
        if (slice_equal_nocase((struct slice){ header->name.data + i, size }, slice_of(counted)))
            return false;
    return true;
}

/* The names in Vary, one after the other; absent at the end. */
static struct slice next_varied(const struct message *response, uint32_t *header, struct slice *rest)
{
    for (;;) {
        while (rest->data == NULL && *header < response->header_count) {
            const struct header *line = &response->headers[(*header)++];
            if (slice_equal_nocase(line->name, SLICE("Vary")))
                *rest = line->value;
        }
        if (rest->data == NULL)
            return (struct slice){ NULL, 0 };
        struct slice name = slice_trim(slice_split(*rest, ',', rest));
        if (name.size > 0)
            return name;
    }
}

struct build {
    struct stored *stored; /* NULL: only measuring */
    uint32_t count;
    size_t text_bytes;
    size_t text_at; /* offset of the texts */
};

static uint32_t put_text(struct build *build, struct slice text)
{
    size_t at = build->text_at + build->text_bytes;
    if (build->stored && text.size)
        memcpy((char *)build->stored + at, text.data, text.size);
    build->text_bytes += text.size;
    return (uint32_t)at;
}

static void put_field(struct build *build, struct slice name, struct slice value, enum header_id id)
{
    uint32_t name_at = put_text(build, name), value_at = put_text(build, value);
    if (build->stored)
        build->stored->fields[build->count] =
            (struct stored_field){ name_at, (uint32_t)name.size, value.data ? value_at : 0,
                                   (uint32_t)value.size, (uint32_t)id };
    build->count++;
}

static void put_all(struct build *build, const struct proxy_cache_exchange *state,
                    const struct message *response)
{
    for (uint32_t i = 0; i < response->header_count; i++)
        if (is_kept(response, &response->headers[i]))
            put_field(build, response->headers[i].name, response->headers[i].value, response->headers[i].id);
    if (build->stored)
        build->stored->header_count = build->count;
    if (!state->config->cache_control)
        return;
    const struct message *request = exchange_request(state->exchange);
    struct slice rest = { NULL, 0 }, name;
    uint32_t header = 0;
    while ((name = next_varied(response, &header, &rest)).data) {
        put_field(build, name, combined(request->arena, request, name), HEADER_OTHER);
        if (build->stored)
            build->stored->vary_count++;
    }
}

struct shared_entry *stored_open(struct proxy_cache_exchange *state, const struct message *response,
                                 size_t body_bytes)
{
    struct build build = { .stored = NULL };
    put_all(&build, state, response);
    size_t text_at = sizeof(struct stored) + build.count * sizeof(struct stored_field);
    size_t head_bytes = text_at + build.text_bytes;
    if (head_bytes + body_bytes > state->shard->entry_bytes)
        return NULL;
    struct shared_entry *entry = shared_entry_open(head_bytes + body_bytes);
    if (entry == NULL)
        return NULL;
    struct stored *stored = (void *)entry->payload;
    memset(stored, 0, sizeof(*stored));
    build = (struct build){ .stored = stored, .text_at = text_at };
    put_all(&build, state, response);
    stored->status = response->status;
    stored->head_bytes = (uint32_t)head_bytes;
    stored->stored_ms = state->shard->shard->now_ms;
    memcpy(entry->key, state->key, sizeof(entry->key));
    entry->group = state->group;
    return entry;
}

/* --- validation ----------------------------------------------------------------------------------------- */

/* What a 304 may not change: it tells of the representation that is stored (RFC 9111 section 3.2). */
static bool is_updated(const struct message *update, const struct header *header)
{
    static const char *const fixed[] = { "Content-Encoding", "Content-Type", "Content-Range", "Content-MD5",
                                         "ETag" };
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        if (slice_equal_nocase(header->name, slice_of(fixed[i])))
            return false;
    return is_kept(update, header);
}

bool stored_update(const struct stored *stored, struct exchange *exchange, const struct message *update,
                   struct message *result)
{
    struct arena *arena = exchange_arena(exchange);
    message_init(result, arena);
    result->status = stored->status;
    for (uint32_t i = 0; i < stored->header_count; i++) {
        struct slice name = name_of(stored, i), value = value_of(stored, i);
        bool replaced = false;
        for (uint32_t h = 0; !replaced && h < update->header_count; h++)
            replaced =
                slice_equal_nocase(update->headers[h].name, name) && is_updated(update, &update->headers[h]);
        if (!replaced && !message_add_id(result, (enum header_id)stored->fields[i].id, name, value))
            return false;
    }
    for (uint32_t h = 0; h < update->header_count; h++) {
        const struct header *header = &update->headers[h];
        if (is_updated(update, header) && !message_add_id(result, header->id, header->name, header->value))
            return false;
    }
    return true;
}

/* --- serving -------------------------------------------------------------------------------------------- */

/* RFC 9110 section 13.2.2: with If-None-Match, If-Modified-Since means nothing. */
static bool is_unmodified(const struct cache_request *request, const struct stored *stored)
{
    if (request->if_none_match.data) {
        struct slice etag = slice_trim(stored_find(stored, SLICE("ETag")));
        return etag.data && etag_list_matches(request->if_none_match, etag);
    }
    int64_t since_s, modified_s = stored->date_s;
    if (!http_date_parse(slice_trim(request->if_modified_since), stored->date_s, &since_s))
        return false;
    struct slice modified = stored_find(stored, SLICE("Last-Modified"));
    if (modified.data && !http_date_parse(slice_trim(modified), stored->date_s, &modified_s))
        return false;
    return modified_s <= since_s;
}

/* RFC 9110 section 13.1.5: a strong tag that is the same, or exactly the date. */
static bool range_applies(const struct cache_request *request, const struct stored *stored)
{
    if (request->if_range.data == NULL)
        return true;
    struct slice condition = slice_trim(request->if_range);
    return etag_is_same(condition, slice_trim(stored_find(stored, SLICE("ETag")))) ||
           (slice_ends_with(condition, SLICE(" GMT")) &&
            slice_equal(condition, slice_trim(stored_find(stored, SLICE("Last-Modified")))));
}

enum range_kind { RANGE_WHOLE, RANGE_PART, RANGE_OUTSIDE };

/* One range of bytes (RFC 9110 section 14.1.2); several, or what is none, give the whole. */
static enum range_kind read_range(struct slice text, uint64_t size, uint64_t *first, uint64_t *last)
{
    struct slice end, start = slice_trim(slice_split(slice_trim(text), '=', &end));
    if (!slice_equal_nocase(start, SLICE("bytes")) || end.data == NULL)
        return RANGE_WHOLE;
    start = slice_trim(slice_split(end, '-', &end));
    end = slice_trim(end);
    uint64_t from = 0, to = size;
    if (end.data == NULL || (start.size > 0 && !slice_to_u64(start, &from)) ||
        (end.size > 0 && !slice_to_u64(end, &to)) || (start.size == 0 && end.size == 0))
        return RANGE_WHOLE;
    if (start.size == 0) { /* the last `to` bytes */
        if (to == 0 || size == 0)
            return RANGE_OUTSIDE;
        *first = to < size ? size - to : 0;
        *last = size - 1;
        return RANGE_PART;
    }
    if (end.size > 0 && to < from)
        return RANGE_WHOLE;
    if (from >= size)
        return RANGE_OUTSIDE;
    *first = from;
    *last = end.size > 0 && to < size ? to : size - 1;
    return RANGE_PART;
}

/* Copies into the exchange's arena: the entry may go as soon as this returns. */
static bool copy_headers(struct exchange *exchange, const struct stored *stored, struct replay *replay)
{
    struct arena *arena = exchange_arena(exchange);
    size_t text_at =
        sizeof(*stored) + (stored->header_count + stored->vary_count) * sizeof(stored->fields[0]);
    struct slice text = { (const char *)stored + text_at, stored->head_bytes - text_at };
    char *copy = arena_alloc(arena, text.size);
    struct header *headers = arena_array(arena, stored->header_count, sizeof(*headers));
    if (copy == NULL || headers == NULL)
        return false;
    memcpy(copy, text.data, text.size);
    for (uint32_t i = 0; i < stored->header_count; i++) {
        const struct stored_field *field = &stored->fields[i];
        headers[i] = (struct header){ .name = { copy + (field->name - text_at), field->name_size },
                                      .value = { copy + (field->value ? field->value - text_at : 0),
                                                 field->value_size },
                                      .id = (enum header_id)field->id };
    }
    replay->headers = headers;
    replay->header_count = stored->header_count;
    return true;
}

/* Without what tells of a body: RFC 9110 section 15.4.5. */
static void make_unmodified(struct replay *replay)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < replay->header_count; i++) {
        struct slice name = replay->headers[i].name;
        bool content = name.size > 8 && slice_equal_nocase((struct slice){ name.data, 8 }, SLICE("Content-"));
        if (!content || slice_equal_nocase(name, SLICE("Content-Location")))
            replay->headers[kept++] = replay->headers[i];
    }
    replay->header_count = kept;
    replay->status = 304;
    replay->body = SLICE("");
}

/* False: out of memory. */
static bool make_range(struct exchange *exchange, const struct cache_request *request, struct replay *replay)
{
    uint64_t first = 0, last = 0, size = replay->body.size;
    enum range_kind kind = read_range(request->range, size, &first, &last);
    if (kind == RANGE_WHOLE)
        return true;
    struct slice value;
    if (kind == RANGE_PART) {
        value = arena_format(exchange_arena(exchange), "bytes %llu-%llu/%llu", (unsigned long long)first,
                             (unsigned long long)last, (unsigned long long)size);
        replay->status = 206;
        replay->body = (struct slice){ replay->body.data + first, (size_t)(last - first + 1) };
    } else {
        value = arena_format(exchange_arena(exchange), "bytes */%llu", (unsigned long long)size);
        replay->status = 416;
        replay->body = SLICE("");
    }
    return value.data && exchange_set_response_header(exchange, SLICE("Content-Range"), value);
}

static bool set_age(struct proxy_cache_exchange *state, const struct stored *stored)
{
    if (!state->config->show.age)
        return true;
    struct slice age = arena_format(exchange_arena(state->exchange), "%lld",
                                    (long long)stored_age_s(stored, state->shard->shard->now_ms));
    return age.data && exchange_set_response_header(state->exchange, SLICE("Age"), age);
}

enum verdict stored_serve(struct proxy_cache_exchange *state, const struct stored *stored)
{
    const struct cache_request *request = &state->request;
    struct exchange *exchange = state->exchange;
    struct replay replay = { .status = stored->status,
                             .body = { (const char *)stored + stored->head_bytes, stored->body_bytes } };
    bool enough = set_age(state, stored) && copy_headers(exchange, stored, &replay);
    bool plain = !state->config->cache_control || stored->status != 200;
    if (!enough)
        return exchange_respond_failure(exchange);
    bool conditional = request->if_none_match.data || request->if_modified_since.data;
    if (!plain && conditional && is_unmodified(request, stored))
        make_unmodified(&replay);
    else if (!plain && request->range.data && !request->head && range_applies(request, stored))
        enough = make_range(exchange, request, &replay);
    state->standing = CACHE_SERVED;
    return enough ? exchange_replay(exchange, &replay) : exchange_respond_failure(exchange);
}
