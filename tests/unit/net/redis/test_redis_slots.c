/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_slots.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* From the specification of Redis Cluster, and CLUSTER KEYSLOT. */
static const struct {
    const char *key;
    uint16_t slot;
} keys[] = {
    { "123456789", 0x31c3 },
    { "", 0 },
    { "foo", 12182 },
    { "{foo}bar", 12182 },
    { "bar{foo}{x}", 12182 },
    { "foo{}{bar}", 8363 },
    { "foo{{bar}}zap", 4015 }, /* of "{bar" */
    { "{", 4092 },
};

Test(redis_slots, a_key_has_the_slot_of_its_tag)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        cr_assert_eq(redis_slot_of(slice_of(keys[i].key)), keys[i].slot, "%s: %u", keys[i].key,
                     redis_slot_of(slice_of(keys[i].key)));
}

static bool note_range(void *owner, const struct redis_slot_range *range)
{
    char *out = owner;
    snprintf(out + strlen(out), 300, "%u-%u %.*s:%u;", range->first, range->last, (int)range->host_size,
             range->host, range->port);
    return true;
}

/* What a reply says, as text; "!" behind what was read when it is refused. */
static void read_slots(const char *text, char *out)
{
    struct redis_reader reader;
    struct redis_slots_reader slots;
    struct slice bytes = slice_of(text);
    *out = 0;
    redis_reader_init(&reader);
    redis_slots_init(&slots, note_range, out);
    while (bytes.size > 0) {
        struct redis_reply item;
        enum redis_progress progress = redis_reader_feed(&reader, &bytes, &item);
        if (progress == REDIS_MORE)
            break;
        if (progress == REDIS_INVALID || !redis_slots_feed(&slots, &item)) {
            snprintf(out + strlen(out), 2, "!");
            return;
        }
    }
    if (!slots.complete)
        snprintf(out + strlen(out), 2, "?");
}

#define REPLICA "*2\r\n$1\r\nr\r\n:7001\r\n"
#define METADATA "*4\r\n$8\r\nhostname\r\n$1\r\nx\r\n$2\r\nip\r\n$7\r\n9.9.9.9\r\n"
#define RANGE(count, first, last) "*" #count "\r\n:" #first "\r\n:" #last "\r\n"

static const struct {
    const char *text, *want;
} replies[] = {
    { "*0\r\n", "" },
    { "*1\r\n" RANGE(3, 0, 99) "*2\r\n$3\r\n::1\r\n:7000\r\n", "0-99 ::1:7000;" },
    { "*2\r\n" RANGE(4, 0, 1) "*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n" REPLICA RANGE(
          3, 2, 16383) "*2\r\n$-1\r\n:7002\r\n",
      "0-1 127.0.0.1:7000;2-16383 :7002;" },
    { "*1\r\n" RANGE(3, 5, 5) "*4\r\n$6\r\na.test\r\n:1\r\n$2\r\nid\r\n*2\r\n$2\r\nip\r\n$7\r\n1.2.3.4\r\n",
      "5-5 1.2.3.4:1;" },
    { "*1\r\n" RANGE(3, 5, 5) "*4\r\n$7\r\n1.2.3.4\r\n:1\r\n$2\r\nid\r\n" METADATA, "5-5 1.2.3.4:1;" },
    { "*1\r\n" RANGE(3, 5, 5) "*4\r\n$0\r\n\r\n:1\r\n$2\r\nid\r\n*0\r\n", "5-5 :1;" },
    { "*1\r\n" RANGE(3, 5, 5) "*2\r\n$1\r\nx\r\n", "?" },
    { "*1\r\n" RANGE(3, 5, 4), "!" },
    { "*1\r\n" RANGE(3, 0, 16384), "!" },
    { "*1\r\n" RANGE(3, -1, 4), "!" },
    { "*1\r\n" RANGE(3, 0, 1) "$1\r\nx\r\n", "!" },
    { "*1\r\n" RANGE(3, 0, 1) "*1\r\n$1\r\nx\r\n", "!" },
    { "*1\r\n" RANGE(3, 0, 1) "*2\r\n$1\r\nx\r\n:0\r\n", "!" },
    { "*1\r\n" RANGE(3, 0, 1) "*2\r\n$1\r\nx\r\n:65536\r\n", "!" },
    { "*1\r\n" RANGE(3, 0, 1) "*2\r\n*0\r\n:1\r\n", "!" },
    { "*1\r\n*2\r\n:0\r\n:1\r\n", "!" },
    { "*1\r\n:0\r\n", "!" },
    { "*1\r\n*3\r\n*0\r\n", "!" },
    { "*0\r\n:1\r\n", "!" },
    { ":1\r\n", "!" },
    { "-ERR This instance has cluster support disabled\r\n", "!" },
};

Test(redis_slots, replies)
{
    for (size_t i = 0; i < COUNT_OF(replies); i++) {
        char out[2048];
        read_slots(replies[i].text, out);
        cr_assert_str_eq(out, replies[i].want, "row %zu: %s", i, out);
    }
}

static const struct {
    const char *text;
    enum redis_complaint complaint;
    unsigned slot;
    const char *host;
    unsigned port;
} errors[] = {
    { "MOVED 3999 127.0.0.1:6381", REDIS_MOVED, 3999, "127.0.0.1", 6381 },
    { "ASK 16383 ::1:6381", REDIS_ASK, 16383, "::1", 6381 },
    { "MOVED 1 :6381", REDIS_MOVED, 1, "", 6381 },
    { "MOVED 1 a.test:1", REDIS_MOVED, 1, "a.test", 1 },
    { "MOVED 16384 127.0.0.1:6381", REDIS_OTHER_ERROR, 0, "", 0 },
    { "MOVED x 127.0.0.1:6381", REDIS_OTHER_ERROR, 0, "", 0 },
    { "MOVED 1 127.0.0.1", REDIS_OTHER_ERROR, 0, "", 0 },
    { "MOVED 1 127.0.0.1:0", REDIS_OTHER_ERROR, 0, "", 0 },
    { "MOVED 1 127.0.0.1:65536", REDIS_OTHER_ERROR, 0, "", 0 },
    { "MOVED 1", REDIS_OTHER_ERROR, 0, "", 0 },
    { "MOVED", REDIS_OTHER_ERROR, 0, "", 0 },
    { "TRYAGAIN Multiple keys request during rehashing of slot", REDIS_TRY_AGAIN, 0, "", 0 },
    { "CLUSTERDOWN The cluster is down", REDIS_CLUSTER_DOWN, 0, "", 0 },
    { "LOADING Redis is loading the dataset in memory", REDIS_CLUSTER_DOWN, 0, "", 0 },
    { "READONLY You can't write against a read only replica.", REDIS_READ_ONLY, 0, "", 0 },
    { "ERR no", REDIS_OTHER_ERROR, 0, "", 0 },
    { "", REDIS_OTHER_ERROR, 0, "", 0 },
};

Test(redis_slots, errors_that_lead_elsewhere)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct redis_redirect got = redis_redirect_parse(slice_of(errors[i].text));
        cr_assert_eq(got.complaint, errors[i].complaint, "%s", errors[i].text);
        if (got.complaint != REDIS_MOVED && got.complaint != REDIS_ASK)
            continue;
        cr_assert_eq(got.slot, errors[i].slot);
        cr_assert(slice_equal(got.server.host, slice_of(errors[i].host)), "%s", errors[i].text);
        cr_assert_eq(got.server.port, errors[i].port);
    }
}
