/* SPDX-License-Identifier: Apache-2.0 */
/* A text that grows as it is written, up to a limit: for logs, metrics and messages that are made in one go.
 * What does not fit sets `failed`, which stays and is looked at once at the end. Its memory is used again
 * after text_clear. One owner, one thread at a time. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

struct text {
    char *data;
    size_t size, capacity;
    size_t limit; /* most bytes */
    bool failed; /* limit or memory */
};

void text_init(struct text *text, size_t limit);
void text_deinit(struct text *text);

static inline void text_clear(struct text *text)
{
    text->size = 0;
    text->failed = false;
}

static inline struct slice text_slice(const struct text *text)
{
    return (struct slice){ text->data, text->size };
}

/* Room for `size` more bytes, which become part of it; NULL: it has failed. */
char *text_extend(struct text *text, size_t size);

void text_byte(struct text *text, char byte);
void text_add(struct text *text, struct slice bytes);
void text_u64(struct text *text, uint64_t number);
void text_i64(struct text *text, int64_t number);
void text_hex(struct text *text, struct slice bytes); /* lower case */
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define text_literal(text, literal) text_add((text), SLICE(literal))

/* A JSON string with its quotes (RFC 8259 section 7). What is no UTF-8 becomes U+FFFD. */
void text_quoted(struct text *text, struct slice string);

/* ,"name": of the next member; the comma is left out behind an opening brace. */
void text_json_name(struct text *text, struct slice name);

/* Whole members, see text_json_name. An absent string is left out. */
void text_json_string(struct text *text, const char *name, struct slice value);
void text_json_i64(struct text *text, const char *name, int64_t value);
void text_json_bool(struct text *text, const char *name, bool value);
