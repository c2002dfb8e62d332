/* SPDX-License-Identifier: Apache-2.0 */
/* Route keys, and which of two is more specific (API Gateway, "Working with routes for HTTP APIs"). */
#include "config/aws/resources.h"

static const char *const methods[] = { "GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS" };

static bool take_method(struct slice text, struct aws_route_key *key)
{
    key->method = (struct slice){ NULL, 0 };
    if (slice_equal(text, SLICE("ANY")))
        return true;
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (slice_equal(text, slice_of(methods[i])))
            key->method = slice_of(methods[i]);
    return key->method.data != NULL;
}

static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = slice_lower(text.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("._-:", c))
            return false;
    }
    return text.size > 0;
}

static bool is_literal(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] > '~' ||
            strchr("{}?#\\\"<>^`|%", text.data[i]))
            return false;
    return text.size > 0;
}

static const char *take_segment(struct slice text, struct aws_segment *segment)
{
    *segment = (struct aws_segment){ AWS_LITERAL, text };
    if (text.size == 0)
        return "an empty segment, or a slash at the end of the path";
    if (text.data[0] != '{')
        return is_literal(text)
                   ? NULL
                   : "a segment is a name or {variable}, of characters that stand for themselves";
    if (text.data[text.size - 1] != '}')
        return "a variable takes a whole segment";
    segment->kind = AWS_VARIABLE;
    segment->text = (struct slice){ text.data + 1, text.size - 2 };
    if (segment->text.size && segment->text.data[segment->text.size - 1] == '+') {
        segment->kind = AWS_GREEDY;
        segment->text.size--;
    }
    return is_name(segment->text) ? NULL : "the name of a variable is of letters, digits, '.', '_' and '-'";
}

static bool has_twice(const struct aws_route_key *key)
{
    for (uint32_t i = 0; i < key->segment_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (key->segments[i].kind != AWS_LITERAL && key->segments[j].kind != AWS_LITERAL &&
                slice_equal(key->segments[i].text, key->segments[j].text))
                return true;
    return false;
}

static const char *take_path(struct arena *arena, struct slice path, struct aws_route_key *key)
{
    struct aws_segment segments[AWS_SEGMENTS_MAX];
    if (path.size == 0 || path.data[0] != '/')
        return "the path begins with '/'";
    struct slice rest = slice_from(path, 1);
    while (path.size > 1 && rest.data != NULL) {
        if (key->segment_count == AWS_SEGMENTS_MAX)
            return "more than 128 segments";
        if (key->segment_count && segments[key->segment_count - 1].kind == AWS_GREEDY)
            return "nothing follows {name+}";
        struct slice segment = slice_split(rest, '/', &rest);
        const char *reason = take_segment(segment, &segments[key->segment_count++]);
        if (reason)
            return reason;
    }
    key->segments = arena_array(arena, key->segment_count + 1u, sizeof(*segments));
    if (key->segments == NULL)
        return "out of memory";
    memcpy(key->segments, segments, key->segment_count * sizeof(*segments));
    return has_twice(key) ? "two variables of one name" : NULL;
}

const char *aws_route_key_parse(struct arena *arena, struct slice text, struct aws_route_key *key)
{
    struct slice path;
    *key = (struct aws_route_key){ .text = text };
    if (slice_equal(text, SLICE("$default"))) {
        key->is_default = true;
        return NULL;
    }
    struct slice method = slice_split(text, ' ', &path);
    if (path.data == NULL)
        return "expected METHOD /path, ANY /path or $default";
    if (!take_method(method, key))
        return "the method is GET, PUT, POST, DELETE, PATCH, HEAD, OPTIONS or ANY";
    return take_path(arena, path, key);
}

/* The first segment of different kinds decides; then the one with a method is more specific. */
int aws_route_key_compare(const struct aws_route_key *a, const struct aws_route_key *b)
{
    uint32_t both = a->segment_count < b->segment_count ? a->segment_count : b->segment_count;
    if (a->is_default != b->is_default)
        return a->is_default ? 1 : -1;
    for (uint32_t i = 0; i < both; i++)
        if (a->segments[i].kind != b->segments[i].kind)
            return a->segments[i].kind < b->segments[i].kind ? -1 : 1;
    if (a->segment_count != b->segment_count)
        return a->segment_count > b->segment_count ? -1 : 1;
    if ((a->method.data == NULL) != (b->method.data == NULL))
        return a->method.data ? -1 : 1;
    return 0;
}
