/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's TLS at one end of a pipe, for tests against an implementation that is not ours. The test owns it;
 * one shard. */
#pragma once

#include "tests/support/pipe_stream.h"

#include <openssl/ssl.h>

struct tls_openssl {
    struct pipe_stream pipe;
    SSL *ssl;
    BIO *in, *out;
    bool done; /* with the handshake */
    bool broken; /* a fatal error, or the pipe failed */
    bool ended; /* close_notify has come */
    bool cut; /* the pipe has ended */
    bool echoes;
    uint64_t closed;
    uint64_t received;
    char text[256]; /* the first of what was received */
    unsigned long error; /* the first of OpenSSL's queue when it broke */
};

/* Takes the SSL over, which is set to connect or accept; the pipe is opened, and no events have come. */
void tls_openssl_open(struct tls_openssl *end, SSL *ssl);

/* Goes on as far as it can: begins a client's handshake. */
void tls_openssl_run(struct tls_openssl *end);
void tls_openssl_send(struct tls_openssl *end, const void *bytes, size_t size);
void tls_openssl_free(struct tls_openssl *end); /* after its pipe has closed */
