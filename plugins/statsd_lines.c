/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/statsd_lines.h"

const char *const statsd_type_names[] = { "counter", "gauge", "histogram",    "meter",
                                          "set",     "timer", "distribution", NULL };

static const char *const codes[] = { "c", "g", "h", "m", "s", "ms", "d" };

static void add_word(struct text *text, struct slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        char c = word.data[i];
        bool bad = (unsigned char)c < 0x20 || strchr("|:,#@;=[]", c) != NULL;
        text_byte(text, bad ? '_' : c);
    }
}

/* Values of tags may hold more: URLs have colons. */
static void add_tag(struct text *text, const struct statsd_tag *tag, char between)
{
    add_word(text, tag->name);
    text_byte(text, between);
    for (size_t i = 0; i < tag->value.size; i++) {
        char c = tag->value.data[i];
        text_byte(text, (unsigned char)c < 0x20 || strchr("|,#;[]", c) ? '_' : c);
    }
}

static void add_tags(struct text *text, const struct statsd_line *line, char between)
{
    for (uint32_t i = 0; i < line->tag_count; i++) {
        if (i > 0)
            text_byte(text, ',');
        add_tag(text, &line->tags[i], between);
    }
}

static void add_name(struct text *text, const struct statsd_line *line)
{
    for (size_t i = 0; i < line->name.size; i++) {
        char c = line->name.data[i];
        text_byte(text, (unsigned char)c < 0x20 || strchr("|:,#@;=[]", c) ? '_' : c);
    }
    if (line->tag_count == 0)
        return;
    switch (line->style) {
    case STATSD_PLAIN:
    case STATSD_DOGSTATSD: return;
    case STATSD_INFLUXDB:
        text_byte(text, ',');
        add_tags(text, line, '=');
        return;
    case STATSD_LIBRATO:
        text_byte(text, '#');
        add_tags(text, line, '=');
        return;
    case STATSD_SIGNALFX:
        text_byte(text, '[');
        add_tags(text, line, '=');
        text_byte(text, ']');
        return;
    }
}

void statsd_write(struct text *text, const struct statsd_line *line)
{
    add_name(text, line);
    text_byte(text, ':');
    if (line->word.data)
        add_word(text, line->word);
    else
        text_u64(text, line->value);
    text_byte(text, '|');
    text_add(text, slice_of(codes[line->type]));
    if (line->sample_rate < 1)
        text_format(text, "|@%g", line->sample_rate);
    if (line->style == STATSD_DOGSTATSD && line->tag_count > 0) {
        text_literal(text, "|#");
        add_tags(text, line, ':');
    }
}
