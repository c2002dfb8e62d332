/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/tunnel.h"

#include "core/base/check.h"

enum {
    QUEUE_CHUNKS_MAX = 24, /* each may hold a whole receive block */
    SECOND_MS = 1000
};

static struct tunnel_side *opposite(struct tunnel *tunnel, enum tunnel_end end)
{
    return &tunnel->sides[end == TUNNEL_CLIENT ? TUNNEL_UPSTREAM : TUNNEL_CLIENT];
}

static void end_with(struct tunnel *tunnel, enum tunnel_over over)
{
    tunnel_over_fn *tell = tunnel->over;
    tunnel_close(tunnel);
    tell(tunnel, over);
}

/* Something has moved. */
static void touch(struct tunnel *tunnel)
{
    if (tunnel->idle_ms)
        timer_arm(&tunnel->shard->timers, &tunnel->timer, tunnel->shard->now_ms + tunnel->idle_ms);
}

static void idle(struct timer *timer)
{
    end_with(CONTAINER_OF(timer, struct tunnel, timer), TUNNEL_IDLE);
}

static bool is_done(const struct tunnel *tunnel)
{
    for (unsigned i = 0; i < TUNNEL_ENDS; i++)
        if (!tunnel->sides[i].ended || (!tunnel->sides[i].lost && tunnel->sides[i].stream->queued_bytes > 0))
            return false;
    return true;
}

/* Behind the tasks of the streams, which may have a last word to queue (TLS has). */
static void look(struct shard_task *task)
{
    struct tunnel *tunnel = CONTAINER_OF(task, struct tunnel, task);
    if (is_done(tunnel))
        end_with(tunnel, TUNNEL_DONE);
}

static void look_later(struct tunnel *tunnel)
{
    if (is_done(tunnel))
        shard_defer(tunnel->shard, &tunnel->task);
}

static bool is_full(const struct tunnel *tunnel, const struct stream *stream)
{
    return stream->queued_bytes > tunnel->queue_bytes || stream->queued_chunks > QUEUE_CHUNKS_MAX;
}

static void moved(struct tcp_splice_watch *watch, uint64_t came_bytes)
{
    struct tunnel_side *side = CONTAINER_OF(watch, struct tunnel_side, watch);
    side->passed_bytes += came_bytes;
    touch(side->tunnel);
}

/* Little is copied faster than it is spliced; so only who sends much, and while it does. */
static void consider_splice(struct tunnel *tunnel, enum tunnel_end from, uint32_t came_bytes)
{
    struct tunnel_side *side = &tunnel->sides[from], *other = opposite(tunnel, from);
    uint64_t now_ms = tunnel->shard->now_ms;
    if (now_ms - side->second_ms >= SECOND_MS) {
        side->second_ms = now_ms;
        side->second_bytes = 0;
    }
    side->second_bytes += came_bytes;
    if (side->second_bytes < tunnel->splice_after_bytes || side->watch.splice)
        return;
    side->second_bytes = 0;
    (void)tcp_splice_begin(&side->watch, side->stream, other->stream, tunnel->pipes);
}

void tunnel_open(struct tunnel *tunnel, struct shard *shard, const struct tunnel_options *options)
{
    struct tcp_splice_watch watch = { .moved = moved };
    *tunnel = (struct tunnel){ .sides = { [TUNNEL_CLIENT] = { options->client, tunnel, watch },
                                          [TUNNEL_UPSTREAM] = { options->upstream, tunnel, watch } },
                               .shard = shard,
                               .over = options->over,
                               .owner = options->owner,
                               .queue_bytes = options->queue_bytes,
                               .idle_ms = options->idle_ms,
                               .pipes = options->pipes,
                               .splice_after_bytes = options->pipes ? options->splice_after_bytes : 0 };
    timer_init(&tunnel->timer, idle);
    shard_task_init(&tunnel->task, look);
    touch(tunnel);
}

void tunnel_received(struct tunnel *tunnel, enum tunnel_end from, struct chunk chunk)
{
    struct tunnel_side *side = &tunnel->sides[from], *other = opposite(tunnel, from);
    if (!tunnel_is_open(tunnel) || other->lost) {
        chunk_release(&chunk);
        return;
    }
    touch(tunnel);
    if (chunk.size == 0) {
        side->ended = true;
        tcp_splice_end(&side->watch);
        stream_finish(other->stream);
        look_later(tunnel);
        return;
    }
    side->passed_bytes += chunk.size;
    stream_send(other->stream, chunk);
    if (tunnel->splice_after_bytes)
        consider_splice(tunnel, from, chunk.size);
    if (!side->paused && is_full(tunnel, other->stream)) {
        side->paused = true;
        stream_pause(side->stream);
    }
}

void tunnel_writable(struct tunnel *tunnel, enum tunnel_end to)
{
    struct tunnel_side *side = &tunnel->sides[to], *other = opposite(tunnel, to);
    if (!tunnel_is_open(tunnel))
        return;
    touch(tunnel);
    if (other->paused && !other->lost && side->stream->queued_bytes * 2 <= tunnel->queue_bytes &&
        side->stream->queued_chunks * 2 <= QUEUE_CHUNKS_MAX) {
        other->paused = false;
        stream_resume(other->stream);
    }
    look_later(tunnel);
}

void tunnel_lost(struct tunnel *tunnel, enum tunnel_end from)
{
    struct tunnel_side *side = &tunnel->sides[from], *other = opposite(tunnel, from);
    touch(tunnel);
    if (!side->ended)
        stream_finish(other->stream);
    side->lost = side->ended = other->ended = true;
    look_later(tunnel);
}

void tunnel_close(struct tunnel *tunnel)
{
    if (!tunnel_is_open(tunnel))
        return;
    tunnel->over = NULL;
    for (unsigned i = 0; i < TUNNEL_ENDS; i++)
        tcp_splice_end(&tunnel->sides[i].watch);
    list_remove(&tunnel->task.node);
    timer_disarm(&tunnel->shard->timers, &tunnel->timer);
}
