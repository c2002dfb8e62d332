/* SPDX-License-Identifier: Apache-2.0 */
/* Responses from hostile upstreams. The first byte chooses what is answered and the memory, the second the
 * cut: beside crashes this finds outcomes that depend on how the bytes are cut. */
#include "tests/support/http1_transcript.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TO_HEAD = 1, SMALL_MEMORY = 2, SMALL_ARENA_BYTES = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct http1_script script = {
        .role = HTTP1_RESPONSE,
        .answer_to = data[0] & TO_HEAD ? HTTP1_TO_HEAD : HTTP1_TO_ANY,
        .limits = &http1_default_limits,
        .arena_bytes = data[0] & SMALL_MEMORY ? SMALL_ARENA_BYTES : 0,
        .bytes = { (const char *)data + 2, size - 2 },
    };
    char *whole = http1_transcript(&script, 0, 0);
    char *cut = http1_transcript(&script, data[1], data[1] % 32);
    char *single = http1_transcript(&script, 1, 1);
    /* How much memory a head takes does depend on the pieces it came in. */
    if (script.arena_bytes == 0)
        CHECK(strcmp(whole, cut) == 0 && strcmp(whole, single) == 0);
    free(whole);
    free(cut);
    free(single);
    return 0;
}
