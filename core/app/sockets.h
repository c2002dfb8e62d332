/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets of all shards: one per listener and shard (SO_REUSEPORT), opened before any shard
 * starts so that a busy port ends the start with a reason. Control thread. */
#pragma once

#include "config/settings.h"
#include "net/transport/listener.h"

struct sockets {
    int *fds; /* of shard 0, then of shard 1 ... */
    struct listener_options *options; /* by listener */
    uint32_t per_shard, count;
    uint32_t given_count; /* the first ones, which shards have taken and close */
    char first_text[64];
};

/* False: reported, nothing is left open. */
bool sockets_open(struct sockets *sockets, const struct settings *settings, unsigned shard_count,
                  struct report *report);

/* A shard has taken its ones and closes them; shards take them in order. */
void sockets_given(struct sockets *sockets, unsigned shard);

/* Those that can be handed over to another process: whoever binds the address of datagrams has them anyway.
 * Their count, at most `count`. */
uint32_t sockets_listening(const struct sockets *sockets, int *fds);

/* Those that no shard has taken. */
void sockets_close(struct sockets *sockets);

/* "127.0.0.1:8000": where to try it. */
const char *sockets_first_text(const struct sockets *sockets);
