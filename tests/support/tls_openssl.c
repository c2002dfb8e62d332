/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tls_openssl.h"

#include "tests/support/shard_setup.h"

#include <openssl/err.h>

static void flush(struct tls_openssl *end)
{
    char *bytes = NULL;
    long size = BIO_get_mem_data(end->out, &bytes);
    if (size > 0 && !end->pipe.closing && !end->pipe.finishing) {
        struct slice whole = { bytes, (size_t)size };
        stream_send(&end->pipe.stream, shard_setup_chunk(end->pipe.stream.shard, whole));
    }
    (void)BIO_reset(end->out);
}

static void note_error(struct tls_openssl *end, int result)
{
    switch (SSL_get_error(end->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: break;
    case SSL_ERROR_ZERO_RETURN: end->ended = true; break;
    default:
        end->broken = true;
        if (end->error == 0)
            end->error = ERR_peek_error();
    }
}

static void read_all(struct tls_openssl *end)
{
    char bytes[16384];
    int size = 0;
    while ((size = SSL_read(end->ssl, bytes, sizeof(bytes))) > 0) {
        for (int i = 0; i < size; i++, end->received++)
            if (end->received < sizeof(end->text) - 1)
                end->text[end->received] = bytes[i];
        if (end->echoes)
            CHECK(SSL_write(end->ssl, bytes, size) == size);
    }
    note_error(end, size);
}

void tls_openssl_run(struct tls_openssl *end)
{
    ERR_clear_error();
    if (!end->done && !end->broken) {
        int result = SSL_do_handshake(end->ssl);
        end->done = result == 1;
        if (!end->done)
            note_error(end, result);
    }
    if (end->done && !end->broken && !end->ended)
        read_all(end);
    flush(end);
}

void tls_openssl_send(struct tls_openssl *end, const void *bytes, size_t size)
{
    CHECK(SSL_write(end->ssl, bytes, (int)size) == (int)size);
    flush(end);
}

static struct tls_openssl *end_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct tls_openssl, pipe.stream);
}

static void opened(struct stream *stream, enum error error)
{
    (void)error;
    tls_openssl_run(end_of(stream));
}

static void received(struct stream *stream, struct chunk chunk)
{
    struct tls_openssl *end = end_of(stream);
    struct slice bytes = chunk_slice(&chunk);
    if (bytes.size == 0)
        end->cut = true;
    else
        CHECK(BIO_write(end->in, bytes.data, (int)bytes.size) == (int)bytes.size);
    chunk_release(&chunk);
    tls_openssl_run(end);
}

static void writable(struct stream *stream)
{
    (void)stream;
}

static void failed(struct stream *stream, enum error error)
{
    (void)error;
    end_of(stream)->broken = true;
}

static void closed(struct stream *stream)
{
    end_of(stream)->closed++;
}

static const struct stream_events events = { opened, received, writable, failed, closed, NULL, NULL };

void tls_openssl_open(struct tls_openssl *end, SSL *ssl)
{
    CHECK(ssl != NULL);
    end->ssl = ssl;
    end->in = BIO_new(BIO_s_mem());
    end->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(end->in, -1);
    SSL_set_bio(ssl, end->in, end->out);
    end->pipe.stream.events = &events;
}

void tls_openssl_free(struct tls_openssl *end)
{
    SSL_free(end->ssl);
    ERR_clear_error();
}
