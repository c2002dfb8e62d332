/* SPDX-License-Identifier: Apache-2.0 */
/* A socket for datagrams to one receiver, which never blocks: what the kernel has no room for is refused, and
 * whether anybody receives is never known. One owner, one thread. */
#pragma once

#include "core/base/error.h"
#include "net/transport/address.h"

enum { DATAGRAM_BYTES_MAX = 65507 /* over UDP and IPv4; more is refused */ };

struct datagrams {
    int fd; /* -1: not open */
};

enum error datagrams_open(struct datagrams *datagrams, const struct address *address) MUST_CHECK;

/* A socket in the file system, as syslog has it. */
enum error datagrams_open_path(struct datagrams *datagrams, const char *path) MUST_CHECK;

/* Legal for one with fd -1. */
void datagrams_close(struct datagrams *datagrams);

/* How many of them, from the first on, the kernel has taken; fewer than `count`: no room, or *error says that
 * this one cannot be sent at all. */
uint32_t datagrams_send(struct datagrams *datagrams, const struct slice *texts, uint32_t count,
                        enum error *error);
