/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's own record layer (kTLS, Documentation/networking/tls.rst): is it there, and giving it the keys of a
 * socket. For streams over TCP, behind `protect_sending` and `protect_receiving`. Any thread. */
#pragma once

#include "core/base/error.h"
#include "core/io/stream_crypto.h"

#include <stdbool.h>
#include <stdint.h>

enum ktls_direction { KTLS_SEND, KTLS_RECEIVE };

/* Does this kernel know it at all? Asks a socket that is closed again; may load the module. */
bool ktls_is_available(void);

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
