/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP/2 (RFC 9113 section 8): fields as they come out of HPACK become the message that HTTP/1 would
 * have made of the same request, and the lines that net/proxy/forward.h writes become fields again. What two
 * readers could understand differently, above all once it is written as HTTP/1, is refused. No I/O; one
 * shard. */
#pragma once

#include "net/http/http1_parse.h"

#include <nghttp2/nghttp2.h>

/* A request's head while its fields arrive. Zeroed but for the first two, it is before the first one. */
struct http2_head {
    struct message *message; /* initialised */
    const struct http1_limits *limits;
    struct slice method, scheme, authority, path;
    struct slice protocol; /* of an extended CONNECT (RFC 8441) */
    struct slice cookie; /* crumbs, joined (section 8.2.3): a view of cookie_text */
    char *cookie_text;
    size_t cookie_room;
    uint64_t list_bytes; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts: 32 more per field */
    uint32_t field_count;
    uint8_t refusal; /* enum http1_refusal; the first one */
};

/* Takes a field, copied into the message's arena. nghttp2 has checked its characters and its place. */
void http2_head_add(struct http2_head *head, struct slice name, struct slice value);

/* The head is complete; `ends`: so is the message. The message is filled in as far as it was understood, or
 * refused. An extended CONNECT becomes what it is in HTTP/1, a GET that asks for an upgrade; it has no body,
 * what its stream carries is the other protocol's. */
enum http1_refusal http2_head_finish(struct http2_head *head, bool ends) MUST_CHECK;

/* Takes a field behind a message's body, copied into the arena; *trailers: NULL before the first one. The
 * same may trail as in HTTP/1 (RFC 9110 section 6.5.1): what only a head may say is left out, the other side
 * might take it for the head's. False: out of memory. The caller limits how much may come. */
bool http2_trailer_add(struct message **trailers, struct arena *arena, struct slice name,
                       struct slice value) MUST_CHECK;

enum { HTTP2_FIELDS_MAX = 320 };

/* The lines of a head, as fields: views of the text, in which names become lower case. Fields that belong to
 * one connection (section 8.2.2) are left out. 0: there are more than `most`. */
size_t http2_fields_of(char *text, size_t size, nghttp2_nv *fields, size_t most);
