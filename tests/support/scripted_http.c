/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scripted_http.h"

#include "tests/support/tcp_peers.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE_MS = 1 };

struct scripted_peer {
    struct connection transport;
    struct scripted_http *http;
    struct list_node node;
    struct timer timer; /* the second piece */
    char text[SCRIPTED_REQUEST_SIZE];
    size_t size;
    const struct scripted_answer *answer;
    bool closing, awaits_tls;
};

static const struct stream_events peer_events;

static struct scripted_peer *peer_of(struct stream *stream)
{
    return stream->owner;
}

static void peer_close(struct scripted_peer *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    timer_disarm(&peer->http->shard->timers, &peer->timer);
    stream_close(peer->transport.stream);
}

static void send_text(struct scripted_peer *peer, struct slice text)
{
    if (text.size)
        stream_send(peer->transport.stream, shard_setup_chunk(peer->http->shard, text));
}

static void end_answer(struct scripted_peer *peer)
{
    if (peer->answer->fate == SCRIPTED_FINISH)
        stream_finish(peer->transport.stream);
    if (peer->answer->tunnel) /* what follows is for the server that was asked for */
        peer->awaits_tls = true;
}

static void second_piece(struct timer *timer)
{
    struct scripted_peer *peer = CONTAINER_OF(timer, struct scripted_peer, timer);
    send_text(peer, slice_from(slice_of(peer->answer->text), peer->answer->split));
    end_answer(peer);
}

/* The size of the request that begins the text; 0: it is not complete. */
static size_t request_size(const struct scripted_peer *peer)
{
    const char *end = memmem(peer->text, peer->size, "\r\n\r\n", 4);
    const char *length = memmem(peer->text, peer->size, "Content-Length: ", 16);
    if (end == NULL)
        return 0;
    size_t size = (size_t)(end - peer->text) + 4;
    if (length && length < end)
        size += strtoul(length + 16, NULL, 10);
    return size <= peer->size ? size : 0;
}

static void answer(struct scripted_peer *peer)
{
    struct scripted_http *http = peer->http;
    CHECK(http->request_count < http->answer_count);
    peer->answer = &http->answers[http->request_count++];
    if (peer->answer->fate == SCRIPTED_RESET) {
        peer_close(peer);
        return;
    }
    if (peer->answer->text == NULL)
        return;
    struct slice text = slice_of(peer->answer->text);
    if (peer->answer->split > 0 && peer->answer->split < text.size) {
        text.size = peer->answer->split;
        send_text(peer, text);
        timer_arm(&http->shard->timers, &peer->timer, http->shard->now_ms + PIECE_MS);
        return;
    }
    send_text(peer, text);
    end_answer(peer);
}

static void on_received(struct stream *stream, struct chunk chunk)
{
    struct scripted_peer *peer = peer_of(stream);
    struct slice bytes = chunk_slice(&chunk);
    if (chunk.size == 0) {
        peer_close(peer);
        return;
    }
    if (peer->awaits_tls) {
        peer->awaits_tls = false;
        CHECK(connection_protect(&peer->transport, peer->http->tls, chunk) == ERROR_OK);
        return;
    }
    CHECK(bytes.size < sizeof(peer->text) - peer->size);
    memcpy(peer->text + peer->size, bytes.data, bytes.size);
    peer->size += bytes.size;
    chunk_release(&chunk);
    size_t size;
    while (!peer->closing && (size = request_size(peer)) > 0) {
        memcpy(peer->http->request, peer->text, size);
        peer->http->request[size] = '\0';
        memmove(peer->text, peer->text + size, peer->size - size);
        peer->size -= size;
        answer(peer);
    }
}

static void on_opened(struct stream *stream, enum error error)
{
    if (error != ERROR_OK)
        peer_close(peer_of(stream));
}

static void on_writable(struct stream *stream)
{
    (void)stream;
}

static void on_failed(struct stream *stream, enum error error)
{
    (void)error;
    peer_close(peer_of(stream));
}

static void on_closed(struct stream *stream)
{
    struct scripted_peer *peer = peer_of(stream);
    peer->http->closed++;
    list_remove(&peer->node);
    connection_deinit(&peer->transport);
    free(peer);
}

static const struct stream_events peer_events = { .opened = on_opened,
                                                  .received = on_received,
                                                  .writable = on_writable,
                                                  .failed = on_failed,
                                                  .closed = on_closed };

static void accepted(struct listener *listener, int fd)
{
    struct scripted_http *http = listener->owner;
    struct scripted_peer *peer = calloc(1, sizeof(*peer));
    CHECK(peer != NULL);
    peer->http = http;
    timer_init(&peer->timer, second_piece);
    list_init(&peer->node);
    list_append(&http->peers, &peer->node);
    http->accepted++;
    struct connection_owner owner = { &peer_events, peer };
    int on = 1;
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    peer->awaits_tls = memcmp(http->url, "https", 5) == 0;
    connection_accepted(&peer->transport, http->shard, &owner, fd);
}

void scripted_http_open(struct scripted_http *http, struct shard *shard, struct tls_server *tls)
{
    struct sockaddr_in address;
    *http = (struct scripted_http){ .shard = shard, .tls = tls };
    list_init(&http->peers);
    int fd = tcp_peers_listen(&address);
    snprintf(http->url, sizeof(http->url), "http%s://127.0.0.1:%u", tls ? "s" : "", ntohs(address.sin_port));
    http->listener.accepted = accepted;
    http->listener.owner = http;
    http->listener_options.port = ntohs(address.sin_port);
    listener_start(&http->listener, shard, fd, &http->listener_options);
}

void scripted_http_script(struct scripted_http *http, const struct scripted_answer *answers, size_t count)
{
    http->answers = answers;
    http->answer_count = count;
    http->request_count = 0;
}

void scripted_http_cut(struct scripted_http *http)
{
    for (struct list_node *at = http->peers.next; at != &http->peers; at = at->next)
        peer_close(CONTAINER_OF(at, struct scripted_peer, node));
}

static bool is_empty(void *pointer)
{
    const struct scripted_http *http = pointer;
    return list_is_empty(&http->peers) && !http->listener.accept_op.armed;
}

void scripted_http_close(struct scripted_http *http)
{
    listener_stop(&http->listener, LISTENER_LEAVE_BACKLOG);
    scripted_http_cut(http);
    CHECK(shard_setup_turn_until(http->shard, is_empty, http));
}
