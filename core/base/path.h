/* SPDX-License-Identifier: Apache-2.0 */
/* Request paths: one spelling for matching, the join with a service's path, and the escaping sent upstream,
 * as in Kong. Any thread; results are views of the input or live in the arena. Nothing is decoded twice:
 * reserved characters stay escaped, so the result of path_normalise is again in normal form. */
#pragma once

#include "core/base/arena.h"
#include "core/base/error.h"

/* The normal form of a path without query: escapes of unreserved bytes decoded, the others in upper case,
 * slashes merged, `.` and `..` removed. Already normal: *out is `path` itself, nothing is copied.
 * ERROR_INVALID: empty, not beginning with `/`, a broken escape, %00, or a `..` above the root (Kong
 * answers 400 to these). ERROR_MEMORY. */
enum error path_normalise(struct arena *arena, struct slice path, struct slice *out) MUST_CHECK;

enum path_join_style { PATH_JOIN_V0, PATH_JOIN_V1 }; /* the values of the model's enum path_handling */

struct path_join {
    struct slice base; /* the service's path; absent or empty means `/` */
    struct slice path; /* the normalised request path */
    struct slice prefix; /* what the route matched of it, at its beginning; absent: no path was matched */
    bool strip; /* the route's strip_path */
    enum path_join_style style;
};

/* The path for the upstream, not yet escaped. ERROR_MEMORY. */
enum error path_join_upstream(struct arena *arena, const struct path_join *join,
                              struct slice *out) MUST_CHECK;

/* Bytes that may not stand in a request line become %XX; nothing to escape: *out is `path` itself. Parts of a
 * path that go into a header need it too: a decoded path may hold line ends. ERROR_MEMORY. */
enum error path_escape(struct arena *arena, struct slice path, struct slice *out) MUST_CHECK;
