/* SPDX-License-Identifier: Apache-2.0 */
/* Lua 5.1's patterns (its manual, section 5.4.1): %a, [set], *, +, -, ?, captures, %b, %f, ^ and $. They
 * backtrack, so a match has a budget of steps. Works on views; any thread. */
#pragma once

#include "core/base/slice.h"

enum {
    LUA_PATTERN_CAPTURES_MAX = 32,
    LUA_PATTERN_STEPS_MAX = 200000, /* of all tries of one call together */
    LUA_PATTERN_DEPTH_MAX = 200
};

enum lua_matching { LUA_MATCHED, LUA_NO_MATCH, LUA_BAD_PATTERN, LUA_GAVE_UP };

struct lua_capture {
    struct slice text;
    bool is_position; /* "()": text.data is the place */
};

struct lua_match {
    struct slice whole;
    struct lua_capture captures[LUA_PATTERN_CAPTURES_MAX];
    uint32_t capture_count;
    uint32_t steps_left; /* set to LUA_PATTERN_STEPS_MAX before the first call */
};

/* The first match that begins at `offset` or later. */
enum lua_matching lua_pattern_match(struct slice text, struct slice pattern, size_t offset,
                                    struct lua_match *match);

/* Can it match anything, or is it malformed? */
bool lua_pattern_is_good(struct slice pattern);
