/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tcp_peers.h"

#include <arpa/inet.h>

enum { QUEUE_BYTES = 64 * 1024 };

static struct tcp_peer *peer_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct tcp_peer, tcp.stream);
}

char tcp_peers_byte(uint64_t offset)
{
    return (char)(offset * 7 ^ offset >> 9);
}

static void opened(struct stream *stream, enum error error)
{
    peer_of(stream)->opened++;
    peer_of(stream)->error = error;
}

static void note(struct tcp_peer *peer, struct slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++, peer->received++) {
        peer->wrong += bytes.data[i] != tcp_peers_byte(peer->received);
        if (peer->received < sizeof(peer->text) - 1)
            peer->text[peer->received] = bytes.data[i];
    }
}

static void received(struct stream *stream, struct chunk chunk)
{
    struct tcp_peer *peer = peer_of(stream);
    if (chunk.size == 0) {
        peer->ended++;
        if (peer->echoes)
            stream_finish(stream);
        return;
    }
    note(peer, chunk_slice(&chunk));
    if (peer->closes)
        stream_close(stream);
    if (peer->echoes)
        stream_send(stream, chunk);
    else if (peer->holds)
        CHECK(chunk_queue_push(&peer->held, chunk));
    else
        chunk_release(&chunk);
    peer->closes = false;
}

static void send_more(struct tcp_peer *peer)
{
    struct stream *stream = &peer->tcp.stream;
    while (peer->sent < peer->to_send && stream->queued_bytes < QUEUE_BYTES) {
        struct block *block = block_open(stream->shard->blocks, BLOCK_LARGE_BYTES);
        CHECK(block != NULL);
        uint64_t left = peer->to_send - peer->sent;
        block->used = left < block->capacity ? (uint32_t)left : block->capacity;
        for (uint32_t i = 0; i < block->used; i++)
            block->data[i] = tcp_peers_byte(peer->sent++);
        stream_send(stream, (struct chunk){ block, 0, block->used });
    }
}

static void writable(struct stream *stream)
{
    peer_of(stream)->writable++;
    send_more(peer_of(stream));
}

static void failed(struct stream *stream, enum error error)
{
    peer_of(stream)->failed++;
    peer_of(stream)->error = error;
}

static void closed(struct stream *stream)
{
    chunk_queue_clear(&peer_of(stream)->held);
    peer_of(stream)->closed++;
}

static const struct stream_events events = { opened, received, writable, failed, closed };

int tcp_peers_listen(struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, size) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

static void init(struct tcp_peer *peer)
{
    *peer = (struct tcp_peer){ .error = ERROR_OK };
    chunk_queue_init(&peer->held);
}

void tcp_peers_connect(struct shard *shard, struct tcp_peer *client, const struct sockaddr_in *address)
{
    init(client);
    tcp_stream_connect(&client->tcp, shard, &events, (const struct sockaddr *)address, sizeof(*address));
}

bool tcp_peers_open(struct shard *shard, struct tcp_peer *client, struct tcp_peer *server)
{
    struct sockaddr_in address;
    int listener = tcp_peers_listen(&address);
    tcp_peers_connect(shard, client, &address);
    bool good = shard_setup_turn_until_count(shard, &client->opened, 1) && client->error == ERROR_OK;
    int fd = good ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    close(listener);
    if (fd < 0)
        return false;
    init(server);
    tcp_stream_accepted(&server->tcp, shard, &events, fd);
    return true;
}

void tcp_peers_close(struct shard *shard, struct tcp_peer *client, struct tcp_peer *server)
{
    struct tcp_peer *peers[] = { client, server };
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        if (!peers[i]->tcp.closing)
            stream_close(&peers[i]->tcp.stream);
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        CHECK(shard_setup_turn_until_count(shard, &peers[i]->closed, 1));
}

void tcp_peers_send_text(struct tcp_peer *peer, const char *text)
{
    stream_send(&peer->tcp.stream, shard_setup_chunk(peer->tcp.stream.shard, slice_of(text)));
}

void tcp_peers_send_pattern(struct tcp_peer *peer, uint64_t size)
{
    peer->to_send += size;
    send_more(peer);
}
