/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/path.h"

/* Kept escaped when they come escaped: decoding these could change what the path means. */
static bool is_reserved(unsigned char c)
{
    return c != 0 && strchr("!*'();:@&=+$,/?%#[]", c) != NULL;
}

static const char hex_digits[] = "0123456789ABCDEF";

/* The byte escaped at text[at] == '%'; -1 when the escape is broken or stands for NUL. */
static int escaped_byte(struct slice text, size_t at)
{
    if (text.size - at < 3)
        return -1;
    int high = slice_hex_value(text.data[at + 1]), low = slice_hex_value(text.data[at + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return -1;
    return high * 16 + low;
}

/* Could anything in it have to change? Dot segments are only suspected: `/.hidden` counts. */
static bool is_suspect(struct slice path)
{
    if (memchr(path.data, '%', path.size))
        return true;
    for (const char *at = path.data, *end = path.data + path.size;
         (at = memchr(at, '/', (size_t)(end - at))) != NULL && ++at < end;)
        if (*at == '/' || *at == '.')
            return true;
    return false;
}

/* Copies with the escapes put right; the size written, or 0 when one is broken. */
static size_t decode(struct slice path, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] != '%') {
            out[size++] = path.data[i];
            continue;
        }
        int byte = escaped_byte(path, i);
        if (byte < 0)
            return 0;
        i += 2;
        if (!is_reserved((unsigned char)byte)) {
            out[size++] = (char)byte;
            continue;
        }
        out[size++] = '%';
        out[size++] = hex_digits[byte >> 4];
        out[size++] = hex_digits[byte & 15];
    }
    return size;
}

/* Drops the last segment of what is written, keeping the slash before it. False above the root. */
static bool drop_segment(const char *text, size_t *size)
{
    if (*size <= 1)
        return false;
    size_t end = *size - 1; /* the slash that ended the segment */
    while (end > 0 && text[end - 1] != '/')
        end--;
    *size = end;
    return true;
}

/* In place: merges slashes, removes dot segments. 0 for a `..` above the root. text[0] is a slash. */
static size_t collapse(char *text, size_t size)
{
    size_t written = 1;
    for (size_t i = 1; i < size;) {
        size_t start = i;
        while (i < size && text[i] != '/')
            i++;
        size_t length = i - start;
        bool last = i == size;
        i++;
        if (length == 0 || (length == 1 && text[start] == '.'))
            continue;
        if (length == 2 && text[start] == '.' && text[start + 1] == '.') {
            if (!drop_segment(text, &written))
                return 0;
            continue;
        }
        memmove(text + written, text + start, length);
        written += length;
        if (!last)
            text[written++] = '/';
    }
    return written;
}

enum error path_normalise(struct arena *arena, struct slice path, struct slice *out)
{
    if (path.size == 0 || path.data[0] != '/')
        return ERROR_INVALID;
    *out = path;
    if (!is_suspect(path))
        return ERROR_OK;
    char *text = arena_alloc(arena, path.size);
    if (!text)
        return ERROR_MEMORY;
    size_t size = decode(path, text);
    if (size)
        size = collapse(text, size);
    if (!size)
        return ERROR_INVALID;
    if (size != path.size || memcmp(text, path.data, size) != 0)
        *out = (struct slice){ text, size };
    return ERROR_OK;
}

static enum error join_two(struct arena *arena, struct slice first, struct slice second, struct slice *out)
{
    if (first.size == 0 || second.size == 0) {
        *out = first.size ? first : second;
        return ERROR_OK;
    }
    size_t size = first.size + second.size;
    char *text = size < first.size ? NULL : arena_alloc(arena, size);
    if (!text)
        return ERROR_MEMORY;
    memcpy(text, first.data, first.size);
    memcpy(text + first.size, second.data, second.size);
    *out = (struct slice){ text, size };
    return ERROR_OK;
}

static bool ends_with_slash(struct slice text)
{
    return text.size && text.data[text.size - 1] == '/';
}

static struct slice without_first_slash(struct slice text)
{
    return text.size && text.data[0] == '/' ? slice_from(text, 1) : text;
}

static struct slice without_last(struct slice text)
{
    return (struct slice){ text.data, text.size - 1 };
}

/* What follows the prefix. A prefix may end inside a segment, so the rest may begin with dots that would
 * climb out of the base: `/route` of `/route../x`. */
static struct slice stripped_rest(const struct path_join *join)
{
    struct slice rest = slice_from(join->path, join->prefix.size);
    if (slice_equal(rest, SLICE(".")) || slice_equal(rest, SLICE("..")))
        return SLICE("");
    if (slice_starts_with(rest, SLICE("./")))
        return slice_from(rest, 2);
    if (slice_starts_with(rest, SLICE("../")))
        return slice_from(rest, 3);
    return rest;
}

static enum error join_v1(struct arena *arena, const struct path_join *join, struct slice base,
                          struct slice *out)
{
    if (!join->strip)
        return join_two(arena, base, without_first_slash(join->path), out);
    struct slice rest = stripped_rest(join);
    return join_two(arena, base, ends_with_slash(base) ? without_first_slash(rest) : rest, out);
}

/* Exactly one slash at the seam. */
static enum error join_one_slash(struct arena *arena, struct slice base, struct slice rest, struct slice *out)
{
    rest = without_first_slash(rest);
    if (ends_with_slash(base))
        return join_two(arena, base, rest, out);
    size_t size = base.size + 1 + rest.size;
    char *text = arena_alloc(arena, size);
    if (!text)
        return ERROR_MEMORY;
    memcpy(text, base.data, base.size);
    text[base.size] = '/';
    memcpy(text + base.size + 1, rest.data, rest.size);
    *out = (struct slice){ text, size };
    return ERROR_OK;
}

static enum error join_v0_stripped(struct arena *arena, const struct path_join *join, struct slice base,
                                   struct slice *out)
{
    struct slice rest = stripped_rest(join);
    bool asked_slash = join->path.size > 1 && ends_with_slash(join->path);
    if (rest.size == 0) {
        if (!ends_with_slash(base))
            return join_two(arena, base, asked_slash ? SLICE("/") : SLICE(""), out);
        *out = base.size == 1 || ends_with_slash(join->path) ? base : without_last(base);
        return ERROR_OK;
    }
    return join_one_slash(arena, base, rest, out);
}

static enum error join_v0(struct arena *arena, const struct path_join *join, struct slice base,
                          struct slice *out)
{
    if (ends_with_slash(base))
        return join_two(arena, base, without_first_slash(join->path), out);
    return join_two(arena, base, join->path.size > 1 ? join->path : SLICE(""), out);
}

enum error path_join_upstream(struct arena *arena, const struct path_join *join, struct slice *out)
{
    struct slice base = join->base.size ? join->base : SLICE("/");
    CHECK(join->prefix.size <= join->path.size);
    struct path_join plan = *join;
    if (!plan.prefix.data)
        plan.strip = false;
    if (plan.style == PATH_JOIN_V1)
        return join_v1(arena, &plan, base, out);
    return plan.strip ? join_v0_stripped(arena, &plan, base, out) : join_v0(arena, &plan, base, out);
}

/* A bit per byte that stands for itself in a request line: letters, digits and -_.~!#$&'()*+,/:;=?@[]% */
static const uint64_t plain_bytes[4] = { 0xaffffffa00000000, 0x47fffffeafffffff };

static bool needs_escape(unsigned char c)
{
    return !(plain_bytes[c >> 6] >> (c & 63) & 1);
}

enum error path_escape(struct arena *arena, struct slice path, struct slice *out)
{
    size_t count = 0;
    for (size_t i = 0; i < path.size; i++)
        count += needs_escape((unsigned char)path.data[i]);
    *out = path;
    if (count == 0)
        return ERROR_OK;
    size_t size;
    if (__builtin_mul_overflow(count, (size_t)2, &size) || __builtin_add_overflow(size, path.size, &size))
        return ERROR_MEMORY;
    char *text = arena_alloc(arena, size);
    if (!text)
        return ERROR_MEMORY;
    char *at = text;
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (!needs_escape(c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = hex_digits[c >> 4];
        *at++ = hex_digits[c & 15];
    }
    *out = (struct slice){ text, size };
    return ERROR_OK;
}
