/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol, versions 1 and 2 (HAProxy's specification of 2020-03-05): what a balancer in front puts
 * before everything else on a connection, to say whose connection it is. Pure functions over untrusted
 * bytes; any thread. */
#pragma once

#include "core/base/slice.h"
#include "net/transport/address.h"

enum {
    PROXY_PROTOCOL_V1_MAX = 107, /* the whole line, with its end */
    PROXY_PROTOCOL_MAX = 4096, /* of version 2, extensions included */
    PROXY_PROTOCOL_WRITTEN_MAX = PROXY_PROTOCOL_V1_MAX + 1
};

struct proxy_protocol {
    unsigned version; /* 1 or 2 */
    struct address source, destination; /* size 0: not told, the connection's own count */
};

enum proxy_protocol_result { PROXY_PROTOCOL_MORE, PROXY_PROTOCOL_DONE, PROXY_PROTOCOL_BAD };

/* Reads what a connection begins with. MORE: so far it may become a header, and the caller comes again with
 * more bytes behind these. DONE: *size of them were the header. */
enum proxy_protocol_result proxy_protocol_read(struct slice bytes, struct proxy_protocol *header,
                                               size_t *size);

/* The header for these addresses; of unlike families, or without them, it says that they are not known. Its
 * size. */
size_t proxy_protocol_write(char out[PROXY_PROTOCOL_WRITTEN_MAX], const struct proxy_protocol *header);
