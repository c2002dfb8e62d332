/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of Lua that templates may call. */
#include "core/base/lua_pattern.h"
#include "plugins/template_tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- conversions ---------------------------------------------------------------------------------------- */

static struct template_value text_value(struct slice text)
{
    return (struct template_value){ .kind = TEMPLATE_STRING, .text = text.data ? text : SLICE("") };
}

static struct template_value number_value(double number)
{
    return (struct template_value){ .kind = TEMPLATE_NUMBER, .number = number };
}

bool tree_to_text(struct arena *arena, struct template_value *value, enum template_result *why)
{
    *why = TEMPLATE_FAILED;
    if (value->kind == TEMPLATE_STRING)
        return true;
    if (value->kind != TEMPLATE_NUMBER)
        return false;
    struct slice text = arena_format(arena, "%.14g", value->number);
    *why = TEMPLATE_OUT_OF_MEMORY;
    if (text.data == NULL)
        return false;
    *value = text_value(text);
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct slice trimmed(struct slice text)
{
    while (text.size > 0 && is_space(text.data[0]))
        text = slice_from(text, 1);
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Decimal, or hexadecimal with 0x; nothing of what strtod takes beside these. */
static bool parse_number(struct slice text, double *number)
{
    char copy[64], *end;
    text = trimmed(text);
    if (text.size == 0 || text.size >= sizeof(copy))
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (memchr("0123456789abcdefxABCDEFX.+-", text.data[i], 27) == NULL)
            return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *number = strtod(copy, &end);
    return end == copy + text.size;
}

bool tree_to_number(struct template_value *value)
{
    double number;
    if (value->kind == TEMPLATE_NUMBER)
        return true;
    if (value->kind != TEMPLATE_STRING || !parse_number(value->text, &number))
        return false;
    *value = number_value(number);
    return true;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

struct call {
    struct arena *arena;
    struct template_value arguments[TREE_ARGUMENTS_MAX];
    uint32_t count;
    struct template_value *result;
};

typedef enum template_result function_call(struct call *call);

static char *room(struct call *call, size_t size, enum template_result *why)
{
    *why = size > TEMPLATE_TEXT_BYTES_MAX ? TEMPLATE_FAILED : TEMPLATE_OUT_OF_MEMORY;
    return size > TEMPLATE_TEXT_BYTES_MAX ? NULL : arena_alloc(call->arena, size + 1);
}

/* The argument as an integer, `fallback` when it was not given. */
static bool integer_argument(struct call *call, uint32_t index, int64_t fallback, int64_t *value)
{
    *value = fallback;
    if (index >= call->count || call->arguments[index].kind == TEMPLATE_NIL)
        return true;
    if (!tree_to_number(&call->arguments[index]))
        return false;
    double number = call->arguments[index].number;
    if (isnan(number))
        return false;
    *value = number >= 1e15    ? INT64_C(1000000000000000)
             : number <= -1e15 ? -INT64_C(1000000000000000)
                               : (int64_t)number;
    return true;
}

static enum template_result call_tostring(struct call *call)
{
    static const char *const names[] = {
        [TEMPLATE_NIL] = "nil", [TEMPLATE_FALSE] = "false", [TEMPLATE_TRUE] = "true"
    };
    enum template_result why;
    enum template_kind kind = call->arguments[0].kind;
    *call->result = call->arguments[0];
    if (kind <= TEMPLATE_TRUE)
        *call->result = text_value(slice_of(names[kind]));
    else if (!tree_to_text(call->arena, call->result, &why))
        return why;
    return TEMPLATE_RENDERED;
}

static enum template_result call_type(struct call *call)
{
    static const char *const names[] = { [TEMPLATE_NIL] = "nil",
                                         [TEMPLATE_FALSE] = "boolean",
                                         [TEMPLATE_TRUE] = "boolean",
                                         [TEMPLATE_NUMBER] = "number",
                                         [TEMPLATE_STRING] = "string" };
    *call->result = text_value(slice_of(names[call->arguments[0].kind]));
    return TEMPLATE_RENDERED;
}

static int digit_value(char c)
{
    char lower = slice_lower(c);
    if (slice_is_digit(c))
        return c - '0';
    return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 36;
}

static enum template_result call_tonumber(struct call *call)
{
    int64_t base;
    struct template_value value = call->arguments[0];
    *call->result = (struct template_value){ .kind = TEMPLATE_NIL };
    if (!integer_argument(call, 1, 10, &base) || base < 2 || base > 36)
        return TEMPLATE_FAILED;
    if (base == 10) {
        if (tree_to_number(&value))
            *call->result = value;
        return TEMPLATE_RENDERED;
    }
    enum template_result why;
    if (!tree_to_text(call->arena, &value, &why))
        return why;
    struct slice text = trimmed(value.text);
    bool negative = text.size > 0 && text.data[0] == '-';
    double number = 0;
    if (negative)
        text = slice_from(text, 1);
    if (text.size == 0)
        return TEMPLATE_RENDERED;
    for (size_t i = 0; i < text.size; i++) {
        if (digit_value(text.data[i]) >= base)
            return TEMPLATE_RENDERED;
        number = number * (double)base + digit_value(text.data[i]);
    }
    *call->result = number_value(negative ? -number : number);
    return TEMPLATE_RENDERED;
}

static enum template_result call_len(struct call *call)
{
    *call->result = number_value((double)call->arguments[0].text.size);
    return TEMPLATE_RENDERED;
}

static enum template_result each_character(struct call *call, char (*change)(char c))
{
    enum template_result why;
    struct slice text = call->arguments[0].text;
    char *out = room(call, text.size, &why);
    for (size_t i = 0; out && i < text.size; i++)
        out[i] = change(text.data[i]);
    *call->result = text_value((struct slice){ out, text.size });
    return out ? TEMPLATE_RENDERED : why;
}

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

static enum template_result call_upper(struct call *call)
{
    return each_character(call, to_upper);
}

static enum template_result call_lower(struct call *call)
{
    return each_character(call, slice_lower);
}

static enum template_result call_reverse(struct call *call)
{
    enum template_result why;
    struct slice text = call->arguments[0].text;
    char *out = room(call, text.size, &why);
    for (size_t i = 0; out && i < text.size; i++)
        out[i] = text.data[text.size - 1 - i];
    *call->result = text_value((struct slice){ out, text.size });
    return out ? TEMPLATE_RENDERED : why;
}

/* A place counted from 1, or from the end when negative. */
static int64_t place_of(int64_t place, size_t size)
{
    return place >= 0 ? place : (int64_t)size + place + 1;
}

static enum template_result call_sub(struct call *call)
{
    struct slice text = call->arguments[0].text;
    int64_t first, last;
    if (!integer_argument(call, 1, 1, &first) || !integer_argument(call, 2, -1, &last))
        return TEMPLATE_FAILED;
    first = place_of(first, text.size);
    last = place_of(last, text.size);
    if (first < 1)
        first = 1;
    if (last > (int64_t)text.size)
        last = (int64_t)text.size;
    *call->result = text_value(
        first > last ? SLICE("") : (struct slice){ text.data + first - 1, (size_t)(last - first + 1) });
    return TEMPLATE_RENDERED;
}

static enum template_result call_rep(struct call *call)
{
    struct slice text = call->arguments[0].text;
    enum template_result why;
    int64_t count;
    if (!integer_argument(call, 1, 0, &count))
        return TEMPLATE_FAILED;
    if (count <= 0 || text.size == 0) {
        *call->result = text_value(SLICE(""));
        return TEMPLATE_RENDERED;
    }
    if (count > TEMPLATE_TEXT_BYTES_MAX || text.size > TEMPLATE_TEXT_BYTES_MAX)
        return TEMPLATE_FAILED;
    char *out = room(call, text.size * (size_t)count, &why);
    for (size_t i = 0; out && i < (size_t)count; i++)
        memcpy(out + i * text.size, text.data, text.size);
    *call->result = text_value((struct slice){ out, text.size * (size_t)count });
    return out ? TEMPLATE_RENDERED : why;
}

/* --- patterns ------------------------------------------------------------------------------------------- */

static struct template_value captured(const struct lua_match *match, uint32_t number, struct slice text)
{
    if (match->capture_count == 0)
        return text_value(match->whole);
    const struct lua_capture *capture = &match->captures[number];
    return capture->is_position ? number_value((double)(capture->text.data - text.data) + 1)
                                : text_value(capture->text);
}

/* Of find (where it is) or match (what was caught). */
static enum template_result search(struct call *call, bool plain, struct lua_match *match)
{
    struct slice text = call->arguments[0].text, wanted = call->arguments[1].text;
    int64_t start;
    *call->result = (struct template_value){ .kind = TEMPLATE_NIL };
    if (!integer_argument(call, 2, 1, &start))
        return TEMPLATE_FAILED;
    start = place_of(start, text.size);
    if (start < 1)
        start = 1;
    if (start > (int64_t)text.size + 1)
        return TEMPLATE_RENDERED;
    size_t offset = (size_t)start - 1;
    match->whole = (struct slice){ NULL, 0 };
    if (plain) {
        const char *at = wanted.size
                             ? memmem(text.data + offset, text.size - offset, wanted.data, wanted.size)
                             : text.data + offset;
        match->whole = (struct slice){ at, wanted.size };
        return TEMPLATE_RENDERED;
    }
    enum lua_matching matching = lua_pattern_match(text, wanted, offset, match);
    if (matching == LUA_NO_MATCH)
        match->whole = (struct slice){ NULL, 0 };
    return matching <= LUA_NO_MATCH ? TEMPLATE_RENDERED : TEMPLATE_FAILED;
}

static enum template_result call_find(struct call *call)
{
    struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
    bool plain = call->count > 3 && call->arguments[3].kind > TEMPLATE_FALSE;
    enum template_result result = search(call, plain, &match);
    if (result == TEMPLATE_RENDERED && match.whole.data)
        *call->result = number_value((double)(match.whole.data - call->arguments[0].text.data) + 1);
    return result;
}

static enum template_result call_match(struct call *call)
{
    struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
    enum template_result result = search(call, false, &match);
    if (result == TEMPLATE_RENDERED && match.whole.data)
        *call->result = captured(&match, 0, call->arguments[0].text);
    return result;
}

struct buffer {
    char *data;
    size_t size, capacity;
};

static bool put(struct call *call, struct buffer *buffer, struct slice text, enum template_result *why)
{
    *why = TEMPLATE_FAILED;
    if (buffer->size + text.size > TEMPLATE_TEXT_BYTES_MAX)
        return false;
    if (buffer->size + text.size > buffer->capacity) {
        size_t capacity = (buffer->size + text.size) * 2;
        char *data = arena_alloc(call->arena, capacity);
        *why = TEMPLATE_OUT_OF_MEMORY;
        if (data == NULL)
            return false;
        if (buffer->size)
            memcpy(data, buffer->data, buffer->size);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (text.size)
        memcpy(buffer->data + buffer->size, text.data, text.size);
    buffer->size += text.size;
    return true;
}

/* %0 is the whole match, %1 a capture, %% itself. */
static bool put_replacement(struct call *call, struct buffer *out, const struct lua_match *match,
                            enum template_result *why)
{
    struct slice text = call->arguments[2].text;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c != '%' || i + 1 == text.size) {
            if (!put(call, out, (struct slice){ text.data + i, 1 }, why))
                return false;
            continue;
        }
        char kind = text.data[++i];
        struct template_value value = text_value((struct slice){ text.data + i, 1 });
        if (kind == '0')
            value = text_value(match->whole);
        else if (kind >= '1' && kind <= '9') {
            uint32_t number = (uint32_t)(kind - '1');
            *why = TEMPLATE_FAILED;
            if (number >= match->capture_count && !(number == 0 && match->capture_count == 0))
                return false;
            value = captured(match, number, call->arguments[0].text);
        }
        if (!tree_to_text(call->arena, &value, why) || !put(call, out, value.text, why))
            return false;
    }
    return true;
}

static enum template_result call_gsub(struct call *call)
{
    struct slice text = call->arguments[0].text, pattern = call->arguments[1].text;
    struct lua_match match = { .steps_left = LUA_PATTERN_STEPS_MAX };
    struct buffer out = { .data = NULL };
    enum template_result why;
    size_t at = 0;
    int64_t most;
    if (!integer_argument(call, 3, INT64_MAX, &most))
        return TEMPLATE_FAILED;
    bool anchored = pattern.size > 0 && pattern.data[0] == '^';
    for (int64_t count = 0; count < most && at <= text.size && !(anchored && count > 0); count++) {
        enum lua_matching matching = lua_pattern_match(text, pattern, at, &match);
        if (matching == LUA_NO_MATCH)
            break;
        if (matching != LUA_MATCHED)
            return TEMPLATE_FAILED;
        size_t start = (size_t)(match.whole.data - text.data), end = start + match.whole.size;
        if (!put(call, &out, (struct slice){ text.data + at, start - at }, &why) ||
            !put_replacement(call, &out, &match, &why))
            return why;
        at = end;
        if (match.whole.size == 0) { /* the next match begins behind the next character */
            if (at < text.size && !put(call, &out, (struct slice){ text.data + at, 1 }, &why))
                return why;
            at++;
        }
    }
    if (at < text.size && !put(call, &out, slice_from(text, at), &why))
        return why;
    *call->result = text_value((struct slice){ out.data, out.size });
    return TEMPLATE_RENDERED;
}

/* --- the table ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    function_call *call;
    uint8_t least, most, texts; /* arguments; the first of them are texts */
    bool of_strings, has_pattern; /* the second argument is one */
} functions[] = {
    { "tonumber", call_tonumber, 1, 2, 0, false, false },
    { "tostring", call_tostring, 1, 1, 0, false, false },
    { "type", call_type, 1, 1, 0, false, false },
    { "find", call_find, 2, 4, 2, true, true },
    { "gsub", call_gsub, 3, 4, 3, true, true },
    { "len", call_len, 1, 1, 1, true, false },
    { "lower", call_lower, 1, 1, 1, true, false },
    { "match", call_match, 2, 3, 2, true, true },
    { "rep", call_rep, 2, 2, 1, true, false },
    { "reverse", call_reverse, 1, 1, 1, true, false },
    { "sub", call_sub, 2, 3, 1, true, false },
    { "upper", call_upper, 1, 1, 1, true, false },
};

uint32_t tree_function_find(struct slice name, bool of_strings)
{
    for (uint32_t i = 0; i < COUNT_OF(functions); i++)
        if (functions[i].of_strings == of_strings && slice_equal(slice_of(functions[i].name), name))
            return i;
    return UINT32_MAX;
}

bool tree_function_takes(uint32_t function, uint32_t arguments)
{
    return arguments >= functions[function].least && arguments <= functions[function].most;
}

const char *tree_function_check(uint32_t function, const struct tree_node *arguments)
{
    if (!functions[function].has_pattern)
        return NULL;
    const struct tree_node *pattern = arguments->next;
    bool plain = pattern->next && pattern->next->next && functions[function].call == call_find;
    if (pattern->kind == TREE_CONSTANT && pattern->value.kind == TEMPLATE_STRING && !plain &&
        !lua_pattern_is_good(pattern->value.text))
        return "the pattern is malformed";
    return NULL;
}

enum template_result tree_call(uint32_t function, struct arena *arena, const struct template_value *arguments,
                               uint32_t count, struct template_value *result)
{
    struct call call = { .arena = arena, .count = count, .result = result };
    enum template_result why;
    memcpy(call.arguments, arguments, count * sizeof(*arguments));
    for (uint32_t i = 0; i < functions[function].texts; i++)
        if (!tree_to_text(arena, &call.arguments[i], &why))
            return why;
    return functions[function].call(&call);
}
