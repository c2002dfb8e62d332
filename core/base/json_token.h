/* SPDX-License-Identifier: Apache-2.0 */
/* The words of JSON (RFC 8259, strict, UTF-8 included), for those who walk through a text by themselves:
 * json_scan.h finds members, json_tree.h makes a tree. Nothing is allocated or copied. Any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum { JSON_DEPTH_MAX = 512 /* arrays and objects within each other, at the most */ };

enum json_kind {
    JSON_ABSENT,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

/* `text` is the value as written; of a string, what stands between the quotes. */
struct json_value {
    enum json_kind kind;
    bool escaped; /* a string with backslashes: see json_unescape */
    struct slice text;
};

struct json_cursor {
    const char *at, *end;
};

void json_skip_space(struct json_cursor *cursor);
bool json_skip(struct json_cursor *cursor, char c); /* takes `c` if it is next */

/* One character of more than a byte. False: it is no UTF-8. */
bool json_skip_character(struct json_cursor *cursor) MUST_CHECK;

/* A string; a string, a number or a word. No space around it. False: there is none, or it is not valid. */
bool json_read_string(struct json_cursor *cursor, struct json_value *value) MUST_CHECK;
bool json_read_scalar(struct json_cursor *cursor, struct json_value *value) MUST_CHECK;

/* A name and its colon, with the space around them. */
bool json_read_name(struct json_cursor *cursor, struct json_value *name) MUST_CHECK;

/* Any value with the space around it, in which arrays and objects may be `depth` (at most JSON_DEPTH_MAX)
 * deep: 0 allows none. */
bool json_read_value(struct json_cursor *cursor, unsigned depth, struct json_value *value) MUST_CHECK;

/* The characters a valid string stands for, as UTF-8, into `out` (room for text.size bytes; may be the text's
 * own memory). Returns their number. */
size_t json_unescape(struct slice text, char *out);

/* The text as it stands between the quotes of a string, into `out` (room for JSON_ESCAPED_MAX * text.size
 * bytes): controls, quotes and backslashes are escaped. Returns the bytes written. */
enum { JSON_ESCAPED_MAX = 6 };
size_t json_escape(struct slice text, char *out);

/* The value of a valid number; infinite when it is beyond a double's range. */
double json_number(struct slice text);
