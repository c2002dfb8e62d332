/* SPDX-License-Identifier: Apache-2.0 */
/* What stands around the data of a body in HTTP/1. */
#include "net/proxy/forward.h"

struct chunk forward_text(struct exchange *exchange, struct slice text)
{
    struct block *block = block_open(exchange->proxy->shard->blocks, text.size);
    if (block == NULL)
        return (struct chunk){ 0 };
    memcpy(block->data, text.data, text.size);
    block->used = (uint32_t)text.size;
    return (struct chunk){ block, 0, block->used };
}

struct chunk forward_chunk_line(struct exchange *exchange, uint64_t size_bytes)
{
    char line[HTTP1_CHUNK_LINE_BYTES];
    struct writer out = writer_of(line, sizeof(line));
    http1_write_chunk_line(&out, size_bytes);
    return forward_text(exchange, (struct slice){ line, (size_t)(out.next - line) });
}

struct chunk forward_last_chunk(struct exchange *exchange, const struct header *trailers, uint32_t count)
{
    size_t size = 16;
    for (uint32_t i = 0; i < count; i++)
        size += trailers[i].name.size + trailers[i].value.size + 4;
    struct block *block = block_open(exchange->proxy->shard->blocks, size);
    if (block == NULL)
        return (struct chunk){ 0 };
    struct writer out = writer_of(block->data, block->capacity);
    writer_text(&out, "0\r\n");
    for (uint32_t i = 0; i < count; i++)
        writer_header(&out, trailers[i].name, trailers[i].value);
    writer_text(&out, "\r\n");
    if (out.overflow) { /* a bug: see finish_block */
        block_release(block);
        return (struct chunk){ 0 };
    }
    block->used = (uint32_t)(out.next - block->data);
    return (struct chunk){ block, 0, block->used };
}

struct chunk forward_trailers(struct exchange *exchange, const struct header *trailers, uint32_t count)
{
    enum { BEFORE = sizeof("0\r\n") - 1, BEHIND = sizeof("\r\n") - 1 };
    struct chunk chunk = forward_last_chunk(exchange, trailers, count);
    if (chunk.block) {
        chunk.offset += BEFORE;
        chunk.size -= BEFORE + BEHIND;
    }
    return chunk;
}
