/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/origin_preamble.h"

#include "net/proxy/client.h"

enum preamble_kind origin_preamble_kind(const struct exchange *exchange)
{
    const struct proxy_options *options = exchange->proxy->options;
    int kind = exchange->service->service->proxy_protocol;
    if (kind == PREAMBLE_AS_SET)
        kind = exchange->is_stream ? options->stream_preamble : options->upstream_preamble;
    return (enum preamble_kind)kind;
}

bool origin_write_preamble(const struct exchange *exchange, struct chunk *chunk)
{
    enum preamble_kind kind = origin_preamble_kind(exchange);
    struct proxy_protocol header = { .version = kind == PREAMBLE_V2 ? 2 : 1,
                                     .source = exchange->client_address };
    if (kind == PREAMBLE_NONE)
        return true;
    if (exchange->caller == NULL || !client_find_local(exchange->caller->client, &header.destination))
        header.destination = (struct address){ 0 };
    struct block *block = block_open(exchange->proxy->shard->blocks, PROXY_PROTOCOL_WRITTEN_MAX);
    if (block == NULL)
        return false;
    block->used = (uint32_t)proxy_protocol_write(block->data, &header);
    *chunk = (struct chunk){ block, 0, block->used };
    return true;
}
