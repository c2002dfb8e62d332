/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger begins a connection with: a header is found at its last byte and not before, whatever
 * follows it, and what was read can be written and read again. */
#include "net/transport/proxy_protocol.h"
#include "core/base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_protocol_result read_copy(const uint8_t *data, size_t size, struct proxy_protocol *header,
                                            size_t *used)
{
    char *copy = malloc(size + 1);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    enum proxy_protocol_result result = proxy_protocol_read((struct slice){ copy, size }, header, used);
    free(copy);
    return result;
}

static bool same(const struct address *a, const struct address *b)
{
    return a->size == b->size && (a->size == 0 || address_equal(a, b));
}

static void write_again(const struct proxy_protocol *header)
{
    struct proxy_protocol again;
    char out[PROXY_PROTOCOL_WRITTEN_MAX];
    size_t size = proxy_protocol_write(out, header), used;
    CHECK(size < sizeof(out));
    CHECK(proxy_protocol_read((struct slice){ out, size }, &again, &used) == PROXY_PROTOCOL_DONE);
    CHECK(used == size && again.version == header->version);
    if (again.source.size == header->source.size) /* else one that stood for IPv4 was written so */
        CHECK(same(&again.source, &header->source) && same(&again.destination, &header->destination));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_protocol header, again;
    size_t used, used_again;
    enum proxy_protocol_result whole = read_copy(data, size, &header, &used);
    if (whole == PROXY_PROTOCOL_DONE) {
        CHECK(used <= size && used > 0);
        CHECK(read_copy(data, used, &again, &used_again) == PROXY_PROTOCOL_DONE && used_again == used);
        write_again(&header);
        size = used;
    }
    /* A beginning of what is good or may be good is never bad. */
    for (size_t i = 0; i < size && i < 300; i++) {
        enum proxy_protocol_result part = read_copy(data, i, &again, &used_again);
        CHECK(part != PROXY_PROTOCOL_DONE);
        CHECK(part == PROXY_PROTOCOL_MORE || whole == PROXY_PROTOCOL_BAD);
    }
    return 0;
}
