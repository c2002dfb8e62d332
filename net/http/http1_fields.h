/* SPDX-License-Identifier: Apache-2.0 */
/* The field lines of a head or of trailers, complete and scanned, become headers. Those of a head go through
 * llhttp, and what it reports is held against the lines; those of trailers are taken apart here, because
 * llhttp would take framing fields among them for those of the message. Part of the parser. */
#pragma once

#include "net/http/http1_parse.h"

enum {
    HTTP1_SPARE_HEADERS = 16
}; /* room for what the gateway adds itself, so that the array need not move */

/* Once per process or more often; before the first http1_fields_head. Any thread. */
void http1_fields_start(void);

/* Adds to message->headers what `text` holds, which ends with the empty line: `lines` fields. The headers are
 * views into it. On a refusal the headers before the bad one are there. */
enum http1_refusal http1_fields_head(struct message *message, struct slice text, uint32_t lines) MUST_CHECK;

/* The same for trailers, without those that must not be in trailers (RFC 9110 section 6.5.1) or that the
 * gateway vouches for. */
enum http1_refusal http1_fields_trailers(struct message *message, struct slice text) MUST_CHECK;
bool http1_fields_may_trail(struct slice name); /* is it none of these? */
