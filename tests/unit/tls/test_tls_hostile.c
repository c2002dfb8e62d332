/* SPDX-License-Identifier: Apache-2.0 */
/* Networks and peers that misbehave: any byte of a handshake changed or missing, byte by byte, records that
 * no peer may send. Nothing may be held or leaked, and everything must end. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"

#include <criterion/criterion.h>

enum { STEP = 11 /* bytes: all of them take minutes under a sanitizer */ };

static struct tls_ends ends;
static struct tls_server *server;
static struct tls_client *client;

static void start(void)
{
    tls_ends_open(&ends);
    server = tls_ends_server(&ends, ends.certs[0]);
    client = tls_ends_client(&ends);
}

static void end(void)
{
    tls_server_release(server);
    tls_client_release(client);
    tls_ends_close(&ends);
}

TestSuite(tls_hostile, .init = start, .fini = end, .timeout = 300);

static void begin(void)
{
    tls_server_take(server);
    tls_client_take(client);
    tls_ends_begin(&ends, server, client);
}

static bool is_over(void *unused)
{
    (void)unused;
    return (ends.client.opened && ends.server.opened) ||
           (ends.client.opened && ends.client.error != ERROR_OK) ||
           (ends.server.opened && ends.server.error != ERROR_OK);
}

/* Until both have opened or one has failed; true when both have. */
static bool settle(void)
{
    cr_assert(tls_ends_until(&ends.shard, is_over, NULL));
    return ends.client.opened && ends.server.opened && ends.client.error == ERROR_OK &&
           ends.server.error == ERROR_OK;
}

static void part(void)
{
    tls_ends_part(&ends);
    cr_assert_eq(block_store_counts(ends.shard.blocks).receive_held, 0);
}

Test(tls_hostile, byte_by_byte_both_ways)
{
    begin();
    ends.client.pipe.piece_bytes = ends.server.pipe.piece_bytes = 1;
    cr_assert(settle(), "%s", tls_stream_failure(&ends.server.tls).reason);
    tls_ends_send_pattern(&ends.client, 40000);
    tls_ends_send_pattern(&ends.server, 40000);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.received, 40000));
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.received, 40000));
    cr_assert_eq(ends.client.wrong + ends.server.wrong, 0);
    part();
}

static uint64_t sizes[2]; /* of the flights of client and server */

static void measure(void)
{
    begin();
    cr_assert(settle());
    sizes[0] = ends.client.pipe.offset;
    sizes[1] = ends.server.pipe.offset;
    part();
}

/* A waiting side is told of the end by closing the pipe, as a time limit would. */
static void settle_or_wait(void)
{
    for (unsigned i = 0; i < 20 && !is_over(NULL); i++)
        shard_setup_turn_for(&ends.shard, 1);
}

Test(tls_hostile, any_byte_changed)
{
    measure();
    for (unsigned side = 0; side < 2; side++) {
        for (uint64_t offset = 0; offset < sizes[side]; offset += STEP) {
            begin();
            struct pipe_stream *pipe = side ? &ends.server.pipe : &ends.client.pipe;
            pipe->flip_offset = offset;
            pipe->flip_bits = (uint8_t)(1u << offset % 8);
            settle_or_wait();
            if (ends.client.opened && ends.client.error != ERROR_OK)
                cr_assert_not_null(tls_stream_failure(&ends.client.tls).reason);
            part();
        }
    }
}

Test(tls_hostile, cut_anywhere)
{
    measure();
    for (unsigned side = 0; side < 2; side++) {
        for (uint64_t offset = 0; offset < sizes[side]; offset += STEP) {
            begin();
            struct pipe_stream *pipe = side ? &ends.server.pipe : &ends.client.pipe;
            struct tls_end *other = side ? &ends.client : &ends.server;
            pipe->cut_offset = offset;
            cr_assert(tls_ends_until_count(&ends.shard, &other->opened, 1), "%lu", (unsigned long)offset);
            cr_assert_neq(other->error, ERROR_OK);
            part();
        }
    }
}

Test(tls_hostile, cut_in_the_middle_of_data)
{
    begin();
    cr_assert(settle());
    ends.client.pipe.cut_offset = ends.client.pipe.offset + 5000;
    tls_ends_send_pattern(&ends.client, 20000);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.failed, 1));
    cr_assert_eq(ends.server.error, ERROR_TRUNCATED);
    cr_assert_eq(ends.server.wrong, 0);
    cr_assert_lt(ends.server.received, 20000);
    part();
}

Test(tls_hostile, changed_data_is_not_delivered)
{
    begin();
    cr_assert(settle());
    ends.client.pipe.flip_offset = ends.client.pipe.offset + 100;
    ends.client.pipe.flip_bits = 1;
    tls_ends_send_pattern(&ends.client, 1000);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.failed, 1));
    cr_assert_eq(ends.server.error, ERROR_TLS);
    cr_assert_eq(ends.server.received, 0);
    cr_assert_eq(tls_stream_failure(&ends.server.tls).alert_sent, TLS_BAD_RECORD_MAC);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.failed, 1));
    cr_assert_eq(tls_stream_failure(&ends.client.tls).alert_received, TLS_BAD_RECORD_MAC);
    part();
}

Test(tls_hostile, closing_anywhere)
{
    for (unsigned turns = 0; turns < 8; turns++) {
        begin();
        ends.client.pipe.piece_bytes = 100;
        for (unsigned i = 0; i < turns; i++)
            shard_setup_turn_for(&ends.shard, 1);
        part();
    }
    begin();
    ends.client.closes = ends.server.closes = true;
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.closed, 1));
    part();
}

/* --- records by hand ------------------------------------------------------------------------------------ */

static void inject(struct pipe_stream *pipe, const void *bytes, size_t size)
{
    stream_send(&pipe->stream, shard_setup_chunk(&ends.shard, (struct slice){ bytes, size }));
}

static void expect_failure(const void *record, size_t size, enum tls_alert alert)
{
    begin();
    cr_assert(settle());
    inject(&ends.client.pipe, record, size);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.failed, 1));
    cr_assert_eq(ends.server.error, ERROR_TLS);
    cr_assert_eq(tls_stream_failure(&ends.server.tls).alert_sent, alert, "%d",
                 tls_stream_failure(&ends.server.tls).alert_sent);
    part();
}

Test(tls_hostile, illegal_records)
{
    static const unsigned char oversized[] = { 23, 3, 3, 0x41, 0x01 }, kind[] = { 99, 3, 3, 0, 20 },
                               version[] = { 23, 2, 0, 0, 20 }, empty[] = { 23, 3, 3, 0, 16 },
                               clear[] = { 21, 3, 3, 0, 2, 2, 40 };
    expect_failure(oversized, sizeof(oversized), TLS_RECORD_OVERFLOW);
    expect_failure(kind, sizeof(kind), TLS_UNEXPECTED_MESSAGE);
    expect_failure(version, sizeof(version), TLS_PROTOCOL_VERSION);
    expect_failure(empty, sizeof(empty), TLS_DECODE_ERROR);
    expect_failure(clear, sizeof(clear), TLS_DECODE_ERROR);
}

/* Behind our close_notify nothing may be sent, and the lower stream takes nothing any more. */
static void finish_server(void)
{
    begin();
    cr_assert(settle());
    stream_finish(&ends.server.tls.stream);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.ended, 1));
}

Test(tls_hostile, illegal_records_behind_our_end)
{
    static const unsigned char spoiled[] = { 23, 3, 3, 0,  17, 1,  2,  3,  4,  5,  6,
                                             7,  8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    finish_server();
    inject(&ends.client.pipe, spoiled, sizeof(spoiled));
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.failed, 1));
    cr_assert_eq(tls_stream_failure(&ends.server.tls).alert_sent, TLS_ALERT_NONE);
    part();
}

Test(tls_hostile, a_key_update_behind_our_end)
{
    unsigned char record[TLS_HALF_OVERHEAD + 256];
    struct slice update = SLICE("\x18\0\0\1\1");
    struct slices parts = { &update, 1 };
    finish_server();
    inject(&ends.client.pipe, record, tls_half_seal(&ends.client.tls.sending, TLS_HANDSHAKE, &parts, record));
    cr_assert(tls_half_update(&ends.client.tls.sending));
    tls_ends_send_text(&ends.client, "late");
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.received, 4));
    cr_assert_eq(ends.server.failed, 0);
    part();
}

/* What a peer that has the keys can send. */
static void expect_sealed_failure(enum tls_type type, struct slice bytes, enum tls_alert alert)
{
    unsigned char record[TLS_HALF_OVERHEAD + 256];
    struct slices parts = { &bytes, 1 };
    begin();
    cr_assert(settle());
    uint32_t size = tls_half_seal(&ends.client.tls.sending, type, &parts, record);
    inject(&ends.client.pipe, record, size);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.failed, 1));
    cr_assert_eq(tls_stream_failure(&ends.server.tls).alert_sent, alert, "%d",
                 tls_stream_failure(&ends.server.tls).alert_sent);
    part();
}

Test(tls_hostile, sealed_but_illegal)
{
    expect_sealed_failure((enum tls_type)0, SLICE(""), TLS_UNEXPECTED_MESSAGE); /* nothing but padding */
    expect_sealed_failure((enum tls_type)0, SLICE("\0\0\0\0"), TLS_UNEXPECTED_MESSAGE);
    expect_sealed_failure(TLS_CHANGE_CIPHER_SPEC, SLICE("\1"), TLS_UNEXPECTED_MESSAGE);
    expect_sealed_failure(TLS_HANDSHAKE, SLICE(""), TLS_UNEXPECTED_MESSAGE);
    expect_sealed_failure(TLS_HANDSHAKE, SLICE("\1\0\0\0"), TLS_UNEXPECTED_MESSAGE);
    expect_sealed_failure(TLS_HANDSHAKE, SLICE("\x18\0\0\1\2"), TLS_ILLEGAL_PARAMETER);
    expect_sealed_failure(TLS_HANDSHAKE, SLICE("\x18\0\0\1\0\x18"), TLS_UNEXPECTED_MESSAGE);
    expect_sealed_failure(TLS_HANDSHAKE, SLICE("\x18\0\0\2\0\0"), TLS_UNEXPECTED_MESSAGE);
    expect_sealed_failure(TLS_ALERT, SLICE("\1"), TLS_DECODE_ERROR);
}

Test(tls_hostile, plain_http_on_a_tls_port)
{
    begin();
    stream_close(&ends.client.tls.stream);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.client.closed, 1));
    struct chunk chunk = shard_setup_chunk(&ends.shard, SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ends.server.pipe.stream.events->received(&ends.server.pipe.stream, chunk);
    cr_assert(tls_ends_until_count(&ends.shard, &ends.server.opened, 1));
    cr_assert_eq(ends.server.error, ERROR_TLS);
    part();
}
