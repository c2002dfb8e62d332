/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a request as JSON, in the forms of Kong's plugin development kit. The caller owns what is
 * returned; NULL is exhausted memory, and putting a NULL somewhere is harmless. Its shard's. */
#pragma once

#include "net/proxy/exchange.h"

#include <jansson.h>

/* What is no UTF-8 cannot be told in JSON: null. */
json_t *request_json_text(struct slice text);

static inline void request_json_put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

/* A name that comes again makes an array. */
void request_json_add(json_t *object, struct slice name, json_t *value);

/* Names in lower case. */
json_t *request_json_headers(struct exchange *exchange);

enum request_json_spelling { REQUEST_JSON_AS_WRITTEN, REQUEST_JSON_UNESCAPED };

/* An argument without a value is true. */
json_t *request_json_query(struct exchange *exchange, enum request_json_spelling spelling);
