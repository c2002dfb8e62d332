/* SPDX-License-Identifier: Apache-2.0 */
/* The shortcut for ordinary heads: complete in one piece of bytes, nothing in them that has to be judged
 * twice. Lines are found sixteen bytes at a time, fields taken apart at their first colon. What is not plain
 * is left to the scan and to llhttp, which would find the same in what is. Part of the parser. */
#pragma once

#include "net/http/http1_parse.h"

enum {
    HTTP1_PLAIN_LINES = 48,
    HTTP1_PLAIN_PADDING = 16, /* readable behind the text that http1_plain_fields is given */
};

struct http1_plain {
    uint32_t size; /* of the head, with the empty line */
    uint32_t line_count; /* with the first one, without the empty one */
    uint32_t ends[HTTP1_PLAIN_LINES]; /* where the CR of each line is */
};

/* Is there a whole head in the data, within the limits, and without anything that the scan would refuse? */
bool http1_plain_find(struct slice data, const struct http1_limits *limits, struct http1_plain *plain);

/* Fills message->headers out of the text, a copy of that head. False: the message is as before, and llhttp is
 * to judge its fields; so where the framing is more than one number, or `chunked` alone. */
bool http1_plain_fields(struct message *message, const char *text, const struct http1_plain *plain);
