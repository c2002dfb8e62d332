/* SPDX-License-Identifier: Apache-2.0 */
/* A server that is sent anything: frames, ClientHellos, and wolfSSL behind them. */
#include "tests/support/shard_setup.h"
#include "tests/support/tls_ends.h"
#include "tls/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_ends ends;
static struct tls_server *server;

static void open_once(void)
{
    if (server)
        return;
    tls_ends_open(&ends);
    server = tls_ends_server(&ends, ends.certs[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_hello hello;
    struct slice bytes = { (const char *)data, size };
    (void)tls_hello_read(bytes, &hello);
    (void)tls_hello_offers(&hello, SLICE("h2"));
    open_once();
    ends.server = (struct tls_end){ .error = ERROR_OK };
    pipe_stream_open(&ends.shard, &ends.client.pipe, &ends.server.pipe);
    list_remove(&ends.client.pipe.task.node); /* nobody is there */
    ends.client.pipe.closed = ends.client.pipe.closing = true;
    tls_server_take(server);
    tls_ends_accept(&ends, server);
    if (size > 0) {
        struct chunk chunk = shard_setup_chunk(&ends.shard, bytes);
        ends.server.pipe.stream.events->received(&ends.server.pipe.stream, chunk);
    }
    shard_setup_turn_for(&ends.shard, 1);
    stream_close(&ends.server.tls.stream);
    CHECK(tls_ends_until_count(&ends.shard, &ends.server.closed, 1));
    return 0;
}
