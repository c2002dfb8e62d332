/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the Redis protocol (RESP 2): commands written, replies read as they come in, in pieces of any
 * size, without allocating. Replies come as items: status, error, integer, short text, nil, or the beginning
 * of an array, whose elements follow as items of their own. A longer text is ERROR_PROTOCOL. Owned by a
 * connection; one shard. */
#pragma once

#include "core/base/error.h"
#include "core/base/slice.h"

enum { REDIS_TEXT_MAX_BYTES = 512, REDIS_WORDS_MAX = 4, REDIS_ELEMENTS_MAX = 65536 };

struct redis_command {
    struct slice words[REDIS_WORDS_MAX];
    unsigned word_count;
};

/* The size of the command as written. */
size_t redis_command_size(const struct redis_command *command);
/* Writes exactly that many bytes; returns the end. */
char *redis_command_write(const struct redis_command *command, char *out);

enum redis_reply_kind { REDIS_STATUS, REDIS_ERROR, REDIS_INTEGER, REDIS_TEXT, REDIS_NIL, REDIS_ARRAY };

struct redis_reply {
    enum redis_reply_kind kind;
    int64_t integer; /* REDIS_INTEGER; REDIS_TEXT that is a number; of REDIS_ARRAY its elements */
    bool is_number;    /* `integer` is set */
    struct slice text; /* STATUS, ERROR, TEXT: until the next call of the reader */
};

struct redis_reader {
    char text[REDIS_TEXT_MAX_BYTES + 2];
    size_t size;
    size_t text_bytes; /* of the text being read, with its end; 0: a line is being read */
};

void redis_reader_init(struct redis_reader *reader);

enum redis_progress { REDIS_MORE, REDIS_COMPLETE, REDIS_INVALID };

/* Takes bytes from the front of *bytes until an item is complete or all are taken. */
enum redis_progress redis_reader_feed(struct redis_reader *reader, struct slice *bytes,
                                      struct redis_reply *reply);
