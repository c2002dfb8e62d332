/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server with each other. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"

#include <criterion/criterion.h>

enum { BIG_BYTES = 10 << 20 };

static struct tls_ends ends;

static void start(void)
{
    tls_ends_open(&ends);
}

static void end(void)
{
    tls_ends_part(&ends);
    tls_ends_close(&ends);
}

TestSuite(tls_stream, .init = start, .fini = end, .timeout = 120);

static void turn_until(const uint64_t *counter, uint64_t wanted)
{
    cr_assert(tls_ends_until_count(&ends.shard, counter, wanted), "%lu, not %lu", (unsigned long)*counter,
              (unsigned long)wanted);
}

static void shake(struct test_cert *cert)
{
    tls_ends_begin(&ends, tls_ends_server(&ends, cert), tls_ends_client(&ends));
    cr_assert(tls_ends_shake(&ends), "client: %s %d, server: %s %d",
              tls_stream_failure(&ends.client.tls).reason, tls_stream_failure(&ends.client.tls).library_error,
              tls_stream_failure(&ends.server.tls).reason,
              tls_stream_failure(&ends.server.tls).library_error);
}

static void exchange(void)
{
    tls_ends_send_text(&ends.client, "hello");
    turn_until(&ends.server.received, 5);
    tls_ends_send_text(&ends.server, "world!");
    turn_until(&ends.client.received, 6);
    cr_assert_str_eq(ends.server.text, "hello");
    cr_assert_str_eq(ends.client.text, "world!");
}

Test(tls_stream, shakes_hands_with_ecdsa)
{
    shake(ends.certs[0]);
    struct tls_info info = tls_stream_info(&ends.server.tls);
    cr_assert_str_eq(info.suite->name, "TLS_AES_128_GCM_SHA256");
    cr_assert_str_eq(info.server_name, "a.test");
    exchange();
}

Test(tls_stream, shakes_hands_with_rsa)
{
    shake(ends.certs[1]);
    exchange();
}

Test(tls_stream, says_close_both_ways)
{
    shake(ends.certs[0]);
    ends.server.echoes = true;
    tls_ends_send_text(&ends.client, "x");
    stream_finish(&ends.client.tls.stream);
    turn_until(&ends.client.ended, 1);
    cr_assert_eq(ends.server.ended, 1);
    cr_assert_eq(ends.client.received, 1);
    cr_assert_eq(ends.client.failed + ends.server.failed, 0);
}

Test(tls_stream, big_transfers_both_ways_with_pauses)
{
    shake(ends.certs[0]);
    ends.client.pauses_every = ends.server.pauses_every = 1 << 20;
    tls_ends_send_pattern(&ends.client, BIG_BYTES);
    tls_ends_send_pattern(&ends.server, BIG_BYTES + 1);
    while (ends.server.received < BIG_BYTES || ends.client.received < BIG_BYTES + 1) {
        uint64_t before = ends.server.received + ends.client.received;
        shard_setup_turn_for(&ends.shard, 1);
        if (before == ends.server.received + ends.client.received) {
            stream_resume(&ends.client.tls.stream);
            stream_resume(&ends.server.tls.stream);
        }
    }
    cr_assert_eq(ends.client.wrong + ends.server.wrong, 0);
    cr_assert_eq(ends.client.failed + ends.server.failed, 0);
}
