/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over the loopback, in the clear and with TLS: whoever owns one sees no difference. */
#include "net/transport/connection.h"
#include "tests/support/tcp_peers.h"
#include "tests/support/tls_ends.h"

#include <criterion/criterion.h>

struct side {
    struct connection connection;
    struct tls_server *server; /* NULL: not protected */
    uint64_t opened, ended, failed, closed;
    enum error error;
    char text[64];
    uint64_t received;
};

static struct tls_ends ends; /* for its shard, loop and certificates */
static struct side client, server;
static struct tls_server *profile;
static struct address address;
static int listening;

static void opened(struct stream *stream, enum error error)
{
    struct side *side = stream->owner;
    side->opened++;
    side->error = error;
}

static void received(struct stream *stream, struct chunk chunk)
{
    struct side *side = stream->owner;
    struct slice bytes = chunk_slice(&chunk);
    if (side->server && side->connection.tls == NULL) {
        cr_assert_eq(connection_protect(&side->connection, side->server, chunk), ERROR_OK);
        return;
    }
    if (chunk.size == 0) {
        side->ended++;
        return;
    }
    for (size_t i = 0; i < bytes.size && side->received < sizeof(side->text) - 1; i++)
        side->text[side->received++] = bytes.data[i];
    chunk_release(&chunk);
}

static void writable(struct stream *stream)
{
    (void)stream;
}

static void failed(struct stream *stream, enum error error)
{
    struct side *side = stream->owner;
    side->failed++;
    side->error = error;
}

static void closed(struct stream *stream)
{
    struct side *side = stream->owner;
    side->closed++;
    connection_deinit(&side->connection);
}

static const struct stream_events events = { opened, received, writable, failed, closed, NULL, NULL };

static void start(void)
{
    tls_ends_open(&ends);
    ends.shard.tls = &ends.loop;
    profile = tls_ends_server(&ends, ends.certs[0]);
    client = server = (struct side){ .error = ERROR_OK };
    address = (struct address){ .size = sizeof(address.v4) };
    listening = tcp_peers_listen(&address.v4);
}

static void end(void)
{
    struct side *sides[] = { &client, &server };
    for (size_t i = 0; i < COUNT_OF(sides); i++) {
        bool open = sides[i]->connection.stream && sides[i]->closed == 0;
        if (open && !sides[i]->connection.tcp.closing)
            stream_close(sides[i]->connection.stream);
        cr_assert(!open || shard_setup_turn_until_count(&ends.shard, &sides[i]->closed, 1));
    }
    close(listening);
    tls_server_release(profile);
    tls_ends_close(&ends);
}

TestSuite(connection, .init = start, .fini = end, .timeout = 60);

static void open_both(struct tls_client *from, struct tls_server *to, const char *name)
{
    struct connection_owner client_owner = { &events, &client }, server_owner = { &events, &server };
    struct tls_target target = { from, name, name };
    server.server = to;
    cr_assert_eq(
        connection_connect(&client.connection, &ends.shard, &client_owner, &address, from ? &target : NULL),
        ERROR_OK);
    tls_client_release(from);
    shard_turn(&ends.shard);
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    connection_accepted(&server.connection, &ends.shard, &server_owner, fd);
    cr_assert(shard_setup_turn_until_count(&ends.shard, &client.opened, 1));
}

static void send_text(struct side *from, struct side *to, const char *text)
{
    to->received = 0;
    memset(to->text, 0, sizeof(to->text));
    stream_send(from->connection.stream, shard_setup_chunk(&ends.shard, slice_of(text)));
    cr_assert(connection_is_unsent(&from->connection));
    cr_assert(shard_setup_turn_until_count(&ends.shard, &to->received, strlen(text)));
    cr_assert_not(connection_is_unsent(&from->connection));
    cr_assert_str_eq(to->text, text);
}

Test(connection, in_the_clear)
{
    open_both(NULL, NULL, NULL);
    cr_assert_eq(client.error, ERROR_OK);
    cr_assert_null(client.connection.tls);
    send_text(&client, &server, "hello");
    send_text(&server, &client, "yes?");
}

Test(connection, with_tls_from_the_first_bytes)
{
    open_both(tls_ends_client(&ends), profile, "a.test");
    cr_assert_eq(client.error, ERROR_OK);
    cr_assert_not_null(client.connection.tls);
    cr_assert(shard_setup_turn_until_count(&ends.shard, &server.opened, 1));
    send_text(&client, &server, "hello");
    send_text(&server, &client, "yes?");
    stream_finish(client.connection.stream);
    cr_assert(shard_setup_turn_until_count(&ends.shard, &server.ended, 1));
    cr_assert_eq(client.failed + server.failed, 0);
}

Test(connection, of_a_wrong_name_does_not_open)
{
    open_both(tls_ends_client(&ends), profile, "b.test");
    cr_assert_eq(client.error, ERROR_TLS);
    cr_assert_not_null(tls_stream_failure(client.connection.tls).reason);
}

Test(connection, resets_when_it_must_not_look_whole)
{
    open_both(tls_ends_client(&ends), profile, "a.test");
    cr_assert(shard_setup_turn_until_count(&ends.shard, &server.opened, 1));
    connection_reset(&server.connection);
    cr_assert(shard_setup_turn_until_count(&ends.shard, &client.failed, 1));
    cr_assert_eq(client.ended, 0);
}

Test(connection, nobody_listens)
{
    close(listening);
    struct connection_owner owner = { &events, &client };
    struct tls_client *from = tls_ends_client(&ends);
    struct tls_target target = { from, "a.test", "a.test" };
    cr_assert_eq(connection_connect(&client.connection, &ends.shard, &owner, &address, &target), ERROR_OK);
    tls_client_release(from);
    cr_assert(shard_setup_turn_until_count(&ends.shard, &client.opened, 1));
    cr_assert_eq(client.error, ERROR_REFUSED);
    listening = tcp_peers_listen(&address.v4);
}
