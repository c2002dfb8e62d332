/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/preamble.h"

#include "core/base/check.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>

static struct shard shard;

static void start(void)
{
    shard_setup_open(&shard);
}

static void end(void)
{
    shard_setup_close(&shard);
}

TestSuite(preamble, .init = start, .fini = end);

static struct chunk chunk_of(struct slice bytes)
{
    return shard_setup_chunk(&shard, bytes);
}

static const struct slice texts[] = {
    { "PROXY TCP4 1.2.3.4 5.6.7.8 4097 80\r\nrest", 40 },
    { "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\1\2\3\4\5\6\7\x8\x10\1\0\x50rest", 32 },
};

/* In two pieces, cut anywhere: what follows the header is left. */
Test(preamble, is_gathered)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        for (size_t cut = 1; cut < texts[i].size - 4; cut++) {
            struct preamble preamble = { 0 };
            struct proxy_protocol header;
            struct chunk first = chunk_of((struct slice){ texts[i].data, cut });
            struct chunk second = chunk_of(slice_from(texts[i], cut));
            cr_assert_eq(preamble_take(&preamble, &first, &header), PROXY_PROTOCOL_MORE, "%zu", cut);
            cr_assert_null(first.block);
            cr_assert_eq(preamble_take(&preamble, &second, &header), PROXY_PROTOCOL_DONE, "%zu", cut);
            cr_expect_null(preamble.bytes);
            cr_expect(slice_equal(chunk_slice(&second), SLICE("rest")), "%zu", cut);
            cr_expect_eq(address_port(&header.source), 4097);
            chunk_release(&second);
        }
}

Test(preamble, may_be_all_there_is)
{
    struct preamble preamble = { 0 };
    struct proxy_protocol header;
    struct chunk chunk = chunk_of(SLICE("PROXY UNKNOWN\r\n"));
    cr_assert_eq(preamble_take(&preamble, &chunk, &header), PROXY_PROTOCOL_DONE);
    cr_expect_eq(chunk.size, 0);
    cr_expect_not_null(chunk.block);
    chunk_release(&chunk);
}

Test(preamble, ends_at_its_limit)
{
    struct preamble preamble = { 0 };
    struct proxy_protocol header;
    for (unsigned i = 0; i < PROXY_PROTOCOL_V1_MAX - 1; i++) {
        struct chunk chunk = chunk_of(i < 6 ? (struct slice){ &"PROXY "[i], 1 } : SLICE("x"));
        cr_assert_eq(preamble_take(&preamble, &chunk, &header), PROXY_PROTOCOL_MORE, "%u", i);
    }
    struct chunk last = chunk_of(SLICE("x"));
    cr_assert_eq(preamble_take(&preamble, &last, &header), PROXY_PROTOCOL_BAD);
    cr_expect_null(last.block);
    preamble_deinit(&preamble);
    cr_expect_null(preamble.bytes);
}
