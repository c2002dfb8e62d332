/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/body_multipart.h"

enum { BOUNDARY_MAX = 70 /* RFC 2046 section 5.1.1 */ };

/* --- parameters of a header field ----------------------------------------------------------------------- */

/* The quoted string at text[0] == '"': what stands between its quotes, backslashes and all; *rest behind
 * it. */
static struct slice take_quoted(struct slice text, struct slice *rest)
{
    size_t i = 1;
    while (i < text.size && text.data[i] != '"')
        i += text.data[i] == '\\' && i + 1 < text.size ? 2 : 1;
    if (i > text.size)
        i = text.size;
    struct slice inside = { text.data + 1, i - 1 };
    slice_split(slice_from(text, i < text.size ? i + 1 : i), ';', rest);
    return inside;
}

static struct slice unquoted(struct arena *arena, struct slice text)
{
    if (memchr(text.data, '\\', text.size) == NULL)
        return text;
    char *plain = arena_alloc(arena, text.size);
    size_t size = 0;
    for (size_t i = 0; plain && i < text.size; i++) {
        /* Only what must be escaped is unescaped: old browsers sent paths with backslashes. */
        if (text.data[i] == '\\' && i + 1 < text.size &&
            (text.data[i + 1] == '"' || text.data[i + 1] == '\\'))
            i++;
        plain[size++] = text.data[i];
    }
    return (struct slice){ plain, size };
}

/* The value of a parameter of `type; name=value; name="value"`; absent when it is not there, or no memory. */
static struct slice find_parameter(struct arena *arena, struct slice field, struct slice name)
{
    struct slice rest;
    slice_split(field, ';', &rest);
    while (rest.data != NULL) {
        struct slice parameter = slice_trim(rest), value;
        struct slice its_name = slice_trim(slice_split(parameter, '=', &value));
        if (value.data == NULL)
            break;
        bool wanted = slice_equal_nocase(its_name, name);
        value = slice_trim(value);
        if (value.size > 0 && value.data[0] == '"') {
            value = take_quoted(value, &rest);
            if (wanted)
                return unquoted(arena, value);
            continue;
        }
        value = slice_trim(slice_split(value, ';', &rest));
        if (wanted)
            return value;
    }
    return (struct slice){ NULL, 0 };
}

/* --- reading -------------------------------------------------------------------------------------------- */

/* Where "--boundary" stands at the begin of a line, from `at` on; text.size: nowhere. */
static size_t find_delimiter(struct slice text, size_t at, struct slice boundary)
{
    while (at < text.size) {
        const char *dash = memchr(text.data + at, '-', text.size - at);
        if (dash == NULL)
            break;
        at = (size_t)(dash - text.data);
        struct slice rest = slice_from(text, at);
        bool line = at == 0 || (at >= 2 && text.data[at - 1] == '\n' && text.data[at - 2] == '\r');
        if (line && slice_starts_with(rest, SLICE("--")) && slice_starts_with(slice_from(rest, 2), boundary))
            return at;
        at++;
    }
    return text.size;
}

/* One header of the part after the other; *rest absent: broken. At the empty line, false, and *rest is the
 * content. */
static bool next_header(struct slice *rest, struct slice *name, struct slice *value)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : 0;
    if (size == 0 || rest->data[size - 1] != '\r') {
        *rest = (struct slice){ NULL, 0 };
        return false;
    }
    struct slice line = { rest->data, size - 1 };
    *rest = slice_from(*rest, size + 1);
    *name = slice_trim(slice_split(line, ':', value));
    return line.size > 0;
}

static bool read_part(struct body_arguments *arguments, struct slice part)
{
    struct body_argument argument = { .type = BODY_VALUE_TEXT, .source = part };
    struct slice name, value, rest = part;
    while (next_header(&rest, &name, &value))
        if (value.data != NULL && slice_equal_nocase(name, SLICE("content-disposition")))
            argument.name = find_parameter(&arguments->arena, value, SLICE("name"));
    if (rest.data == NULL)
        return false;
    if (argument.name.data == NULL)
        argument.name = SLICE(""); /* nobody can ask for it, but it is passed on */
    argument.value = rest;
    return body_arguments_keep(arguments, argument);
}

/* Behind a delimiter's boundary: spaces and the line's end. False: no such. */
static bool skip_line_end(struct slice *text)
{
    while (text->size > 0 && (text->data[0] == ' ' || text->data[0] == '\t'))
        *text = slice_from(*text, 1);
    if (!slice_starts_with(*text, SLICE("\r\n")))
        return false;
    *text = slice_from(*text, 2);
    return true;
}

static bool read_parts(struct body_arguments *arguments, struct slice body)
{
    struct slice boundary = arguments->boundary;
    size_t at = find_delimiter(body, 0, boundary);
    while (at < body.size) {
        struct slice rest = slice_from(body, at + 2 + boundary.size);
        if (slice_starts_with(rest, SLICE("--")))
            return true;
        if (!skip_line_end(&rest))
            return false;
        size_t start = (size_t)(rest.data - body.data), end = find_delimiter(body, start, boundary);
        if (end == body.size || end < start + 2 ||
            !read_part(arguments, (struct slice){ rest.data, end - 2 - start }))
            return false;
        at = end;
    }
    return false;
}

bool body_multipart_read(struct body_arguments *arguments, struct slice content_type, struct slice body)
{
    arguments->boundary = find_parameter(&arguments->arena, content_type, SLICE("boundary"));
    if (arguments->boundary.size == 0 || arguments->boundary.size > BOUNDARY_MAX)
        return false;
    return body.size == 0 || read_parts(arguments, body);
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* What a name could do harm with, as browsers escape it. */
static size_t write_name(char *out, struct slice name)
{
    char *to = out;
    for (size_t i = 0; i < name.size; i++) {
        const char *escape = name.data[i] == '"' ? "%22" : name.data[i] == '\r' ? "%0D" : "%0A";
        if (name.data[i] == '"' || name.data[i] == '\r' || name.data[i] == '\n') {
            memcpy(to, escape, 3);
            to += 3;
        } else {
            *to++ = name.data[i];
        }
    }
    return (size_t)(to - out);
}

size_t body_multipart_write(char *out, const struct body_argument *argument)
{
    static const char before[] = "Content-Disposition: form-data; name=\"", after[] = "\"\r\n\r\n";
    char *to = out;
    memcpy(to, before, sizeof(before) - 1);
    to += sizeof(before) - 1;
    to += write_name(to, argument->name);
    memcpy(to, after, sizeof(after) - 1);
    to += sizeof(after) - 1;
    if (argument->value.size > 0)
        memcpy(to, argument->value.data, argument->value.size);
    return (size_t)(to - out) + argument->value.size;
}
