/* SPDX-License-Identifier: Apache-2.0 */
#include "config/report.h"

#include "config/document.h"

#include <stdarg.h>
#include <stdlib.h>

enum { REPORT_LIMIT = 1000, FIRST_CAPACITY = 16, REPORT_BYTES = 16 * 1024 * 1024 };

void report_init(struct report *report)
{
    *report = (struct report){ .limit = REPORT_LIMIT };
    arena_init(&report->arena, NULL, 0, REPORT_BYTES);
}

void report_deinit(struct report *report)
{
    arena_deinit(&report->arena);
    *report = (struct report){ 0 };
}

static bool reserve(struct report *report)
{
    if (report->count < report->capacity)
        return true;
    uint32_t capacity = report->capacity ? report->capacity * 2 : FIRST_CAPACITY;
    struct report_entry *entries = arena_array(&report->arena, capacity, sizeof(*entries));
    if (entries == NULL)
        return false;
    if (report->count)
        memcpy(entries, report->entries, report->count * sizeof(*entries));
    report->entries = entries;
    report->capacity = capacity;
    return true;
}

/* Places outlive the document they were found in: texts are copied. */
static const char *keep(struct report *report, const char *text)
{
    struct slice copy = arena_copy(&report->arena, slice_of(text));
    return copy.data ? copy.data : "";
}

static const char *keep_file(struct report *report, const char *file)
{
    if (report->count > 0 && strcmp(report->entries[report->count - 1].file, file) == 0)
        return report->entries[report->count - 1].file;
    return keep(report, file);
}

void report_write(const struct report_place *place, const char *format, ...)
{
    struct report *report = place->report;
    const struct node_position *position = place->position;
    if (place->kind == REPORT_ERROR)
        report->error_count++;
    if (report->count >= report->limit || !reserve(report))
        return;
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);

    struct report_entry entry = {
        .kind = place->kind,
        .shape = place->shape,
        .order = report->count,
        .file = "",
        .id = place->id ? keep(report, place->id) : NULL,
        .meant = place->meant ? keep(report, place->meant) : NULL,
        .path = keep(report, place->path ? place->path : ""),
    };
    if (position) {
        entry.file = keep_file(report, position->file ? position->file : "");
        entry.line = position->line;
        entry.column = position->column;
    }
    entry.reason = keep(report, reason);
    report->entries[report->count++] = entry;
}

static int compare(const void *left, const void *right)
{
    const struct report_entry *a = left, *b = right;
    int by_file = strcmp(a->file, b->file);
    if (by_file != 0)
        return by_file;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    int by_path = strcmp(a->path, b->path);
    return by_path ? by_path : a->order < b->order ? -1 : 1;
}

void report_sort(struct report *report)
{
    if (report->count > 1)
        qsort(report->entries, report->count, sizeof(*report->entries), compare);
}

/* Values of a file end up in messages: a terminal must not see its control characters. */
static void print_clean(const char *text, FILE *out)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            fprintf(out, "\\x%02x", (unsigned)(unsigned char)*text);
        else
            fputc(*text, out);
}

void report_print(const struct report *report, FILE *out)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const struct report_entry *entry = &report->entries[i];
        if (entry->line > 0)
            fprintf(out, "%s:%u:%u: ", entry->file, entry->line, entry->column);
        else if (entry->file[0])
            fprintf(out, "%s: ", entry->file);
        fputs(entry->kind == REPORT_WARNING ? "warning: " : "", out);
        print_clean(entry->path, out);
        fputs(entry->path[0] ? ": " : "", out);
        print_clean(entry->reason, out);
        if (entry->meant)
            fprintf(out, " (did you mean '%s'?)", entry->meant);
        fputc('\n', out);
    }
    uint32_t printed = 0;
    for (uint32_t i = 0; i < report->count; i++)
        printed += report->entries[i].kind == REPORT_ERROR;
    if (report->error_count > printed)
        fprintf(out, "%u more errors\n", report->error_count - printed);
}

bool report_needs_quotes(const char *name)
{
    return name[0] == '\0' || strpbrk(name, ".[]\"") != NULL;
}

static struct slice join_quoted(struct arena *arena, const char *path, const char *name)
{
    size_t path_size = strlen(path), name_size = strlen(name);
    char *text = arena_alloc(arena, path_size + 2 * name_size + 5);
    if (text == NULL)
        return (struct slice){ NULL, 0 };
    memcpy(text, path, path_size);
    char *out = text + path_size;
    *out++ = '[';
    *out++ = '"';
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            *out++ = '\\';
        *out++ = *name;
    }
    memcpy(out, "\"]", 3);
    return (struct slice){ text, (size_t)(out - text) + 2 };
}

struct slice report_join(struct arena *arena, const char *path, const char *name)
{
    if (report_needs_quotes(name))
        return join_quoted(arena, path, name);
    return arena_format(arena, "%s%s%s", path, path[0] ? "." : "", name);
}

/* The name in ["name"] from the quote on, unescaped where it stands; returns what follows the bracket. */
static char *unquote(char *quote, struct report_step *step)
{
    char *in = quote + 1, *out = in;
    *step = (struct report_step){ .name = out };
    while (*in && *in != '"') {
        in += in[0] == '\\' && in[1] != '\0';
        *out++ = *in++;
    }
    if (*in)
        in += in[1] == ']' ? 2 : 1;
    *out = '\0';
    return in;
}

size_t report_split(char *path, struct report_step *steps, size_t room)
{
    size_t count = 0;
    while (*path && count < room) {
        struct report_step *step = &steps[count++];
        if (path[0] == '[' && path[1] == '"') {
            *path = '\0';
            path = unquote(path + 1, step);
        } else if (path[0] == '[') {
            *path = '\0';
            *step = (struct report_step){ .index = (uint32_t)strtoul(path + 1, &path, 10) };
            path += *path == ']';
        } else {
            path += *path == '.';
            *step = (struct report_step){ .name = path };
            path += strcspn(path, ".[");
            if (*path == '.')
                *path++ = '\0';
        }
    }
    return count;
}
