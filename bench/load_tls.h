/* SPDX-License-Identifier: Apache-2.0 */
/* The generator's TLS, by OpenSSL: TLS 1.3 with AES-128-GCM, certificates unseen. Calls behave like those of
 * sockets: -1 with errno EAGAIN when there is nothing to do for now. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct load_tls; /* one per run */
struct ssl_st;

/* `resumes`: every connection but the first begins with what an earlier one has left. NULL: out of memory. */
struct load_tls *load_tls_open(bool resumes);
void load_tls_close(struct load_tls *tls);

struct ssl_st *load_tls_connect(struct load_tls *tls, int fd); /* NULL: out of memory */
void load_tls_free(struct ssl_st *ssl); /* legal for NULL */

int load_tls_shake(struct ssl_st *ssl); /* 0: done */
ssize_t load_tls_send(struct ssl_st *ssl, const void *data, size_t size);
ssize_t load_tls_receive(struct ssl_st *ssl, void *data, size_t size); /* 0: the peer has ended */
bool load_tls_was_resumed(const struct ssl_st *ssl);
