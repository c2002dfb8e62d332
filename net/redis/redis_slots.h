/* SPDX-License-Identifier: Apache-2.0 */
/* The words of Redis Cluster: the slot of a key, who serves which slots (the reply to CLUSTER SLOTS), and the
 * errors that lead elsewhere. Bytes of a peer, judged without I/O; one shard. */
#pragma once

#include "net/redis/redis_reply.h"
#include "net/redis/redis_target.h"

enum { REDIS_SLOT_COUNT = 16384, REDIS_SLOTS_DEPTH = 4 };

/* CRC16 of the key, or of what stands in its first braces. */
uint16_t redis_slot_of(struct slice key);

/* Slots that one node serves. Host size 0: the node that was asked. */
struct redis_slot_range {
    uint16_t first, last;
    uint16_t port;
    uint8_t host_size;
    char host[REDIS_HOST_MAX_BYTES];
};

/* Called for each range; what it points to is the reader's. */
typedef bool redis_range_fn(void *owner, const struct redis_slot_range *range);

/* Reads the items of one reply. */
struct redis_slots_reader {
    redis_range_fn *take;
    void *owner;
    unsigned depth; /* arrays that the next item is inside of */
    uint32_t left[REDIS_SLOTS_DEPTH],
        index[REDIS_SLOTS_DEPTH]; /* per array: items to come, and which it is */
    struct redis_slot_range range;
    bool has_port, is_address; /* of the range's master: what was read */
    bool names_address; /* the next text of the metadata is its address */
    bool complete;
};

void redis_slots_init(struct redis_slots_reader *reader, redis_range_fn *take, void *owner);

/* False: this is no reply to CLUSTER SLOTS, or `take` said so. */
bool redis_slots_feed(struct redis_slots_reader *reader, const struct redis_reply *item) MUST_CHECK;

enum redis_complaint {
    REDIS_OTHER_ERROR,
    REDIS_MOVED, /* the slot is elsewhere for good */
    REDIS_ASK, /* this once, after ASKING */
    REDIS_TRY_AGAIN, /* while the slot's keys are on their way */
    REDIS_CLUSTER_DOWN, /* or this node has nothing to say: loading, no master */
    REDIS_READ_ONLY /* a replica */
};

struct redis_redirect {
    enum redis_complaint complaint;
    uint16_t slot; /* MOVED, ASK */
    struct redis_server server; /* the same; within the text; no host: the node that said so */
};

/* What an error reply asks for. */
struct redis_redirect redis_redirect_parse(struct slice text);
