/* SPDX-License-Identifier: Apache-2.0 */
/* A file that takes lines from one shard: they collect in one of two buffers while the other is written
 * through the ring, where the kernel may block for as long as it likes. What finds no room is dropped and
 * counted (METRIC_LOG_DROPPED); every line is written whole. A full disk costs the lines it has no room for.
 * One shard. */
#pragma once

#include "core/io/shard.h"

enum { LINE_FILE_BUFFER_BYTES = 256 * 1024 };

/* Opens later: a file that cannot be opened is tried again with the lines that come then. */
enum line_file_opening { LINE_FILE_OPEN_NOW, LINE_FILE_OPEN_LATER };

struct line_file_options {
    const char *path; /* /dev/stdout and /dev/stderr are taken as they are; lives as long as the file */
    unsigned mode; /* of a new file */
    enum line_file_opening opening;
};

struct line_file {
    struct shard *shard;
    struct line_file_options options;
    struct list_node node; /* for who has several; not used here */
    int fd; /* -1: not open */
    char *buffers[2];
    uint32_t filled[2]; /* bytes */
    uint32_t written; /* of the one being written */
    unsigned filling; /* which one takes lines */
    bool reopen; /* before the next write */
    bool torn; /* the file ends in the middle of a line */
    bool failed; /* to open, the last time */
    uint64_t retry_ms; /* not to be opened again before */
    struct op open_op, write_op;
    struct shard_task task;
};

enum error line_file_open(struct line_file *file, struct shard *shard,
                          const struct line_file_options *options) MUST_CHECK;

/* What is buffered is written first, blocking. Between shard_disconnect and shard_close; legal for one that
 * was zeroed with fd -1. */
void line_file_close(struct line_file *file);

/* Lines from now on go to whatever file is at the path then. */
void line_file_reopen(struct line_file *file);

/* One line with its end. */
void line_file_add(struct line_file *file, struct slice line);

/* The same without a copy: writes no more than *room bytes there and tells how many they were (0: the line is
 * given up, and counted). */
char *line_file_room(struct line_file *file, uint32_t *room);
void line_file_added(struct line_file *file, uint32_t size);

/* Nothing is being written and nothing waits to be. */
bool line_file_is_idle(const struct line_file *file);
