/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of expected failures: name, text, and the HTTP status a client sees when the failure ends its
 * request. Any thread. A function returning enum error must have its result looked at. */
#pragma once

#include "core/base/check.h"

#define ERROR_LIST(E)                         \
    E(OK, "ok", 200)                          \
    E(MEMORY, "out of memory", 503)           \
    E(LIMIT, "limit reached", 503)            \
    E(DESCRIPTORS, "out of descriptors", 503) \
    E(KERNEL, "refused by the kernel", 500)   \
    E(NAME, "name resolution failed", 503)    \
    E(REFUSED, "connection refused", 502)     \
    E(RESET, "connection reset", 502)         \
    E(CLOSED, "connection closed", 502)       \
    E(TIMEOUT, "timed out", 504)              \
    E(PROTOCOL, "invalid message", 502)       \
    E(CANCELLED, "cancelled", 499)            \
    E(INVALID, "invalid value", 400)          \
    E(NOT_FOUND, "not found", 404)            \
    E(UNSUPPORTED, "not supported", 501)      \
    E(TLS, "TLS failed", 502)                 \
    E(TRUNCATED, "cut off by the peer", 502)

enum error {
#define E(name, text, status) ERROR_##name,
    ERROR_LIST(E)
#undef E
        ERROR_COUNT
};

const char *error_text(enum error error);
int error_http_status(enum error error);

/* The error that stands for an errno of a socket operation. */
enum error error_from_errno(int errno_value);
