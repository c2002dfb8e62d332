/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/lua_pattern.h"

#include "core/base/check.h"

/* A capture that is open, or that is a position. */
#define OPEN SIZE_MAX
#define POSITION (SIZE_MAX - 1)

struct matcher {
    struct slice text, pattern;
    struct {
        size_t start, size; /* or OPEN, POSITION */
    } captures[LUA_PATTERN_CAPTURES_MAX];
    uint32_t capture_count, depth, steps_left;
    enum lua_matching trouble; /* LUA_MATCHED: none */
};

/* Where matching stands: in the text and in the pattern. */
struct place {
    size_t at, item;
};

#define FAIL SIZE_MAX

static size_t fail_because(struct matcher *matcher, enum lua_matching why)
{
    matcher->trouble = why;
    return FAIL;
}

static bool spend(struct matcher *matcher, size_t steps)
{
    if (matcher->steps_left < steps) {
        matcher->trouble = LUA_GAVE_UP;
        return false;
    }
    matcher->steps_left -= (uint32_t)steps;
    return true;
}

/* --- one character -------------------------------------------------------------------------------------- */

static bool is_letter(unsigned char c)
{
    unsigned char lower = c | 0x20;
    return lower >= 'a' && lower <= 'z';
}

static bool is_printable(unsigned char c)
{
    return c > ' ' && c < 0x7f;
}

/* %a and its like; an upper-case class letter is the opposite. */
static bool is_of_class(unsigned char c, char class)
{
    bool is;
    switch (slice_lower(class)) {
    case 'a': is = is_letter(c); break;
    case 'c': is = c < ' ' || c == 0x7f; break;
    case 'd': is = slice_is_digit((char)c); break;
    case 'l': is = c >= 'a' && c <= 'z'; break;
    case 'p': is = is_printable(c) && !is_letter(c) && !slice_is_digit((char)c); break;
    case 's': is = c == ' ' || (c >= '\t' && c <= '\r'); break;
    case 'u': is = c >= 'A' && c <= 'Z'; break;
    case 'w': is = is_letter(c) || slice_is_digit((char)c); break;
    case 'x': is = slice_is_digit((char)c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); break;
    case 'z': is = c == 0; break;
    default: return (char)c == class;
    }
    return is != (class >= 'A' && class <= 'Z');
}

/* The end of the set that begins at `item`, or FAIL. A "]" that comes first stands for itself. */
static size_t end_of_set(struct slice pattern, size_t item)
{
    size_t i = item + 1;
    if (i < pattern.size && pattern.data[i] == '^')
        i++;
    for (bool first = true;; first = false) {
        if (i >= pattern.size)
            return FAIL;
        if (pattern.data[i] == ']' && !first)
            return i + 1;
        i += pattern.data[i] == '%' ? 2 : 1;
    }
}

static bool is_in_set(unsigned char c, struct slice set)
{
    size_t i = 1, end = set.size - 1;
    bool wanted = true;
    if (set.data[1] == '^') {
        wanted = false;
        i++;
    }
    while (i < end) {
        if (set.data[i] == '%' && i + 1 < end) {
            if (is_of_class(c, set.data[i + 1]))
                return wanted;
            i += 2;
        } else if (i + 2 < end && set.data[i + 1] == '-') {
            if ((unsigned char)set.data[i] <= c && c <= (unsigned char)set.data[i + 2])
                return wanted;
            i += 3;
        } else if ((unsigned char)set.data[i++] == c) {
            return wanted;
        }
    }
    return !wanted;
}

/* The end of what stands for one character, or FAIL for a malformed pattern. */
static size_t end_of_single(struct slice pattern, size_t item)
{
    if (pattern.data[item] == '%')
        return item + 1 < pattern.size ? item + 2 : FAIL;
    return pattern.data[item] == '[' ? end_of_set(pattern, item) : item + 1;
}

static bool is_single(const struct matcher *matcher, size_t at, size_t item, size_t end)
{
    if (at >= matcher->text.size)
        return false;
    unsigned char c = (unsigned char)matcher->text.data[at];
    switch (matcher->pattern.data[item]) {
    case '.': return true;
    case '%': return is_of_class(c, matcher->pattern.data[item + 1]);
    case '[': return is_in_set(c, (struct slice){ matcher->pattern.data + item, end - item });
    default: return (unsigned char)matcher->pattern.data[item] == c;
    }
}

/* --- items ---------------------------------------------------------------------------------------------- */

static size_t match_here(struct matcher *matcher, size_t at, size_t item);

static size_t match_repeated(struct matcher *matcher, struct place place, size_t end, size_t least)
{
    size_t count = 0;
    while (is_single(matcher, place.at + count, place.item, end))
        count++;
    if (!spend(matcher, count))
        return FAIL;
    for (; count + 1 > least; count--) {
        size_t found = match_here(matcher, place.at + count, end + 1);
        if (found != FAIL || matcher->trouble != LUA_MATCHED || count == 0)
            return found;
    }
    return FAIL;
}

static size_t match_shortest(struct matcher *matcher, struct place place, size_t end)
{
    for (size_t at = place.at;; at++) {
        size_t found = match_here(matcher, at, end + 1);
        if (found != FAIL || matcher->trouble != LUA_MATCHED)
            return found;
        if (!is_single(matcher, at, place.item, end))
            return FAIL;
    }
}

static size_t open_capture(struct matcher *matcher, size_t at, size_t item)
{
    if (matcher->capture_count == LUA_PATTERN_CAPTURES_MAX)
        return fail_because(matcher, LUA_BAD_PATTERN);
    bool position = item + 1 < matcher->pattern.size && matcher->pattern.data[item + 1] == ')';
    uint32_t number = matcher->capture_count++;
    matcher->captures[number].start = at;
    matcher->captures[number].size = position ? POSITION : OPEN;
    size_t found = match_here(matcher, at, item + (position ? 2 : 1));
    if (found == FAIL)
        matcher->capture_count = number;
    return found;
}

static size_t close_capture(struct matcher *matcher, size_t at, size_t item)
{
    uint32_t number = matcher->capture_count;
    while (number > 0 && matcher->captures[number - 1].size != OPEN)
        number--;
    if (number-- == 0)
        return fail_because(matcher, LUA_BAD_PATTERN);
    matcher->captures[number].size = at - matcher->captures[number].start;
    size_t found = match_here(matcher, at, item + 1);
    if (found == FAIL)
        matcher->captures[number].size = OPEN;
    return found;
}

/* %bxy */
static size_t match_balanced(struct matcher *matcher, size_t at, size_t item)
{
    struct slice text = matcher->text;
    if (item + 3 >= matcher->pattern.size)
        return fail_because(matcher, LUA_BAD_PATTERN);
    char opening = matcher->pattern.data[item + 2], closing = matcher->pattern.data[item + 3];
    if (at >= text.size || text.data[at] != opening)
        return FAIL;
    size_t open = 1;
    if (!spend(matcher, text.size - at))
        return FAIL;
    for (size_t i = at + 1; i < text.size; i++) {
        if (text.data[i] == closing && --open == 0)
            return match_here(matcher, i + 1, item + 4);
        if (text.data[i] == opening && opening != closing)
            open++;
    }
    return FAIL;
}

/* %f[set]: a border between what is not in the set and what is. */
static size_t match_frontier(struct matcher *matcher, size_t at, size_t item)
{
    struct slice pattern = matcher->pattern;
    size_t end =
        item + 2 < pattern.size && pattern.data[item + 2] == '[' ? end_of_set(pattern, item + 2) : FAIL;
    if (end == FAIL)
        return fail_because(matcher, LUA_BAD_PATTERN);
    struct slice set = { pattern.data + item + 2, end - item - 2 };
    unsigned char before = at > 0 ? (unsigned char)matcher->text.data[at - 1] : 0;
    unsigned char after = at < matcher->text.size ? (unsigned char)matcher->text.data[at] : 0;
    return !is_in_set(before, set) && is_in_set(after, set) ? match_here(matcher, at, end) : FAIL;
}

/* %1: what a capture has caught, again. */
static size_t match_again(struct matcher *matcher, size_t at, size_t item)
{
    uint32_t number = (uint32_t)(matcher->pattern.data[item + 1] - '1');
    if (matcher->pattern.data[item + 1] == '0' || number >= matcher->capture_count ||
        matcher->captures[number].size >= POSITION)
        return fail_because(matcher, LUA_BAD_PATTERN);
    struct slice caught = { matcher->text.data + matcher->captures[number].start,
                            matcher->captures[number].size };
    return slice_starts_with(slice_from(matcher->text, at), caught)
               ? match_here(matcher, at + caught.size, item + 2)
               : FAIL;
}

static size_t match_single(struct matcher *matcher, size_t at, size_t item)
{
    size_t end = end_of_single(matcher->pattern, item);
    if (end == FAIL)
        return fail_because(matcher, LUA_BAD_PATTERN);
    struct place place = { at, item };
    switch (end < matcher->pattern.size ? matcher->pattern.data[end] : '\0') {
    case '*': return match_repeated(matcher, place, end, 0);
    case '+': return match_repeated(matcher, place, end, 1);
    case '-': return match_shortest(matcher, place, end);
    case '?':
        if (is_single(matcher, at, item, end)) {
            size_t found = match_here(matcher, at + 1, end + 1);
            if (found != FAIL || matcher->trouble != LUA_MATCHED)
                return found;
        }
        return match_here(matcher, at, end + 1);
    default: return is_single(matcher, at, item, end) ? match_here(matcher, at + 1, end) : FAIL;
    }
}

static size_t match_item(struct matcher *matcher, size_t at, size_t item)
{
    struct slice pattern = matcher->pattern;
    if (pattern.data[item] == '(')
        return open_capture(matcher, at, item);
    if (pattern.data[item] == ')')
        return close_capture(matcher, at, item);
    if (pattern.data[item] == '$' && item + 1 == pattern.size)
        return at == matcher->text.size ? at : FAIL;
    if (pattern.data[item] == '%' && item + 1 < pattern.size) {
        char kind = pattern.data[item + 1];
        if (kind == 'b')
            return match_balanced(matcher, at, item);
        if (kind == 'f')
            return match_frontier(matcher, at, item);
        if (slice_is_digit(kind))
            return match_again(matcher, at, item);
    }
    return match_single(matcher, at, item);
}

/* The end of a single character without a quantifier, 0 for anything else. */
static size_t end_of_plain(const struct matcher *matcher, size_t item)
{
    struct slice pattern = matcher->pattern;
    char c = pattern.data[item], next = item + 1 < pattern.size ? pattern.data[item + 1] : '\0';
    if (c == '(' || c == ')' || (c == '$' && item + 1 == pattern.size) ||
        (c == '%' && (next == 'b' || next == 'f' || slice_is_digit(next))))
        return 0;
    size_t end = end_of_single(pattern, item);
    if (end == FAIL || (end < pattern.size && memchr("*+-?", pattern.data[end], 4) != NULL))
        return 0;
    return end;
}

/* The end of the match, or FAIL. Plain characters do not go deeper. */
static size_t match_here(struct matcher *matcher, size_t at, size_t item)
{
    while (item < matcher->pattern.size) {
        if (!spend(matcher, 1))
            return FAIL;
        size_t end = end_of_plain(matcher, item);
        if (end > 0 && !is_single(matcher, at, item, end))
            return FAIL;
        if (end > 0) {
            at++;
            item = end;
            continue;
        }
        if (matcher->depth == LUA_PATTERN_DEPTH_MAX)
            return fail_because(matcher, LUA_GAVE_UP);
        matcher->depth++;
        at = match_item(matcher, at, item);
        matcher->depth--;
        return at;
    }
    return at;
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static enum lua_matching tell(const struct matcher *matcher, size_t start, size_t end,
                              struct lua_match *match)
{
    match->whole = (struct slice){ matcher->text.data + start, end - start };
    match->capture_count = matcher->capture_count;
    for (uint32_t i = 0; i < matcher->capture_count; i++) {
        size_t size = matcher->captures[i].size;
        if (size == OPEN)
            return LUA_BAD_PATTERN;
        match->captures[i].is_position = size == POSITION;
        match->captures[i].text =
            (struct slice){ matcher->text.data + matcher->captures[i].start, size == POSITION ? 0 : size };
    }
    return LUA_MATCHED;
}

enum lua_matching lua_pattern_match(struct slice text, struct slice pattern, size_t offset,
                                    struct lua_match *match)
{
    struct matcher matcher = { .text = text.data ? text : SLICE(""), .steps_left = match->steps_left };
    bool anchored = pattern.size > 0 && pattern.data[0] == '^';
    matcher.pattern = anchored ? slice_from(pattern, 1) : pattern;
    enum lua_matching result = LUA_NO_MATCH;
    for (size_t at = offset; at <= text.size; at++) {
        matcher.capture_count = 0;
        size_t end = match_here(&matcher, at, 0);
        if (end != FAIL)
            result = tell(&matcher, at, end, match);
        else if (matcher.trouble != LUA_MATCHED)
            result = matcher.trouble;
        if (result != LUA_NO_MATCH || anchored)
            break;
    }
    match->steps_left = matcher.steps_left;
    return result;
}

bool lua_pattern_is_good(struct slice pattern)
{
    uint32_t open = 0, captures = 0;
    size_t i = pattern.size > 0 && pattern.data[0] == '^' ? 1 : 0;
    while (i < pattern.size) {
        char c = pattern.data[i], next = i + 1 < pattern.size ? pattern.data[i + 1] : '\0';
        if (c == '(' && ++captures > LUA_PATTERN_CAPTURES_MAX)
            return false;
        if (c == ')' && open == 0)
            return false;
        if (c == '(' || c == ')') {
            open += c == '(' ? 1 : UINT32_MAX;
            i++;
            continue;
        }
        if (c == '%' && (next == '0' || (slice_is_digit(next) && (uint32_t)(next - '0') > captures)))
            return false;
        size_t end =
            c == '%' && next == 'b' ? i + 4
            : c == '%' && next == 'f'
                ? (i + 2 < pattern.size && pattern.data[i + 2] == '[' ? end_of_set(pattern, i + 2) : FAIL)
                : end_of_single(pattern, i);
        if (end == FAIL || end > pattern.size)
            return false;
        i = end;
    }
    return open == 0;
}
