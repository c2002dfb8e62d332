/* SPDX-License-Identifier: Apache-2.0 */
/* The first line of an HTTP/1 message, without its CRLF. The line has been scanned: of the control characters
 * only tabs can be in it. Part of the parser. */
#pragma once

#include "net/http/http1_parse.h"

/* Judges as much of a first line as is there (all but the CRLF may be), so that what is no HTTP at all does
 * not wait for a line end; fills in a complete method. */
enum http1_refusal start_line_prefix(struct message *message, enum http1_role role,
                                     struct slice prefix) MUST_CHECK;

/* Fill in method, target, origin_form and version_minor; RFC 9112 section 3. The authority of an
 * absolute-form target goes to *authority (absent otherwise). */
enum http1_refusal start_line_request(struct message *message, struct slice line, uint32_t target_limit,
                                      struct slice *authority) MUST_CHECK;

/* Fills in version_minor, status and reason; RFC 9112 section 4. */
enum http1_refusal start_line_status(struct message *message, struct slice line) MUST_CHECK;

/* Is it a host with an optional port (RFC 9110 section 7.2) and nothing else: no user, no list, no path? */
bool start_line_is_authority(struct slice text);
