/* SPDX-License-Identifier: Apache-2.0 */
/* The first look at the head of a message, or at its trailers: finds the lines and their end, and lets no
 * other line end than CRLF, no fold, no control character and nothing over the limits pass. It keeps its
 * place between pieces of bytes, and judges each byte by what came before it alone. Part of the parser. */
#pragma once

#include "core/base/slice.h"

struct http1_scan {
    uint32_t line_bytes; /* of the current line, so far */
    uint32_t lines; /* complete ones, without the empty line that ends it */
    uint8_t state;
};

struct http1_scan_limits {
    size_t bytes; /* from the beginning of `data` to the end of the head */
    uint32_t line_bytes;
    uint32_t lines;
};

enum http1_scan_result {
    HTTP1_SCAN_MORE,
    HTTP1_SCAN_LINE, /* a line has ended, CRLF included */
    HTTP1_SCAN_END, /* the empty line has ended */
    HTTP1_SCAN_LINE_END,
    HTTP1_SCAN_FOLDED,
    HTTP1_SCAN_CHARACTER,
    HTTP1_SCAN_LINE_LONG,
    HTTP1_SCAN_LONG,
    HTTP1_SCAN_LINES_MANY,
};

/* Scans on from data[*at] and moves *at behind what it has seen. A zeroed scan is at a first line. */
enum http1_scan_result http1_scan_line(struct http1_scan *scan, struct slice data, size_t *at,
                                       const struct http1_scan_limits *limits);

/* The first byte below 0x20 or equal to 0x7f, or `end`. */
const char *http1_scan_control(const char *next, const char *end);
