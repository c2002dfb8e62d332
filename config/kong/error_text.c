/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/error_tree.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static int compare_names(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

static void write_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\r')
            fputs("\\r", out);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static bool is_identifier(const char *name)
{
    const char *const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t size = strspn(name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_");
    return name[0] != '\0' && strchr(letters, name[0]) && name[size] == '\0';
}

static void write_value(const json_t *value, FILE *out);

/* Nulls are holes: behind the first one elements stand with their index. */
static void write_array(const json_t *array, FILE *out)
{
    size_t i;
    const json_t *one;
    bool hole = false;
    const char *comma = "";
    json_array_foreach(array, i, one)
    {
        if (json_is_null(one)) {
            hole = true;
            continue;
        }
        fputs(comma, out);
        if (hole)
            fprintf(out, "[%zu]=", i + 1);
        write_value(one, out);
        comma = ",";
    }
}

static void write_object(const json_t *object, FILE *out)
{
    size_t count = 0;
    const char **names = calloc(json_object_size(object) + 1, sizeof(*names));
    if (names == NULL)
        return;
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at))
        names[count++] = json_object_iter_key(at);
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? "," : "", out);
        if (is_identifier(names[i])) {
            fputs(names[i], out);
        } else {
            fputc('[', out);
            write_text(names[i], out);
            fputc(']', out);
        }
        fputc('=', out);
        write_value(json_object_get(object, names[i]), out);
    }
    free(names);
}

static void write_value(const json_t *value, FILE *out)
{
    if (json_is_string(value)) {
        write_text(json_string_value(value), out);
        return;
    }
    fputc('{', out);
    if (json_is_array(value))
        write_array(value, out);
    else
        write_object(value, out);
    fputc('}', out);
}

char *kong_error_literal(const json_t *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    write_value(value, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

json_t *kong_error_answer(const struct kong_error_source *source, enum kong_error_form form)
{
    struct kong_error_tree tree = kong_error_tree(source, form);
    json_t *flattened = form == KONG_ERRORS_FLATTENED ? kong_error_flatten(source->documents, &tree) : NULL;
    char *literal = kong_error_literal(tree.fields);
    json_t *answer = NULL;
    if (literal)
        answer = json_pack("{s:i, s:s, s:s+, s:O}", "code", 14, "name", "invalid declarative configuration",
                           "message", "declarative config is invalid: ", literal, "fields", tree.fields);
    if (answer && flattened)
        json_object_set(answer, "flattened_errors", flattened);
    free(literal);
    json_decref(flattened);
    json_decref(tree.fields);
    json_decref(tree.ids);
    return answer;
}
