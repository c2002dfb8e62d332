/* SPDX-License-Identifier: Apache-2.0 */
#include "config/document.h"

#include "config/json.h"
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct document_limits document_default_limits = {
    .file_bytes = (size_t)64 * 1024 * 1024,
    .depth = 64,
    .nodes = 8000000,
};

static bool fail(struct report *report, const char *file, const char *reason)
{
    struct node_position position = { .file = file };
    report_add(report, REPORT_ERROR, &position, "", "%s", reason);
    return false;
}

static bool take_json(struct builder *builder, struct documents *out)
{
    out->items = arena_array(builder->arena, 1, sizeof(*out->items));
    if (out->items == NULL)
        return builder_fail(builder, 1, 1, "out of memory");
    out->items[0] = builder_take(builder);
    out->count = 1;
    return true;
}

enum grammar { GRAMMAR_YAML, GRAMMAR_JSON };

static bool read_as(enum grammar grammar, struct slice text, const char *file,
                    const struct document_reading *reading, struct documents *out)
{
    struct builder builder;
    bool good = builder_init(&builder, file, reading->limits, reading->arena, reading->report);
    *out = (struct documents){ 0 };
    if (!good)
        builder_fail(&builder, 0, 0, "out of memory");
    else if (grammar == GRAMMAR_JSON)
        good = json_read(&builder, text) && take_json(&builder, out);
    else
        good = yaml_read(&builder, text, out);
    good = good && !builder.bad;
    builder_deinit(&builder);
    return good;
}

static bool looks_like_json(struct slice text)
{
    size_t at = 0;
    while (at < text.size && strchr(" \t\r\n", text.data[at]))
        at++;
    return at < text.size && text.data[at] == '{';
}

bool document_read_text(struct slice text, const char *file, const struct document_reading *reading,
                        struct documents *out)
{
    *out = (struct documents){ 0 };
    if (text.size > reading->limits->file_bytes) {
        struct node_position position = { .file = file };
        report_add(reading->report, REPORT_ERROR, &position, "", "too large: more than %zu bytes",
                   reading->limits->file_bytes);
        return false;
    }
    if (slice_ends_with(slice_of(file), SLICE(".json")))
        return read_as(GRAMMAR_JSON, text, file, reading, out);
    if (looks_like_json(text)) {
        /* A trial without reports: it may also be YAML that begins with a brace. */
        struct document_reading trial = { reading->limits, reading->arena, NULL };
        if (read_as(GRAMMAR_JSON, text, file, &trial, out))
            return true;
    }
    return read_as(GRAMMAR_YAML, text, file, reading, out);
}

static char *read_all(int descriptor, size_t limit, size_t *size)
{
    size_t capacity = 64 * 1024;
    char *data = malloc(capacity);
    *size = 0;
    while (data != NULL) {
        ssize_t got = read(descriptor, data + *size, capacity - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(data);
            return NULL;
        }
        *size += (size_t)got;
        if (got == 0 || *size > limit)
            return data;
        if (*size == capacity) {
            char *more = realloc(data, capacity *= 2);
            if (more == NULL)
                free(data);
            data = more;
        }
    }
    errno = ENOMEM;
    return NULL;
}

bool document_load(const char *path, const struct document_reading *reading, struct slice *text)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail(reading->report, path, strerror(errno));
    size_t size;
    char *data = read_all(descriptor, reading->limits->file_bytes, &size);
    int error = errno;
    close(descriptor);
    if (data == NULL)
        return fail(reading->report, path, strerror(error));
    *text = arena_copy(reading->arena, (struct slice){ data, size });
    free(data);
    return text->data != NULL || fail(reading->report, path, "out of memory");
}

bool document_read_file(const char *path, const struct document_reading *reading, struct documents *out)
{
    struct slice text;
    *out = (struct documents){ 0 };
    return document_load(path, reading, &text) && document_read_text(text, path, reading, out);
}

const struct node *node_find(const struct node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != NODE_MAPPING)
        return NULL;
    for (uint32_t i = 0; i < mapping->count; i++)
        if (slice_equal(mapping->entries[i].key, slice_of(key)))
            return mapping->entries[i].value;
    return NULL;
}

const char *node_kind_name(enum node_kind kind)
{
    static const char *const names[] = {
        [NODE_NULL] = "null",       [NODE_BOOLEAN] = "a boolean", [NODE_NUMBER] = "a number",
        [NODE_STRING] = "a string", [NODE_SEQUENCE] = "an array", [NODE_MAPPING] = "a record",
    };
    return names[kind];
}
