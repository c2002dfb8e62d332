/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/http2_frames.h"

#include <criterion/criterion.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

/* --- frames --------------------------------------------------------------------------------------------- */

static uint8_t bytes[4096];
static size_t size;

static void put(uint32_t length, uint8_t type, uint8_t flags, uint32_t stream)
{
    const uint8_t head[HTTP2_FRAME_HEAD_BYTES] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8),  (uint8_t)length,        type,           flags,
        (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream
    };
    memcpy(bytes + size, head, sizeof(head));
    memset(bytes + size + sizeof(head), 0xaa, length);
    size += sizeof(head) + length;
}

static void begin(void)
{
    memcpy(bytes, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    size = NGHTTP2_CLIENT_MAGIC_LEN;
    put(0, NGHTTP2_SETTINGS, 0, 0);
    put(30, NGHTTP2_HEADERS, 0, 1);
    put(300, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1);
    put(5, NGHTTP2_PRIORITY, 0, 7);
    memcpy(bytes + size - 5, "\x80\0\0\7", 4); /* on itself, exclusively */
    put(3, NGHTTP2_PRIORITY, 0, 9); /* too short for that */
    put(7, 0x42, 0xff, 0x80000003);
    put(1000, NGHTTP2_DATA, 1, 1);
    put(0, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3);
}

TestSuite(http2_frames, .init = begin);

struct seen {
    uint32_t length, stream, dependency;
    uint8_t type;
};

static const struct seen all[] = {
    { 0, 0, 0, NGHTTP2_SETTINGS }, { 30, 1, 0, NGHTTP2_HEADERS }, { 300, 1, 0, NGHTTP2_CONTINUATION },
    { 5, 7, 7, NGHTTP2_PRIORITY }, { 3, 9, 0, NGHTTP2_PRIORITY }, { 7, 3, 0, 0x42 },
    { 1000, 1, 0, NGHTTP2_DATA },  { 0, 3, 0, NGHTTP2_HEADERS },
};

static void expect_all_in_pieces_of(size_t piece)
{
    struct http2_frames frames;
    size_t count = 0;
    http2_frames_init(&frames);
    for (size_t from = 0; from < size; from += piece) {
        size_t left = size - from < piece ? size - from : piece, at = 0, part;
        while (http2_frames_next(&frames, bytes + from + at, left - at, &part)) {
            at += part;
            cr_assert(count < sizeof(all) / sizeof(all[0]));
            const struct seen *want = &all[count++];
            cr_assert_eq(frames.length, want->length);
            cr_assert_eq(frames.type, want->type);
            cr_assert_eq(frames.stream, want->stream);
            cr_assert_eq(frames.dependency, want->dependency);
        }
        cr_assert_eq(at + part, left, "not all of a piece is taken");
    }
    cr_assert_eq(count, sizeof(all) / sizeof(all[0]));
}

Test(http2_frames, are_found_however_they_are_cut)
{
    for (size_t piece = 1; piece <= 64; piece++)
        expect_all_in_pieces_of(piece);
    expect_all_in_pieces_of(size);
}

Test(http2_frames, a_head_is_open_until_its_last_byte)
{
    struct http2_frames frames;
    size_t part, at = 0, last_of_head = NGHTTP2_CLIENT_MAGIC_LEN + 9 + 39 + 309;
    http2_frames_init(&frames);
    for (; at < last_of_head - 1; at++)
        (void)!http2_frames_next(&frames, bytes + at, 1, &part);
    cr_assert(frames.in_head);
    (void)!http2_frames_next(&frames, bytes + at, 1, &part);
    cr_assert(!frames.in_head);
    while (++at < size)
        (void)!http2_frames_next(&frames, bytes + at, 1, &part);
    cr_assert(!frames.in_head, "an empty head ends at once");
}

/* --- streams that are over ------------------------------------------------------------------------------ */

static struct http2_closed closed;

static void begin_closed(void)
{
    closed = (struct http2_closed){ 0 };
}

TestSuite(http2_closed, .init = begin_closed);

Test(http2_closed, says_who_ended_a_stream)
{
    http2_closed_add(&closed, 1, true);
    http2_closed_add(&closed, 5, false);
    cr_assert_eq(http2_closed_how(&closed, 1), HTTP2_CLOSED_BY_CLIENT);
    cr_assert_eq(http2_closed_how(&closed, 5), HTTP2_CLOSED_BY_US);
    cr_assert_eq(http2_closed_how(&closed, 3), HTTP2_CLOSED_NEVER_OPEN);
}

Test(http2_closed, the_latest_word_counts)
{
    http2_closed_add(&closed, 1, false);
    http2_closed_add(&closed, 1, true);
    cr_assert_eq(http2_closed_how(&closed, 1), HTTP2_CLOSED_BY_CLIENT);
}

Test(http2_closed, forgets_the_oldest)
{
    for (uint32_t i = 0; i < HTTP2_CLOSED_KEPT + 1; i++)
        http2_closed_add(&closed, 10 + 4 * i, true);
    cr_assert_eq(http2_closed_how(&closed, 10), HTTP2_CLOSED_UNKNOWN);
    cr_assert_eq(http2_closed_how(&closed, 8), HTTP2_CLOSED_UNKNOWN);
    cr_assert_eq(http2_closed_how(&closed, 12), HTTP2_CLOSED_NEVER_OPEN);
    cr_assert_eq(http2_closed_how(&closed, 14), HTTP2_CLOSED_BY_CLIENT);
}
