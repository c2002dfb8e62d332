/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns/dns_answer.h"

enum {
    HEADER_BYTES = 12,
    QUESTION_TAIL_BYTES = 4, /* type and class */
    RECORD_TAIL_BYTES = 10, /* type, class, time to live, size of the data */
    SRV_HEAD_BYTES = 6,
    CLASS_INTERNET = 1,
    LABEL_MAX = 63,
    FIRST_RECORDS = 8
};

struct reader {
    const uint8_t *bytes;
    size_t size;
};

struct name {
    char text[DNS_NAME_SIZE];
    size_t size;
    bool plain; /* only characters of host names */
};

/* One resource record, its data still unread. */
struct resource {
    struct name owner;
    uint16_t type, class;
    uint32_t ttl_s;
    size_t data_at, data_size;
};

static uint16_t read_u16(const struct reader *reader, size_t at)
{
    return (uint16_t)(reader->bytes[at] << 8 | reader->bytes[at + 1]);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool add_label(struct name *name, const uint8_t *label, size_t size)
{
    if (name->size + size + 2 > sizeof(name->text))
        return false;
    if (name->size > 0)
        name->text[name->size++] = '.';
    for (size_t i = 0; i < size; i++) {
        char c = slice_lower((char)label[i]);
        name->plain = name->plain && is_plain(c);
        name->text[name->size++] = c;
    }
    return true;
}

/* At *at, which is moved behind it. A compression pointer must point before everything read so far of the
 * name, so that following them comes to an end (RFC 1035 section 4.1.4: to a prior occurrence). */
static bool read_name(const struct reader *reader, size_t *at, struct name *name)
{
    size_t next = *at, before = *at;
    bool jumped = false;
    name->size = 0;
    name->plain = true;
    while (next < reader->size) {
        uint8_t first = reader->bytes[next];
        if (first <= LABEL_MAX) {
            next += 1 + (size_t)first;
            if (next > reader->size || (first > 0 && !add_label(name, reader->bytes + next - first, first)))
                return false;
            if (first > 0)
                continue;
            if (!jumped)
                *at = next;
            name->text[name->size] = '\0';
            return true;
        }
        if (first < 0xc0 || next + 2 > reader->size)
            return false;
        if (!jumped)
            *at = next + 2;
        jumped = true;
        next = read_u16(reader, next) & 0x3fffu;
        if (next >= before)
            return false;
        before = next;
    }
    return false;
}

static bool read_resource(const struct reader *reader, size_t *at, struct resource *resource)
{
    if (!read_name(reader, at, &resource->owner) || reader->size - *at < RECORD_TAIL_BYTES)
        return false;
    resource->type = read_u16(reader, *at);
    resource->class = read_u16(reader, *at + 2);
    resource->ttl_s = (uint32_t)read_u16(reader, *at + 4) << 16 | read_u16(reader, *at + 6);
    if (resource->ttl_s > INT32_MAX)
        resource->ttl_s = 0; /* RFC 2181 section 8 */
    resource->data_size = read_u16(reader, *at + 8);
    resource->data_at = *at + RECORD_TAIL_BYTES;
    if (reader->size - resource->data_at < resource->data_size)
        return false;
    *at = resource->data_at + resource->data_size;
    return true;
}

static bool is_of(const struct resource *resource, const struct name *owner, enum dns_type type)
{
    return resource->class == CLASS_INTERNET && resource->type == type && owner->plain &&
           resource->owner.plain && resource->owner.size == owner->size &&
           memcmp(resource->owner.text, owner->text, owner->size) == 0;
}

static void shorten(struct dns_answer *answer, uint32_t ttl_s)
{
    if (ttl_s < answer->ttl_s)
        answer->ttl_s = ttl_s;
}

/* The name in a record's data at `offset`, which must end where the data ends. */
static bool read_data_name(const struct reader *reader, const struct resource *resource, size_t offset,
                           struct name *name)
{
    size_t at = resource->data_at + offset;
    return resource->data_size > offset && read_name(reader, &at, name) &&
           at == resource->data_at + resource->data_size;
}

static bool add_record(struct dns_answer *answer, struct arena *arena, const struct dns_record *record)
{
    uint32_t count = answer->count;
    if (count >= DNS_RECORDS_MAX)
        return true;
    if (count == 0 || (count >= FIRST_RECORDS && (count & (count - 1)) == 0)) { /* at each power of two */
        struct dns_record *records =
            arena_array(arena, count ? (size_t)count * 2 : FIRST_RECORDS, sizeof(*records));
        if (records == NULL)
            return false;
        if (count)
            memcpy(records, answer->records, count * sizeof(*records));
        answer->records = records;
    }
    answer->records[answer->count++] = *record;
    return true;
}

static bool take_host(struct dns_answer *answer, struct arena *arena, const struct name *host,
                      struct dns_record record)
{
    if (host->size == 0 || !host->plain)
        return true;
    record.host = arena_copy(arena, (struct slice){ host->text, host->size });
    return record.host.data && add_record(answer, arena, &record);
}

static bool take_resource(struct dns_answer *answer, struct arena *arena, const struct reader *reader,
                          const struct resource *resource)
{
    struct dns_record record = { 0 };
    struct name host;
    const uint8_t *data = reader->bytes + resource->data_at;
    shorten(answer, resource->ttl_s);
    switch ((enum dns_type)resource->type) {
    case DNS_TYPE_A:
        if (resource->data_size != sizeof(struct in_addr))
            return false;
        record.address =
            (struct address){ .v4 = { .sin_family = AF_INET }, .size = sizeof(struct sockaddr_in) };
        memcpy(&record.address.v4.sin_addr, data, sizeof(struct in_addr));
        return add_record(answer, arena, &record);
    case DNS_TYPE_AAAA:
        if (resource->data_size != sizeof(struct in6_addr))
            return false;
        record.address =
            (struct address){ .v6 = { .sin6_family = AF_INET6 }, .size = sizeof(struct sockaddr_in6) };
        memcpy(&record.address.v6.sin6_addr, data, sizeof(struct in6_addr));
        return add_record(answer, arena, &record);
    case DNS_TYPE_CNAME:
        return read_data_name(reader, resource, 0, &host) && take_host(answer, arena, &host, record);
    case DNS_TYPE_SRV:
        if (!read_data_name(reader, resource, SRV_HEAD_BYTES, &host))
            return false;
        record.priority = read_u16(reader, resource->data_at);
        record.weight = read_u16(reader, resource->data_at + 2);
        record.port = read_u16(reader, resource->data_at + 4);
        return take_host(answer, arena, &host, record);
    }
    return true;
}

/* Replaces *name by what it is an alias of, if it is one. */
static bool follow_alias(const struct reader *reader, size_t at, struct name *name, struct dns_answer *answer)
{
    struct resource resource;
    struct name alias_of;
    unsigned count = read_u16(reader, 6);
    while (count-- > 0) {
        if (!read_resource(reader, &at, &resource))
            return false;
        if (!is_of(&resource, name, DNS_TYPE_CNAME))
            continue;
        if (!read_data_name(reader, &resource, 0, &alias_of))
            return false;
        shorten(answer, resource.ttl_s);
        *name = alias_of;
        return true;
    }
    return true;
}

static bool read_question(const struct reader *reader, size_t *at, struct name *name)
{
    enum { RESPONSE = 0x8000, RCODE = 0x000f };
    if (reader->size < HEADER_BYTES || (read_u16(reader, 2) & (RESPONSE | RCODE)) != RESPONSE ||
        read_u16(reader, 4) != 1)
        return false;
    *at = HEADER_BYTES;
    if (!read_name(reader, at, name) || reader->size - *at < QUESTION_TAIL_BYTES)
        return false;
    *at += QUESTION_TAIL_BYTES;
    return true;
}

bool dns_answer_read(struct dns_answer *answer, struct arena *arena, struct slice message, enum dns_type type)
{
    struct reader reader = { (const uint8_t *)message.data, message.size };
    struct resource resource;
    struct name name, before;
    size_t at;
    *answer = (struct dns_answer){ .ttl_s = UINT32_MAX };
    if (!read_question(&reader, &at, &name))
        return false;
    for (unsigned i = 0; type != DNS_TYPE_CNAME && i < DNS_ALIASES_MAX; i++) {
        before = name;
        if (!follow_alias(&reader, at, &name, answer))
            return false;
        if (before.size == name.size && memcmp(before.text, name.text, name.size) == 0)
            break;
    }
    for (unsigned count = read_u16(&reader, 6); count > 0; count--) {
        if (!read_resource(&reader, &at, &resource))
            return false;
        if (is_of(&resource, &name, type) && !take_resource(answer, arena, &reader, &resource))
            return false;
    }
    return true;
}
