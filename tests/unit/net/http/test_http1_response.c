/* SPDX-License-Identifier: Apache-2.0 */
/* Responses of good, broken and hostile upstreams. */
#include "tests/support/http1_transcript.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct row {
    const char *name;
    struct slice bytes;
    const char *want;
};

#define BYTES(literal) { "" literal, sizeof(literal) - 1 }
#define STATUS(status, fields, body) BYTES("HTTP/1.1 " status "\r\n" fields "\r\n" body)
#define OK(fields, body) STATUS("200 OK", fields, body)
#define LENGTH "Content-Length: 5\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define CHUNKS "5\r\nhello\r\n0\r\n\r\n"

static void check(const struct row *rows, size_t count, enum http1_answer_to answer_to)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct http1_script script = { HTTP1_RESPONSE, answer_to, &http1_default_limits, 0, row->bytes };
        struct http1_cut bad = { 0, 0 };
        char *whole = http1_transcript(&script, 0, 0);
        cr_expect(strstr(whole, row->want) != NULL, "%s: wanted %s, got\n%s", row->name, row->want, whole);
        cr_expect(http1_cuts_agree(&script, whole, &bad), "%s: another outcome when cut at %zu, %zu",
                  row->name, bad.first, bad.step);
        free(whole);
    }
}

static const struct row refused[] = {
    { "length and chunked", OK(LENGTH CHUNKED, CHUNKS), "REFUSED 502 " },
    { "chunked and length", OK(CHUNKED LENGTH, CHUNKS), "REFUSED 502 " },
    { "lengths that differ", OK(LENGTH "Content-Length: 6\r\n", "hello"), "REFUSED 502 " },
    { "equal lengths", OK(LENGTH LENGTH, "hello"), "REFUSED 502 " },
    { "length list", OK("Content-Length: 5, 6\r\n", "hello"), "REFUSED 502 invalid Content-Length" },
    { "negative length", OK("Content-Length: -5\r\n", "hello"), "REFUSED 502 invalid Content-Length" },
    { "length +5", OK("Content-Length: +5\r\n", "hello"), "REFUSED 502 invalid Content-Length" },
    { "length of 23 digits", OK("Content-Length: 10000000000000000000005\r\n", "hello"), "REFUSED 502 " },
    { "length 2^64+5", OK("Content-Length: 18446744073709551621\r\n", "hello"), "REFUSED 502 " },
    { "empty length", OK("Content-Length:\r\n", "hello"), "REFUSED 502 invalid Content-Length" },
    { "length abc", OK("Content-Length: abc\r\n", "hello"), "REFUSED 502 invalid Content-Length" },
    { "unknown coding", OK("Transfer-Encoding: xchunked\r\n", "hello"),
      "REFUSED 502 unknown transfer coding" },
    { "chunked, gzip", OK("Transfer-Encoding: chunked, gzip\r\n", CHUNKS), "REFUSED 502 " },
    { "chunked twice", OK(CHUNKED CHUNKED, CHUNKS), "REFUSED 502 " },
    { "chunked in 1.0", BYTES("HTTP/1.0 200 OK\r\n" CHUNKED "\r\n" CHUNKS),
      "REFUSED 502 Transfer-Encoding in" },
    { "folded field", OK(LENGTH "X-A: 1\r\n 2\r\n", "hello"), "REFUSED 502 folded" },
    { "folded length", OK("Content-Length:\r\n 5\r\n", "hello"), "REFUSED 502 folded" },
    { "NUL in a value", OK(LENGTH "X-A: 1\0002\r\n", "hello"), "REFUSED 502 control character" },
    { "control in a value", OK(LENGTH "X-A: 1\0012\r\n", "hello"), "REFUSED 502 control character" },
    { "CR in a value", OK(LENGTH "X-A: 1\r2\r\n", "hello"), "REFUSED 502 CR or LF alone" },
    { "LF line ends", BYTES("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), "REFUSED 502 CR or LF alone" },
    { "LF after a field", BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\nX-A: 1\r\n\r\n"),
      "REFUSED 502 CR or LF" },
    { "space before the colon", OK("Content-Length : 5\r\n", "hello"), "REFUSED 502 " },
    { "no colon", OK(LENGTH "nocolon\r\n", "hello"), "REFUSED 502 malformed" },
    { "space in a name", OK(LENGTH "Bad Name: 1\r\n", "hello"), "REFUSED 502 malformed" },
    { "empty name", OK(LENGTH ": 1\r\n", "hello"), "REFUSED 502 malformed" },
    { "status 99", STATUS("99 Low", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "status 099", STATUS("099 Low", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "status 1000", STATUS("1000 High", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "status abc", STATUS("abc", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "status 2 0", STATUS("2 0 OK", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "status with tab", STATUS("200\tOK", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "two spaces", STATUS(" 200 OK", LENGTH, "hello"), "REFUSED 502 invalid status line" },
    { "no status", BYTES("HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), "REFUSED 502 invalid status line" },
    { "no status but space", BYTES("HTTP/1.1 \r\nContent-Length: 5\r\n\r\n"),
      "REFUSED 502 invalid status line" },
    { "HTTP/2.0", BYTES("HTTP/2.0 200 OK\r\n\r\n"), "REFUSED 502 HTTP version" },
    { "HTTP/1", BYTES("HTTP/1 200 OK\r\n\r\n"), "REFUSED 502 invalid HTTP version" },
    { "HTTP/0.9", BYTES("<html>hello</html>"), "REFUSED 502 invalid status line" },
    { "part of HTTP", BYTES("HTT\r\n\r\n"), "REFUSED 502 invalid status line" },
    { "lower case", BYTES("http/1.1 200 OK\r\n\r\n"), "REFUSED 502 invalid status line" },
    { "SSH banner", BYTES("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), "REFUSED 502 invalid status line" },
    { "TLS alert", BYTES("\x15\x03\x01\x00\x02\x02\x46"), "REFUSED 502 invalid status line" },
    { "empty line in front", BYTES("\r\nHTTP/1.1 200 OK\r\n\r\n"), "REFUSED 502 invalid status line" },
    { "short body", OK("Content-Length: 50\r\n", "hello"), "REFUSED 502 ends in the middle" },
    { "no last chunk", OK(CHUNKED, "5\r\nhello\r\n"), "BODY [hello]\nREFUSED 502 ends in the middle" },
    { "end within a chunk", OK(CHUNKED, "10\r\nhello"), "BODY [hello]\nREFUSED 502 ends in the middle" },
    { "end before the last line", OK(CHUNKED, "5\r\nhello\r\n0\r\n"), "REFUSED 502 ends in the middle" },
    { "end in the head", BYTES("HTTP/1.1 200 OK\r\nContent-"), "EOF REFUSED 502 ends in the middle" },
    { "bad chunk size", OK(CHUNKED, "5\r\nhello\r\nzz\r\n"), "BODY [hello]\nREFUSED 502 invalid chunk size" },
    { "chunk longer than its size", OK(CHUNKED, "3\r\nhello\r\n0\r\n\r\n"), "REFUSED 502 chunk longer" },
    { "trailers with NUL", OK(CHUNKED, "0\r\nA: \0\r\n\r\n"), "REFUSED 502 control character" },
};

Test(http1_response, refused)
{
    check(refused, COUNT_OF(refused), HTTP1_TO_ANY);
}

static const struct row good[] = {
    { "plain", OK(LENGTH, "hello"), "[OK] status=200 minor=1 keep-alive body=length,5" },
    { "plain body", OK(LENGTH, "hello"), "BODY [hello]\nEND\nEOF " },
    { "chunked", OK(CHUNKED, CHUNKS), "BODY [hello]\nEND\nEOF " },
    { "trailers", OK(CHUNKED, "0\r\nX-T: 1\r\n\r\n"), "END 0[X-T][1]\n" },
    { "empty reason", STATUS("200 ", LENGTH, "hello"), "[] status=200" },
    { "no reason", STATUS("200", LENGTH, "hello"), "[] status=200" },
    { "long reason", STATUS("200 All is\twell \xe9", LENGTH, "hello"), "[All is\\x09well \\xe9] status=200" },
    { "status 999", STATUS("999 Own", LENGTH, "hello"), "status=999" },
    { "obs-text", OK(LENGTH "X-A: caf\xe9\r\n", "hello"), "0[X-A][caf\\xe9]" },
    { "bytes after the length", OK(LENGTH, "helloHTTP/1.1 201 Second\r\n\r\n"), "END\nHEAD [][][][Second]" },
    { "Connection: close", OK(LENGTH "Connection: close\r\n", "hello"), "minor=1 body=length,5" },
    { "until close", OK("", "hello"), "minor=1 body=until-close,0" },
    { "until close, body", OK("", "hello"), "EOF BODY [hello]\nEND\n" },
    { "until close, empty", OK("", ""), "EOF END\n" },
    { "1.0", BYTES("HTTP/1.0 200 OK\r\n" LENGTH "\r\nhello"), "minor=0 body=length,5" },
    { "1.0 keep-alive", BYTES("HTTP/1.0 200 OK\r\n" LENGTH "Connection: keep-alive\r\n\r\nhello"),
      "minor=0 keep-alive body=length,5" },
    { "HTTP/1.2", BYTES("HTTP/1.2 200 OK\r\n" LENGTH "\r\nhello"), "minor=1 keep-alive" },
    { "204", STATUS("204 None", "", ""), "minor=1 keep-alive body=none,0" },
    { "204 with length", STATUS("204 None", LENGTH, ""), "keep-alive body=none,0" },
    { "304 with length", STATUS("304 Same", LENGTH, ""), "keep-alive body=none,0" },
    { "304 chunked", STATUS("304 Same", CHUNKED, ""), "keep-alive body=none,0" },
    { "100, then 200", BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" LENGTH "\r\nhello"),
      "status=100 minor=1 keep-alive body=none,0 present=0\n\nEND\nHEAD [][][][OK] status=200" },
    { "103", STATUS("103 Hints", "Link: </a>\r\n", "HTTP/1.1 200 OK\r\n" LENGTH "\r\nhello"),
      "0[Link][</a>]\nEND\nHEAD" },
    { "101", STATUS("101 Switching", "Connection: upgrade\r\nUpgrade: websocket\r\n", ""),
      "keep-alive upgrade body=none,0" },
    { "nothing", BYTES(""), "EOF " },
};

Test(http1_response, good)
{
    check(good, COUNT_OF(good), HTTP1_TO_ANY);
}

static const struct row to_head[] = {
    { "length", OK(LENGTH, ""), "keep-alive body=none,0 present" },
    { "chunked", OK(CHUNKED, ""), "keep-alive body=none,0 present" },
    { "neither", OK("", ""), "keep-alive body=none,0 present" },
    { "next", OK(LENGTH, "HTTP/1.1 201 Second\r\n\r\n"), "END\nHEAD [][][][Second]" },
    { "bad length", OK("Content-Length: x\r\n", ""), "REFUSED 502" },
};

Test(http1_response, to_head)
{
    check(to_head, COUNT_OF(to_head), HTTP1_TO_HEAD);
}

Test(http1_response, idle)
{
    struct http1_parser parser;
    struct arena arena;
    struct message message;
    size_t consumed;
    struct slice body;
    arena_init(&arena, NULL, 0, 1 << 16);
    http1_parser_init(&parser, HTTP1_RESPONSE, &http1_default_limits);
    http1_parser_begin(&parser, &message, &arena);
    cr_expect(http1_parser_is_idle(&parser));
    cr_expect_eq(http1_parse_eof(&parser), HTTP1_MORE);
    cr_expect_eq(http1_parse(&parser, "H", 1, &consumed, &body), HTTP1_MORE);
    cr_expect(!http1_parser_is_idle(&parser));
    cr_expect_eq(http1_parse_eof(&parser), HTTP1_REFUSED);
    cr_expect_eq(http1_parser_status(&parser), 502);
    arena_deinit(&arena);
}
