/* SPDX-License-Identifier: Apache-2.0 */
#include "config/aws/reader.h"

#include "core/crypto/digest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t scratch_limit_bytes = (size_t)1 << 30;

bool aws_fail_memory(struct aws_reader *reader)
{
    if (!reader->out_of_memory)
        report_add(reader->report, REPORT_ERROR, NULL, "", "out of memory");
    reader->out_of_memory = true;
    return false;
}

void *aws_take(struct aws_reader *reader, struct arena *arena, size_t size)
{
    void *memory = arena_alloc_zero(arena, size);
    if (memory == NULL)
        aws_fail_memory(reader);
    return memory;
}

bool aws_add(struct aws_reader *reader, struct aws_list *list, void *item)
{
    if (item == NULL)
        return aws_fail_memory(reader);
    if (list->count == list->capacity) {
        uint32_t larger = list->capacity ? list->capacity * 2 : 8;
        void **items = arena_array(&reader->scratch, larger, sizeof(*items));
        if (items == NULL)
            return aws_fail_memory(reader);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = larger;
    }
    list->items[list->count++] = item;
    return true;
}

struct slice aws_text(struct aws_reader *reader, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    struct slice copy = { NULL, 0 };
    if (size >= 0)
        copy = arena_copy(&reader->scratch, (struct slice){ text, (size_t)size });
    if (size >= 0)
        free(text);
    if (copy.data == NULL)
        aws_fail_memory(reader);
    return copy.data ? copy : SLICE("");
}

static void report_about(const struct aws_reader *reader, const struct aws_object *object, const char *field,
                         const struct report_place *what, const char *reason)
{
    const struct node *value = field[0] ? node_find(object->node, field) : NULL;
    struct report_place place = *what;
    struct slice path = slice_of(object->address);
    if (field[0])
        path = report_join(&reader->report->arena, object->address, field);
    place.report = reader->report;
    place.position = value ? &value->position : &object->node->position;
    place.path = path.data ? path.data : "";
    report_write(&place, "%s", reason);
}

void aws_refuse(struct aws_reader *reader, const struct aws_object *object, const char *field,
                const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    report_about(reader, object, field, &(struct report_place){ .kind = REPORT_ERROR }, reason);
}

void aws_warn(struct aws_reader *reader, const struct aws_object *object, const char *field,
              const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    report_about(reader, object, field, &(struct report_place){ .kind = REPORT_WARNING }, reason);
}

struct config_place aws_place(struct aws_reader *reader, const struct aws_object *object)
{
    return (struct config_place){ .report = reader->report,
                                  .arena = &reader->model->arena,
                                  .path = object->address,
                                  .position = &object->node->position };
}

struct slice aws_generated_id(struct aws_reader *reader, struct slice of, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char digest[DIGEST_MAX];
    char *id = aws_take(reader, &reader->model->arena, size + 1);
    if (id == NULL || !digest_of(DIGEST_SHA256, of, digest)) {
        aws_fail_memory(reader);
        return SLICE("");
    }
    for (size_t i = 0; i < size; i++)
        id[i] = letters[digest[i] % (sizeof(letters) - 1)];
    return (struct slice){ id, size };
}

bool aws_recognise(const struct node *document)
{
    const struct node *version = node_find(document, "terraform_version");
    return (version && (node_find(document, "values") || node_find(document, "planned_values"))) ||
           node_find(document, "openapi") != NULL;
}

static void read_documents(struct aws_reader *reader)
{
    const struct aws_sources *sources = reader->reading->sources;
    for (uint32_t i = 0; i < sources->count; i++) {
        const struct node *document = sources->items[i].document;
        if (document == NULL || slice_ends_with(slice_of(sources->items[i].path), SLICE(".tf.json")))
            continue;
        if (node_find(document, "openapi"))
            aws_read_openapi(reader, document, NULL);
        else
            aws_read_show(reader, document);
    }
}

/* The style for requests without a route is that of whoever was there first: Kong, Kubernetes, then AWS. */
bool aws_read_all(const struct aws_reading *reading)
{
    uint32_t before = reading->report->error_count;
    struct aws_reader reader = { .reading = reading, .model = reading->model, .report = reading->report };
    arena_init(&reader.scratch, NULL, 0, scratch_limit_bytes);
    aws_read_terraform(&reader);
    read_documents(&reader);
    aws_link(&reader);
    /* What is wrong with single resources would be reported again. */
    if (reading->report->error_count == before)
        aws_compile(&reader);
    if (!reading->model->kong_headers && reading->model->style == ANSWER_STYLE_KONG)
        reading->model->style = ANSWER_STYLE_AWS;
    arena_deinit(&reader.scratch);
    return reading->report->error_count == before;
}
