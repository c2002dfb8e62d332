/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_reply.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(redis_reply, commands_are_written_with_their_sizes)
{
    struct redis_command command = { { SLICE("SET"), SLICE("a\r\nb"), SLICE(""), SLICE("0123456789") }, 4 };
    const char *want = "*4\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$10\r\n0123456789\r\n";
    char out[128];
    char *end = redis_command_write(&command, out);
    cr_assert_eq(redis_command_size(&command), strlen(want));
    cr_assert_eq((size_t)(end - out), strlen(want));
    cr_assert(memcmp(out, want, strlen(want)) == 0);
}

/* The replies in `text` as one line of text; "!" where the reader gave up. Fed in pieces of `first` and then
 * `other` bytes. */
static void read_all(const char *text, size_t first, size_t other, char *out)
{
    struct redis_reader reader;
    redis_reader_init(&reader);
    size_t left = strlen(text), piece = first;
    *out = 0;
    while (left > 0) {
        struct slice bytes = { text, piece < left ? piece : left };
        text += bytes.size;
        left -= bytes.size;
        piece = other;
        while (bytes.size > 0) {
            struct redis_reply reply;
            enum redis_progress progress = redis_reader_feed(&reader, &bytes, &reply);
            if (progress == REDIS_INVALID) {
                snprintf(out + strlen(out), 2, "!");
                return;
            }
            if (progress == REDIS_COMPLETE)
                snprintf(out + strlen(out), 200, "%d:%.*s:%lld ", (int)reply.kind, SLICE_FORMAT(reply.text),
                         reply.is_number ? (long long)reply.integer : 0);
        }
    }
}

static const struct {
    const char *text, *want;
} replies[] = {
    { "+OK\r\n", "0:OK:0 " },
    { "-ERR no\r\n", "1:ERR no:0 " },
    { ":12\r\n:-3\r\n", "2:12:12 2:-3:-3 " },
    { "$2\r\n42\r\n+PONG\r\n", "3:42:42 0:PONG:0 " },
    { "$3\r\na\nb\r\n", "3:a\nb:0 " },
    { "$0\r\n\r\n:1\r\n", "3::0 2:1:1 " },
    { "$-1\r\n:1\r\n", "4::0 2:1:1 " },
    { ":9223372036854775807\r\n", "2:9223372036854775807:9223372036854775807 " },
    { ":9223372036854775808\r\n", "!" },
    { ":\r\n", "!" },
    { ":1x\r\n", "!" },
    { ":1\n", "!" },
    { "$513\r\n", "!" },
    { "$-2\r\n", "!" },
    { "$2\r\nabc\r\n", "!" },
    { "*1\r\n:2\r\n", "5::0 2:2:2 " },
    { "*-1\r\n*0\r\n", "4::0 5::0 " },
    { "*-2\r\n", "!" },
    { "*65537\r\n", "!" },
    { "\r\n", "!" },
    { "HTTP/1.1 400 Bad Request\r\n", "!" },
};

Test(redis_reply, every_split_reads_the_same)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
        char out[1024];
        size_t size = strlen(replies[i].text);
        for (size_t first = 1; first <= size; first++) {
            read_all(replies[i].text, first, size, out);
            cr_assert_str_eq(out, replies[i].want, "%s at %zu: %s", replies[i].text, first, out);
        }
        read_all(replies[i].text, 1, 1, out);
        cr_assert_str_eq(out, replies[i].want);
    }
}

Test(redis_reply, a_line_without_end_is_refused)
{
    struct redis_reader reader;
    redis_reader_init(&reader);
    enum redis_progress progress = REDIS_MORE;
    for (int i = 0; i < 10000 && progress == REDIS_MORE; i++) {
        struct slice bytes = SLICE("+xxxxxxxxxxxxxxx");
        struct redis_reply reply;
        progress = redis_reader_feed(&reader, &bytes, &reply);
    }
    cr_assert_eq(progress, REDIS_INVALID);
}
