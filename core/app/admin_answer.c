/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in the shapes that clients of Kong's Admin API know. */
#include "core/app/admin_api.h"

#include <stdio.h>
#include <stdlib.h>

void admin_json(struct admin_answer *answer, int status, json_t *value)
{
    *answer = (struct admin_answer){ .status = status, .type = "application/json; charset=utf-8" };
    answer->body = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    answer->size = answer->body ? strlen(answer->body) : 0;
    json_decref(value);
    if (answer->body == NULL)
        answer->status = 503;
}

void admin_message(struct admin_answer *answer, int status, const char *text)
{
    admin_json(answer, status, json_pack("{s:s}", "message", text));
}

void admin_empty(struct admin_answer *answer, int status)
{
    *answer = (struct admin_answer){ .status = status };
}

void admin_page(struct admin_answer *answer, int status, const char *reason)
{
    static const char format[] = "<html>\n<head><title>%d %s</title></head>\n<body>\n"
                                 "<center><h1>%d %s</h1></center>\n</body>\n</html>\n";
    *answer = (struct admin_answer){ .status = status, .type = "text/html; charset=UTF-8" };
    int size = asprintf(&answer->body, format, status, reason, status, reason);
    if (size < 0)
        answer->body = NULL;
    answer->size = size < 0 ? 0 : (size_t)size;
}

void admin_not_found(struct admin_call *call)
{
    admin_message(call->answer, 404, "Not found");
}

void admin_method_refused(struct admin_call *call)
{
    admin_message(call->answer, 405, "Method not allowed");
}

void admin_error(struct admin_answer *answer, enum admin_error error, const char *message, json_t *fields)
{
    static const struct {
        enum admin_error error;
        int status;
        const char *name;
    } rows[] = {
        { ADMIN_ERROR_SCHEMA, 400, "schema violation" },
        { ADMIN_ERROR_PRIMARY_KEY, 400, "primary key violation" },
        { ADMIN_ERROR_FOREIGN_KEY, 400, "foreign key violation" },
        { ADMIN_ERROR_UNIQUE, 409, "unique constraint violation" },
        { ADMIN_ERROR_OFFSET, 400, "invalid offset" },
        { ADMIN_ERROR_DATABASE, 500, "database error" },
        { ADMIN_ERROR_SIZE, 400, "invalid size" },
        { ADMIN_ERROR_OPTIONS, 400, "invalid options" },
        { ADMIN_ERROR_UNSUPPORTED, 405, "operation unsupported" },
    };
    size_t i = 0;
    while (i + 1 < COUNT_OF(rows) && rows[i].error != error)
        i++;
    json_t *value =
        json_pack("{s:i, s:s, s:s}", "code", (int)error, "name", rows[i].name, "message", message);
    if (fields)
        json_object_set_new(value, error == ADMIN_ERROR_OPTIONS ? "options" : "fields", fields);
    admin_json(answer, rows[i].status, value);
}

/* --- the message of a schema violation ------------------------------------------------------------------ */

struct summary {
    FILE *out;
    unsigned count;
};

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

static void summarise(struct summary *summary, const char *path, const json_t *errors);

static void say(struct summary *summary, const char *path, const char *text)
{
    fprintf(summary->out, "%s%s%s%s", summary->count++ ? "; " : "", path, path[0] ? ": " : "", text);
}

static void summarise_below(struct summary *summary, const char *path, const char *name, const json_t *errors)
{
    char *deeper;
    if (asprintf(&deeper, "%s%s%s", path, path[0] ? "." : "", name) < 0)
        return;
    summarise(summary, deeper, errors);
    free(deeper);
}

/* What is about the whole comes first, then the fields by name. */
static void summarise_object(struct summary *summary, const char *path, json_t *errors)
{
    const char **names = calloc(json_object_size(errors) + 1, sizeof(*names));
    const char *name;
    json_t *one, *rules = json_object_get(errors, "@entity");
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(rules); i++)
        say(summary, path, json_string_value(json_array_get(rules, i)));
    json_object_foreach(errors, name, one) if (names && one != rules) names[count++] = name;
    if (count > 1)
        qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++)
        summarise_below(summary, path, names[i], json_object_get(errors, names[i]));
    free(names);
}

static void summarise(struct summary *summary, const char *path, const json_t *errors)
{
    if (json_is_string(errors))
        say(summary, path, json_string_value(errors));
    if (json_is_object(errors))
        summarise_object(summary, path, (json_t *)(uintptr_t)errors);
    for (size_t i = 0; i < json_array_size(errors); i++) {
        char index[24];
        snprintf(index, sizeof(index), "%zu", i + 1);
        summarise_below(summary, path, index, json_array_get(errors, i));
    }
}

void admin_schema_violation(struct admin_answer *answer, json_t *fields)
{
    char *text = NULL, *message = NULL;
    size_t size;
    struct summary summary = { .out = open_memstream(&text, &size) };
    if (summary.out) {
        summarise(&summary, "", fields);
        fclose(summary.out);
    }
    int made = summary.count == 1
                   ? asprintf(&message, "schema violation (%s)", text ? text : "")
                   : asprintf(&message, "%u schema violations (%s)", summary.count, text ? text : "");
    admin_error(answer, ADMIN_ERROR_SCHEMA, made < 0 ? "schema violation" : message, fields);
    if (made >= 0)
        free(message);
    free(text);
}
