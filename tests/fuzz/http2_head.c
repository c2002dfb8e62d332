/* SPDX-License-Identifier: Apache-2.0 */
/* Fields out of HPACK, from hostile clients: each is a length and a name, a length and a value. What passes,
 * written as HTTP/1, must be one request with the same fields to a reader of HTTP/1: nothing is smuggled. */
#include "net/http/http2_head.h"
#include "net/http/http1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_BYTES = 1 << 16, ARENA_BYTES = 1 << 20, ENDS = 1 };

static const struct http1_limits wide = {
    .head_bytes = TEXT_BYTES,
    .line_bytes = TEXT_BYTES,
    .header_fields = 1000,
    .target_bytes = TEXT_BYTES,
    .chunk_extension_bytes = 10,
    .trailer_bytes = 60,
};

static struct slice take(struct slice *rest)
{
    size_t size = rest->size ? (unsigned char)rest->data[0] : 0;
    *rest = slice_from(*rest, rest->size ? 1 : 0);
    if (size > rest->size)
        size = rest->size;
    struct slice text = { rest->data, size };
    *rest = slice_from(*rest, size);
    return text;
}

static void check_as_http1(const struct message *message)
{
    static char text[TEXT_BYTES];
    struct writer out = writer_of(text, sizeof(text));
    http1_write_request_line(&out, message->method, message->target);
    for (uint32_t i = 0; i < message->header_count; i++)
        writer_header(&out, message->headers[i].name, message->headers[i].value);
    if (message->framing == BODY_CHUNKED)
        writer_text(&out, "transfer-encoding: chunked\r\n");
    writer_text(&out, "\r\n");
    if (out.overflow)
        return;
    struct arena arena;
    struct message read;
    struct http1_parser parser;
    arena_init(&arena, NULL, 0, ARENA_BYTES);
    http1_parser_init(&parser, HTTP1_REQUEST, &wide);
    http1_parser_begin(&parser, &read, &arena);
    size_t consumed;
    struct slice body;
    size_t bytes = (size_t)(out.next - text);
    CHECK(http1_parse(&parser, text, bytes, &consumed, &body) == HTTP1_HEAD);
    CHECK(consumed == bytes && slice_equal(read.method, message->method));
    CHECK(slice_equal(read.origin_form, message->origin_form) && read.framing == message->framing);
    CHECK(read.body_bytes == message->body_bytes);
    CHECK(read.header_count == message->header_count + (message->framing == BODY_CHUNKED));
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena;
    struct message message;
    arena_init(&arena, NULL, 0, ARENA_BYTES);
    message_init(&message, &arena);
    struct http2_head head = { .message = &message, .limits = &http1_default_limits };
    struct slice rest = { (const char *)data + 1, size - 1 };
    while (rest.size > 0) {
        struct slice name = take(&rest);
        http2_head_add(&head, name, take(&rest));
    }
    if (http2_head_finish(&head, data[0] & ENDS) == HTTP1_REFUSED_NONE)
        check_as_http1(&message);
    arena_deinit(&arena);
    return 0;
}
