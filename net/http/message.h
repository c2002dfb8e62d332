/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP message, request or response, whatever the version it came in: the head and how its body is
 * framed. Header names and values are views into the memory of the exchange that owns the message, so they
 * live as long as it does. Names keep the sender's spelling; `id` makes the well-known ones quick to find.
 * One shard. */
#pragma once

#include "core/base/arena.h"

/* id, name. Ordered by the size of the name: message_header_id relies on it. */
#define HEADER_LIST(H)                              \
    H(TE, "te")                                     \
    H(VIA, "via")                                   \
    H(DATE, "date")                                 \
    H(HOST, "host")                                 \
    H(PROXY, "proxy")                               \
    H(ACCEPT, "accept")                             \
    H(COOKIE, "cookie")                             \
    H(EXPECT, "expect")                             \
    H(SERVER, "server")                             \
    H(REFERER, "referer")                           \
    H(TRAILER, "trailer")                           \
    H(UPGRADE, "upgrade")                           \
    H(FORWARDED, "forwarded")                       \
    H(X_REAL_IP, "x-real-ip")                       \
    H(CONNECTION, "connection")                     \
    H(KEEP_ALIVE, "keep-alive")                     \
    H(USER_AGENT, "user-agent")                     \
    H(CONTENT_TYPE, "content-type")                 \
    H(AUTHORIZATION, "authorization")               \
    H(X_CONSUMER_ID, "x-consumer-id")               \
    H(CONTENT_LENGTH, "content-length")             \
    H(HTTP2_SETTINGS, "http2-settings")             \
    H(X_FORWARDED_FOR, "x-forwarded-for")           \
    H(PROXY_CONNECTION, "proxy-connection")         \
    H(X_FORWARDED_HOST, "x-forwarded-host")         \
    H(X_FORWARDED_PATH, "x-forwarded-path")         \
    H(X_FORWARDED_PORT, "x-forwarded-port")         \
    H(X_CONSUMER_GROUPS, "x-consumer-groups")       \
    H(TRANSFER_ENCODING, "transfer-encoding")       \
    H(X_FORWARDED_PROTO, "x-forwarded-proto")       \
    H(X_KONG_REQUEST_ID, "x-kong-request-id")       \
    H(X_FORWARDED_PREFIX, "x-forwarded-prefix")     \
    H(X_CONSUMER_USERNAME, "x-consumer-username")   \
    H(X_ANONYMOUS_CONSUMER, "x-anonymous-consumer") \
    H(X_CONSUMER_CUSTOM_ID, "x-consumer-custom-id") \
    H(X_CREDENTIAL_IDENTIFIER, "x-credential-identifier")

enum header_id {
    HEADER_OTHER,
#define H(id, name) HEADER_##id,
    HEADER_LIST(H)
#undef H
        HEADER_COUNT
};

struct header {
    struct slice name; /* as sent; name.data == NULL: removed, and id is HEADER_OTHER then */
    struct slice value;
    enum header_id id;
};

enum body_framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct message {
    struct slice method; /* request */
    struct slice target; /* request: as received, e.g. /a?b=c, http://h/a, * */
    struct slice origin_form; /* request: target without scheme and authority; starts with '/', or is '*' */
    int status; /* response */
    struct slice reason; /* response */
    uint8_t version_minor; /* HTTP/1.x; 1 for HTTP/2, which knows all that 1.1 knows */
    bool http2;
    bool keep_alive; /* the sender lets the connection live after this message */
    bool expects_continue; /* request with Expect: 100-continue */
    bool upgrade; /* has Upgrade and Connection: upgrade */
    enum body_framing framing;
    uint64_t body_bytes; /* with BODY_LENGTH */
    struct header *headers;
    uint32_t header_count, header_capacity;
    uint64_t present; /* bit set of enum header_id: a quick "not there" */
    uint64_t others; /* message_name_bit of all names without an id: the same for them */
    struct arena *arena;
};

_Static_assert(HEADER_COUNT <= 64, "message.present has a bit per known header");

void message_init(struct message *message, struct arena *arena);

struct slice message_version(const struct message *message); /* HTTP/1.0, HTTP/1.1 or HTTP/2.0 */
/* One of 64 bits for each name, in any case: names of different bits are different. */
static inline uint64_t message_name_bit(struct slice name)
{
    if (name.size == 0)
        return 1;
    const unsigned char *text = (const unsigned char *)name.data;
    size_t last = name.size - 1, inner = last - (name.size >> 2);
    unsigned letters = (text[0] | 0x20u) + (text[inner] | 0x20u) * 2 + (text[last] | 0x20u) * 4;
    return UINT64_C(1) << ((name.size * 8 + letters) & 63);
}

/* The id of a header name in any case; HEADER_OTHER when it is none of the list. */
enum header_id message_header_id(struct slice name);
struct slice message_header_name(enum header_id id); /* lower case */

static inline bool message_has(const struct message *message, enum header_id id)
{
    return message->present >> id & 1;
}

/* False: surely no header of that name and its id. */
static inline bool message_may_have(const struct message *message, enum header_id id, struct slice name)
{
    return id != HEADER_OTHER ? message_has(message, id) : (message->others & message_name_bit(name)) != 0;
}

/* The first value, absent when there is none. */
struct slice message_find(const struct message *message, enum header_id id);
struct slice message_find_name(const struct message *message, struct slice name); /* any case */

/* Appends; false when the arena is full. Nothing is copied. */
bool message_add(struct message *message, struct slice name, struct slice value) MUST_CHECK;
bool message_add_id(struct message *message, enum header_id id, struct slice name,
                    struct slice value) MUST_CHECK;

/* All of that name give way to one (set), or go (remove). */
bool message_set(struct message *message, struct slice name, struct slice value) MUST_CHECK;
bool message_set_id(struct message *message, enum header_id id, struct slice name,
                    struct slice value) MUST_CHECK;
void message_remove(struct message *message, struct slice name);
void message_remove_id(struct message *message, enum header_id id);

/* Does a comma-separated list (RFC 9110 section 5.6.1) hold the token, in any case? */
bool message_list_has(struct slice list, struct slice token);

/* Does Connection name fields at all, other than `close` and `keep-alive` alone; does it name this one
 * (RFC 9110 section 7.6.1)? */
bool message_connection_names_fields(const struct message *message);
bool message_is_named_by_connection(const struct message *message, struct slice name);
