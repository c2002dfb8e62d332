/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/message.h"

enum { NAME_ROOM = 24, FIRST_CAPACITY = 24 };

static const char known_names[HEADER_COUNT][NAME_ROOM] = {
#define H(id, name) [HEADER_##id] = name,
    HEADER_LIST(H)
#undef H
};

static const uint8_t known_sizes[HEADER_COUNT] = {
#define H(id, name) [HEADER_##id] = sizeof(name) - 1,
    HEADER_LIST(H)
#undef H
};

#define H(id, name) _Static_assert(sizeof(name) <= NAME_ROOM, "a known name fits into the table");
HEADER_LIST(H)
#undef H

/* The last header of each size: of the initialisers for one element, C takes the last. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const uint8_t last_of_size[NAME_ROOM] = {
#define H(id, name) [sizeof(name) - 1] = HEADER_##id,
    HEADER_LIST(H)
#undef H
};
#pragma GCC diagnostic pop

static inline uint64_t load8(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint32_t load4(const char *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* Eight letters at once: where the known name (lower case) has a letter, bit 0x20 of the other does not
 * count. Letters are the only characters of a known name with bit 0x40. */
static inline bool same_word(uint64_t known, uint64_t other)
{
    return (other | (known >> 1 & 0x2020202020202020u)) == known;
}

static inline bool same_name(const char *known, const char *other, size_t size)
{
    if (size >= 8)
        return same_word(load8(known), load8(other)) &&
               same_word(load8(known + size - 8), load8(other + size - 8)) &&
               (size <= 16 || same_word(load8(known + 8), load8(other + 8)));
    if (size >= 4)
        return same_word(load4(known), load4(other)) &&
               same_word(load4(known + size - 4), load4(other + size - 4));
    for (size_t i = 0; i < size; i++)
        if (slice_lower(other[i]) != known[i])
            return false;
    return true;
}

enum header_id message_header_id(struct slice name)
{
    if (name.size >= NAME_ROOM || name.size == 0)
        return HEADER_OTHER;
    /* All known ones begin and end with a letter. */
    char first = (char)(name.data[0] | 0x20), last = (char)(name.data[name.size - 1] | 0x20);
    for (uint32_t id = last_of_size[name.size]; known_sizes[id] == name.size; id--)
        if (known_names[id][name.size - 1] == last && known_names[id][0] == first &&
            same_name(known_names[id], name.data, name.size))
            return (enum header_id)id;
    return HEADER_OTHER;
}

struct slice message_header_name(enum header_id id)
{
    CHECK(id > HEADER_OTHER && id < HEADER_COUNT);
    return (struct slice){ known_names[id], known_sizes[id] };
}

void message_init(struct message *message, struct arena *arena)
{
    *message = (struct message){ .arena = arena };
}

struct slice message_version(const struct message *message)
{
    if (message->http2)
        return SLICE("HTTP/2.0");
    return message->version_minor == 0 ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1");
}

struct slice message_find(const struct message *message, enum header_id id)
{
    if (id == HEADER_OTHER || !message_has(message, id))
        return (struct slice){ NULL, 0 };
    for (uint32_t i = 0; i < message->header_count; i++)
        if (message->headers[i].id == id)
            return message->headers[i].value;
    return (struct slice){ NULL, 0 };
}

static bool is_named(const struct header *header, struct slice name)
{
    return header->name.data != NULL && slice_equal_nocase(header->name, name);
}

struct slice message_find_name(const struct message *message, struct slice name)
{
    enum header_id id = message_header_id(name);
    if (id != HEADER_OTHER)
        return message_find(message, id);
    if (!message_may_have(message, id, name))
        return (struct slice){ NULL, 0 };
    for (uint32_t i = 0; i < message->header_count; i++)
        if (is_named(&message->headers[i], name))
            return message->headers[i].value;
    return (struct slice){ NULL, 0 };
}

static bool grow(struct message *message)
{
    uint32_t capacity = message->header_capacity ? message->header_capacity * 2 : FIRST_CAPACITY;
    size_t bytes;
    if (capacity < message->header_capacity ||
        __builtin_mul_overflow(capacity, sizeof(struct header), &bytes))
        return false;
    struct header *headers = arena_alloc(message->arena, bytes);
    if (headers == NULL)
        return false;
    if (message->header_count)
        memcpy(headers, message->headers, message->header_count * sizeof(struct header));
    message->headers = headers;
    message->header_capacity = capacity;
    return true;
}

static inline bool append(struct message *message, enum header_id id, struct slice name, struct slice value)
{
    if (__builtin_expect(message->header_count == message->header_capacity, 0) && !grow(message))
        return false;
    message->headers[message->header_count++] = (struct header){ name, value, id };
    if (id != HEADER_OTHER)
        message->present |= (uint64_t)1 << id;
    else
        message->others |= message_name_bit(name);
    return true;
}

bool message_add_id(struct message *message, enum header_id id, struct slice name, struct slice value)
{
    return append(message, id, name, value);
}

bool message_add(struct message *message, struct slice name, struct slice value)
{
    return message_add_id(message, message_header_id(name), name, value);
}

static void take_away(struct header *header)
{
    *header = (struct header){ .id = HEADER_OTHER };
}

/* Keeps the first header of that name when `keep` is set and returns it, takes all others away. */
static struct header *reduce(struct message *message, enum header_id id, struct slice name, bool keep)
{
    struct header *kept = NULL;
    for (uint32_t i = 0; i < message->header_count; i++) {
        struct header *header = &message->headers[i];
        if (id != HEADER_OTHER ? header->id != id : !is_named(header, name))
            continue;
        if (keep && kept == NULL)
            kept = header;
        else
            take_away(header);
    }
    return kept;
}

bool message_set(struct message *message, struct slice name, struct slice value)
{
    return message_set_id(message, message_header_id(name), name, value);
}

bool message_set_id(struct message *message, enum header_id id, struct slice name, struct slice value)
{
    if (!message_may_have(message, id, name))
        return append(message, id, name, value);
    struct header *kept = reduce(message, id, name, true);
    if (kept == NULL)
        return append(message, id, name, value);
    kept->name = name;
    kept->value = value;
    return true;
}

void message_remove_id(struct message *message, enum header_id id)
{
    if (id == HEADER_OTHER || !message_has(message, id))
        return;
    reduce(message, id, (struct slice){ NULL, 0 }, false);
    message->present &= ~((uint64_t)1 << id);
}

void message_remove(struct message *message, struct slice name)
{
    enum header_id id = message_header_id(name);
    if (id != HEADER_OTHER)
        message_remove_id(message, id);
    else if (message_may_have(message, id, name))
        reduce(message, id, name, false);
}

bool message_list_has(struct slice list, struct slice token)
{
    while (list.data != NULL) {
        struct slice rest;
        if (slice_equal_nocase(slice_trim(slice_split(list, ',', &rest)), token))
            return true;
        list = rest;
    }
    return false;
}

bool message_connection_names_fields(const struct message *message)
{
    if (!message_has(message, HEADER_CONNECTION))
        return false;
    for (uint32_t i = 0; i < message->header_count; i++) {
        const struct header *header = &message->headers[i];
        if (header->id == HEADER_CONNECTION && !slice_equal_nocase(header->value, SLICE("keep-alive")) &&
            !slice_equal_nocase(header->value, SLICE("close")))
            return true;
    }
    return false;
}

bool message_is_named_by_connection(const struct message *message, struct slice name)
{
    for (uint32_t i = 0; i < message->header_count; i++)
        if (message->headers[i].id == HEADER_CONNECTION && message->headers[i].name.data &&
            message_list_has(message->headers[i].value, name))
            return true;
    return false;
}
