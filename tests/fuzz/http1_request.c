/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from hostile clients. The first byte chooses limits and memory, the second the cut: beside crashes
 * this finds outcomes that depend on how the bytes are cut. */
#include "tests/support/http1_transcript.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http1_limits small = {
    .head_bytes = 300,
    .line_bytes = 100,
    .header_fields = 6,
    .target_bytes = 30,
    .chunk_extension_bytes = 10,
    .trailer_bytes = 60,
};

enum { SMALL_LIMITS = 1, SMALL_MEMORY = 2, SMALL_ARENA_BYTES = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct http1_script script = {
        .role = HTTP1_REQUEST,
        .limits = data[0] & SMALL_LIMITS ? &small : &http1_default_limits,
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
