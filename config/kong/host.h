/* SPDX-License-Identifier: Apache-2.0 */
/* HOST, HOST:PORT and their numeric forms as Kong takes them apart. Nothing is allocated; control thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum kong_host_type { KONG_HOST_NAME, KONG_HOST_IPV4, KONG_HOST_IPV6 };

enum { KONG_HOST_TEXT_SIZE = 48 };

struct kong_host {
    enum kong_host_type type;
    struct slice name; /* KONG_HOST_NAME: a view of the text, as written */
    unsigned char address[16]; /* else: 4 or 16 bytes */
    bool has_port;
    uint16_t port;
};

/* NULL, or why it is none: a text in which `{}` stands for the input. */
const char *kong_parse_host(struct slice text, struct kong_host *out);

/* An address as people write it, and as Kong stores it: with all its digits when it is IPv6. */
void kong_host_short(const struct kong_host *host, char text[KONG_HOST_TEXT_SIZE]);
void kong_host_long(const struct kong_host *host, char text[KONG_HOST_TEXT_SIZE]);
