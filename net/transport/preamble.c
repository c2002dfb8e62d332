/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/preamble.h"

#include <stdlib.h>

/* Behind what is kept, as much as a header may need. */
static bool keep(struct preamble *preamble, struct slice bytes)
{
    uint32_t room = PROXY_PROTOCOL_MAX - preamble->size;
    if (preamble->bytes == NULL)
        preamble->bytes = malloc(PROXY_PROTOCOL_MAX);
    if (preamble->bytes == NULL)
        return false;
    uint32_t size = bytes.size < room ? (uint32_t)bytes.size : room;
    memcpy(preamble->bytes + preamble->size, bytes.data, size);
    preamble->size += size;
    return true;
}

enum proxy_protocol_result preamble_take(struct preamble *preamble, struct chunk *chunk,
                                         struct proxy_protocol *header)
{
    struct slice bytes = chunk_slice(chunk);
    uint32_t before = preamble->size;
    size_t size = 0;
    enum proxy_protocol_result result = PROXY_PROTOCOL_BAD;
    if (before == 0)
        result = proxy_protocol_read(bytes, header, &size);
    if (before > 0 || result == PROXY_PROTOCOL_MORE)
        result = keep(preamble, bytes)
                     ? proxy_protocol_read((struct slice){ preamble->bytes, preamble->size }, header, &size)
                     : PROXY_PROTOCOL_BAD;
    if (result != PROXY_PROTOCOL_DONE) {
        chunk_release(chunk);
        return result;
    }
    preamble_deinit(preamble);
    chunk->offset += (uint32_t)size - before;
    chunk->size -= (uint32_t)size - before;
    return result;
}

void preamble_deinit(struct preamble *preamble)
{
    free(preamble->bytes);
    *preamble = (struct preamble){ 0 };
}
