/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/http1_transcript.h"

#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 1 << 20, FIRST_BYTES = 512, EVENTS_MAX = 1 << 20 };

struct reader {
    struct http1_parser parser;
    struct message message;
    struct arena arena;
    char first[FIRST_BYTES];
    FILE *out;
    char *body;
    size_t body_bytes;
    bool open; /* a message is begun */
};

static void begin(struct reader *reader, const struct http1_script *script)
{
    arena_init(&reader->arena, reader->first, sizeof(reader->first),
               script->arena_bytes ? script->arena_bytes : ARENA_BYTES);
    http1_parser_begin(&reader->parser, &reader->message, &reader->arena);
    if (script->role == HTTP1_RESPONSE)
        http1_parser_expect(&reader->parser, script->answer_to);
    reader->open = true;
}

static void end(struct reader *reader)
{
    if (reader->open)
        arena_deinit(&reader->arena);
    reader->open = false;
}

static void print(FILE *out, struct slice text)
{
    fputc('[', out);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c >= 0x7f || c == '[' || c == ']')
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc(']', out);
}

static void print_headers(FILE *out, const struct header *headers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, " %d", (int)headers[i].id);
        print(out, headers[i].name);
        print(out, headers[i].value);
    }
    fputc('\n', out);
}

static void print_message(FILE *out, const struct message *message)
{
    print(out, message->method);
    print(out, message->target);
    print(out, message->origin_form);
    print(out, message->reason);
    static const char *const framings[] = { "none", "length", "chunked", "until-close" };
    fprintf(out, " status=%d minor=%d%s%s%s body=%s,%llu present=%llx\n", message->status,
            message->version_minor, message->keep_alive ? " keep-alive" : "",
            message->expects_continue ? " continue" : "", message->upgrade ? " upgrade" : "",
            framings[message->framing], (unsigned long long)message->body_bytes,
            (unsigned long long)message->present);
    print_headers(out, message->headers, message->header_count);
}

static void flush_body(struct reader *reader)
{
    if (reader->body_bytes) {
        fputs("BODY ", reader->out);
        print(reader->out, (struct slice){ reader->body, reader->body_bytes });
        fputc('\n', reader->out);
    }
    reader->body_bytes = 0;
}

static void add_body(struct reader *reader, struct slice body)
{
    CHECK(body.size > 0);
    reader->body = realloc(reader->body, reader->body_bytes + body.size);
    CHECK(reader->body != NULL);
    memcpy(reader->body + reader->body_bytes, body.data, body.size);
    reader->body_bytes += body.size;
}

static void report(struct reader *reader, enum http1_event event, struct slice body)
{
    const struct http1_parser *parser = &reader->parser;
    if (event == HTTP1_BODY)
        add_body(reader, body);
    else if (event != HTTP1_MORE)
        flush_body(reader);
    if (event == HTTP1_HEAD) {
        fputs("HEAD ", reader->out);
        print_message(reader->out, &reader->message);
    } else if (event == HTTP1_END) {
        fputs("END", reader->out);
        print_headers(reader->out, parser->trailers, parser->trailer_count);
    } else if (event == HTTP1_REFUSED) {
        fprintf(reader->out, "REFUSED %d %s\n", http1_parser_status(parser),
                http1_refusal_text((enum http1_refusal)parser->refusal));
        print_message(reader->out, &reader->message);
    }
}

/* False after a refusal. */
static bool read_piece(struct reader *reader, const struct http1_script *script, const char *data,
                       size_t size)
{
    size_t at = 0;
    for (int events = 0; events < EVENTS_MAX; events++) {
        size_t consumed;
        struct slice body;
        if (!reader->open)
            begin(reader, script);
        enum http1_event event = http1_parse(&reader->parser, data + at, size - at, &consumed, &body);
        CHECK(consumed <= size - at);
        at += consumed;
        report(reader, event, body);
        if (event == HTTP1_REFUSED)
            return false;
        if (event == HTTP1_END)
            end(reader);
        if (event == HTTP1_MORE) {
            CHECK(at == size);
            return true;
        }
    }
    CHECK(!"the parser comes to no end");
    return false;
}

static bool read_copy(struct reader *reader, const struct http1_script *script, struct slice piece)
{
    char *copy = malloc(piece.size);
    CHECK(copy != NULL);
    memcpy(copy, piece.data, piece.size);
    bool good = read_piece(reader, script, copy, piece.size);
    free(copy);
    return good;
}

char *http1_transcript(const struct http1_script *script, size_t first, size_t step)
{
    char *text = NULL;
    size_t text_bytes;
    struct reader reader = { .out = open_memstream(&text, &text_bytes) };
    CHECK(reader.out != NULL);
    http1_parser_init(&reader.parser, script->role, script->limits);
    struct slice left = script->bytes;
    size_t size = first;
    bool good = true;
    begin(&reader, script);
    while (good && left.size > 0) {
        if (size == 0 || size > left.size)
            size = left.size;
        good = read_copy(&reader, script, (struct slice){ left.data, size });
        left = slice_from(left, size);
        size = step;
    }
    if (good) {
        enum http1_event event = http1_parse_eof(&reader.parser);
        fputs("EOF ", reader.out);
        report(&reader, event, (struct slice){ NULL, 0 });
    }
    flush_body(&reader);
    end(&reader);
    free(reader.body);
    fclose(reader.out);
    return text;
}

static bool agrees(const struct http1_script *script, const char *whole, struct http1_cut cut)
{
    char *text = http1_transcript(script, cut.first, cut.step);
    bool same = strcmp(text, whole) == 0;
    free(text);
    return same;
}

bool http1_cuts_agree(const struct http1_script *script, const char *whole, struct http1_cut *bad)
{
    static const size_t steps[] = { 1, 7, 1000 };
    enum { PLACES = 2048 };
    size_t stride = script->bytes.size / PLACES + 1;
    for (size_t first = 1; first < script->bytes.size; first += stride) {
        *bad = (struct http1_cut){ first, 0 };
        if (!agrees(script, whole, *bad))
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        *bad = (struct http1_cut){ steps[i], steps[i] };
        if (!agrees(script, whole, *bad))
            return false;
    }
    return true;
}
