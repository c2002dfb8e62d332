/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/body_arguments.h"

#include "core/base/json_scan.h"
#include "core/base/query.h"
#include "plugins/body_multipart.h"

static struct body_argument *new_argument(struct body_arguments *arguments)
{
    enum { FIRST_CAPACITY = 16 };
    if (arguments->count == BODY_ARGUMENTS_MAX)
        return NULL;
    if (arguments->count == arguments->capacity) {
        uint32_t capacity = arguments->capacity ? 2 * arguments->capacity : FIRST_CAPACITY;
        struct body_argument *items = arena_array(&arguments->arena, capacity, sizeof(*items));
        arguments->failed |= items == NULL;
        if (items == NULL)
            return NULL;
        if (arguments->count > 0)
            memcpy(items, arguments->items, arguments->count * sizeof(*items));
        arguments->items = items;
        arguments->capacity = capacity;
    }
    return &arguments->items[arguments->count++];
}

bool body_arguments_keep(struct body_arguments *arguments, struct body_argument argument)
{
    bool whole = argument.name.data && (argument.value.data || argument.type == BODY_VALUE_BARE);
    arguments->failed |= !whole;
    struct body_argument *kept = whole ? new_argument(arguments) : NULL;
    if (kept)
        *kept = argument;
    return kept != NULL;
}

/* --- forms ---------------------------------------------------------------------------------------------- */

static bool read_form(struct body_arguments *arguments, struct slice body)
{
    bool good = true;
    while (good && body.data != NULL) {
        struct slice value, pair = slice_split(body, '&', &body);
        struct slice name = slice_split(pair, '=', &value);
        if (pair.size == 0)
            continue;
        struct body_argument argument = { .name = query_unescape(&arguments->arena, name),
                                          .type = value.data ? BODY_VALUE_TEXT : BODY_VALUE_BARE,
                                          .source = pair };
        if (value.data)
            argument.value = query_unescape(&arguments->arena, value);
        good = body_arguments_keep(arguments, argument);
    }
    return good;
}

/* Everything but the unreserved characters (RFC 3986 section 2.3) is escaped. */
static size_t write_form_text(char *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = out;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i], lower = slice_lower(c);
        if ((lower >= 'a' && lower <= 'z') || slice_is_digit(c) || (c && strchr("-._~", c))) {
            *to++ = c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)c >> 4];
        *to++ = digits[c & 15];
    }
    return (size_t)(to - out);
}

static size_t write_form_argument(char *out, const struct body_argument *argument)
{
    size_t size = write_form_text(out, argument->name);
    if (argument->type == BODY_VALUE_BARE)
        return size;
    out[size++] = '=';
    return size + write_form_text(out + size, argument->value);
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static struct slice unescaped(struct body_arguments *arguments, const struct json_value *string)
{
    if (!string->escaped)
        return string->text;
    char *plain = arena_alloc(&arguments->arena, string->text.size);
    return (struct slice){ plain, plain ? json_unescape(string->text, plain) : 0 };
}

/* A string's text ends before its closing quote. */
static struct slice with_quotes(const struct json_value *value)
{
    struct slice text = value->text;
    return value->kind == JSON_STRING ? (struct slice){ text.data - 1, text.size + 2 } : text;
}

static bool read_json(struct body_arguments *arguments, struct slice body)
{
    struct json_object object = { .rest = body };
    struct json_value name, value;
    bool good = true;
    while (good && json_object_next(&object, &name, &value)) {
        const char *start = name.text.data - 1;
        struct slice whole = with_quotes(&value);
        struct body_argument argument = {
            .name = unescaped(arguments, &name),
            .type = value.kind == JSON_STRING ? BODY_VALUE_TEXT : BODY_VALUE_JSON,
            .value = value.kind == JSON_STRING ? unescaped(arguments, &value) : value.text,
            .source = { start, (size_t)(whole.data + whole.size - start) },
        };
        good = body_arguments_keep(arguments, argument);
    }
    return good && !object.broken;
}

static size_t write_json_argument(char *out, const struct body_argument *argument)
{
    char *to = out;
    *to++ = '"';
    to += json_escape(argument->name, to);
    *to++ = '"';
    *to++ = ':';
    if (argument->type == BODY_VALUE_JSON) {
        memcpy(to, argument->value.data, argument->value.size);
        return (size_t)(to - out) + argument->value.size;
    }
    *to++ = '"';
    to += json_escape(argument->value, to);
    *to++ = '"';
    return (size_t)(to - out);
}

/* --- all ------------------------------------------------------------------------------------------------ */

static enum body_arguments_kind kind_of(struct slice content_type)
{
    struct slice parameters, type = slice_trim(slice_split(content_type, ';', &parameters));
    if (slice_equal_nocase(type, SLICE("application/x-www-form-urlencoded")))
        return BODY_ARGUMENTS_FORM;
    if (slice_equal_nocase(type, SLICE("application/json")))
        return BODY_ARGUMENTS_JSON;
    return slice_equal_nocase(type, SLICE("multipart/form-data")) ? BODY_ARGUMENTS_MULTIPART
                                                                  : BODY_ARGUMENTS_NONE;
}

static bool read_body(struct body_arguments *arguments, struct slice content_type, struct slice body)
{
    switch (arguments->kind) {
    case BODY_ARGUMENTS_FORM: return read_form(arguments, body);
    case BODY_ARGUMENTS_JSON: return read_json(arguments, body);
    case BODY_ARGUMENTS_MULTIPART: return body_multipart_read(arguments, content_type, body);
    case BODY_ARGUMENTS_NONE: break;
    }
    return false;
}

void body_arguments_open(struct body_arguments *arguments, const struct message *request, struct slice body)
{
    struct slice content_type = message_find(request, HEADER_CONTENT_TYPE);
    *arguments = (struct body_arguments){ .kind = kind_of(content_type) };
    arena_init(&arguments->arena, NULL, 0, SIZE_MAX); /* a multiple of the body, which is bounded */
    if (!read_body(arguments, content_type, body))
        arguments->kind = BODY_ARGUMENTS_NONE;
}

void body_arguments_open_json(struct body_arguments *arguments, struct slice text)
{
    *arguments = (struct body_arguments){ .kind = BODY_ARGUMENTS_JSON };
    arena_init(&arguments->arena, NULL, 0, SIZE_MAX);
    if (!read_json(arguments, text))
        arguments->kind = BODY_ARGUMENTS_NONE;
}

void body_arguments_close(struct body_arguments *arguments)
{
    arena_deinit(&arguments->arena);
}

struct body_argument *body_arguments_next(struct body_arguments *arguments, struct slice name, uint32_t *from)
{
    while (*from < arguments->count) {
        struct body_argument *argument = &arguments->items[(*from)++];
        if (slice_equal(argument->name, name))
            return argument;
    }
    return NULL;
}

uint32_t body_arguments_remove(struct body_arguments *arguments, struct slice name)
{
    uint32_t kept = 0, removed = 0;
    for (uint32_t i = 0; i < arguments->count; i++) {
        if (slice_equal(arguments->items[i].name, name))
            removed++;
        else
            arguments->items[kept++] = arguments->items[i];
    }
    arguments->count = kept;
    return removed;
}

bool body_arguments_add(struct body_arguments *arguments, struct slice name, enum body_value type,
                        struct slice value)
{
    return body_arguments_keep(arguments,
                               (struct body_argument){ .name = name, .type = type, .value = value });
}

void body_argument_set(struct body_argument *argument, enum body_value type, struct slice value)
{
    argument->type = type;
    argument->value = value;
    argument->source = (struct slice){ NULL, 0 };
}

void body_argument_rename(struct body_argument *argument, struct slice name)
{
    argument->name = name;
    argument->source = (struct slice){ NULL, 0 };
}

/* Enough for any of the three. */
static size_t bound_of(const struct body_arguments *arguments)
{
    enum { AROUND = 64 };
    size_t bound = AROUND + arguments->boundary.size;
    for (uint32_t i = 0; i < arguments->count; i++) {
        const struct body_argument *argument = &arguments->items[i];
        bound += argument->source.data ? argument->source.size
                                       : JSON_ESCAPED_MAX * (argument->name.size + argument->value.size);
        bound += AROUND + arguments->boundary.size;
    }
    return bound;
}

static size_t write_argument(const struct body_arguments *arguments, char *out,
                             const struct body_argument *argument)
{
    if (argument->source.data) {
        memcpy(out, argument->source.data, argument->source.size);
        return argument->source.size;
    }
    switch (arguments->kind) {
    case BODY_ARGUMENTS_FORM: return write_form_argument(out, argument);
    case BODY_ARGUMENTS_JSON: return write_json_argument(out, argument);
    case BODY_ARGUMENTS_MULTIPART: return body_multipart_write(out, argument);
    case BODY_ARGUMENTS_NONE: break;
    }
    return 0;
}

static size_t write_text(char *out, struct slice text)
{
    memcpy(out, text.data, text.size);
    return text.size;
}

static size_t write_delimiter(const struct body_arguments *arguments, char *out, struct slice end)
{
    size_t size = write_text(out, SLICE("--"));
    size += write_text(out + size, arguments->boundary);
    return size + write_text(out + size, end);
}

struct slice body_arguments_write(struct body_arguments *arguments)
{
    bool multipart = arguments->kind == BODY_ARGUMENTS_MULTIPART;
    bool json = arguments->kind == BODY_ARGUMENTS_JSON;
    struct slice separator = json ? SLICE(",") : SLICE("&");
    char *out = arena_alloc(&arguments->arena, bound_of(arguments));
    if (out == NULL)
        return (struct slice){ NULL, 0 };
    size_t size = json ? write_text(out, SLICE("{")) : 0;
    for (uint32_t i = 0; i < arguments->count; i++) {
        if (multipart)
            size += write_delimiter(arguments, out + size, SLICE("\r\n"));
        else if (i > 0)
            size += write_text(out + size, separator);
        size += write_argument(arguments, out + size, &arguments->items[i]);
        if (multipart)
            size += write_text(out + size, SLICE("\r\n"));
    }
    if (multipart)
        size += write_delimiter(arguments, out + size, SLICE("--\r\n"));
    else if (json)
        size += write_text(out + size, SLICE("}"));
    return (struct slice){ out, size };
}
