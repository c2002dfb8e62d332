/* SPDX-License-Identifier: Apache-2.0 */
/* A server's TLS over a non-blocking socket, for threads that poll and have no shard: few connections, small
 * answers, HTTP/1.1 without ALPN. Two calls that behave like recv() and send(); the handshake is made in
 * them. Owned by its connection; one thread. */
#pragma once

#include "tls/tls_server.h"

#include <sys/types.h>

struct tls_socket;

/* Takes its own reference of the server. NULL: out of memory. */
struct tls_socket *tls_socket_open(struct tls_server *server, int fd) MUST_CHECK;
void tls_socket_free(struct tls_socket *tls); /* legal for NULL; the descriptor stays the caller's */

/* Bytes; 0 when the peer has said close_notify; -1 with errno EAGAIN: there is nothing for now, or another:
 * the connection is broken. */
ssize_t tls_socket_receive(struct tls_socket *tls, void *out, size_t room);

/* Bytes that have left; -1 as above. After EAGAIN it must be called with the same bytes. */
ssize_t tls_socket_send(struct tls_socket *tls, const void *bytes, size_t size);

/* There will be nothing more: says close_notify, if that is possible at once. */
void tls_socket_finish(struct tls_socket *tls);
