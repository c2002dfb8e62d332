/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http1_write.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static bool holds(const struct writer *writer, const char *memory, const char *want)
{
    return slice_equal((struct slice){ memory, (size_t)(writer->next - memory) }, slice_of(want));
}

Test(http1_write, a_response)
{
    char memory[256];
    struct writer writer = writer_of(memory, sizeof(memory));
    http1_write_status_line(&writer, 200, (struct slice){ NULL, 0 });
    writer_header(&writer, SLICE("A"), SLICE("b"));
    writer_header(&writer, SLICE("Empty"), SLICE(""));
    writer_header_u64(&writer, SLICE("Content-Length"), 5);
    writer_text(&writer, "\r\n");
    writer_slice(&writer, SLICE("hell"));
    writer_byte(&writer, 'o');
    cr_expect(!writer.overflow);
    cr_expect(holds(&writer, memory, "HTTP/1.1 200 OK\r\nA: b\r\nEmpty: \r\nContent-Length: 5\r\n\r\nhello"));
}

Test(http1_write, a_request)
{
    char memory[64];
    struct writer writer = writer_of(memory, sizeof(memory));
    http1_write_request_line(&writer, SLICE("GET"), SLICE("/x?y"));
    cr_expect(holds(&writer, memory, "GET /x?y HTTP/1.1\r\n"));
}

Test(http1_write, status_lines)
{
    static const struct {
        int status;
        const char *reason, *want;
    } rows[] = {
        { 100, NULL, "HTTP/1.1 100 Continue\r\n" },
        { 404, NULL, "HTTP/1.1 404 Not Found\r\n" },
        { 502, NULL, "HTTP/1.1 502 Bad Gateway\r\n" },
        { 599, NULL, "HTTP/1.1 599 \r\n" },
        { 999, NULL, "HTTP/1.1 999 \r\n" },
        { 200, "", "HTTP/1.1 200 \r\n" },
        { 200, "Fine", "HTTP/1.1 200 Fine\r\n" },
        { 511, NULL, "HTTP/1.1 511 Network Authentication Required\r\n" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char memory[64];
        struct writer writer = writer_of(memory, sizeof(memory));
        http1_write_status_line(&writer, rows[i].status, slice_of(rows[i].reason));
        cr_expect(holds(&writer, memory, rows[i].want), "%d", rows[i].status);
    }
    cr_expect(slice_equal(http1_reason(0), SLICE("")) && slice_equal(http1_reason(512), SLICE("")));
}

Test(http1_write, numbers)
{
    static const uint64_t values[] = { 0,   1,    9,    10,    15,         16,        99,
                                       100, 101,  999,  1000,  4095,       65536,     1234567890123,
                                       255, 1000, 9999, 10000, UINT32_MAX, INT64_MAX, UINT64_MAX };
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char memory[32], want[32];
        struct writer writer = writer_of(memory, sizeof(memory));
        writer_u64(&writer, values[i]);
        snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
        cr_expect(holds(&writer, memory, want), "%s", want);
        writer = writer_of(memory, sizeof(memory));
        http1_write_chunk_line(&writer, values[i]);
        snprintf(want, sizeof(want), "%llx\r\n", (unsigned long long)values[i]);
        cr_expect(holds(&writer, memory, want), "%s", want);
        cr_expect(writer.next - memory <= HTTP1_CHUNK_LINE_BYTES);
    }
}

static void write_all(struct writer *writer)
{
    http1_write_status_line(writer, 200, (struct slice){ NULL, 0 });
    http1_write_request_line(writer, SLICE("GET"), SLICE("/"));
    writer_header(writer, SLICE("A"), SLICE("b"));
    writer_header_u64(writer, SLICE("A"), UINT64_MAX);
    http1_write_chunk_line(writer, UINT64_MAX);
    writer_byte(writer, 'x');
}

/* The memory has exactly the size, so that writing behind it is seen; nothing follows what was left out. */
Test(http1_write, never_beyond_the_end)
{
    char whole[256];
    struct writer full = writer_of(whole, sizeof(whole));
    write_all(&full);
    size_t need = (size_t)(full.next - whole);
    for (size_t size = 0; size <= need; size++) {
        char *memory = malloc(size + !size);
        struct writer writer = writer_of(memory, size);
        write_all(&writer);
        cr_expect_eq(writer.overflow, size < need);
        cr_expect(memcmp(memory, whole, (size_t)(writer.next - memory)) == 0);
        free(memory);
    }
}
