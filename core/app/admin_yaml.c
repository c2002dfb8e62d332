/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_yaml.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_value(const json_t *value, unsigned depth, FILE *out);

/* What JSON writes as it is and YAML does not: DEL, C1 controls, line ends of Unicode, its byte order mark
 * and what is no character. The bytes of it, and the code; 0: an ordinary byte. */
static size_t special(const unsigned char *text, unsigned *code)
{
    if (text[0] == 0x7f) {
        *code = 0x7f;
        return 1;
    }
    if (text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f) {
        *code = text[1];
        return 2;
    }
    if (text[0] < 0xe2 || text[0] > 0xef || text[1] == 0 || text[2] == 0)
        return 0;
    *code = (unsigned)(text[0] & 15) << 12 | (unsigned)(text[1] & 63) << 6 | (unsigned)(text[2] & 63);
    bool breaks = *code == 0x2028 || *code == 0x2029;
    return breaks || *code == 0xfeff || *code == 0xfffe || *code == 0xffff ? 3 : 0;
}

/* JSON's quoted texts are YAML's, but for some characters. */
static void write_flat(const json_t *value, FILE *out)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    const unsigned char *at = (const unsigned char *)(text ? text : "null");
    while (*at) {
        unsigned code = 0;
        size_t size = special(at, &code);
        if (size)
            fprintf(out, "\\u%04x", code);
        else
            fputc(*at, out);
        at += size ? size : 1;
    }
    free(text);
}

static void write_key(const char *name, FILE *out)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    size_t size = strspn(name, letters);
    bool reserved = strcmp(name, "y") == 0 || strcmp(name, "n") == 0 || strcmp(name, "yes") == 0 ||
                    strcmp(name, "no") == 0 || strcmp(name, "on") == 0 || strcmp(name, "off") == 0 ||
                    strcmp(name, "true") == 0 || strcmp(name, "false") == 0 || strcmp(name, "null") == 0;
    if (size > 0 && name[size] == '\0' && !reserved) {
        fputs(name, out);
        return;
    }
    json_t *text = json_string(name);
    write_flat(text, out);
    json_decref(text);
}

static void indent(unsigned depth, FILE *out)
{
    for (unsigned i = 0; i < depth; i++)
        fputs("  ", out);
}

static bool is_flat(const json_t *value)
{
    return (!json_is_object(value) || json_object_size(value) == 0) &&
           (!json_is_array(value) || json_array_size(value) == 0);
}

/* The first member stands where the writer is, the others below it. */
static void write_object(const json_t *object, unsigned depth, FILE *out)
{
    const char *name;
    json_t *value;
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!first)
            indent(depth, out);
        first = false;
        write_key(name, out);
        fputc(':', out);
        if (is_flat(value)) {
            fputc(' ', out);
            write_flat(value, out);
            fputc('\n', out);
            continue;
        }
        fputc('\n', out);
        indent(depth + 1, out);
        write_value(value, depth + 1, out);
    }
}

static void write_array(const json_t *array, unsigned depth, FILE *out)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            indent(depth, out);
        fputs("- ", out);
        write_value(json_array_get(array, i), depth + 1, out);
    }
}

static void write_value(const json_t *value, unsigned depth, FILE *out)
{
    if (is_flat(value)) {
        write_flat(value, out);
        fputc('\n', out);
    } else if (json_is_object(value)) {
        write_object(value, depth, out);
    } else {
        write_array(value, depth, out);
    }
}

char *admin_yaml(const json_t *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    write_value(value, 0, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
