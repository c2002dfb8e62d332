/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/pipe_stream.h"

#include "tests/support/shard_setup.h"

static struct pipe_stream *pipe_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct pipe_stream, stream);
}

static void count(struct pipe_stream *pipe)
{
    pipe->stream.queued_bytes = pipe->queue.bytes;
    pipe->stream.queued_chunks = pipe->queue.count;
}

static void kick(struct pipe_stream *pipe)
{
    if (!pipe->closed)
        shard_defer(pipe->stream.shard, &pipe->task);
}

static void pipe_send(struct stream *stream, struct chunk chunk)
{
    struct pipe_stream *pipe = pipe_of(stream);
    CHECK(!pipe->finishing);
    if (pipe->closing || pipe->other->closing || chunk.size == 0) {
        chunk_release(&chunk);
        return;
    }
    CHECK(chunk_queue_push(&pipe->queue, chunk));
    count(pipe);
    kick(pipe);
}

static void pipe_pause(struct stream *stream)
{
    pipe_of(stream)->paused = true;
}

static void pipe_resume(struct stream *stream)
{
    pipe_of(stream)->paused = false;
    kick(pipe_of(stream)->other);
}

static void pipe_finish(struct stream *stream)
{
    pipe_of(stream)->finishing = true;
    kick(pipe_of(stream));
}

static void pipe_close(struct stream *stream)
{
    struct pipe_stream *pipe = pipe_of(stream);
    CHECK(!pipe->closing);
    pipe->closing = true;
    chunk_queue_clear(&pipe->queue);
    chunk_queue_clear(&pipe->other->queue);
    count(pipe);
    count(pipe->other);
    kick(pipe);
}

static const struct stream_ops ops = {
    .send = pipe_send,
    .pause = pipe_pause,
    .resume = pipe_resume,
    .finish = pipe_finish,
    .close = pipe_close,
};

static bool is_cut(const struct pipe_stream *pipe)
{
    return pipe->offset >= pipe->cut_offset;
}

/* A copy, for the receiver may write into what it gets. */
static struct chunk next_piece(struct pipe_stream *pipe)
{
    struct slice first = chunk_slice(chunk_queue_at(&pipe->queue, 0));
    if (pipe->piece_bytes > 0 && first.size > pipe->piece_bytes)
        first.size = pipe->piece_bytes;
    if (first.size > pipe->cut_offset - pipe->offset)
        first.size = (size_t)(pipe->cut_offset - pipe->offset);
    struct chunk piece = shard_setup_chunk(pipe->stream.shard, first);
    if (pipe->flip_offset >= pipe->offset && pipe->flip_offset - pipe->offset < piece.size)
        piece.block->data[pipe->flip_offset - pipe->offset] ^= (char)pipe->flip_bits;
    pipe->offset += piece.size;
    chunk_queue_consume(&pipe->queue, piece.size);
    count(pipe);
    return piece;
}

static void deliver(struct pipe_stream *pipe)
{
    struct pipe_stream *other = pipe->other;
    while (pipe->queue.count > 0 && !other->paused && !other->closing && !pipe->closing && !is_cut(pipe)) {
        struct chunk piece = next_piece(pipe);
        other->stream.received_bytes += piece.size;
        pipe->stream.sent_bytes += piece.size;
        other->stream.events->received(&other->stream, piece);
        if (!pipe->closing && !other->opens)
            pipe->stream.events->writable(&pipe->stream);
    }
    if (is_cut(pipe)) {
        chunk_queue_clear(&pipe->queue);
        count(pipe);
    }
    if ((pipe->finishing || is_cut(pipe)) && !pipe->finished && pipe->queue.count == 0 && !pipe->closing &&
        !other->closing) {
        pipe->finished = true;
        other->stream.events->received(&other->stream, (struct chunk){ 0 });
    }
}

static void run(struct shard_task *task)
{
    struct pipe_stream *pipe = CONTAINER_OF(task, struct pipe_stream, task);
    if (pipe->closing) {
        pipe->closed = true;
        pipe->stream.events->closed(&pipe->stream);
        return;
    }
    if (pipe->opens) {
        pipe->opens = false;
        pipe->stream.events->opened(&pipe->stream, ERROR_OK);
    }
    deliver(pipe);
}

static void init(struct shard *shard, struct pipe_stream *pipe, struct pipe_stream *other)
{
    *pipe = (struct pipe_stream){ .stream = { .ops = &ops, .shard = shard },
                                  .other = other,
                                  .flip_offset = UINT64_MAX,
                                  .cut_offset = UINT64_MAX };
    chunk_queue_init(&pipe->queue);
    shard_task_init(&pipe->task, run);
}

void pipe_stream_open(struct shard *shard, struct pipe_stream *client, struct pipe_stream *server)
{
    init(shard, client, server);
    init(shard, server, client);
    client->opens = true;
    kick(client);
}
