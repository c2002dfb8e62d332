/* SPDX-License-Identifier: Apache-2.0 */
/* The cipher suites that are spoken: AEAD with ephemeral keys only, AES first, for it is the fastest.
 * Immutable tables; any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"
#include "core/io/stream_crypto.h"

struct tls_suite {
    uint16_t id; /* IANA's */
    uint16_t version; /* STREAM_TLS_1_2 or STREAM_TLS_1_3 */
    const char *name; /* as OpenSSL, and so Kong's logs, call it */
    const char *library_name; /* as wolfSSL calls it */
    enum stream_cipher cipher;
};

/* Kong's ssl_cipher_suite. `old` is `intermediate`: what its older suites have beyond it (CBC, RSA key
 * exchange) is not spoken at all. */
enum tls_preset { TLS_MODERN, TLS_INTERMEDIATE, TLS_OLD, TLS_CUSTOM };

/* NULL: not spoken. */
const struct tls_suite *tls_suite_by_id(uint16_t id);

enum { TLS_SUITE_LIST_SIZE = 512 };

struct tls_suite_choice {
    enum tls_preset preset;
    struct slice custom; /* OpenSSL's names, ':' between them; only with TLS_CUSTOM */
    uint16_t version_min, version_max;
};

/* Writes wolfSSL's list (TLS_SUITE_LIST_SIZE bytes); false with *wrong: the name that is not spoken, or
 * absent when nothing is left. */
bool tls_suites_list(const struct tls_suite_choice *choice, char *list, struct slice *wrong) MUST_CHECK;
