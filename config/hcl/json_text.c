/* SPDX-License-Identifier: Apache-2.0 */
/* Values as JSON. Terraform escapes <, > and & too, and sorts the keys. */
#include "config/hcl/evaluate.h"

#include <stdio.h>
#include <stdlib.h>

enum { NESTING_MAX = 64 };

struct writing {
    FILE *out;
    int depth;
    bool failed;
};

static void write_text(struct writing *writing, struct slice text)
{
    static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
    fputc('"', writing->out);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        const char *found = c ? strchr(from, c) : NULL;
        if (found)
            fprintf(writing->out, "\\%c", to[found - from]);
        else if ((unsigned char)c < ' ' || c == '<' || c == '>' || c == '&')
            fprintf(writing->out, "\\u%04x", (unsigned)c);
        else
            fputc(c, writing->out);
    }
    fputc('"', writing->out);
}

static int compare(const void *left, const void *right)
{
    const struct node_entry *const *a = left, *const *b = right;
    return slice_compare((*a)->key, (*b)->key);
}

static void write_node(struct writing *writing, const struct node *node);

static void write_entries(struct writing *writing, const struct node *node)
{
    const struct node_entry **entries = calloc(node->count + 1u, sizeof(*entries));
    writing->failed |= entries == NULL;
    for (uint32_t i = 0; entries && i < node->count; i++)
        entries[i] = &node->entries[i];
    if (entries && node->kind == NODE_MAPPING)
        qsort(entries, node->count, sizeof(*entries), compare);
    for (uint32_t i = 0; entries && i < node->count; i++) {
        if (i)
            fputc(',', writing->out);
        if (node->kind == NODE_MAPPING) {
            write_text(writing, entries[i]->key);
            fputc(':', writing->out);
        }
        write_node(writing, entries[i]->value);
    }
    free(entries);
}

static void write_node(struct writing *writing, const struct node *node)
{
    if (node->kind == NODE_STRING) {
        write_text(writing, node->text);
        return;
    }
    if (node->kind != NODE_SEQUENCE && node->kind != NODE_MAPPING) {
        fprintf(writing->out, "%.*s", SLICE_FORMAT(node->kind == NODE_NULL ? SLICE("null") : node->text));
        return;
    }
    if (writing->depth >= NESTING_MAX) {
        writing->failed = true;
        return;
    }
    writing->depth++;
    fputc(node->kind == NODE_SEQUENCE ? '[' : '{', writing->out);
    write_entries(writing, node);
    fputc(node->kind == NODE_SEQUENCE ? ']' : '}', writing->out);
    writing->depth--;
}

struct slice hcl_json_text(struct hcl_evaluation *evaluation, const struct node *node)
{
    char *data = NULL;
    size_t size = 0;
    struct writing writing = { .out = open_memstream(&data, &size) };
    struct slice text = { NULL, 0 };
    if (writing.out) {
        write_node(&writing, node);
        writing.failed |= fclose(writing.out) != 0;
    }
    evaluation->bytes += size;
    if (data && !writing.failed && evaluation->bytes <= HCL_BYTES_MAX)
        text = arena_copy(evaluation->arena, (struct slice){ data, size });
    free(data);
    if (text.data == NULL)
        hcl_refuse(evaluation, &node->position, "too large or too deep to be written as JSON");
    return text;
}
