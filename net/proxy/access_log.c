/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/access_log.h"

#include "net/http/http1_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int open_path(const char *path)
{
    if (strcmp(path, "/dev/stdout") == 0)
        return dup(STDOUT_FILENO);
    if (strcmp(path, "/dev/stderr") == 0)
        return dup(STDERR_FILENO);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

static void run_task(struct shard_task *task);

enum error access_log_open(struct access_log *log, struct shard *shard,
                           const struct access_log_options *options)
{
    *log = (struct access_log){ .shard = shard, .format = options->format, .path = options->path, .fd = -1 };
    shard_task_init(&log->task, run_task);
    if (options->path == NULL)
        return ERROR_OK;
    log->buffers[0] = malloc(ACCESS_LOG_BUFFER_BYTES);
    log->buffers[1] = malloc(ACCESS_LOG_BUFFER_BYTES);
    if (log->buffers[0] == NULL || log->buffers[1] == NULL)
        return ERROR_MEMORY;
    log->fd = open_path(options->path);
    return log->fd < 0 ? error_from_errno(errno) : ERROR_OK;
}

static void write_rest(struct access_log *log, unsigned which, uint32_t from)
{
    while (from < log->filled[which]) {
        ssize_t size = write(log->fd, log->buffers[which] + from, log->filled[which] - from);
        if (size <= 0)
            return;
        from += (uint32_t)size;
    }
}

void access_log_close(struct access_log *log)
{
    if (log->fd >= 0) {
        if (log->write_op.armed)
            write_rest(log, !log->filling, log->written);
        write_rest(log, log->filling, 0);
        close(log->fd);
    }
    log->fd = -1;
    free(log->buffers[0]);
    free(log->buffers[1]);
    log->buffers[0] = log->buffers[1] = NULL;
}

static void start_write(struct access_log *log);

static void reopen_now(struct access_log *log)
{
    log->reopen = false;
    int fd = open_path(log->path);
    if (fd < 0)
        return; /* the old file goes on taking lines */
    close(log->fd);
    log->fd = fd;
}

static void write_done(struct op *op, int32_t result, uint32_t cqe_flags)
{
    (void)cqe_flags;
    struct access_log *log = CONTAINER_OF(op, struct access_log, write_op);
    unsigned which = !log->filling;
    if (result > 0)
        log->written += (uint32_t)result;
    else
        metric_add(&log->shard->metrics, METRIC_LOG_DROPPED, 1); /* a full disk: this part is given up */
    if (result > 0 && log->written < log->filled[which]) {
        start_write(log);
        return;
    }
    log->filled[which] = 0;
    if (log->reopen)
        reopen_now(log);
    if (log->filled[log->filling] > 0)
        shard_defer(log->shard, &log->task);
}

static void start_write(struct access_log *log)
{
    unsigned which = !log->filling;
    struct io_uring_sqe *sqe = ring_prepare(&log->shard->ring);
    io_uring_prep_write(sqe, log->fd, log->buffers[which] + log->written, log->filled[which] - log->written,
                        (uint64_t)-1);
    ring_arm(sqe, &log->write_op, write_done);
}

static void run_task(struct shard_task *task)
{
    struct access_log *log = CONTAINER_OF(task, struct access_log, task);
    if (log->write_op.armed || log->filled[log->filling] == 0)
        return;
    log->filling = !log->filling;
    log->written = 0;
    start_write(log);
}

void access_log_reopen(struct access_log *log)
{
    if (log->fd < 0)
        return;
    log->reopen = true;
    if (!log->write_op.armed)
        reopen_now(log);
}

/* --- lines ---------------------------------------------------------------------------------------------- */

/* Outside bytes may hold anything: quotes, controls and what is not ASCII become \xHH, as nginx does. */
static void write_escaped(struct writer *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            writer_byte(out, (char)c);
            continue;
        }
        char escape[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };
        writer_bytes(out, escape, sizeof(escape));
    }
}

static void write_or_dash(struct writer *out, struct slice text)
{
    if (text.size == 0)
        writer_byte(out, '-');
    else
        write_escaped(out, text);
}

static void write_time(struct writer *out, uint64_t wall_ms, const char *format)
{
    char text[64];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(text, sizeof(text), format, &parts);
    writer_bytes(out, text, size);
}

static void write_combined(struct writer *out, const struct access_record *record)
{
    write_or_dash(out, record->client_ip);
    writer_text(out, " - - [");
    write_time(out, record->wall_ms, "%d/%b/%Y:%H:%M:%S +0000");
    writer_text(out, "] \"");
    write_escaped(out, record->method);
    writer_byte(out, ' ');
    write_escaped(out, record->target);
    writer_text(out, " HTTP/1.");
    writer_u64(out, record->version_minor);
    writer_text(out, "\" ");
    writer_u64(out, (uint64_t)record->status);
    writer_byte(out, ' ');
    writer_u64(out, record->sent_bytes);
    writer_text(out, " \"");
    write_or_dash(out, record->referer);
    writer_text(out, "\" \"");
    write_or_dash(out, record->user_agent);
    writer_text(out, "\" kong_request_id: \"");
    writer_slice(out, record->request_id);
    writer_text(out, "\"\n");
}

/* RFC 8259: controls, quotes and backslashes are escaped; bytes that are not ASCII become \u00HH, so that the
 * line is valid whatever the client sent. */
static void write_json_text(struct writer *out, struct slice text)
{
    static const char digits[] = "0123456789abcdef";
    writer_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            writer_byte(out, (char)c);
            continue;
        }
        char escape[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };
        writer_bytes(out, escape, sizeof(escape));
    }
    writer_byte(out, '"');
}

static void write_json_member(struct writer *out, struct slice name, struct slice text)
{
    if (text.data == NULL)
        return;
    writer_text(out, ",\"");
    writer_slice(out, name);
    writer_text(out, "\":");
    write_json_text(out, text);
}

static void write_json_number(struct writer *out, struct slice name, uint64_t number)
{
    writer_text(out, ",\"");
    writer_slice(out, name);
    writer_text(out, "\":");
    writer_u64(out, number);
}

static void write_json(struct writer *out, const struct access_record *record)
{
    writer_text(out, "{\"time\":\"");
    write_time(out, record->wall_ms, "%Y-%m-%dT%H:%M:%SZ");
    writer_byte(out, '"');
    write_json_member(out, SLICE("client_ip"), record->client_ip);
    write_json_member(out, SLICE("method"), record->method);
    write_json_member(out, SLICE("target"), record->target);
    write_json_member(out, SLICE("host"), record->host);
    write_json_number(out, SLICE("status"), (uint64_t)record->status);
    write_json_number(out, SLICE("sent_bytes"), record->sent_bytes);
    write_json_number(out, SLICE("received_bytes"), record->received_bytes);
    write_json_number(out, SLICE("duration_us"), record->duration_us);
    write_json_number(out, SLICE("upstream_us"), record->upstream_us);
    write_json_member(out, SLICE("upstream"),
                      record->upstream[0] ? slice_of(record->upstream) : (struct slice){ NULL, 0 });
    write_json_member(out, SLICE("route"), record->route);
    write_json_member(out, SLICE("service"), record->service);
    write_json_member(out, SLICE("consumer"), record->consumer);
    write_json_member(out, SLICE("referer"), record->referer);
    write_json_member(out, SLICE("user_agent"), record->user_agent);
    write_json_member(out, SLICE("request_id"), record->request_id);
    writer_text(out, "}\n");
}

static struct slice clip(struct slice text)
{
    enum { LONGEST = 1024 };
    if (text.size > LONGEST)
        text.size = LONGEST;
    return text;
}

void access_log_line(struct access_log *log, struct slice line)
{
    uint32_t *filled = &log->filled[log->filling];
    if (line.size > ACCESS_LOG_BUFFER_BYTES - *filled) {
        metric_add(&log->shard->metrics, METRIC_LOG_DROPPED, 1);
        return;
    }
    memcpy(log->buffers[log->filling] + *filled, line.data, line.size);
    *filled += (uint32_t)line.size;
    if (!log->write_op.armed)
        shard_defer(log->shard, &log->task);
}

void access_log_write(struct access_log *log, const struct access_record *given)
{
    struct access_record record = *given;
    record.target = clip(record.target);
    record.referer = clip(record.referer);
    record.user_agent = clip(record.user_agent);
    record.host = clip(record.host);
    uint32_t *filled = &log->filled[log->filling];
    char *at = log->buffers[log->filling] + *filled;
    uint32_t room = ACCESS_LOG_BUFFER_BYTES - *filled;
    struct writer out = writer_of(at, room < ACCESS_LOG_LINE_MAX * 4 ? room : ACCESS_LOG_LINE_MAX * 4);
    if (log->format == ACCESS_LOG_JSON)
        write_json(&out, &record);
    else
        write_combined(&out, &record);
    if (out.overflow) {
        metric_add(&log->shard->metrics, METRIC_LOG_DROPPED, 1);
        return;
    }
    *filled += (uint32_t)(out.next - at);
    if (!log->write_op.armed)
        shard_defer(log->shard, &log->task);
}
