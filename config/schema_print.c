/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <math.h>
#include <stdio.h>

static const char *const type_names[] = {
    [FIELD_STRING] = "string",
    [FIELD_BOOLEAN] = "boolean",
    [FIELD_INTEGER] = "integer",
    [FIELD_NUMBER] = "number",
    [FIELD_CHOICE] = "one of",
    [FIELD_CHOICES] = "array of",
    [FIELD_STRINGS] = "array",
    [FIELD_RECORD] = "record",
    [FIELD_MAP] = "map of arrays",
    [FIELD_DURATION] = "duration",
    [FIELD_SIZE] = "size in bytes",
    [FIELD_INTEGERS] = "array of integers",
    [FIELD_RECORDS] = "array of records",
    [FIELD_RECORD_MAP] = "map of records",
};

static void print_range(const struct field *field, FILE *out)
{
    if (field->flags & FIELD_POSITIVE)
        fprintf(out, ", greater than 0");
    if (field->min == 0 && field->max == 0)
        return;
    const char *unit = field->type == FIELD_DURATION ? " ms" : field->type == FIELD_SIZE ? " bytes" : "";
    bool list = field->type == FIELD_STRINGS || field->type == FIELD_CHOICES;
    if (list && field->max == 0)
        fprintf(out, ", at least %.15g", field->min);
    else if (isinf(field->max))
        fprintf(out, ", from %.15g%s", field->min, unit);
    else
        fprintf(out, ", %.15g to %.15g%s", field->min, field->max, unit);
}

static void print_field(const struct field *field, int depth, FILE *out)
{
    int indent = 2 + 2 * depth;
    fprintf(out, "%*s%-*s %s", indent, "", 28 - 2 * depth, field->name, type_names[field->type]);
    for (int i = 0; field->choices && field->choices[i]; i++)
        fprintf(out, "%s%s", i ? ", " : " ", field->choices[i]);
    print_range(field, out);
    if (field->fallback)
        fprintf(out, ", default %s", field->fallback);
    if (field->flags & FIELD_REQUIRED)
        fprintf(out, ", required");
    if (field->flags & FIELD_SECRET)
        fprintf(out, ", secret");
    if (field->flags & FIELD_UNSUPPORTED)
        fprintf(out, ", not supported yet");
    if (field->alias)
        fprintf(out, ", also %s", field->alias);
    fputc('\n', out);
    if (field->help)
        fprintf(out, "%*s%s\n", indent + 4, "", field->help);
}

static void print_fields(const struct schema *schema, int depth, FILE *out)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        print_field(&schema->fields[i], depth, out);
        if (schema->fields[i].record)
            print_fields(schema->fields[i].record, depth + 1, out);
    }
}

void schema_print(const struct schema *schema, FILE *out)
{
    fprintf(out, "%s\n", schema->name);
    print_fields(schema, 0, out);
}
