/* SPDX-License-Identifier: Apache-2.0 */
#include "config/error_template.h"

#include <stdio.h>

const char *error_template_parse(struct slice text, struct arena *arena, struct error_template *out)
{
    char *copy = arena_alloc(arena, text.size + 1);
    size_t used = 0, begin = 0;
    unsigned part = 0;
    if (copy == NULL)
        return "out of memory";
    for (size_t i = 0; i < text.size; i++) {
        char after = i + 1 < text.size ? text.data[i + 1] : '\0';
        if (text.data[i] != '%') {
            copy[used++] = text.data[i];
            continue;
        }
        i++;
        if (after == '%')
            copy[used++] = '%';
        else if (after != 's')
            return "holds a % that is neither %s nor %%";
        else if (part == 2)
            return "holds more than two %s";
        else {
            out->parts[part++] = (struct slice){ copy + begin, used - begin };
            begin = used;
        }
    }
    out->parts[2] = (struct slice){ copy + begin, used - begin };
    return part == 2 ? NULL : "must hold two %s: the message and the request's id";
}

const char *error_template_read(const char *path, struct arena *arena, struct error_template *out)
{
    FILE *file = fopen(path, "re");
    char *text = arena_alloc(arena, ERROR_TEMPLATE_BYTES_MAX + 1);
    if (file == NULL)
        return "cannot be opened";
    size_t size = text ? fread(text, 1, ERROR_TEMPLATE_BYTES_MAX + 1, file) : 0;
    bool bad = ferror(file) != 0;
    fclose(file);
    if (text == NULL)
        return "out of memory";
    if (bad)
        return "cannot be read";
    if (size > ERROR_TEMPLATE_BYTES_MAX)
        return "is larger than 256 KiB";
    return error_template_parse((struct slice){ text, size }, arena, out);
}
