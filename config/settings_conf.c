/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings_conf.h"

#include "config/settings_apply.h"

/* One line, and those that a backslash at the end joined to it. */
struct line {
    struct slice key, value;
    uint32_t number, key_column, value_column;
};

struct reading {
    struct settings *settings;
    struct slice rest;
    const char *file;
    struct report *report;
    uint32_t number; /* of the line that `rest` begins with */
};

static bool is_key_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static struct slice trim(struct slice text)
{
    text = slice_trim(text);
    while (text.size > 0 && (text.data[text.size - 1] == '\r' || text.data[text.size - 1] == ' ' ||
                             text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Up to the first # that has no backslash before it. */
static struct slice without_comment(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '#' && (i == 0 || text.data[i - 1] != '\\'))
            return (struct slice){ text.data, i };
    return text;
}

/* Splits `key = value`; false when it is none. */
static bool split(struct slice text, struct slice *key, struct slice *value)
{
    *key = trim(slice_split(text, '=', value));
    if (value->data == NULL || key->size == 0)
        return false;
    for (size_t i = 0; i < key->size; i++)
        if (!is_key_character(key->data[i]))
            return false;
    *value = trim(*value);
    return true;
}

bool settings_conf_recognise(struct slice text)
{
    while (text.data != NULL) {
        struct slice key, value;
        struct slice line = trim(without_comment(slice_split(text, '\n', &text)));
        if (line.size > 0)
            return split(line, &key, &value);
    }
    return false;
}

/* The next line without its comment and with what it continues on; absent at the end. */
static struct slice next_line(struct reading *reading, uint32_t *number)
{
    struct slice whole = SLICE("");
    *number = reading->number;
    while (reading->rest.data != NULL) {
        struct slice line = slice_split(reading->rest, '\n', &reading->rest);
        line = trim(without_comment(line));
        reading->number++;
        bool more = line.size > 0 && line.data[line.size - 1] == '\\';
        line.size -= more;
        if (whole.size == 0 && !more)
            return line;
        whole = arena_format(&reading->settings->arena, "%.*s%.*s", SLICE_FORMAT(whole), SLICE_FORMAT(line));
        if (!more || whole.data == NULL)
            return whole;
    }
    return whole;
}

/* \# stands for #. Absent when memory is exhausted. */
static struct slice unescape(struct settings *settings, struct slice text)
{
    char *out = arena_alloc(&settings->arena, text.size + 1);
    size_t size = 0;
    if (out == NULL)
        return (struct slice){ NULL, 0 };
    for (size_t i = 0; i < text.size; i++) {
        i += text.data[i] == '\\' && i + 1 < text.size && text.data[i + 1] == '#';
        out[size++] = text.data[i];
    }
    out[size] = '\0';
    return (struct slice){ out, size };
}

static void apply_line(struct reading *reading, struct slice line, uint32_t number, enum settings_turn turn)
{
    struct node_position position = { reading->file, number, 1 };
    struct slice key, value;
    if (line.size == 0)
        return;
    if (!split(line, &key, &value)) {
        if (turn == SETTINGS_VAULTS)
            report_add(reading->report, REPORT_ERROR, &position, "", "expected key = value");
        return;
    }
    key = arena_copy(&reading->settings->arena, key);
    value = unescape(reading->settings, value);
    if (key.data == NULL || value.data == NULL) {
        report_add(reading->report, REPORT_ERROR, &position, "", "out of memory");
        return;
    }
    struct setting setting = { key, value, position, position, key.data, reading->report };
    if (value.size > 0 && settings_is_turn(key, turn))
        settings_apply_kongs(reading->settings, &setting);
}

bool settings_conf_apply(struct settings *settings, struct slice text, const char *file,
                         struct report *report)
{
    uint32_t before = report->error_count;
    for (int turn = SETTINGS_VAULTS; turn <= SETTINGS_OTHERS; turn++) {
        struct reading reading = { settings, text, file, report, 1 };
        while (reading.rest.data != NULL) {
            uint32_t number;
            struct slice line = next_line(&reading, &number);
            apply_line(&reading, line, number, (enum settings_turn)turn);
        }
    }
    return report->error_count == before;
}
