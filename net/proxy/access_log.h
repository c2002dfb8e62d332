/* SPDX-License-Identifier: Apache-2.0 */
/* The access log of one shard: a line per request, formatted into the buffer of a line_file, so that a slow
 * disk or pipe never holds up a request. One shard. */
#pragma once

#include "core/io/line_file.h"

enum access_log_format { ACCESS_LOG_COMBINED, ACCESS_LOG_JSON };

enum { ACCESS_LOG_LINE_MAX = 8192 };

struct access_log_options {
    const char *path; /* NULL: off; /dev/stdout and /dev/stderr are taken as they are */
    enum access_log_format format;
};

struct access_log {
    enum access_log_format format;
    bool is_on;
    struct line_file file;
};

enum error access_log_open(struct access_log *log, struct shard *shard,
                           const struct access_log_options *options) MUST_CHECK;
void access_log_close(struct access_log *log); /* what is buffered is written first, blocking */

static inline bool access_log_is_on(const struct access_log *log)
{
    return log->is_on;
}

struct access_record {
    struct slice client_ip, method, target, referer, user_agent, host, request_id, route, service, consumer;
    struct slice reason,
        plugin; /* why it is the gateway's answer, and whose; absent: unknown, or it is not */
    const char *upstream; /* "ip:port" or "" */
    struct slice version; /* HTTP/1.1 */
    int status;
    uint64_t sent_bytes, received_bytes;
    uint64_t wall_ms;      /* begin */
    uint64_t duration_us, upstream_us;
};

void access_log_write(struct access_log *log, const struct access_record *record);

/* Of a stream. */
struct stream_record {
    struct slice client_ip, protocol, server_name, route, service, upstream;
    int status; /* nginx' */
    uint16_t port;
    uint64_t sent_bytes, received_bytes;
    uint64_t wall_ms;
    uint64_t duration_us;
};

/* Combined: as Kong's `basic`. */
void access_log_write_stream(struct access_log *log, const struct stream_record *record);
