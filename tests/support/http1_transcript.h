/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTTP/1 parser says about some bytes, as text, so that outcomes can be compared: the parser must
 * say the same however the bytes are cut. Each piece lies in memory of exactly its size that is freed right
 * after, so that reading beyond it, or keeping a view of it, is seen by AddressSanitizer. */
#pragma once

#include "net/http/http1_parse.h"

struct http1_script {
    enum http1_role role;
    enum http1_answer_to answer_to;
    const struct http1_limits *limits;
    size_t arena_bytes; /* limit of each message's arena; 0: plenty */
    struct slice bytes;
};

/* The first piece has `first` bytes (0: all), the others `step` (0: all that is left). The caller frees the
 * result. All messages in the bytes are read, then the end of the connection. */
char *http1_transcript(const struct http1_script *script, size_t first, size_t step);

struct http1_cut {
    size_t first, step;
};

/* Cuts the bytes in two at every place (every 64th or so of long ones), and into pieces of 1, 7 and 1000.
 * False: *bad gave something else than `whole`. */
bool http1_cuts_agree(const struct http1_script *script, const char *whole, struct http1_cut *bad);
