/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdio.h>

static bool is_continuation(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* The size of the UTF-8 character at `at` (RFC 3629), 0 when it is none. */
static size_t utf8_size(const unsigned char *at, size_t left)
{
    unsigned char c = at[0];
    if (c < 0x80)
        return 1;
    size_t size = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (c < 0xC2 || c > 0xF4 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if (!is_continuation(at[i]))
            return 0;
    bool overlong = (c == 0xE0 && at[1] < 0xA0) || (c == 0xF0 && at[1] < 0x90);
    bool beyond = (c == 0xED && at[1] > 0x9F) || (c == 0xF4 && at[1] > 0x8F);
    return overlong || beyond ? 0 : size;
}

static bool is_utf8(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    for (size_t left = text.size; left;) {
        size_t size = utf8_size(at, left);
        if (!size)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

/* What PCRE2 found wrong, and from where on. */
struct fault {
    int code;
    size_t offset;
};

static void explain(const struct fault *fault, struct slice pattern, char *reason, size_t reason_size)
{
    enum { SHOWN = 60 }; /* bytes of a pattern */
    if (!reason || reason_size == 0)
        return;
    PCRE2_UCHAR text[REGEX_REASON_SIZE];
    if (pcre2_get_error_message(fault->code, text, sizeof text) < 0)
        text[0] = 0;
    struct slice rest = slice_from(pattern, fault->offset < pattern.size ? fault->offset : pattern.size);
    int size = pattern.size < SHOWN ? (int)pattern.size : SHOWN;
    int rest_size = rest.size < SHOWN ? (int)rest.size : SHOWN;
    if (rest.size == 0)
        snprintf(reason, reason_size, "%s in \"%.*s\"", (const char *)text, size, pattern.data);
    else
        snprintf(reason, reason_size, "%s in \"%.*s\" at \"%.*s\"", (const char *)text, size, pattern.data,
                 rest_size, rest.data);
}

static pcre2_code *compile_one(struct slice pattern, uint32_t options, char *reason, size_t reason_size)
{
    struct fault fault;
    options |= PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size, options, &fault.code, &fault.offset, NULL);
    if (!compiled)
        explain(&fault, pattern, reason, reason_size);
    return compiled;
}

/* Everything but the translation to machine code. */
static enum error compile_both(struct regex *regex, struct slice pattern, enum regex_anchor anchor,
                               char *reason, size_t reason_size)
{
    static const uint32_t anchors[] = {
        [REGEX_AT_START] = PCRE2_ANCHORED, [REGEX_WHOLE] = PCRE2_ANCHORED | PCRE2_ENDANCHORED
    };
    uint32_t options = anchors[anchor];
    if (!pattern.data)
        pattern = SLICE("");
    *regex = (struct regex){ .anchor = anchor };
    if (is_utf8(pattern)) {
        regex->utf = compile_one(pattern, options | PCRE2_UTF | PCRE2_UCP, reason, reason_size);
        if (!regex->utf)
            return ERROR_INVALID;
    }
    /* A pattern may be good only as UTF-8 (\x{263a}): then it never matches other bytes. */
    regex->bytes = compile_one(pattern, options, reason, reason_size);
    const pcre2_code *any = regex->utf ? regex->utf : regex->bytes;
    if (!any)
        return ERROR_INVALID;
    pcre2_pattern_info(any, PCRE2_INFO_CAPTURECOUNT, &regex->group_count);
    if (regex->group_count < REGEX_GROUPS_MAX)
        return ERROR_OK;
    if (reason)
        snprintf(reason, reason_size, "more than %u groups", REGEX_GROUPS_MAX - 1);
    regex_close(regex);
    return ERROR_INVALID;
}

enum error regex_compile(struct regex *regex, struct slice pattern, enum regex_anchor anchor, char *reason,
                         size_t reason_size)
{
    enum error error = compile_both(regex, pattern, anchor, reason, reason_size);
    /* Without machine code it is slower, not wrong. */
    if (error == ERROR_OK && regex->utf)
        (void)pcre2_jit_compile(regex->utf, PCRE2_JIT_COMPLETE);
    if (error == ERROR_OK && regex->bytes)
        (void)pcre2_jit_compile(regex->bytes, PCRE2_JIT_COMPLETE);
    return error;
}

void regex_close(struct regex *regex)
{
    pcre2_code_free(regex->utf);
    pcre2_code_free(regex->bytes);
    *regex = (struct regex){ 0 };
}

bool regex_check(struct slice pattern, char *reason, size_t reason_size)
{
    struct regex regex;
    if (compile_both(&regex, pattern, REGEX_ANYWHERE, reason, reason_size) != ERROR_OK)
        return false;
    regex_close(&regex);
    return true;
}

/* --- reading a pattern ---------------------------------------------------------------------------------- */

/* Walks over a pattern without understanding more than escapes and character classes. */
struct pattern_walk {
    struct slice text;
    size_t at;
    bool in_class;
};

/* The next character that has a meaning of its own (not escaped, not in a class), or 0 at the end; walk->at
 * is its offset + 1. */
static char next_special(struct pattern_walk *walk)
{
    struct slice text = walk->text;
    while (walk->at < text.size) {
        char c = text.data[walk->at++];
        if (c == '\\') {
            walk->at++;
        } else if (walk->in_class) {
            if (c == '[' && walk->at < text.size && text.data[walk->at] == ':') {
                const char *end = memmem(text.data + walk->at, text.size - walk->at, ":]", 2);
                walk->at = end ? (size_t)(end - text.data) + 2 : walk->at;
            } else if (c == ']') {
                walk->in_class = false;
            }
        } else if (c == '[') {
            walk->in_class = true;
            if (walk->at < text.size && text.data[walk->at] == '^')
                walk->at++;
            if (walk->at < text.size && text.data[walk->at] == ']')
                walk->at++;
        } else if (strchr("()|", c) && c) {
            return c;
        }
    }
    return 0;
}

/* \Q..\E, callouts and (?x) comments hide characters from the walk above. */
static bool can_be_walked(struct slice pattern)
{
    if (memmem(pattern.data, pattern.size, "\\Q", 2) || memmem(pattern.data, pattern.size, "(?C", 3))
        return false;
    return !(memchr(pattern.data, '#', pattern.size) && memmem(pattern.data, pattern.size, "(?", 2));
}

/* What an opening parenthesis begins that a linear-time engine has no way to do, or NULL. */
static const char *name_construct(struct slice from)
{
    static const struct {
        const char *text, *name;
    } rows[] = {
        { "(?=", "look-around" },       { "(?!", "look-around" },     { "(?<=", "look-around" },
        { "(?<!", "look-around" },      { "(?>", "an atomic group" }, { "(?(", "a condition" },
        { "(?R", "recursion" },         { "(?&", "recursion" },       { "(?P>", "recursion" },
        { "(?|", "a branch reset" },    { "(*", "a verb" },           { "(?C", "a callout" },
        { "(?P=", "a back-reference" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (slice_starts_with(from, slice_of(rows[i].text)))
            return rows[i].name;
    size_t digit = slice_starts_with(from, SLICE("(?+")) || slice_starts_with(from, SLICE("(?-")) ? 3 : 2;
    bool numbered = slice_starts_with(from, SLICE("(?")) && digit < from.size && from.data[digit] >= '0' &&
                    from.data[digit] <= '9';
    return numbered ? "recursion" : NULL;
}

bool regex_is_linear(struct slice pattern, const char **construct)
{
    struct pattern_walk walk = { pattern, 0, false };
    bool walked = !memmem(pattern.data, pattern.size, "\\Q", 2);
    for (char c; walked && (c = next_special(&walk)) != 0;) {
        *construct = c == '(' ? name_construct(slice_from(pattern, walk.at - 1)) : NULL;
        if (*construct)
            return false;
    }
    uint32_t references = 0;
    struct regex regex = { .bytes = compile_one(pattern, 0, NULL, 0) };
    if (!regex.bytes)
        regex.utf = compile_one(pattern, PCRE2_UTF | PCRE2_UCP, NULL, 0);
    if (!regex.bytes && !regex.utf)
        return true;
    pcre2_pattern_info(regex.utf ? regex.utf : regex.bytes, PCRE2_INFO_BACKREFMAX, &references);
    regex_close(&regex);
    *construct = "a back-reference";
    return references == 0;
}

static bool has_top_alternative(struct slice pattern)
{
    struct pattern_walk walk = { pattern, 0, false };
    int depth = 0;
    for (char c; (c = next_special(&walk)) != 0;) {
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if (c == '|' && depth == 0)
            return true;
    }
    return false;
}

/* The literal byte at pattern[*at], stepping over it; -1 when something else stands there. */
static int literal_byte(struct slice pattern, size_t *at)
{
    unsigned char c = (unsigned char)pattern.data[*at];
    if (c == '\\' && *at + 1 < pattern.size) {
        unsigned char next = (unsigned char)pattern.data[*at + 1];
        bool word =
            (next >= '0' && next <= '9') || (next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z');
        if (word || next >= 0x80 || next < 0x20)
            return -1;
        *at += 2;
        return next;
    }
    if (c >= 0x80 || c == 0 || strchr("\\^$.[|()?*+{", c))
        return -1;
    *at += 1;
    return c;
}

size_t regex_literal_prefix(struct slice pattern, char *out, size_t size)
{
    if (pattern.size == 0 || !can_be_walked(pattern) || has_top_alternative(pattern))
        return 0;
    size_t count = 0;
    for (size_t at = 0; at < pattern.size && count < size;) {
        int byte = literal_byte(pattern, &at);
        if (byte < 0)
            return count;
        if (at < pattern.size && strchr("?*{", pattern.data[at]) && pattern.data[at])
            return count; /* the byte may be missing */
        out[count++] = (char)byte;
    }
    return count;
}

/* --- matching ------------------------------------------------------------------------------------------- */

enum error regex_scratch_init(struct regex_scratch *scratch)
{
    *scratch = (struct regex_scratch){ 0 };
    scratch->match_data = pcre2_match_data_create(REGEX_GROUPS_MAX, NULL);
    pcre2_match_context *limits = scratch->limits = pcre2_match_context_create(NULL);
    if (!scratch->match_data || !limits) {
        regex_scratch_deinit(scratch);
        return ERROR_MEMORY;
    }
    const struct regex_limits defaults = { REGEX_MATCH_LIMIT, REGEX_DEPTH_LIMIT, REGEX_HEAP_LIMIT_KIB };
    regex_scratch_limit(scratch, &defaults);
    scratch->jit_stack = pcre2_jit_stack_create(32u * 1024u, REGEX_JIT_STACK_BYTES, NULL);
    if (scratch->jit_stack) /* else PCRE2 uses 32 KiB of the thread's own */
        pcre2_jit_stack_assign(limits, NULL, scratch->jit_stack);
    return ERROR_OK;
}

void regex_scratch_limit(struct regex_scratch *scratch, const struct regex_limits *limits)
{
    pcre2_set_match_limit(scratch->limits, limits->match);
    pcre2_set_depth_limit(scratch->limits, limits->depth);
    pcre2_set_heap_limit(scratch->limits, limits->heap_kib);
}

void regex_scratch_deinit(struct regex_scratch *scratch)
{
    pcre2_match_data_free(scratch->match_data);
    pcre2_match_context_free(scratch->limits);
    pcre2_jit_stack_free(scratch->jit_stack);
    *scratch = (struct regex_scratch){ 0 };
}

bool regex_match(const struct regex *regex, struct slice subject, struct regex_scratch *scratch)
{
    return regex_match_from(regex, subject, 0, scratch);
}

bool regex_match_from(const struct regex *regex, struct slice subject, size_t offset,
                      struct regex_scratch *scratch)
{
    if (!subject.data)
        subject = SLICE("");
    const pcre2_code *code = regex->utf && is_utf8(subject) ? regex->utf : regex->bytes;
    if (!code)
        return false;
    int result = pcre2_match(code, (PCRE2_SPTR)subject.data, subject.size, offset, PCRE2_NO_UTF_CHECK,
                             scratch->match_data, scratch->limits);
    scratch->overruns += result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT ||
                         result == PCRE2_ERROR_HEAPLIMIT || result == PCRE2_ERROR_JIT_STACKLIMIT;
    return result > 0;
}

struct slice regex_group(const struct regex_scratch *scratch, struct slice subject, uint32_t number)
{
    const size_t *bounds = pcre2_get_ovector_pointer(scratch->match_data);
    CHECK(number < REGEX_GROUPS_MAX);
    size_t start = bounds[2 * number], end = bounds[2 * number + 1];
    if (start == PCRE2_UNSET || end < start || end > subject.size)
        return (struct slice){ 0 };
    return (struct slice){ subject.data + start, end - start };
}

uint32_t regex_group_number(const struct regex *regex, struct slice name)
{
    for (uint32_t number = 1; number <= regex->group_count; number++) {
        struct slice found = regex_group_name(regex, number);
        if (found.data && slice_equal(found, name))
            return number;
    }
    return 0;
}

struct slice regex_group_name(const struct regex *regex, uint32_t number)
{
    const pcre2_code *code = regex->utf ? regex->utf : regex->bytes;
    uint32_t count = 0, entry_size = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &entry_size);
    pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = table + (size_t)i * entry_size;
        if (((uint32_t)entry[0] << 8 | entry[1]) == number)
            return slice_of((const char *)entry + 2);
    }
    return (struct slice){ 0 };
}
