/* SPDX-License-Identifier: Apache-2.0 */
/* What a route's action (config/action.h) does to its exchange: which backend, what path and headers go to
 * it, or the answer instead of one. Kong's own routes have no action and pay nothing for it. On the
 * exchange's shard. */
#pragma once

#include "config/action.h"
#include "net/proxy/exchange_steps.h"

/* Behind the match: draws a backend, or answers a redirect, a fixed status, or the share of a backend that
 * is not there. */
enum step_result action_begin(struct exchange *exchange);

/* The path sent upstream, not yet escaped; false: out of memory. */
bool action_path(struct exchange *exchange, struct slice *path) MUST_CHECK;

/* The method sent upstream: what decides whether a request may be repeated, and how its response ends. */
struct slice action_method(const struct exchange *exchange);

/* The edits of request fields, once. False: out of memory. */
bool action_edit_request(struct exchange *exchange) MUST_CHECK;

/* The edits of the fields of a response from upstream. False: out of memory. */
bool action_edit_response(struct exchange *exchange) MUST_CHECK;

/* Does its retry policy ask for another try after this status (0: none came, but `error`)? */
bool action_retries(const struct exchange *exchange, int status, enum error error);
