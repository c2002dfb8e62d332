/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

struct load_tls {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* the newest */
    bool resumes;
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct load_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(tls->session);
    tls->session = session;
    return 1; /* ours now */
}

struct load_tls *load_tls_open(bool resumes)
{
    struct load_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->resumes = resumes;
    tls->ctx = SSL_CTX_new(TLS_client_method());
    if (tls->ctx == NULL || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(tls->ctx, "TLS_AES_128_GCM_SHA256") != 1) {
        load_tls_close(tls);
        return NULL;
    }
    SSL_CTX_set_app_data(tls->ctx, tls);
    SSL_CTX_set_session_cache_mode(tls->ctx, resumes ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                                     : SSL_SESS_CACHE_OFF);
    SSL_CTX_sess_set_new_cb(tls->ctx, keep_session);
    return tls;
}

void load_tls_close(struct load_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_SESSION_free(tls->session);
    SSL_CTX_free(tls->ctx);
    free(tls);
}

SSL *load_tls_connect(struct load_tls *tls, int fd)
{
    SSL *ssl = SSL_new(tls->ctx);
    if (ssl == NULL)
        return NULL;
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, "bench.test");
    if (tls->session != NULL)
        SSL_set_session(ssl, tls->session);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* A session whose connection was not closed in order would not be resumed again. */
void load_tls_free(SSL *ssl)
{
    if (ssl == NULL)
        return;
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
}

static int result_of(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: errno = EPROTO; return -1;
    }
}

int load_tls_shake(SSL *ssl)
{
    ERR_clear_error();
    int result = SSL_do_handshake(ssl);
    return result == 1 ? 0 : result_of(ssl, result) == 0 ? -1 : -1;
}

ssize_t load_tls_send(SSL *ssl, const void *data, size_t size)
{
    ERR_clear_error();
    int result = SSL_write(ssl, data, size < INT_MAX ? (int)size : INT_MAX);
    return result > 0 ? result : result_of(ssl, result);
}

ssize_t load_tls_receive(SSL *ssl, void *data, size_t size)
{
    ERR_clear_error();
    int result = SSL_read(ssl, data, size < INT_MAX ? (int)size : INT_MAX);
    return result > 0 ? result : result_of(ssl, result);
}

bool load_tls_was_resumed(const SSL *ssl)
{
    return SSL_session_reused(ssl) == 1;
}
