/* SPDX-License-Identifier: Apache-2.0 */
#include "net/redis/redis_reply.h"

/* --- commands ------------------------------------------------------------------------------------------- */

static unsigned digit_count(size_t number)
{
    unsigned digits = 1;
    while (number >= 10) {
        number /= 10;
        digits++;
    }
    return digits;
}

/* "<mark><number>\r\n" */
static char *write_count(char *out, char mark, size_t number)
{
    unsigned digits = digit_count(number);
    *out++ = mark;
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    out += digits;
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

size_t redis_command_size(const struct redis_command *command)
{
    size_t size = 3 + digit_count(command->word_count);
    for (unsigned i = 0; i < command->word_count; i++)
        size += 3 + digit_count(command->words[i].size) + command->words[i].size + 2;
    return size;
}

char *redis_command_write(const struct redis_command *command, char *out)
{
    out = write_count(out, '*', command->word_count);
    for (unsigned i = 0; i < command->word_count; i++) {
        struct slice word = command->words[i];
        out = write_count(out, '$', word.size);
        if (word.size > 0)
            memcpy(out, word.data, word.size);
        out += word.size;
        *out++ = '\r';
        *out++ = '\n';
    }
    return out;
}

/* --- replies -------------------------------------------------------------------------------------------- */

void redis_reader_init(struct redis_reader *reader)
{
    reader->size = 0;
    reader->text_bytes = 0;
}

static bool parse_integer(struct slice text, int64_t *value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (!slice_to_u64(negative ? slice_from(text, 1) : text, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX)
        return false;
    *value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

/* Moves up to `count` bytes behind what is there already; the caller knows that they fit. */
static void take_bytes(struct redis_reader *reader, struct slice *bytes, size_t count)
{
    memcpy(reader->text + reader->size, bytes->data, count);
    reader->size += count;
    *bytes = slice_from(*bytes, count);
}

static bool ends_line(const struct redis_reader *reader)
{
    return reader->size >= 2 && reader->text[reader->size - 2] == '\r' &&
           reader->text[reader->size - 1] == '\n';
}

/* "$<size>": nil, or the text follows. */
static enum redis_progress begin_text(struct redis_reader *reader, struct slice line,
                                      struct redis_reply *reply)
{
    int64_t size;
    if (!parse_integer(line, &size) || size < -1 || size > REDIS_TEXT_MAX_BYTES)
        return REDIS_INVALID;
    reader->size = 0;
    if (size == -1) {
        *reply = (struct redis_reply){ .kind = REDIS_NIL };
        return REDIS_COMPLETE;
    }
    reader->text_bytes = (size_t)size + 2;
    return REDIS_MORE;
}

/* "*<count>": nil, or so many items follow. */
static enum redis_progress begin_array(struct redis_reader *reader, struct slice line,
                                       struct redis_reply *reply)
{
    int64_t count;
    if (!parse_integer(line, &count) || count < -1 || count > REDIS_ELEMENTS_MAX)
        return REDIS_INVALID;
    reader->size = 0;
    *reply = (struct redis_reply){ .kind = count < 0 ? REDIS_NIL : REDIS_ARRAY, .integer = count };
    return REDIS_COMPLETE;
}

static enum redis_progress end_line(struct redis_reader *reader, struct redis_reply *reply)
{
    if (!ends_line(reader) || reader->size < 3)
        return REDIS_INVALID;
    struct slice line = { reader->text + 1, reader->size - 3 };
    *reply = (struct redis_reply){ .text = line };
    switch (reader->text[0]) {
    case '+': reply->kind = REDIS_STATUS; break;
    case '-': reply->kind = REDIS_ERROR; break;
    case ':':
        reply->kind = REDIS_INTEGER;
        reply->is_number = parse_integer(line, &reply->integer);
        if (!reply->is_number)
            return REDIS_INVALID;
        break;
    case '$': return begin_text(reader, line, reply);
    case '*': return begin_array(reader, line, reply);
    default: return REDIS_INVALID;
    }
    reader->size = 0;
    return REDIS_COMPLETE;
}

static enum redis_progress feed_line(struct redis_reader *reader, struct slice *bytes,
                                     struct redis_reply *reply)
{
    const char *end = memchr(bytes->data, '\n', bytes->size);
    size_t count = end ? (size_t)(end - bytes->data) + 1 : bytes->size;
    if (count > sizeof(reader->text) - reader->size)
        return REDIS_INVALID;
    take_bytes(reader, bytes, count);
    return end ? end_line(reader, reply) : REDIS_MORE;
}

static enum redis_progress feed_text(struct redis_reader *reader, struct slice *bytes,
                                     struct redis_reply *reply)
{
    size_t missing = reader->text_bytes - reader->size;
    take_bytes(reader, bytes, missing < bytes->size ? missing : bytes->size);
    if (reader->size < reader->text_bytes)
        return REDIS_MORE;
    if (!ends_line(reader))
        return REDIS_INVALID;
    *reply = (struct redis_reply){ .kind = REDIS_TEXT, .text = { reader->text, reader->text_bytes - 2 } };
    reply->is_number = parse_integer(reply->text, &reply->integer);
    redis_reader_init(reader);
    return REDIS_COMPLETE;
}

enum redis_progress redis_reader_feed(struct redis_reader *reader, struct slice *bytes,
                                      struct redis_reply *reply)
{
    enum redis_progress progress = REDIS_MORE;
    while (bytes->size > 0 && progress == REDIS_MORE)
        progress = reader->text_bytes ? feed_text(reader, bytes, reply) : feed_line(reader, bytes, reply);
    return progress;
}
