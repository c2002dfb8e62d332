/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { RETRY_MS = 1000 /* after a file could not be opened */ };

static int open_flags(void)
{
    return O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
}

/* The process' own descriptors are not opened a second time. -1: it is another file. */
static int own_descriptor(const char *path)
{
    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    return strcmp(path, "/dev/stderr") == 0 ? STDERR_FILENO : -1;
}

static int open_now(const struct line_file_options *options)
{
    int own = own_descriptor(options->path);
    return own >= 0 ? dup(own) : open(options->path, open_flags(), options->mode);
}

static void run_task(struct shard_task *task);

enum error line_file_open(struct line_file *file, struct shard *shard,
                          const struct line_file_options *options)
{
    *file = (struct line_file){ .shard = shard, .options = *options, .fd = -1 };
    list_init(&file->node);
    shard_task_init(&file->task, run_task);
    file->buffers[0] = malloc(LINE_FILE_BUFFER_BYTES);
    file->buffers[1] = malloc(LINE_FILE_BUFFER_BYTES);
    if (file->buffers[0] == NULL || file->buffers[1] == NULL)
        return ERROR_MEMORY;
    if (options->opening == LINE_FILE_OPEN_LATER)
        return ERROR_OK;
    file->fd = open_now(options);
    return file->fd < 0 ? error_from_errno(errno) : ERROR_OK;
}

static void write_rest(struct line_file *file, unsigned which, uint32_t from)
{
    while (from < file->filled[which]) {
        ssize_t size = write(file->fd, file->buffers[which] + from, file->filled[which] - from);
        if (size <= 0)
            return;
        from += (uint32_t)size;
    }
}

void line_file_close(struct line_file *file)
{
    if (file->node.next)
        list_remove(&file->node);
    if (file->fd < 0 && file->buffers[0] && file->filled[file->filling] > 0 && !file->open_op.armed)
        file->fd = open_now(&file->options);
    if (file->fd >= 0) {
        if (file->write_op.armed)
            write_rest(file, !file->filling, file->written);
        write_rest(file, file->filling, 0);
        close(file->fd);
    }
    file->fd = -1;
    free(file->buffers[0]);
    free(file->buffers[1]);
    file->buffers[0] = file->buffers[1] = NULL;
}

/* --- opening -------------------------------------------------------------------------------------------- */

static void take_descriptor(struct line_file *file, int fd)
{
    file->failed = fd < 0;
    if (fd < 0) {
        file->retry_ms = file->shard->now_ms + RETRY_MS;
        return; /* an old file goes on taking lines */
    }
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->torn = false;
}

static void wake(struct line_file *file)
{
    if (!file->write_op.armed && !file->open_op.armed && file->filled[file->filling] > 0)
        shard_defer(file->shard, &file->task);
}

static void open_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct line_file *file = CONTAINER_OF(op, struct line_file, open_op);
    take_descriptor(file, result);
    if (file->fd >= 0)
        wake(file);
}

/* The kernel may take its time: a disk that sleeps, a pipe that nobody reads. */
static void start_open(struct line_file *file)
{
    file->reopen = false;
    int own = own_descriptor(file->options.path);
    if (own >= 0) {
        take_descriptor(file, dup(own));
        wake(file);
        return;
    }
    struct io_uring_sqe *sqe = ring_prepare(&file->shard->ring);
    io_uring_prep_openat(sqe, AT_FDCWD, file->options.path, open_flags(), file->options.mode);
    ring_arm(sqe, &file->open_op, open_done);
}

void line_file_reopen(struct line_file *file)
{
    if (file->buffers[0] == NULL)
        return;
    file->reopen = true;
    file->retry_ms = 0;
    if (!file->write_op.armed && !file->open_op.armed)
        start_open(file);
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void start_write(struct line_file *file);

/* A full disk: what is left of this buffer is given up, and a line that was cut is ended later. */
static void give_up(struct line_file *file, unsigned which)
{
    const char *rest = file->buffers[which] + file->written;
    uint32_t size = file->filled[which] - file->written;
    int64_t lines = 0;
    for (uint32_t i = 0; i < size; i++)
        lines += rest[i] == '\n';
    metric_add(&file->shard->metrics, METRIC_LOG_DROPPED, lines);
    file->torn |= file->written > 0 && rest[-1] != '\n';
}

static void write_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct line_file *file = CONTAINER_OF(op, struct line_file, write_op);
    unsigned which = !file->filling;
    if (result > 0) {
        file->written += (uint32_t)result;
        if (file->written < file->filled[which]) {
            start_write(file);
            return;
        }
    } else {
        give_up(file, which);
    }
    file->filled[which] = 0;
    if (file->reopen)
        start_open(file);
    wake(file);
}

static void start_write(struct line_file *file)
{
    unsigned which = !file->filling;
    struct io_uring_sqe *sqe = ring_prepare(&file->shard->ring);
    io_uring_prep_write(sqe, file->fd, file->buffers[which] + file->written,
                        file->filled[which] - file->written, (uint64_t)-1);
    ring_arm(sqe, &file->write_op, write_done);
}

static void run_task(struct shard_task *task)
{
    struct line_file *file = CONTAINER_OF(task, struct line_file, task);
    if (file->write_op.armed || file->open_op.armed || file->filled[file->filling] == 0)
        return;
    if (file->fd < 0 || file->reopen) {
        if (file->shard->now_ms >= file->retry_ms)
            start_open(file);
        if (file->fd < 0 || file->open_op.armed)
            return;
    }
    file->filling = !file->filling;
    file->written = 0;
    start_write(file);
}

/* --- lines ---------------------------------------------------------------------------------------------- */

char *line_file_room(struct line_file *file, uint32_t *room)
{
    uint32_t *filled = &file->filled[file->filling];
    if (file->torn && *filled < LINE_FILE_BUFFER_BYTES) {
        file->buffers[file->filling][(*filled)++] = '\n';
        file->torn = false;
    }
    *room = LINE_FILE_BUFFER_BYTES - *filled;
    return file->buffers[file->filling] + *filled;
}

void line_file_added(struct line_file *file, uint32_t size)
{
    if (size == 0)
        metric_add(&file->shard->metrics, METRIC_LOG_DROPPED, 1);
    file->filled[file->filling] += size;
    wake(file);
}

void line_file_add(struct line_file *file, struct slice line)
{
    uint32_t room;
    char *at = line_file_room(file, &room);
    bool fits = line.size <= room;
    if (fits)
        memcpy(at, line.data, line.size);
    line_file_added(file, fits ? (uint32_t)line.size : 0);
}

bool line_file_is_idle(const struct line_file *file)
{
    bool waits = file->buffers[0] && file->fd >= 0 && file->filled[file->filling] > 0;
    return !file->write_op.armed && !waits;
}
