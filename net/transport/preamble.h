/* SPDX-License-Identifier: Apache-2.0 */
/* The header of the PROXY protocol that a connection begins with, gathered from the pieces it arrives in.
 * Memory is taken only when there is more than one. Embedded in the connection's owner; one shard. */
#pragma once

#include "core/io/block.h"
#include "net/transport/proxy_protocol.h"

struct preamble {
    char *bytes; /* NULL: nothing is kept */
    uint32_t size;
};

/* Takes what has arrived. DONE: `chunk` is what follows the header, perhaps empty. Otherwise it is used up;
 * BAD also without memory. */
enum proxy_protocol_result preamble_take(struct preamble *preamble, struct chunk *chunk,
                                         struct proxy_protocol *header);

void preamble_deinit(struct preamble *preamble); /* legal at any time */
