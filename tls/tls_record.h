/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of a TLS record (RFC 8446 section 5.1) and the names of alerts. Pure functions. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum tls_type { TLS_CHANGE_CIPHER_SPEC = 20, TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

enum tls_alert {
    TLS_CLOSE_NOTIFY = 0,
    TLS_UNEXPECTED_MESSAGE = 10,
    TLS_BAD_RECORD_MAC = 20,
    TLS_RECORD_OVERFLOW = 22,
    TLS_HANDSHAKE_FAILURE = 40,
    TLS_ILLEGAL_PARAMETER = 47,
    TLS_DECODE_ERROR = 50,
    TLS_PROTOCOL_VERSION = 70,
    TLS_INTERNAL_ERROR = 80,
    TLS_USER_CANCELED = 90,
    TLS_NO_RENEGOTIATION = 100,
    TLS_UNRECOGNIZED_NAME = 112,
    TLS_NO_APPLICATION_PROTOCOL = 120,
    TLS_ALERT_NONE = 255 /* no alert is called that */
};

enum {
    TLS_HEADER_BYTES = 5,
    TLS_PLAIN_MAX = 16384,
    TLS_SEALED_MAX = TLS_PLAIN_MAX + 256, /* of the body: more than any AEAD adds */
    TLS_SEALED_1_3_MIN = 16 + 1 /* a tag, and the type that even empty data carries */
};

struct tls_header {
    uint8_t type;
    uint16_t size; /* of the body */
};

/* What is known of the connection when a record comes. */
enum tls_epoch { TLS_EPOCH_HANDSHAKE, TLS_EPOCH_1_2, TLS_EPOCH_1_3 };

/* TLS_ALERT_NONE, or the alert that answers a header that no peer may send. In TLS 1.3 a record of data with
 * an empty inner plaintext is one: wolfSSL 5.5.4 reads outside of it. */
enum tls_alert tls_record_header(const unsigned char bytes[TLS_HEADER_BYTES], enum tls_epoch epoch,
                                 struct tls_header *header);

/* "unknown_ca"; "alert" when it has no name here. */
const char *tls_alert_text(unsigned alert);
