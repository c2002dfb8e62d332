/* SPDX-License-Identifier: Apache-2.0 */
/* Finds members of a JSON object by name in one pass, without allocating: for small untrusted texts such as
 * the claims of a token. The whole text is validated (RFC 8259, UTF-8 included); an object may not say a
 * top-level name twice, however it is spelled, so that no two readers can disagree. Views into the text.
 * Any thread. */
#pragma once

#include "core/base/json_token.h"

enum {
    JSON_SCAN_DEPTH_MAX = 32, /* arrays and objects within each other */
    JSON_SCAN_MEMBERS_MAX = 256, /* of the top-level object: names are compared pairwise */
    JSON_SCAN_ESCAPED_NAMES_MAX = 512 /* bytes of top-level names that are written with escapes, together */
};

struct json_member {
    struct slice name; /* set by the caller; names may not repeat */
    struct json_value value;
};

/* Fills the value of each wanted member (ABSENT when it is not there, or the text is no object); *root is the
 * kind of the whole text. False when the text is not valid or beyond the limits above. */
bool json_scan(struct slice text, struct json_member *wanted, size_t count, enum json_kind *root) MUST_CHECK;

/* One element after the other of an array from json_scan: `rest` begins as the array's text. False at its
 * end. */
bool json_array_next(struct slice *rest, struct json_value *element);

/* A walk over the members of an object that need not have been validated; `rest` begins as the whole text,
 * all else as zero. Names may repeat, and there is no limit to their number. */
struct json_object {
    struct slice rest;
    bool begun, broken;
};

/* One member after the other. False at the end of the object, or when the text turned out to be no JSON
 * object, and `broken` is set then. */
bool json_object_next(struct json_object *object, struct json_value *name,
                      struct json_value *value) MUST_CHECK;
