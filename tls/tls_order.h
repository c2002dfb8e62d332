/* SPDX-License-Identifier: Apache-2.0 */
/* Watches the messages that a client sends in the clear in TLS 1.2: CertificateVerify must come after
 * ClientKeyExchange (RFC 5246 section 7.3), because it signs what was said before. wolfSSL 5.5.4 is not
 * known to insist. Pure functions over untrusted bytes. */
#pragma once

#include "tls/tls_record.h"

struct tls_order {
    unsigned char header[4];
    uint8_t header_size;
    bool key_exchanged;
    bool ciphered; /* what follows cannot be read */
    uint32_t left; /* of the body of a message */
};

/* A whole record, header included. False: out of order. */
bool tls_order_allows(struct tls_order *order, struct slice record) MUST_CHECK;
