/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds per head of the HTTP/1 parser, best of several runs: bench_parse [RUNS]. Without CMake:
 *   L=build/deps/llhttp/usr/share; gcc -std=gnu17 -D_GNU_SOURCE -O2 -I. -isystem $L/include/llhttp \
 *     -DLLHTTP_STRICT_MODE=1 -w bench/micro/parse.c net/http/[a-z]*.c core/base/{arena,check,slice}.c \
 *     $L/llhttp/{api,http,llhttp}.c -o /tmp/parse && /tmp/parse */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "net/http/http1_parse.h"

enum { ROUNDS = 200000, RUNS = 9, ARENA_BYTES = 8192 };

struct sample {
    const char *name;
    enum http1_role role;
    const char *bytes;
};

static const struct sample samples[] = {
    { "request, 237 bytes, 6 fields", HTTP1_REQUEST,
      "GET /api/v1/users/42?fields=name HTTP/1.1\r\n"
      "Host: gateway.example.com:8000\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
      "Accept: application/json\r\n"
      "Accept-Encoding: gzip, deflate, br\r\n"
      "Connection: keep-alive\r\n"
      "X-Request-Start: 1700000000.125\r\n\r\n" },
    { "request, 1 field", HTTP1_REQUEST, "GET / HTTP/1.1\r\nHost: localhost:8000\r\n\r\n" },
    { "response, 5 fields", HTTP1_RESPONSE,
      "HTTP/1.1 200 OK\r\n"
      "Server: origin\r\n"
      "Date: Mon, 17 Nov 2025 10:11:12 GMT\r\n"
      "Content-Type: application/json\r\n"
      "Content-Length: 128\r\n"
      "Connection: keep-alive\r\n\r\n" },
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double round_ns(const struct sample *sample, size_t size)
{
    static char memory[ARENA_BYTES];
    struct http1_parser parser;
    struct arena arena;
    struct message message;
    struct slice body;
    size_t consumed;
    arena_init(&arena, memory, sizeof(memory), 0);
    http1_parser_init(&parser, sample->role, &http1_default_limits);
    double begin = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset(&arena);
        http1_parser_begin(&parser, &message, &arena);
        if (http1_parse(&parser, sample->bytes, size, &consumed, &body) != HTTP1_HEAD)
            exit(1);
    }
    return (now_ns() - begin) / ROUNDS;
}

int main(int argc, char **argv)
{
    int runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : RUNS;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        size_t size = strlen(samples[i].bytes);
        double best = 1e9;
        for (int run = 0; run < runs; run++) {
            double ns = round_ns(&samples[i], size);
            best = ns < best ? ns : best;
        }
        printf("%-32s %4zu bytes %7.1f ns\n", samples[i].name, size, best);
    }
    return 0;
}
