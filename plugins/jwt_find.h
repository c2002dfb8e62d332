/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request carries a token: query parameters, cookies and headers, as in Kong. All places are looked
 * at, because two different tokens in one request are refused. Runs on the exchange's shard. */
#pragma once

#include "net/proxy/exchange.h"

struct jwt_places {
    const struct slices *parameters;
    const struct slices *cookies;
    const struct slices *headers;
};

enum jwt_presence {
    JWT_NONE,
    JWT_ONE,
    JWT_SEVERAL, /* different ones */
    JWT_VALUELESS, /* a parameter without a "=" and nothing else: what it says is no text */
    JWT_OUT_OF_MEMORY
};

/* *token is set with JWT_ONE: a view of the request, or in the exchange's arena when it had to be
 * unescaped. */
enum jwt_presence jwt_find(struct exchange *exchange, const struct jwt_places *places, struct slice *token);
