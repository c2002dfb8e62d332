/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's own record layer (kTLS, Documentation/networking/tls.rst): is it there, and giving it the keys of a
 * socket. For streams over TCP, behind `protect_sending` and `protect_receiving`. Any thread. */
#pragma once

#include "core/base/error.h"
#include "core/io/stream_crypto.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum ktls_direction { KTLS_SEND, KTLS_RECEIVE };

/* What it does here: a bit for each pair of version and cipher, 0: nothing; can it change keys (6.14)? */
struct ktls_support {
    uint8_t suites;
    bool rekeys;
};

/* Tries each on a connection over the loopback that is closed again; may load the module. */
struct ktls_support ktls_probe(void);

bool ktls_supports(struct ktls_support support, uint16_t version, enum stream_cipher cipher);

enum { KTLS_TEXT_SIZE = 128 };

/* For people: "AES-128-GCM, AES-256-GCM (1.3), KeyUpdate", or "none". */
const char *ktls_text(struct ktls_support support, char text[KTLS_TEXT_SIZE]);

enum { KTLS_INFO_MAX = 64 };

struct ktls_info {
    unsigned char bytes[KTLS_INFO_MAX]; /* struct tls12_crypto_info_* of linux/tls.h; secret */
    uint32_t size;
};

void ktls_describe(const struct stream_crypto *crypto, struct ktls_info *info);

/* On a connected socket; the first direction also attaches the record layer. ERROR_UNSUPPORTED when there is
 * none, and nothing has changed. */
enum error ktls_protect(int fd, enum ktls_direction direction, const struct stream_crypto *crypto) MUST_CHECK;

enum { KTLS_CONTROL_MAX = 32 };

/* Control data for sendmsg that makes what is sent a record of that type; returns its size. */
uint32_t ktls_record_type(unsigned char control[KTLS_CONTROL_MAX], uint8_t type);

/* Is it the type of a record, which recvmsg tells beside its bytes? */
bool ktls_is_record_type(const struct cmsghdr *control);
