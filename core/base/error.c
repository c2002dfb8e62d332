/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/error.h"

#include <errno.h>

static const struct {
    const char *text;
    int http_status;
} errors[] = {
#define E(name, text, status) [ERROR_##name] = { text, status },
    ERROR_LIST(E)
#undef E
};

const char *error_text(enum error error)
{
    CHECK(error < ERROR_COUNT);
    return errors[error].text;
}

int error_http_status(enum error error)
{
    CHECK(error < ERROR_COUNT);
    return errors[error].http_status;
}

enum error error_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0: return ERROR_OK;
    case ENOMEM:
    case ENOBUFS: return ERROR_MEMORY;
    case EMFILE:
    case ENFILE: return ERROR_DESCRIPTORS;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL: return ERROR_REFUSED;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED: return ERROR_RESET;
    case ETIMEDOUT: return ERROR_TIMEOUT;
    case ECANCELED: return ERROR_CANCELLED;
    default: return ERROR_KERNEL;
    }
}
