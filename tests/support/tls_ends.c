/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tls_ends.h"

#include "tests/support/shard_setup.h"
#include "tls/tls_crypto.h"

#include <stdio.h>

enum { QUEUE_BYTES = 64 * 1024, LONGEST_MS = 10000 };

/* Nothing but tasks happens here, which no wait ends: so waits are short. */
bool tls_ends_until(struct shard *shard, bool (*is_true)(void *pointer), void *pointer)
{
    for (unsigned i = 0; i < LONGEST_MS && !is_true(pointer); i++)
        shard_setup_turn_for(shard, 1);
    return is_true(pointer);
}

bool tls_ends_until_count(struct shard *shard, const uint64_t *counter, uint64_t wanted)
{
    for (unsigned i = 0; i < LONGEST_MS && *counter < wanted; i++)
        shard_setup_turn_for(shard, 1);
    return *counter >= wanted;
}

static struct tls_end *end_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct tls_end, tls.stream);
}

char tls_ends_byte(uint64_t offset)
{
    return (char)(offset * 13 ^ offset >> 8);
}

static void opened(struct stream *stream, enum error error)
{
    struct tls_end *end = end_of(stream);
    end->opened++;
    end->error = error;
    if (end->closes)
        stream_close(stream);
}

static void note(struct tls_end *end, struct slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++, end->received++) {
        end->wrong += bytes.data[i] != tls_ends_byte(end->received);
        if (end->received < sizeof(end->text) - 1)
            end->text[end->received] = bytes.data[i];
    }
}

static void received(struct stream *stream, struct chunk chunk)
{
    struct tls_end *end = end_of(stream);
    if (chunk.size == 0) {
        end->ended++;
        if (end->echoes)
            stream_finish(stream);
        return;
    }
    note(end, chunk_slice(&chunk));
    if (end->pauses_every && end->received >= end->pause_at) {
        end->pause_at = end->received + end->pauses_every;
        stream_pause(stream);
    }
    if (end->echoes)
        stream_send(stream, chunk);
    else
        chunk_release(&chunk);
}

static void send_more(struct tls_end *end)
{
    struct stream *stream = &end->tls.stream;
    while (end->sent < end->to_send && stream->queued_bytes < QUEUE_BYTES) {
        struct block *block = block_open(stream->shard->blocks, BLOCK_LARGE_BYTES);
        CHECK(block != NULL);
        uint64_t left = end->to_send - end->sent;
        block->used = left < block->capacity ? (uint32_t)left : block->capacity;
        for (uint32_t i = 0; i < block->used; i++)
            block->data[i] = tls_ends_byte(end->sent++);
        stream_send(stream, (struct chunk){ block, 0, block->used });
    }
}

static void writable(struct stream *stream)
{
    end_of(stream)->writable++;
    send_more(end_of(stream));
}

static void failed(struct stream *stream, enum error error)
{
    end_of(stream)->failed++;
    end_of(stream)->error = error;
}

static void closed(struct stream *stream)
{
    end_of(stream)->closed++;
}

static const struct stream_events events = { opened, received, writable, failed, closed, NULL, NULL, NULL };

/* --- profiles ------------------------------------------------------------------------------------------- */

struct tls_suite_choice tls_ends_suites(void)
{
    return (struct tls_suite_choice){ .preset = TLS_INTERMEDIATE,
                                      .version_min = STREAM_TLS_1_2,
                                      .version_max = STREAM_TLS_1_3 };
}

struct tls_key *tls_ends_key(struct test_cert *cert)
{
    char reason[TLS_REASON_SIZE];
    struct tls_key *key = tls_key_read(test_cert_chain(cert), test_cert_key(cert), reason);
    if (key == NULL)
        fprintf(stderr, "%s\n", reason);
    CHECK(key != NULL);
    return key;
}

struct tls_trust *tls_ends_trust(struct slice authorities, struct slice revocations, int depth)
{
    char reason[TLS_REASON_SIZE];
    struct tls_trust_options options = { .authorities_pem = authorities,
                                         .revocations_pem = revocations,
                                         .depth = depth };
    struct tls_trust *trust = tls_trust_make(&options, reason);
    CHECK(trust != NULL);
    return trust;
}

struct tls_server *tls_ends_server(struct tls_ends *ends, struct test_cert *cert)
{
    (void)ends;
    char reason[TLS_REASON_SIZE];
    struct tls_site_options site = { .pairs = { { .key = tls_ends_key(cert) } } };
    struct tls_server_options options = { .sites = &site,
                                          .site_count = 1,
                                          .suites = tls_ends_suites(),
                                          .ticket_lifetime_s = 3600,
                                          .set_count = 1 };
    struct tls_server *server = tls_server_make(&options, reason);
    CHECK(server != NULL);
    tls_key_release(site.pairs[0].key);
    return server;
}

struct tls_client *tls_ends_client(struct tls_ends *ends)
{
    char reason[TLS_REASON_SIZE];
    struct tls_client_options options = { .trust = tls_ends_trust(test_cert_own(ends->authority),
                                                                  (struct slice){ NULL, 0 }, -1),
                                          .suites = tls_ends_suites(),
                                          .set_count = 1 };
    struct tls_client *client = tls_client_make(&options, reason);
    CHECK(client != NULL);
    tls_trust_release(options.trust);
    return client;
}

/* --- the two -------------------------------------------------------------------------------------------- */

void tls_ends_open(struct tls_ends *ends)
{
    *ends = (struct tls_ends){ .authority = NULL };
    shard_setup_open(&ends->shard);
    CHECK(tls_crypto_start() == ERROR_OK);
    struct tls_loop_options options = { .set = 0 };
    tls_loop_open(&ends->loop, &ends->shard, &options);
    ends->authority = test_cert_make(&(struct test_cert_options){ .name = "Test CA", .authority = true });
    ends->certs[0] =
        test_cert_make(&(struct test_cert_options){ .name = "a.test", .issuer = ends->authority });
    ends->certs[1] = test_cert_make(
        &(struct test_cert_options){ .name = "a.test", .type = "RSA", .issuer = ends->authority });
}

void tls_ends_close(struct tls_ends *ends)
{
    for (size_t i = 0; i < sizeof(ends->certs) / sizeof(ends->certs[0]); i++)
        if (ends->certs[i])
            test_cert_free(ends->certs[i]);
    test_cert_free(ends->authority);
    tls_loop_close(&ends->loop);
    shard_setup_close(&ends->shard);
    tls_crypto_stop();
}

void tls_ends_accept_on(struct tls_ends *ends, struct tls_server *server, struct stream *lower)
{
    tls_stream_accept(&ends->server.tls, &ends->loop, lower, &events, server);
    tls_server_release(server);
}

void tls_ends_accept(struct tls_ends *ends, struct tls_server *server)
{
    tls_ends_accept_on(ends, server, &ends->server.pipe.stream);
}

void tls_ends_connect(struct tls_ends *ends, struct tls_client *client, const char *name)
{
    struct tls_target target = { client, name, name };
    tls_stream_connect(&ends->client.tls, &ends->loop, &ends->client.pipe.stream, &events, &target);
    tls_client_release(client);
}

void tls_ends_begin(struct tls_ends *ends, struct tls_server *server, struct tls_client *client)
{
    ends->client = (struct tls_end){ .error = ERROR_OK };
    ends->server = (struct tls_end){ .error = ERROR_OK };
    pipe_stream_open(&ends->shard, &ends->client.pipe, &ends->server.pipe);
    tls_ends_accept(ends, server);
    tls_ends_connect(ends, client, "a.test");
}

static bool is_settled(void *pointer)
{
    struct tls_ends *ends = pointer;
    return ends->client.opened > 0 && ends->server.opened > 0;
}

bool tls_ends_shake(struct tls_ends *ends)
{
    return tls_ends_until(&ends->shard, is_settled, ends) && ends->client.error == ERROR_OK &&
           ends->server.error == ERROR_OK;
}

void tls_ends_part(struct tls_ends *ends)
{
    struct tls_end *both[] = { &ends->client, &ends->server };
    for (size_t i = 0; i < 2; i++)
        if (!both[i]->tls.closing)
            stream_close(&both[i]->tls.stream);
    for (size_t i = 0; i < 2; i++)
        CHECK(tls_ends_until_count(&ends->shard, &both[i]->closed, 1));
}

void tls_ends_send_text(struct tls_end *end, const char *text)
{
    stream_send(&end->tls.stream, shard_setup_chunk(end->tls.stream.shard, slice_of(text)));
}

void tls_ends_send_pattern(struct tls_end *end, uint64_t size)
{
    end->to_send += size;
    send_more(end);
}
