/* SPDX-License-Identifier: Apache-2.0 */
/* The access log of one shard: lines are formatted into one of two buffers while the other is being
 * written through the ring, so that a slow disk or pipe never holds up a request: a full buffer drops
 * lines and counts them. Every line is written whole. One shard. */
#pragma once

#include "core/base/slice.h"
#include "core/io/shard.h"

enum access_log_format { ACCESS_LOG_COMBINED, ACCESS_LOG_JSON };

enum { ACCESS_LOG_BUFFER_BYTES = 256 * 1024, ACCESS_LOG_LINE_MAX = 8192 };

struct access_log_options {
    const char *path; /* NULL: off; /dev/stdout and /dev/stderr are taken as they are */
    enum access_log_format format;
};

struct access_log {
    struct shard *shard;
    enum access_log_format format;
    const char *path;
    int fd; /* -1: off */
    char *buffers[2];
    uint32_t filled[2]; /* bytes */
    uint32_t written;   /* of the one being written */
    unsigned filling;   /* which one takes lines */
    bool reopen;        /* once the write in flight has ended */
    struct op write_op;
    struct shard_task task;
};

enum error access_log_open(struct access_log *log, struct shard *shard,
                           const struct access_log_options *options) MUST_CHECK;
void access_log_close(struct access_log *log); /* what is buffered is written first, blocking */
void access_log_reopen(struct access_log *log);

static inline bool access_log_is_on(const struct access_log *log)
{
    return log->fd >= 0;
}

struct access_record {
    struct slice client_ip, method, target, referer, user_agent, host, request_id, route, service, consumer;
    const char *upstream; /* "ip:port" or "" */
    unsigned version_minor;
    int status;
    uint64_t sent_bytes, received_bytes;
    uint64_t wall_ms;      /* begin */
    uint64_t duration_us, upstream_us;
};

void access_log_write(struct access_log *log, const struct access_record *record);

/* A line of another kind, with its line end, into a log that is on. */
void access_log_line(struct access_log *log, struct slice line);
