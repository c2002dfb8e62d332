/* SPDX-License-Identifier: Apache-2.0 */
/* What the headers of a message say together: how the body is framed, whether the connection lives on, what
 * is expected; and which combinations are refused, above all those that two parsers could read differently.
 * Part of the parser. */
#pragma once

#include "net/http/http1_parse.h"

/* `authority` of an absolute-form target takes the place of Host. */
enum http1_refusal http1_rules_request(struct message *message, struct slice authority) MUST_CHECK;

enum http1_refusal http1_rules_response(struct message *message, enum http1_answer_to answer_to) MUST_CHECK;
