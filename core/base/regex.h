/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions over PCRE2 with JIT and hard limits. A struct regex is read-only once compiled and
 * shared by all threads; what a match writes is in a struct regex_scratch, one per thread. A match that
 * exceeds the limits counts as no match. */
#pragma once

#include "core/base/arena.h"
#include "core/base/error.h"

/* Bounds of one match, whatever the pattern; these are the defaults. */
#define REGEX_MATCH_LIMIT 100000u
#define REGEX_DEPTH_LIMIT 10000u
#define REGEX_HEAP_LIMIT_KIB 1024u
#define REGEX_JIT_STACK_BYTES (256u * 1024u)
#define REGEX_GROUPS_MAX 64u /* the whole match included */

enum { REGEX_REASON_SIZE = 160 };

enum regex_anchor { REGEX_ANYWHERE, REGEX_AT_START, REGEX_WHOLE };

struct regex {
    void *utf; /* compiled for valid UTF-8, or NULL when the pattern is not */
    void *bytes; /* compiled for anything else */
    uint32_t group_count; /* without the whole match */
    enum regex_anchor anchor;
};

/* How much one match may backtrack, and what it may remember doing so. */
struct regex_limits {
    uint32_t match, depth, heap_kib;
};

struct regex_scratch {
    void *match_data, *limits, *jit_stack;
    uint32_t overruns; /* matches given up at a limit so far */
};

/* Fills *regex; on ERROR_INVALID `reason` (may be NULL) gets a text of at most reason_size bytes with NUL.
 * The memory is not of an arena: regex_close gives it back. */
enum error regex_compile(struct regex *regex, struct slice pattern, enum regex_anchor anchor, char *reason,
                         size_t reason_size) MUST_CHECK;
void regex_close(struct regex *regex);

/* Does the pattern compile? */
bool regex_check(struct slice pattern, char *reason, size_t reason_size);

/* False for a pattern with look-around, back-references, recursion and the like: a linear-time engine refuses
 * those. *construct is then their name, a static text. The pattern must compile. */
bool regex_is_linear(struct slice pattern, const char **construct);

/* The bytes that every match at the start must begin with: maybe fewer than could be known, never more.
 * At most `size` of them go to `out`. */
size_t regex_literal_prefix(struct slice pattern, char *out, size_t size);

enum error regex_scratch_init(struct regex_scratch *scratch) MUST_CHECK;
void regex_scratch_limit(struct regex_scratch *scratch, const struct regex_limits *limits);
void regex_scratch_deinit(struct regex_scratch *scratch);

/* True when it matches; the groups stay in the scratch until its next use. */
bool regex_match(const struct regex *regex, struct slice subject, struct regex_scratch *scratch);

/* The same from `offset` of the subject on, where `^` does not match again; offset <= subject.size. */
bool regex_match_from(const struct regex *regex, struct slice subject, size_t offset,
                      struct regex_scratch *scratch);

/* Group 0 is the whole match; absent when the group took no part. Views of `subject`. */
struct slice regex_group(const struct regex_scratch *scratch, struct slice subject, uint32_t number);

/* The number of a named group; 0: there is none. */
uint32_t regex_group_number(const struct regex *regex, struct slice name);

/* The name of a group, absent when it has none. */
struct slice regex_group_name(const struct regex *regex, uint32_t number);
