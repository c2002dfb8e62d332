/* SPDX-License-Identifier: Apache-2.0 */
/* How the records of one direction of a TLS connection are protected (RFC 8446 section 5.2, RFC 5246 section
 * 6.2.3.3): what a record layer has to know, ours or the kernel's. Secret; whoever holds one wipes it. */
#pragma once

#include <stdint.h>

enum stream_cipher { STREAM_AES_128_GCM, STREAM_AES_256_GCM, STREAM_CHACHA20_POLY1305 };

enum { STREAM_TLS_1_2 = 0x0303, STREAM_TLS_1_3 = 0x0304, STREAM_KEY_BYTES = 32, STREAM_IV_BYTES = 12 };

struct stream_crypto {
    uint16_t version;
    uint8_t cipher; /* enum stream_cipher */
    uint8_t key[STREAM_KEY_BYTES]; /* the first 16 bytes only with AES-128 */
    uint8_t iv[STREAM_IV_BYTES]; /* the first 4 only with AES-GCM in TLS 1.2 */
    uint64_t sequence; /* of the next record */
};
