/* SPDX-License-Identifier: Apache-2.0 */
/* What a ClientHello asks for (RFC 8446 section 4.1.2), read before any TLS state exists: names choose the
 * certificate, and a client that never says hello costs no more than its bytes. Pure functions over untrusted
 * bytes. */
#pragma once

#include "tls/tls_record.h"

enum { TLS_HELLO_MAX = 16 * 1024, TLS_MESSAGE_HEADER_BYTES = 4, TLS_NAME_MAX = 255 };

struct tls_hello {
    struct slice name; /* of the server, as sent; absent: none */
    struct slice protocols; /* ALPN: each a length and that many bytes, well formed; absent: none */
    bool tls_1_2, tls_1_3; /* versions it offers */
    bool suites_ecdsa, suites_rsa; /* TLS 1.2 with ephemeral keys and AEAD */
    bool signs_p256, signs_p384, signs_ed25519, signs_rsa; /* which signatures it takes */
    bool asks_status; /* a stapled OCSP response */
};

/* Takes the headers of records out in place, so that the first handshake message in them is contiguous:
 * *message, absent as long as there is more of it to come. TLS_ALERT_NONE, or the alert that what has come
 * deserves. */
enum tls_alert tls_hello_gather(unsigned char *records, size_t size, struct slice *message);

/* A whole handshake message, its header included. TLS_ALERT_NONE, or the alert it deserves. */
enum tls_alert tls_hello_read(struct slice message, struct tls_hello *hello);

/* Is the protocol among those offered? */
bool tls_hello_offers(const struct tls_hello *hello, struct slice protocol);
