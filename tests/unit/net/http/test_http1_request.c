/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, good and hostile: the outcome, and that it does not depend on how the bytes are cut. */
#include "tests/support/http1_transcript.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct row {
    const char *name;
    struct slice bytes;
    const char *want; /* is in the transcript */
};

#define BYTES(literal) { "" literal, sizeof(literal) - 1 }
#define LINE(line) BYTES(line "\r\nHost: test\r\n\r\n")
#define GET(fields) BYTES("GET /x HTTP/1.1\r\nHost: test\r\n" fields "\r\n")
#define POST(fields, body) BYTES("POST /x HTTP/1.1\r\nHost: test\r\n" fields "\r\n" body)
#define CHUNKS(body) POST("Transfer-Encoding: chunked\r\n", body)
#define LAST "0\r\n\r\n"

static void check_row(const struct row *row, const struct http1_limits *limits)
{
    struct http1_script script = { .role = HTTP1_REQUEST, .limits = limits, .bytes = row->bytes };
    struct http1_cut bad;
    char *whole = http1_transcript(&script, 0, 0);
    cr_expect(strstr(whole, row->want) != NULL, "%s: wanted %s, got\n%s", row->name, row->want, whole);
    bool agree = http1_cuts_agree(&script, whole, &bad);
    char *other = agree ? NULL : http1_transcript(&script, bad.first, bad.step);
    cr_expect(agree, "%s: cut at %zu, %zu gives\n%sinstead of\n%s", row->name, bad.first, bad.step, other,
              whole);
    free(other);
    free(whole);
}

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i], &http1_default_limits);
}

static const struct row start_lines[] = {
    { "method with parenthesis", LINE("GE(T /x HTTP/1.1"), "REFUSED 400 invalid method" },
    { "method in lower case", LINE("get /x HTTP/1.1"), "REFUSED 400 invalid method" },
    { "method of 32", LINE("AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH /x HTTP/1.1"),
      "HEAD [AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH]" },
    { "method of 33", LINE("AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHI /x HTTP/1.1"), "REFUSED 400 invalid method" },
    { "method empty", LINE(" /x HTTP/1.1"), "REFUSED 400 invalid method" },
    { "method unknown", LINE("FROB /x HTTP/1.1"), "HEAD [FROB][/x][/x]" },
    { "method M-SEARCH", LINE("M-SEARCH /x HTTP/1.1"), "HEAD [M-SEARCH]" },
    { "CONNECT", LINE("CONNECT test:80 HTTP/1.1"), "REFUSED 405 method not served" },
    { "TRACE", LINE("TRACE /x HTTP/1.1"), "REFUSED 405 method not served" },
    { "TRACER", LINE("TRACER /x HTTP/1.1"), "HEAD [TRACER]" },
    { "no target", LINE("GET  HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "no slash", LINE("GET x HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "@evil", LINE("GET @evil/x HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "space in target", LINE("GET /a b HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "two spaces", LINE("GET  /a HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "space behind target", LINE("GET /a  HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "space behind version", LINE("GET /a HTTP/1.1 "), "REFUSED 400 invalid HTTP version" },
    { "tab in target", LINE("GET /a\tb HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "tabs between", LINE("GET\t/x\tHTTP/1.1"), "REFUSED 400 invalid method" },
    { "NUL in target", LINE("GET /x\0y HTTP/1.1"), "REFUSED 400 control character" },
    { "DEL in target", LINE("GET /x\x7fy HTTP/1.1"), "REFUSED 400 control character" },
    { "8-bit in target", LINE("GET /caf\xc3\xa9 HTTP/1.1"), "HEAD [GET][/caf\\xc3\\xa9]" },
    { "fragment", LINE("GET /a#b HTTP/1.1"), "HEAD [GET][/a#b][/a#b]" },
    { "asterisk", LINE("OPTIONS * HTTP/1.1"), "HEAD [OPTIONS][*][*]" },
    { "asterisk with GET", LINE("GET * HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "asterisk and more", LINE("OPTIONS *x HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "absolute-form", LINE("GET http://other:81/y?q HTTP/1.1"), "[/y?q][] status=0 minor=1 keep-alive" },
    { "absolute-form sets Host", LINE("GET http://other:81/y?q HTTP/1.1"), "[Host][other:81]" },
    { "absolute-form, https", LINE("GET HTTPS://other/y HTTP/1.1"), "[HTTPS://other/y][/y]" },
    { "absolute-form, no path", LINE("GET http://other HTTP/1.1"), "[http://other][/]" },
    { "absolute-form, query only", LINE("GET http://other?q HTTP/1.1"), "[http://other?q][/?q]" },
    { "absolute-form, no host", LINE("GET http:///x HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "absolute-form, user", LINE("GET http://u@other/x HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "absolute-form, ftp", LINE("GET ftp://other/x HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "absolute-form, bad port", LINE("GET http://other:x/ HTTP/1.1"), "REFUSED 400 invalid request target" },
    { "absolute-form 1.0, no Host", BYTES("GET http://other/ HTTP/1.0\r\n\r\n"), "[Host][other]" },
    { "absolute-form 1.1, no Host", BYTES("GET http://other/ HTTP/1.1\r\n\r\n"), "REFUSED 400 no Host" },
    { "HTTP/1.2", LINE("GET /x HTTP/1.2"), "minor=1 keep-alive" },
    { "HTTP/2.0", LINE("GET /x HTTP/2.0"), "REFUSED 505 HTTP version" },
    { "HTTP/3.0", LINE("GET /x HTTP/3.0"), "REFUSED 505 HTTP version" },
    { "HTTP/9.9", LINE("GET /x HTTP/9.9"), "REFUSED 505 HTTP version" },
    { "HTTP/1.10", LINE("GET /x HTTP/1.10"), "REFUSED 400 invalid HTTP version" },
    { "HTTP/01.1", LINE("GET /x HTTP/01.1"), "REFUSED 400 invalid HTTP version" },
    { "HTTP/1,1", LINE("GET /x HTTP/1,1"), "REFUSED 400 invalid HTTP version" },
    { "HTTP/11", LINE("GET /x HTTP/11"), "REFUSED 400 invalid HTTP version" },
    { "HTTP/0.9", LINE("GET /x HTTP/0.9"), "REFUSED 400 invalid HTTP version" },
    { "http/1.1", LINE("GET /x http/1.1"), "REFUSED 400 invalid HTTP version" },
    { "HTTX/1.1", LINE("GET /x HTTX/1.1"), "REFUSED 400 invalid HTTP version" },
    { "HTTP/0.9 request", BYTES("GET /x\r\n"), "REFUSED 400 invalid HTTP version" },
    { "method alone", BYTES("GET\r\n"), "REFUSED 400 invalid method" },
    { "h2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "REFUSED 505" },
    { "TLS hello", BYTES("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"), "REFUSED 400 invalid method" },
    { "SSH banner", BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"), "REFUSED 400 invalid method" },
    { "nothing", BYTES(""), "EOF " },
    { "part of a line", BYTES("GET /x HT"), "EOF REFUSED 400 ends in the middle" },
    { "part of a method", BYTES("G"), "EOF REFUSED 400 ends in the middle" },
    { "one empty line", BYTES("\r\nGET / HTTP/1.0\r\n\r\n"), "HEAD [GET]" },
    { "two empty lines", BYTES("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), "HEAD [GET]" },
    { "three empty lines", BYTES("\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"), "REFUSED 400 too many empty lines" },
    { "empty line, then nothing", BYTES("\r\n"), "EOF " },
    { "LF first", BYTES("\nGET / HTTP/1.0\r\n\r\n"), "REFUSED 400 CR or LF alone" },
    { "CR first", BYTES("\rGET / HTTP/1.0\r\n\r\n"), "REFUSED 400 CR or LF alone" },
};

Test(http1_request, start_lines)
{
    check(start_lines, COUNT_OF(start_lines));
}

static const struct row fields[] = {
    { "LF line ends", BYTES("GET /x HTTP/1.1\nHost: test\n\n"), "REFUSED 400 CR or LF alone" },
    { "LF after request line", BYTES("GET /x HTTP/1.1\nHost: test\r\n\r\n"), "REFUSED 400 CR or LF alone" },
    { "LF after a field", BYTES("GET /x HTTP/1.1\r\nHost: test\nX-A: 1\r\n\r\n"),
      "REFUSED 400 CR or LF alone" },
    { "LF at the end", BYTES("GET /x HTTP/1.1\r\nHost: test\r\n\n"), "REFUSED 400 CR or LF alone" },
    { "CR in a value", GET("X-A: 1\r2\r\n"), "REFUSED 400 CR or LF alone" },
    { "CR as line end", BYTES("GET /x HTTP/1.1\rHost: test\r\r"), "REFUSED 400 CR or LF alone" },
    { "CR CR LF", BYTES("GET /x HTTP/1.1\r\nHost: test\r\r\n\r\n"), "REFUSED 400 CR or LF alone" },
    { "folded", GET("X-A: 1\r\n 2\r\n"), "REFUSED 400 folded" },
    { "folded with tab", GET("X-A: 1\r\n\t2\r\n"), "REFUSED 400 folded" },
    { "folded before the first", BYTES("GET /x HTTP/1.1\r\n Host: test\r\n\r\n"), "REFUSED 400 folded" },
    { "NUL in a value", GET("X-A: 1\0002\r\n"), "REFUSED 400 control character" },
    { "NUL in a name", GET("X\0A: 1\r\n"), "REFUSED 400 control character" },
    { "control in a value", GET("X-A: 1\0012\r\n"), "REFUSED 400 control character" },
    { "escape in a value", GET("X-A: \x1b[31m\r\n"), "REFUSED 400 control character" },
    { "DEL in a value", GET("X-A: 1\x7f\r\n"), "REFUSED 400 control character" },
    { "no colon", GET("nocolon\r\n"), "REFUSED 400 malformed" },
    { "no colon, then Host", BYTES("GET / HTTP/1.1\r\nnocolon\r\nHost: a\r\n\r\n"), "REFUSED 400 malformed" },
    { "empty name", GET(": 1\r\n"), "REFUSED 400 malformed" },
    { "space in a name", GET("Bad Name: 1\r\n"), "REFUSED 400 malformed" },
    { "space before colon", GET("X-A : 1\r\n"), "REFUSED 400 malformed" },
    { "tab before colon", GET("X-A\t: 1\r\n"), "REFUSED 400 malformed" },
    { "space before colon of length", POST("Content-Length : 3\r\n", "abc"), "REFUSED 400" },
    { "space before colon of coding", POST("Transfer-Encoding : chunked\r\n", LAST), "REFUSED 400" },
    { "8-bit in a name", GET("X-\xe9: 1\r\n"), "REFUSED 400 malformed" },
    { "parenthesis in a name", GET("X(A): 1\r\n"), "REFUSED 400 malformed" },
    { "obs-text", GET("X-A: caf\xe9\x80\xff\r\n"), "0[X-A][caf\\xe9\\x80\\xff]" },
    { "tab in a value", GET("X-A: a\tb\r\n"), "0[X-A][a\\x09b]" },
    { "empty value", GET("X-A:\r\n"), "0[X-A][]" },
    { "value of spaces", GET("X-A: \t \r\nX-B: 1\r\n"), "0[X-A][] 0[X-B][1]" },
    { "space around a value", GET("X-A: \t 1 2 \t \r\n"), "0[X-A][1 2]" },
    { "no space", GET("X-A:1\r\n"), "0[X-A][1]" },
    { "colons in a value", GET("X-A: :1:\r\n"), "0[X-A][:1:]" },
    { "underscore", GET("x_a: 1\r\n"), "0[x_a][1]" },
    { "all token characters", GET("!#$%&'*+-.^_`|~: 1\r\n"), "0[!#$%&'*+-.^_`|~][1]" },
    { "order and repeats", GET("X-A: 1\r\nX-B: 2\r\nx-a: 3\r\n"), "0[X-A][1] 0[X-B][2] 0[x-a][3]" },
    { "no Host", BYTES("GET /x HTTP/1.1\r\n\r\n"), "REFUSED 400 no Host" },
    { "no Host, 1.0", BYTES("GET /x HTTP/1.0\r\n\r\n"), "HEAD [GET][/x][/x][] status=0 minor=0 body=none" },
    { "refused, but headers known", BYTES("GET /x HTTP/1.1\r\nX-A: 1\r\n\r\n"), "0[X-A][1]" },
    { "two Hosts", GET("Host: other\r\n"), "REFUSED 400 more than one Host" },
    { "two equal Hosts", GET("host: test\r\n"), "REFUSED 400 more than one Host" },
    { "two Hosts, 1.0", BYTES("GET /x HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
      "REFUSED 400 more than one Host" },
    { "two Authorizations", GET("Authorization: a\r\nAuthorization: b\r\n"),
      "REFUSED 400 more than one Auth" },
    { "Expect of another kind", POST("Expect: else\r\nContent-Length: 3\r\n", "abc"), "REFUSED 417" },
    { "Expect twice, one bad", POST("Expect: 100-continue\r\nExpect: x\r\n", ""), "REFUSED 417" },
    { "Expect", POST("Expect: 100-Continue\r\nContent-Length: 3\r\n", "abc"),
      "keep-alive continue body=length,3" },
    { "Expect without body", POST("Expect: 100-continue\r\n", ""), "keep-alive body=none" },
    { "Expect in 1.0", BYTES("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na"),
      "minor=0 body=length,1" },
};

Test(http1_request, fields)
{
    check(fields, COUNT_OF(fields));
}

#define HOST(value) BYTES("GET / HTTP/1.1\r\nHost: " value "\r\n\r\n")

static const struct row hosts[] = {
    { "plain", HOST("a.test"), "[a.test]" },
    { "port", HOST("test:8080"), "[test:8080]" },
    { "last port", HOST("test:65535"), "[test:65535]" },
    { "no digits in the port", HOST("test:"), "[test:]" },
    { "upper case", HOST("TEST"), "[TEST]" },
    { "underscore", HOST("my_host"), "[my_host]" },
    { "IPv4", HOST("10.1.2.3:99"), "[10.1.2.3:99]" },
    { "IPv6", HOST("[::1]:80"), "[\\x5b::1\\x5d:80]" },
    { "empty", HOST(""), "REFUSED 400 invalid Host" },
    { "list", HOST("a, b"), "REFUSED 400 invalid Host" },
    { "list without space", HOST("a,b"), "REFUSED 400 invalid Host" },
    { "user", HOST("u@a"), "REFUSED 400 invalid Host" },
    { "path", HOST("a/evil"), "REFUSED 400 invalid Host" },
    { "backslash", HOST("a\\b"), "REFUSED 400 invalid Host" },
    { "query", HOST("a?b"), "REFUSED 400 invalid Host" },
    { "fragment", HOST("a#b"), "REFUSED 400 invalid Host" },
    { "port too large", HOST("a:65536"), "REFUSED 400 invalid Host" },
    { "port 99999", HOST("a:99999"), "REFUSED 400 invalid Host" },
    { "port in words", HOST("a:abc"), "REFUSED 400 invalid Host" },
    { "two ports", HOST("a:1:2"), "REFUSED 400 invalid Host" },
    { "port only", HOST(":80"), "REFUSED 400 invalid Host" },
    { "space", HOST("te st"), "REFUSED 400 invalid Host" },
    { "tab", HOST("te\tst"), "REFUSED 400 invalid Host" },
    { "8-bit", HOST("t\xe9st"), "REFUSED 400 invalid Host" },
    { "open bracket", HOST("[::1"), "REFUSED 400 invalid Host" },
    { "empty brackets", HOST("[]"), "REFUSED 400 invalid Host" },
    { "behind brackets", HOST("[::1]x"), "REFUSED 400 invalid Host" },
    { "name in brackets", HOST("[test]"), "REFUSED 400 invalid Host" },
};

Test(http1_request, hosts)
{
    check(hosts, COUNT_OF(hosts));
}

#define CONNECTION(version, fields) BYTES("GET / HTTP/" version "\r\nHost: a\r\n" fields "\r\n")

static const struct row connections[] = {
    { "1.1", CONNECTION("1.1", ""), "minor=1 keep-alive body" },
    { "1.1 close", CONNECTION("1.1", "Connection: close\r\n"), "minor=1 body" },
    { "1.1 Close in a list", CONNECTION("1.1", "Connection: x , Close\r\n"), "minor=1 body" },
    { "1.1 close in the second", CONNECTION("1.1", "Connection: x\r\nConnection: close\r\n"),
      "minor=1 body" },
    { "1.1 closed is not close", CONNECTION("1.1", "Connection: closed\r\n"), "minor=1 keep-alive body" },
    { "1.1 both", CONNECTION("1.1", "Connection: keep-alive, close\r\n"), "minor=1 body" },
    { "1.0", CONNECTION("1.0", ""), "minor=0 body" },
    { "1.0 keep-alive", CONNECTION("1.0", "Connection: Keep-Alive\r\n"), "minor=0 keep-alive body" },
    { "upgrade", CONNECTION("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
      "keep-alive upgrade body" },
    { "upgrade without option", CONNECTION("1.1", "Upgrade: websocket\r\n"), "keep-alive body" },
    { "upgrade without field", CONNECTION("1.1", "Connection: upgrade\r\n"), "keep-alive body" },
    { "upgrade, then more",
      BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
            "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
      "HEAD [GET][/2]" },
    { "upgrade in 1.0", CONNECTION("1.0", "Connection: upgrade\r\nUpgrade: x\r\n"), "minor=0 body" },
};

Test(http1_request, connections)
{
    check(connections, COUNT_OF(connections));
}

static const struct row framings[] = {
    { "none", GET(""), "body=none,0 present" },
    { "length", POST("Content-Length: 3\r\n", "abc"), "BODY [abc]\nEND" },
    { "length 0", POST("Content-Length: 0\r\n", ""), "body=length,0" },
    { "length with zeros", POST("Content-Length: 003\r\n", "abc"), "BODY [abc]\nEND" },
    { "length cut short", POST("Content-Length: 4\r\n", "abc"),
      "BODY [abc]\nREFUSED 400 ends in the middle" },
    { "GET with length", GET("Content-Length: 3\r\n\r\nabc"), "body=length,3" },
    { "length then chunked", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", LAST),
      "REFUSED 400" },
    { "chunked then length", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", LAST),
      "REFUSED 400" },
    { "chunked in 1.0", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" LAST), "REFUSED 400" },
    { "coding identity", POST("Transfer-Encoding: identity\r\n", ""), "REFUSED 501 unknown transfer coding" },
    { "coding xchunked", POST("Transfer-Encoding: xchunked\r\n", ""), "REFUSED 501 unknown transfer coding" },
    { "coding quoted", POST("Transfer-Encoding: \"chunked\"\r\n", LAST), "REFUSED 400 invalid Transfer" },
    { "coding behind VT",
      POST("Transfer-Encoding: \x0b"
           "chunked\r\n",
           LAST),
      "REFUSED 400 control character" },
    { "coding empty", POST("Transfer-Encoding:\r\n", ""), "REFUSED 400" },
    { "coding empty with length", POST("Transfer-Encoding:\r\nContent-Length: 3\r\n", "abc"), "REFUSED 400" },
    { "chunked, gzip", POST("Transfer-Encoding: chunked, gzip\r\n", LAST), "REFUSED 400" },
    { "chunked, chunked", POST("Transfer-Encoding: chunked, chunked\r\n", LAST), "REFUSED 400" },
    { "chunked,", POST("Transfer-Encoding: chunked,\r\n", LAST), "REFUSED 400" },
    { ",chunked", POST("Transfer-Encoding: ,chunked\r\n", LAST), "REFUSED 400" },
    { "chunked;q", POST("Transfer-Encoding: chunked;q=1\r\n", LAST), "REFUSED 400" },
    { "chunked twice", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", LAST),
      "REFUSED 400" },
    { "chunked and identity", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", LAST),
      "REFUSED 400" },
    { "gzip, chunked", POST("Transfer-Encoding: gzip, chunked\r\n", LAST),
      "REFUSED 501 unknown transfer coding" },
    { "Chunked", POST("Transfer-Encoding: Chunked \r\n", LAST), "body=chunked" },
    { "folded coding", POST("Transfer-Encoding:\r\n chunked\r\n", LAST), "REFUSED 400 folded" },
    { "folded length", POST("Content-Length:\r\n 3\r\n", "abc"), "REFUSED 400 folded" },
    { "lengths that differ", POST("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), "REFUSED 400" },
    { "equal lengths", POST("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), "REFUSED 400" },
    { "length list", POST("Content-Length: 3, 3\r\n", "abc"), "REFUSED 400 invalid Content-Length" },
    { "length +3", POST("Content-Length: +3\r\n", "abc"), "REFUSED 400 invalid Content-Length" },
    { "length -3", POST("Content-Length: -3\r\n", "abc"), "REFUSED 400 invalid Content-Length" },
    { "length 0x3", POST("Content-Length: 0x3\r\n", "abc"), "REFUSED 400 invalid Content-Length" },
    { "length empty", POST("Content-Length:\r\n", ""), "REFUSED 400 invalid Content-Length" },
    { "length 1 3", POST("Content-Length: 1 3\r\n", "abc"), "REFUSED 400 invalid Content-Length" },
    { "length 3.0", POST("Content-Length: 3.0\r\n", "abc"), "REFUSED 400 invalid Content-Length" },
    { "length abc", POST("Content-Length: abc\r\n", ""), "REFUSED 400 invalid Content-Length" },
    { "length of 25 digits", POST("Content-Length: 1000000000000000000000003\r\n", "abc"), "REFUSED 400" },
    { "length 2^64+3", POST("Content-Length: 18446744073709551619\r\n", "abc"), "REFUSED 400" },
    { "length 2^64-1", POST("Content-Length: 18446744073709551615\r\n", "abc"), "REFUSED 400" },
    { "length 2^63-1", POST("Content-Length: 9223372036854775807\r\n", ""),
      "body=length,9223372036854775807" },
    { "pipeline",
      BYTES("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            "POST /2 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n" LAST
            "\r\nGET /3 HTTP/1.1\r\nHost: c\r\n\r\n"),
      "HEAD [GET][/3]" },
};

Test(http1_request, framings)
{
    check(framings, COUNT_OF(framings));
}

static const struct row chunks[] = {
    { "two chunks", CHUNKS("3\r\nabc\r\n2\r\nde\r\n" LAST), "BODY [abcde]\nEND\n" },
    { "zeros and capitals", CHUNKS("00A\r\n0123456789\r\n000\r\n\r\n"), "BODY [0123456789]\nEND\n" },
    { "16 digits", CHUNKS("0000000000000003\r\nabc\r\n" LAST), "BODY [abc]\nEND\n" },
    { "extensions", CHUNKS("3;a=b\r\nabc\r\n0;c;\t\"d\"\r\n\r\n"), "BODY [abc]\nEND\n" },
    { "trailers", CHUNKS("3\r\nabc\r\n0\r\nX-T: 1 \r\nx-u:2\r\n\r\n"),
      "BODY [abc]\nEND 0[X-T][1] 0[x-u][2]\n" },
    { "forbidden trailers",
      CHUNKS("0\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nHost: e\r\nSet-Cookie: a\r\n"
             "X-Consumer-Id: 1\r\n"
             "If-Match: 1\r\nGrpc-Status: 0\r\n\r\n"),
      "END 0[Grpc-Status][0]\n" },
    { "17 digits", CHUNKS("10000000000000003\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "17 digits with zeros", CHUNKS("00000000000000003\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "2^63", CHUNKS("8000000000000000\r\nabc\r\n"), "REFUSED 400 invalid chunk size" },
    { "-3", CHUNKS("-3\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "0x3", CHUNKS("0x3\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "space in front", CHUNKS(" 3\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "space behind", CHUNKS("3 \r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "empty size", CHUNKS("\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "only an extension", CHUNKS(";a\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "zz", CHUNKS("zz\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "size line ends in LF", CHUNKS("3\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "size line with CR", CHUNKS("3\rabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "data ends in LF", CHUNKS("3\r\nabc\n" LAST), "REFUSED 400 chunk longer" },
    { "extension ends in LF", CHUNKS("3;\nabc\r\n" LAST), "REFUSED 400 invalid or too long chunk extension" },
    { "NUL in extension", CHUNKS("3;a\0b\r\nabc\r\n" LAST),
      "REFUSED 400 invalid or too long chunk extension" },
    { "CR in extension", CHUNKS("3;a\rb\r\nabc\r\n" LAST), "REFUSED 400 invalid chunk size" },
    { "longer than its size", CHUNKS("3\r\nabcXX\r\n" LAST), "REFUSED 400 chunk longer" },
    { "data without CRLF", CHUNKS("3\r\nabcXX" LAST), "REFUSED 400 chunk longer" },
    { "CR without LF", CHUNKS("3\r\nabc\rX" LAST), "REFUSED 400 chunk longer" },
    { "request instead of the end", CHUNKS("0\r\nGET /s HTTP/1.1\r\nHost: test\r\n\r\n"),
      "REFUSED 400 malformed" },
    { "LF at the end of trailers", CHUNKS("0\r\nX-T: 1\n\n"), "REFUSED 400 CR or LF alone" },
    { "LF instead of trailers", CHUNKS("0\r\n\n"), "REFUSED 400 CR or LF alone" },
    { "folded trailer", CHUNKS("0\r\nX-T: 1\r\n 2\r\n\r\n"), "REFUSED 400 folded" },
    { "NUL in trailer", CHUNKS("0\r\nX-T: \0\r\n\r\n"), "REFUSED 400 control character" },
    { "space in a trailer's name", CHUNKS("0\r\nX T: 1\r\n\r\n"), "REFUSED 400 malformed" },
    { "space before a trailer's colon", CHUNKS("0\r\nX-T : 1\r\n\r\n"), "REFUSED 400 malformed" },
    { "cut in the size", CHUNKS("3"), "EOF REFUSED 400 ends in the middle" },
    { "cut in the data", CHUNKS("3\r\nab"), "BODY [ab]\nREFUSED 400 ends in the middle" },
    { "cut before the last line", CHUNKS("3\r\nabc\r\n0\r\n"), "REFUSED 400 ends in the middle" },
};

Test(http1_request, chunks)
{
    check(chunks, COUNT_OF(chunks));
}
