/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http2_head.h"

#include "net/http/http1_fields.h"
#include "net/http/http1_rules.h"
#include "net/http/start_line.h"
#include "net/http/token.h"

enum { FIELD_OVERHEAD = 32, METHOD_BYTES = 32 };

/* --- requests ------------------------------------------------------------------------------------------- */

static void refuse(struct http2_head *head, enum http1_refusal refusal)
{
    if (head->refusal == HTTP1_REFUSED_NONE)
        head->refusal = (uint8_t)refusal;
}

static struct slice keep(struct http2_head *head, struct slice text)
{
    struct slice copy = text.size ? arena_copy(head->message->arena, text) : SLICE("");
    if (copy.data == NULL)
        refuse(head, HTTP1_REFUSED_MEMORY);
    return copy;
}

static void take_pseudo_field(struct http2_head *head, struct slice name, struct slice value)
{
    struct slice *place = slice_equal(name, SLICE(":method"))      ? &head->method
                          : slice_equal(name, SLICE(":scheme"))    ? &head->scheme
                          : slice_equal(name, SLICE(":authority")) ? &head->authority
                          : slice_equal(name, SLICE(":path"))      ? &head->path
                          : slice_equal(name, SLICE(":protocol"))  ? &head->protocol
                                                                   : NULL;
    if (place == NULL || place->data)
        refuse(head, HTTP1_REFUSED_FIELD);
    else
        *place = keep(head, value);
}

/* Room for as much again each time: crumbs are many, and each join would copy all before it. */
static void join_cookie(struct http2_head *head, struct slice crumb)
{
    static const char between[] = "; ";
    size_t used = head->cookie.data ? head->cookie.size + sizeof(between) - 1 : 0, size = used + crumb.size;
    if (head->cookie.data == NULL || size > head->cookie_room) {
        size_t room = head->cookie.data ? size * 2 : size;
        char *text = arena_alloc(head->message->arena, room ? room : 1);
        if (text == NULL) {
            refuse(head, HTTP1_REFUSED_MEMORY);
            return;
        }
        if (head->cookie.data)
            memcpy(text, head->cookie.data, head->cookie.size);
        head->cookie_text = text;
        head->cookie_room = room;
    }
    if (used > 0)
        memcpy(head->cookie_text + head->cookie.size, between, sizeof(between) - 1);
    if (crumb.size > 0)
        memcpy(head->cookie_text + used, crumb.data, crumb.size);
    head->cookie = (struct slice){ head->cookie_text, size };
}

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (((unsigned char)text.data[i] < 0x20 && text.data[i] != '\t') || text.data[i] == 0x7f)
            return true;
    return false;
}

static void take_field(struct http2_head *head, struct slice name, struct slice value)
{
    enum header_id id = message_header_id(name);
    if (!token_is(name) || has_control(value)) {
        refuse(head, HTTP1_REFUSED_CHARACTER);
        return;
    }
    switch (id) {
    case HEADER_COOKIE: join_cookie(head, slice_trim(value)); return;
    case HEADER_CONNECTION:
    case HEADER_KEEP_ALIVE:
    case HEADER_PROXY_CONNECTION:
    case HEADER_TRANSFER_ENCODING:
    case HEADER_UPGRADE: refuse(head, HTTP1_REFUSED_FIELD); return;
    default: break;
    }
    struct slice kept_name = id == HEADER_OTHER ? keep(head, name) : message_header_name(id);
    struct slice kept = keep(head, slice_trim(value));
    if (head->refusal == HTTP1_REFUSED_NONE && !message_add_id(head->message, id, kept_name, kept))
        refuse(head, HTTP1_REFUSED_MEMORY);
}

void http2_head_add(struct http2_head *head, struct slice name, struct slice value)
{
    head->list_bytes += name.size + value.size + FIELD_OVERHEAD;
    head->field_count++;
    if (head->refusal != HTTP1_REFUSED_NONE) /* nothing more is kept, whatever comes */
        return;
    bool path = slice_equal(name, SLICE(":path"));
    if (path && value.size > head->limits->target_bytes)
        refuse(head, HTTP1_REFUSED_TARGET_LONG);
    else if (head->list_bytes > head->limits->head_bytes)
        refuse(head, HTTP1_REFUSED_HEAD_LONG);
    else if (head->field_count >
             head->limits->header_fields + 4 + (head->protocol.data != NULL)) /* and the pseudo fields */
        refuse(head, HTTP1_REFUSED_FIELDS_MANY);
    else if (!path && name.size + value.size > head->limits->line_bytes)
        refuse(head, HTTP1_REFUSED_FIELD_LONG);
    else if (name.size > 0 && name.data[0] == ':')
        take_pseudo_field(head, name, value);
    else
        take_field(head, name, value);
}

/* As in HTTP/1: upper-case tokens, known or not. */
static enum http1_refusal judge_method(struct slice method)
{
    if (!token_is(method) || method.size > METHOD_BYTES)
        return HTTP1_REFUSED_METHOD;
    for (size_t i = 0; i < method.size; i++)
        if (method.data[i] >= 'a' && method.data[i] <= 'z')
            return HTTP1_REFUSED_METHOD;
    if (slice_equal(method, SLICE("CONNECT")) || slice_equal(method, SLICE("TRACE")))
        return HTTP1_REFUSED_METHOD_FORBIDDEN;
    return HTTP1_REFUSED_NONE;
}

/* Section 8.3.1, and nothing that would end a request line. */
static enum http1_refusal judge_path(struct slice method, struct slice path)
{
    bool star = slice_equal(path, SLICE("*")) && slice_equal(method, SLICE("OPTIONS"));
    if (!star && (path.size == 0 || path.data[0] != '/'))
        return HTTP1_REFUSED_TARGET;
    for (size_t i = 0; i < path.size; i++)
        if ((unsigned char)path.data[i] <= 0x20 || path.data[i] == 0x7f || path.data[i] == '#')
            return HTTP1_REFUSED_TARGET;
    return HTTP1_REFUSED_NONE;
}

/* RFC 8441 section 4: with the pseudo fields of any request, for what Upgrade could name, which may have a
 * version behind it. */
static enum http1_refusal judge_protocol(const struct http2_head *head)
{
    struct slice version, name = slice_split(head->protocol, '/', &version);
    bool good = slice_equal(head->method, SLICE("CONNECT")) && head->authority.data && token_is(name) &&
                (version.data == NULL || token_is(version));
    return good ? HTTP1_REFUSED_NONE : HTTP1_REFUSED_FIELD;
}

static enum http1_refusal judge_pseudo_fields(const struct http2_head *head)
{
    enum http1_refusal refusal = head->protocol.data ? judge_protocol(head) : judge_method(head->method);
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    if (!slice_equal_nocase(head->scheme, SLICE("http")) && !slice_equal_nocase(head->scheme, SLICE("https")))
        return HTTP1_REFUSED_TARGET;
    return judge_path(head->method, head->path);
}

/* Host and :authority say the same, or one of them nothing (section 8.3.1). */
static enum http1_refusal unite_host(struct http2_head *head)
{
    struct message *message = head->message;
    if (head->authority.data == NULL)
        return HTTP1_REFUSED_NONE;
    for (uint32_t i = 0; i < message->header_count; i++)
        if (message->headers[i].id == HEADER_HOST &&
            !slice_equal_nocase(message->headers[i].value, head->authority))
            return HTTP1_REFUSED_HOST;
    if (message_has(message, HEADER_HOST))
        return HTTP1_REFUSED_NONE;
    return message_add_id(message, HEADER_HOST, SLICE("host"), head->authority) ? HTTP1_REFUSED_NONE
                                                                                : HTTP1_REFUSED_MEMORY;
}

/* As HTTP/1 asks for it (RFC 9110 section 7.8). */
static enum http1_refusal ask_for_upgrade(struct http2_head *head)
{
    struct message *message = head->message;
    message->method = SLICE("GET");
    bool added = message_add_id(message, HEADER_CONNECTION, SLICE("connection"), SLICE("upgrade")) &&
                 message_add_id(message, HEADER_UPGRADE, SLICE("upgrade"), head->protocol);
    return added ? HTTP1_REFUSED_NONE : HTTP1_REFUSED_MEMORY;
}

static enum http1_refusal judge(struct http2_head *head, bool ends)
{
    struct message *message = head->message;
    bool extended = head->protocol.data != NULL;
    enum http1_refusal refusal = judge_pseudo_fields(head);
    if (refusal == HTTP1_REFUSED_NONE)
        refusal = unite_host(head);
    if (refusal == HTTP1_REFUSED_NONE && extended)
        refusal = ask_for_upgrade(head);
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    if (head->cookie.data && !message_add_id(message, HEADER_COOKIE, SLICE("cookie"), head->cookie))
        return HTTP1_REFUSED_MEMORY;
    struct slice none = { NULL, 0 };
    refusal = http1_rules_request(message, none);
    message->keep_alive = true; /* not for one request to say */
    if (refusal != HTTP1_REFUSED_NONE)
        return refusal;
    if (message->framing == BODY_LENGTH && (extended || (ends && message->body_bytes > 0)))
        return HTTP1_REFUSED_LENGTH;
    if (!ends && !extended && message->framing == BODY_NONE)
        message->framing = BODY_CHUNKED; /* of no length known */
    return HTTP1_REFUSED_NONE;
}

enum http1_refusal http2_head_finish(struct http2_head *head, bool ends)
{
    struct message *message = head->message;
    message->http2 = true;
    message->version_minor = 1;
    message->keep_alive = true;
    message->method = head->method;
    message->target = message->origin_form = head->path;
    if (head->refusal == HTTP1_REFUSED_NONE)
        head->refusal = (uint8_t)judge(head, ends);
    if (message->method.data == NULL)
        message->method = SLICE("");
    if (message->target.data == NULL)
        message->target = message->origin_form = SLICE("");
    return head->refusal;
}

/* --- fields --------------------------------------------------------------------------------------------- */

static bool is_for_one_connection(enum header_id id)
{
    return id == HEADER_CONNECTION || id == HEADER_KEEP_ALIVE || id == HEADER_PROXY_CONNECTION ||
           id == HEADER_TRANSFER_ENCODING || id == HEADER_UPGRADE;
}

bool http2_trailer_add(struct message **trailers, struct arena *arena, struct slice name, struct slice value)
{
    if (!http1_fields_may_trail(name))
        return true;
    if (*trailers == NULL) {
        *trailers = arena_alloc_zero(arena, sizeof(**trailers));
        if (*trailers == NULL)
            return false;
        message_init(*trailers, arena);
    }
    name = arena_copy(arena, name);
    value = arena_copy(arena, slice_trim(value));
    return name.data && value.data && message_add_id(*trailers, HEADER_OTHER, name, value);
}

static void lower(char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        name[i] = slice_lower(name[i]);
}

size_t http2_fields_of(char *text, size_t size, nghttp2_nv *fields, size_t most)
{
    size_t count = 0;
    char *end = text + size;
    for (char *line = text; line < end;) {
        char *next = memchr(line, '\r', (size_t)(end - line));
        char *colon = next ? memchr(line + 1, ':', (size_t)(next - line) - 1) : NULL;
        if (colon == NULL || count == most)
            return 0;
        struct slice name = { line, (size_t)(colon - line) };
        char *value = colon + 2;
        line = next + 2;
        if (is_for_one_connection(message_header_id(name)))
            continue;
        lower(colon - name.size, name.size);
        fields[count++] = (nghttp2_nv){ .name = (uint8_t *)(colon - name.size),
                                        .namelen = name.size,
                                        .value = (uint8_t *)value,
                                        .valuelen = (size_t)(next - value) };
    }
    return count;
}
