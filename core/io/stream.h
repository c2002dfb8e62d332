/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes both ways, whoever carries them: TCP now, TLS over TCP, a loopback in tests. Received bytes are
 * pushed as chunks until the owner pauses; sent chunks queue inside, and `writable` tells whenever the
 * queue has become shorter. Embedded in its owner, which outlives it until `closed`. One shard. */
#pragma once

#include "core/base/error.h"
#include "core/io/block.h"

struct stream;
struct stream_crypto; /* core/io/stream_crypto.h */

/* What the owner of a stream is told; always from the shard's loop, never from inside a call to the
 * stream. */
struct stream_events {
    void (*opened)(struct stream *stream, enum error error); /* the end of a connect */
    /* The owner takes the chunk (releases or forwards it). size 0: the peer has finished sending. */
    void (*received)(struct stream *stream, struct chunk chunk);
    void (*writable)(struct stream *stream); /* the kernel has taken some of what was sent */
    void (*failed)(struct stream *stream, enum error error); /* dead both ways; the owner closes it */
    void (*closed)(struct stream *stream); /* the last event; the memory may be used again */
    /* The rest only to who asked for an offload. */
    void (*halted)(struct stream *stream); /* nothing more arrives: see `halt` */
    void (*record)(struct stream *stream, uint8_t type, struct slice bytes); /* no data: a TLS alert, say */
    void (*spoiled)(struct stream *stream, int errno_value); /* a record that cannot be opened: nothing more
                                                              * arrives, sending still works */
};

struct stream_ops {
    void (*send)(struct stream *stream, struct chunk chunk); /* takes the reference */
    void (*pause)(struct stream *stream); /* at most a few more chunks may still arrive */
    void (*resume)(struct stream *stream);
    void (*finish)(struct stream *stream); /* half-close: FIN after what is queued */
    void (*close)(struct stream *stream); /* drops what is queued; `closed` follows */

    /* Where the kernel can protect records (kTLS); all of them or NULL. `protect_sending` and
     * `protect_receiving` take effect at once, or fail and change nothing; the first is called with nothing
     * queued, the second while halted with no part of a record outstanding. Again for other keys, the second
     * then in `record`; not every kernel can. */
    enum error (*protect_sending)(struct stream *stream, const struct stream_crypto *crypto);
    enum error (*protect_receiving)(struct stream *stream, const struct stream_crypto *crypto);
    void (*halt)(struct stream *stream); /* receive no more; what has come is delivered, then `halted` */
    void (*receive_exactly)(struct stream *stream, uint32_t size_bytes); /* while halted, and stays so */
    void (*unhalt)(struct stream *stream); /* receives again, unless it is paused */
    /* A short one that is no data, behind what is queued. Counted as queued until it has left, and until
     * then nothing else may be sent. */
    void (*send_record)(struct stream *stream, uint8_t type, struct slice bytes);
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    struct shard *shard;
    void *owner; /* who gets the events, and sets this if it needs it */
    uint64_t queued_bytes; /* given to send, not yet taken by the kernel */
    uint32_t queued_chunks;
    uint64_t received_bytes, sent_bytes;
};

static inline void stream_send(struct stream *stream, struct chunk chunk)
{
    stream->ops->send(stream, chunk);
}

static inline void stream_pause(struct stream *stream)
{
    stream->ops->pause(stream);
}

static inline void stream_resume(struct stream *stream)
{
    stream->ops->resume(stream);
}

static inline void stream_finish(struct stream *stream)
{
    stream->ops->finish(stream);
}

static inline void stream_close(struct stream *stream)
{
    stream->ops->close(stream);
}
