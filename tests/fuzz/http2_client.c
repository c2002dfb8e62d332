/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from hostile clients, behind a good preface, over a real connection to a gateway without routes:
 * every request gets an answer of the gateway's own. The first byte says how the others are cut, and how the
 * connection ends. */
#include "net/proxy/http2_client.h"
#include "net/proxy/client.h"
#include "net/transport/listener.h"
#include "tests/support/shard_setup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    STREAMS = 8, /* few, so that the limits are found */
    WINDOW_BYTES = 1000,
    FRAMES_MAX = 500,
    RESETS_MAX = 50,
    TIME_MS = 60000,
    BODY_BYTES_MAX = 3000,
    ARENA_BYTES = 1 << 20,
    SNIPPET_BYTES = 16, /* times the first byte's lower half */
    DRAINS = 0x10, /* of the first byte: the gateway ends the connection in the middle */
    SLOW = 0x20, /* the client begins with a window of nothing */
    INPUT_BYTES = 16384
};

static const struct plugin *const no_plugins[] = { NULL };
static struct proxy_options options;
static struct access_log_options no_log;
static const struct listener_options clear = { .http2 = true };
static struct shard shard;
static struct proxy proxy;
static struct listener listener = { .options = &clear, .owner = &proxy, .fd = -1, .stopped = true };
static struct sockaddr_in place;
static int listening = -1;

static void set_options(void)
{
    options = (struct proxy_options){
        .registry = no_plugins,
        .limits = http1_default_limits,
        .body_bytes_max = BODY_BYTES_MAX,
        .connections_max = 2,
        .keepalive_requests = 100,
        .header_timeout_ms = TIME_MS,
        .body_timeout_ms = TIME_MS,
        .keepalive_timeout_ms = TIME_MS,
        .send_timeout_ms = TIME_MS,
        .stream_bytes = WINDOW_BYTES,
        .exchange_bytes = ARENA_BYTES,
        .http2 = { STREAMS, WINDOW_BYTES, 2 * WINDOW_BYTES, RESETS_MAX, FRAMES_MAX },
    };
}

static void open_once(void)
{
    if (listening >= 0)
        return;
    struct report report;
    struct snapshot_options how = { .registry = no_plugins, .shard_count = 1 };
    report_init(&report);
    set_options();
    shard_setup_open(&shard);
    struct snapshot *snapshot = snapshot_build(model_open(), &how, NULL, &report);
    CHECK(snapshot != NULL);
    struct proxy_start start = {
        .options = &options, .snapshot = snapshot, .log = &no_log, .stream_log = &no_log
    };
    CHECK(proxy_open(&proxy, &shard, &start) == ERROR_OK);
    socklen_t length = sizeof(place);
    place = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listening, (struct sockaddr *)&place, sizeof(place)) == 0 && listen(listening, 1) == 0);
    CHECK(getsockname(listening, (struct sockaddr *)&place, &length) == 0);
}

static int connect_client(void)
{
    struct linger at_once = { 1, 0 }; /* ports are not to run out */
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
    CHECK(connect(client, (struct sockaddr *)&place, sizeof(place)) == 0);
    CHECK(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
    client_accepted(&listener, accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return client;
}

/* --- one connection ------------------------------------------------------------------------------------- */

static uint64_t sent;

static struct client *the_client(void)
{
    return list_is_empty(&proxy.clients) ? NULL : CONTAINER_OF(proxy.clients.next, struct client, node);
}

static bool has_received(void *unused)
{
    struct client *client = the_client();
    (void)unused;
    return client == NULL || client->state == CLIENT_CLOSING ||
           client->connection.stream->received_bytes >= sent || (client->http2 && client->http2->ending);
}

static bool is_gone(void *unused)
{
    (void)unused;
    return proxy.client_count == 0;
}

static void say(int client, const void *bytes, size_t size)
{
    if (size == 0 || send(client, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        return; /* it is over */
    sent += size;
    CHECK(shard_setup_turn_until(&shard, has_received, NULL));
}

static void greet(int client, uint8_t how)
{
    static const uint8_t plain[] = { 0, 0, 0, NGHTTP2_SETTINGS, 0, 0, 0, 0, 0 };
    static const uint8_t slow[] = { 0, 0, 6, NGHTTP2_SETTINGS, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0 };
    say(client, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    say(client, how & SLOW ? slow : plain, how & SLOW ? sizeof(slow) : sizeof(plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_BYTES)
        return 0;
    open_once();
    sent = 0;
    int client = connect_client();
    size_t piece = (data[0] & 15) == 0 ? size : (size_t)(data[0] & 15) * SNIPPET_BYTES;
    greet(client, data[0]);
    for (size_t at = 1; at < size; at += piece) {
        say(client, data + at, size - at < piece ? size - at : piece);
        struct client *near = the_client();
        if (data[0] & DRAINS && at + piece >= size / 2 && near && near->http2)
            http2_client_drain(near);
    }
    shard_setup_turn_for(&shard, 1);
    struct client *near = the_client();
    CHECK(near == NULL || near->http2 == NULL || near->http2->stream_count <= 2 * STREAMS);
    (void)shutdown(client, SHUT_WR);
    CHECK(shard_setup_turn_until(&shard, is_gone, NULL));
    (void)close(client);
    return 0;
}
