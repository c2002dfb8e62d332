/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BODY_BYTES = 128 };

#define BODY_LIMIT_BYTES ((uint64_t)1 << 30)

uint64_t answer_body_bytes(const struct wire_head *request)
{
    const char *line = request->start_line;
    const char *target = memchr(line, ' ', request->start_line_bytes);
    if (target == NULL)
        return DEFAULT_BODY_BYTES;
    const char *end = target + 1;
    const char *line_end = line + request->start_line_bytes;
    while (end < line_end && *end != ' ' && *end != '?')
        end++;
    const char *digit = end;
    while (digit > target && digit[-1] >= '0' && digit[-1] <= '9')
        digit--;
    if (digit == end || end - digit > 10 || digit - target < 8 || memcmp(digit - 7, "/bytes/", 7) != 0)
        return DEFAULT_BODY_BYTES;
    uint64_t size = strtoull(digit, NULL, 10);
    return size <= BODY_LIMIT_BYTES ? size : BODY_LIMIT_BYTES;
}

size_t answer_head(char head[ANSWER_HEAD_MAX], uint64_t body_bytes, bool close)
{
    int size = snprintf(head, ANSWER_HEAD_MAX,
                        "HTTP/1.1 200 OK\r\n"
                        "Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
                        "Server: bench-origin\r\n"
                        "Content-Type: application/octet-stream\r\n"
                        "Cache-Control: no-store\r\n"
                        "Content-Length: %llu\r\n"
                        "%s\r\n",
                        (unsigned long long)body_bytes, close ? "Connection: close\r\n" : "");
    return (size_t)size;
}
