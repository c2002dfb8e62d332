/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of the gateway's own errors, in the media type that the client accepts (Kong's negotiated
 * errors). */
#pragma once

#include "net/proxy/exchange_state.h"

/* Who makes the error: plugins and the router speak JSON when the client says nothing; what lies below them
 * (malformed requests, upstream failures) goes by the request's Content-Type, then by error_default_type. */
enum answer_origin { ANSWER_FROM_PLUGIN, ANSWER_FROM_BELOW };

/* Fills in exchange->answer. message absent: the usual one of the status. */
void answer_error(struct exchange *exchange, int status, struct slice message, enum answer_origin origin);

/* A JSON text as it is. */
void answer_json(struct exchange *exchange, int status, struct slice json);

/* Kong's message for a status. */
struct slice answer_message(struct exchange *exchange, int status);
