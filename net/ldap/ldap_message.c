/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ldap/ldap_message.h"

/* X.690 section 8; [APPLICATION n] and context tags of RFC 4511. */
enum {
    TAG_INTEGER = 0x02,
    TAG_OCTETS = 0x04,
    TAG_ENUMERATED = 0x0a,
    TAG_SEQUENCE = 0x30,
    TAG_BIND_REQUEST = 0x60,
    TAG_EXTENDED_REQUEST = 0x77,
    TAG_SIMPLE = 0x80, /* a password; the name of an extended request too */
    LENGTH_BYTES_MAX = 4,
    VERSION = 3
};

/* --- writing, from the end ------------------------------------------------------------------------------ */

struct backwards {
    char *start, *next; /* what is written begins at next */
};

static void put(struct backwards *out, struct slice bytes)
{
    CHECK((size_t)(out->next - out->start) >= bytes.size);
    out->next -= bytes.size;
    if (bytes.size > 0)
        memcpy(out->next, bytes.data, bytes.size);
}

static void put_byte(struct backwards *out, size_t byte)
{
    char c = (char)(byte & 0xff);
    put(out, (struct slice){ &c, 1 });
}

/* In front of `size` bytes that stand there already. */
static void put_head(struct backwards *out, unsigned char tag, size_t size)
{
    size_t count = 0;
    if (size >= 0x80) {
        for (size_t left = size; left > 0; left >>= 8, count++)
            put_byte(out, left);
        put_byte(out, 0x80 | count);
    } else {
        put_byte(out, size);
    }
    put_byte(out, tag);
}

static void put_text(struct backwards *out, unsigned char tag, struct slice text)
{
    put(out, text);
    put_head(out, tag, text.size);
}

/* Not negative, so the first bit is 0. */
static void put_integer(struct backwards *out, uint32_t value)
{
    size_t size = 0;
    do {
        put_byte(out, value);
        value >>= 8;
        size++;
    } while (value > 0);
    if ((unsigned char)*out->next >= 0x80) {
        put_byte(out, 0);
        size++;
    }
    put_head(out, TAG_INTEGER, size);
}

static struct slice finish(struct backwards *out, const char *end, unsigned char tag, uint32_t id)
{
    put_head(out, tag, (size_t)(end - out->next));
    put_integer(out, id);
    put_head(out, TAG_SEQUENCE, (size_t)(end - out->next));
    return (struct slice){ out->next, (size_t)(end - out->next) };
}

struct slice ldap_write_bind(char *memory, size_t capacity, uint32_t id, struct slice dn,
                             struct slice password)
{
    struct backwards out = { memory, memory + capacity };
    put_text(&out, TAG_SIMPLE, password);
    put_text(&out, TAG_OCTETS, dn);
    put_integer(&out, VERSION);
    return finish(&out, memory + capacity, TAG_BIND_REQUEST, id);
}

struct slice ldap_write_start_tls(char *memory, size_t capacity, uint32_t id)
{
    struct backwards out = { memory, memory + capacity };
    put_text(&out, TAG_SIMPLE, SLICE("1.3.6.1.4.1.1466.20037"));
    return finish(&out, memory + capacity, TAG_EXTENDED_REQUEST, id);
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* One element's tag and content, *rest behind it. INCOMPLETE: it goes on after the bytes. */
static enum ldap_reading take(struct slice bytes, unsigned char *tag, struct slice *content,
                              struct slice *rest)
{
    if (bytes.size < 2)
        return LDAP_INCOMPLETE;
    const unsigned char *at = (const unsigned char *)bytes.data;
    size_t head = 2, size = at[1];
    *tag = at[0];
    if (size >= 0x80) {
        size_t count = size & 0x7f;
        if (count == 0 || count > LENGTH_BYTES_MAX)
            return LDAP_INVALID;
        if (bytes.size < head + count)
            return LDAP_INCOMPLETE;
        size = 0;
        while (count-- > 0)
            size = size << 8 | at[head++];
    }
    if (size > LDAP_RESPONSE_MAX)
        return LDAP_INVALID;
    if (bytes.size - head < size)
        return LDAP_INCOMPLETE;
    *content = (struct slice){ bytes.data + head, size };
    *rest = slice_from(bytes, head + size);
    return LDAP_READ;
}

/* A number that is not negative, and what follows it. */
static bool take_number(struct slice *bytes, unsigned char wanted, uint32_t *number)
{
    struct slice content;
    unsigned char tag;
    if (take(*bytes, &tag, &content, bytes) != LDAP_READ || tag != wanted || content.size == 0 ||
        content.size > sizeof(*number) || (content.data[0] & 0x80))
        return false;
    *number = 0;
    for (size_t i = 0; i < content.size; i++)
        *number = *number << 8 | (unsigned char)content.data[i];
    return true;
}

enum ldap_reading ldap_read_response(struct slice bytes, struct ldap_response *response)
{
    struct slice message, rest, operation;
    unsigned char tag;
    if (bytes.size > 0 && (unsigned char)bytes.data[0] != TAG_SEQUENCE)
        return LDAP_INVALID;
    enum ldap_reading reading = take(bytes, &tag, &message, &rest);
    if (reading != LDAP_READ)
        return reading;
    *response = (struct ldap_response){ .bytes = bytes.size - rest.size };
    if (!take_number(&message, TAG_INTEGER, &response->id) ||
        take(message, &response->operation, &operation, &rest) != LDAP_READ)
        return LDAP_INVALID;
    bool known = response->operation == LDAP_BIND_RESPONSE || response->operation == LDAP_EXTENDED_RESPONSE;
    if (known && !take_number(&operation, TAG_ENUMERATED, &response->code))
        return LDAP_INVALID;
    return LDAP_READ;
}
