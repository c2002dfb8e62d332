/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of the HTTP/1 parser, at both sides of each, and what happens when memory runs out. */
#include "tests/support/http1_transcript.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 400 * 1024 };

static const struct http1_limits small = {
    .head_bytes = 200,
    .line_bytes = 80,
    .header_fields = 4,
    .target_bytes = 20,
    .chunk_extension_bytes = 10,
    .trailer_bytes = 60,
};

static void check_text(const char *text, const struct http1_limits *limits, const char *want)
{
    struct http1_script script = { .role = HTTP1_REQUEST, .limits = limits, .bytes = slice_of(text) };
    struct http1_cut bad = { 0, 0 };
    char *whole = http1_transcript(&script, 0, 0);
    cr_expect(strstr(whole, want) != NULL, "%.60s: wanted %s, got\n%.300s", text, want, whole);
    cr_expect(http1_cuts_agree(&script, whole, &bad), "%.60s: another outcome when cut at %zu, %zu", text,
              bad.first, bad.step);
    free(whole);
}

/* `format` has one %s, which becomes `count` times `piece`. */
static void check_repeated(const char *format, const char *piece, size_t count, const char *want)
{
    static char many[ROOM], text[ROOM + 1024];
    size_t size = strlen(piece);
    cr_assert(size * count < sizeof(many));
    for (size_t i = 0; i < count; i++)
        memcpy(many + i * size, piece, size);
    many[count * size] = '\0';
    int length = snprintf(text, sizeof(text), format, many);
    cr_assert(length > 0 && (size_t)length < sizeof(text));
    check_text(text, want[0] == '~' ? &small : &http1_default_limits, want + (want[0] == '~'));
}

Test(http1_limits, target)
{
    check_repeated("GET /%s HTTP/1.0\r\n\r\n", "a", 19, "~HEAD");
    check_repeated("GET /%s HTTP/1.0\r\n\r\n", "a", 20, "~REFUSED 414");
    check_repeated("GET /%s HTTP/1.0\r\n\r\n", "a", 300, "~REFUSED 414");
    check_repeated("GET /%s HTTP/1.0\r\n\r\n", "a", 8191, "HEAD");
    check_repeated("GET /%s HTTP/1.0\r\n\r\n", "a", 8192, "REFUSED 414");
    check_repeated("GET /%s HTTP/1.0\r\n\r\n", "a", 70000, "REFUSED 414");
    check_repeated("%s /x HTTP/1.0\r\n\r\n", "A", 300000, "REFUSED 400 invalid method");
}

Test(http1_limits, fields)
{
    check_repeated("GET / HTTP/1.0\r\nX: %s\r\n\r\n", "a", 77, "~HEAD");
    check_repeated("GET / HTTP/1.0\r\nX: %s\r\n\r\n", "a", 78, "~REFUSED 431 header field too long");
    check_repeated("GET / HTTP/1.0\r\nX: %s\r\n\r\n", "a", 16 * 1024 - 3, "HEAD");
    check_repeated("GET / HTTP/1.0\r\nX: %s\r\n\r\n", "a", 16 * 1024 - 2,
                   "REFUSED 431 header field too long");
    check_repeated("GET / HTTP/1.0\r\nX: %s\r\n\r\n", "a", 100000, "REFUSED 431 header field too long");
    check_repeated("GET / HTTP/1.0\r\n%s: 1\r\n\r\n", "a", 100000, "REFUSED 431 header field too long");
    check_repeated("GET / HTTP/1.0\r\n%s\r\n", "X: 1\r\n", 4, "~HEAD");
    check_repeated("GET / HTTP/1.0\r\n%s\r\n", "X: 1\r\n", 5, "~REFUSED 431 too many");
    check_repeated("GET / HTTP/1.0\r\n%s\r\n", "X: 1\r\n", 100, "HEAD");
    check_repeated("GET / HTTP/1.0\r\n%s\r\n", "X: 1\r\n", 101, "REFUSED 431 too many");
    check_repeated("GET / HTTP/1.0\r\n%s\r\n", "X: 1\r\n", 5000, "REFUSED 431 too many");
}

Test(http1_limits, head)
{
    /* 16 + 4 + 2 bytes around them */
    check_repeated("GET / HTTP/1.0\r\nX: 1\r\n%s\r\n",
                   "Y: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 3, "~HEAD");
    check_repeated("GET / HTTP/1.0\r\nX: 12345678901234\r\n%s\r\n",
                   "Y: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 3,
                   "~REFUSED 431 header too long");
    check_repeated("GET / HTTP/1.0\r\nX: %1$s\r\nY: %1$s\r\n\r\n", "a", 16000, "HEAD");
    check_repeated("GET / HTTP/1.0\r\nX: %1$s\r\nY: %1$s\r\nZ: %1$s\r\n\r\n", "a", 16000,
                   "REFUSED 431 header too long");
}

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

Test(http1_limits, chunks)
{
    check_repeated(CHUNKED "1;%s\r\na\r\n0\r\n\r\n", "a", 10, "~BODY [a]\nEND");
    check_repeated(CHUNKED "1;%s\r\na\r\n0\r\n\r\n", "a", 11,
                   "~REFUSED 400 invalid or too long chunk extension");
    check_repeated(CHUNKED "1;%s\r\na\r\n0;b\r\n\r\n", "a", 10, "~REFUSED 400 invalid or too long chunk ext");
    check_repeated(CHUNKED "1;%s\r\na\r\n0\r\n\r\n", "a", 200000,
                   "REFUSED 400 invalid or too long chunk ext");
    check_repeated(CHUNKED "%s0\r\n\r\n", "1\r\na\r\n", 3, "~BODY [aaa]\nEND");
    check_repeated(CHUNKED "0\r\n%s\r\n", "T: 1\r\n", 4, "~END 0[T][1]");
    check_repeated(CHUNKED "0\r\n%s\r\n", "T: 1\r\n", 5, "~REFUSED 431 too many");
    check_repeated(CHUNKED "0\r\n%s\r\n", "T: 11111111111111\r\n", 3, "~END 0[T]");
    check_repeated(CHUNKED "0\r\n%s\r\n", "T: 1111111111111111\r\n", 3, "~REFUSED 431 header too long");
    check_repeated(CHUNKED "0\r\n%s\r\n", "X-T: aaaaaaaaaaaaaaaa\r\n", 9000, "REFUSED 431");
}

/* Whatever is left of an arena, the parser says MEMORY or does its work; nothing else happens. */
Test(http1_limits, memory)
{
    static const char text[] = CHUNKED "1\r\na\r\n0\r\nX-T: 1\r\n\r\nGET http://a?b HTTP/1.0\r\n\r\n";
    struct http1_script script = {
        .role = HTTP1_REQUEST,
        .limits = &http1_default_limits,
        .bytes = { text, sizeof(text) - 1 },
    };
    static const size_t steps[] = { 0, 1, 13 };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        for (script.arena_bytes = 1; script.arena_bytes < 4096; script.arena_bytes += 64) {
            char *outcome = http1_transcript(&script, steps[i], steps[i]);
            cr_expect(strstr(outcome, "REFUSED 503") != NULL || strstr(outcome, "[/?b]") != NULL, "%s",
                      outcome);
            free(outcome);
        }
    }
}
