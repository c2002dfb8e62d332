/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments that a request's body carries by name, as forms (application/x-www-form-urlencoded), the
 * members of a JSON object, or the parts of multipart/form-data (RFC 7578): read, changed, and written
 * again. What is not changed keeps its spelling and its place. Used within one call of a handler, like
 * this:
 *
 *     struct slice body;
 *     enum body_reading reading = exchange_read_body(exchange, UINT64_MAX, &body);   (BODY_LATER ... as ever)
 *     struct body_arguments arguments;
 *     body_arguments_open(&arguments, exchange_request(exchange), body);
 *     if (arguments.kind != BODY_ARGUMENTS_NONE && body_arguments_remove(&arguments, SLICE("apikey")) > 0) {
 *         struct slice text = body_arguments_write(&arguments);
 *         good = text.data != NULL && exchange_set_body(exchange, text);
 *     }
 *     body_arguments_close(&arguments);
 *
 * The memory is its own, for the exchange's arena may be smaller than a body: names, values and what is
 * written die with body_arguments_close. Views into the body. One thread. */
#pragma once

#include "net/http/message.h"

enum body_arguments_kind {
    BODY_ARGUMENTS_NONE, /* another type, a body that is broken, or out of memory: see `failed` */
    BODY_ARGUMENTS_FORM,
    BODY_ARGUMENTS_JSON,
    BODY_ARGUMENTS_MULTIPART
};

enum body_value {
    BODY_VALUE_TEXT,
    BODY_VALUE_BARE, /* a form's name without "=", which has no value */
    BODY_VALUE_JSON /* JSON that is no string: `value` is it as written */
};

struct body_argument {
    struct slice name, value; /* what they say, escapes read; never absent but for a BARE value */
    enum body_value type;
    struct slice source; /* as it stood in the body; absent: written afresh from name and value */
};

enum { BODY_ARGUMENTS_MAX = 100000 /* a body with more is not read */ };

struct body_arguments {
    enum body_arguments_kind kind;
    bool failed; /* memory was exhausted */
    struct body_argument *items; /* in their order; names may repeat */
    uint32_t count, capacity;
    struct slice boundary; /* MULTIPART */
    struct arena arena;
};

/* By the Content-Type of the request. An empty body has no arguments: kind as the type says, count 0 (JSON:
 * NONE). To be closed whatever came of it. */
void body_arguments_open(struct body_arguments *arguments, const struct message *request, struct slice body);
/* The members of a JSON object, whatever a request says. */
void body_arguments_open_json(struct body_arguments *arguments, struct slice text);
void body_arguments_close(struct body_arguments *arguments);

/* The next one of that name from *from on, which moves behind it; NULL: no more. */
struct body_argument *body_arguments_next(struct body_arguments *arguments, struct slice name,
                                          uint32_t *from);

/* All of that name; how many these were. */
uint32_t body_arguments_remove(struct body_arguments *arguments, struct slice name);

/* One more at the end. The texts (for BODY_VALUE_JSON a valid JSON text) must live as long as the arguments.
 * False: out of memory. */
bool body_arguments_add(struct body_arguments *arguments, struct slice name, enum body_value type,
                        struct slice value) MUST_CHECK;

/* Changes one in its place. A part that was a file is not one any more when its value changes. */
void body_argument_set(struct body_argument *argument, enum body_value type, struct slice value);
void body_argument_rename(struct body_argument *argument, struct slice name);

/* The body of the same kind that these arguments make; absent when memory is exhausted. */
struct slice body_arguments_write(struct body_arguments *arguments) MUST_CHECK;
