/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/access_log.h"

#include "net/http/http1_write.h"

#include <time.h>

enum error access_log_open(struct access_log *log, struct shard *shard,
                           const struct access_log_options *options)
{
    *log = (struct access_log){ .format = options->format, .file = { .fd = -1 } };
    if (options->path == NULL)
        return ERROR_OK;
    struct line_file_options file = { .path = options->path, .mode = 0640 };
    enum error error = line_file_open(&log->file, shard, &file);
    log->is_on = error == ERROR_OK;
    return error;
}

void access_log_close(struct access_log *log)
{
    line_file_close(&log->file);
    log->is_on = false;
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
    writer_byte(out, ' ');
    writer_slice(out, record->version);
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

/* What every line begins with. */
static void begin_json(struct writer *out, uint64_t wall_ms, struct slice client_ip)
{
    writer_text(out, "{\"time\":\"");
    write_time(out, wall_ms, "%Y-%m-%dT%H:%M:%SZ");
    writer_byte(out, '"');
    write_json_member(out, SLICE("client_ip"), client_ip);
}

static void write_json(struct writer *out, const struct access_record *record)
{
    begin_json(out, record->wall_ms, record->client_ip);
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
    write_json_member(out, SLICE("plugin"), record->plugin);
    write_json_member(out, SLICE("reason"), record->reason);
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

static void write_basic(struct writer *out, const struct stream_record *record)
{
    write_or_dash(out, record->client_ip);
    writer_text(out, " [");
    write_time(out, record->wall_ms, "%d/%b/%Y:%H:%M:%S +0000");
    writer_text(out, "] ");
    writer_slice(out, record->protocol);
    writer_byte(out, ' ');
    writer_u64(out, (uint64_t)record->status);
    writer_byte(out, ' ');
    writer_u64(out, record->sent_bytes);
    writer_byte(out, ' ');
    writer_u64(out, record->received_bytes);
    writer_byte(out, ' ');
    writer_u64(out, record->duration_us / 1000000);
    unsigned ms = (unsigned)(record->duration_us / 1000 % 1000);
    const char rest[] = { '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10),
                          '\n' };
    writer_bytes(out, rest, sizeof(rest));
}

static void write_stream_json(struct writer *out, const struct stream_record *record)
{
    begin_json(out, record->wall_ms, record->client_ip);
    write_json_member(out, SLICE("protocol"), record->protocol);
    write_json_number(out, SLICE("port"), record->port);
    write_json_number(out, SLICE("status"), (uint64_t)record->status);
    write_json_number(out, SLICE("sent_bytes"), record->sent_bytes);
    write_json_number(out, SLICE("received_bytes"), record->received_bytes);
    write_json_number(out, SLICE("duration_us"), record->duration_us);
    write_json_member(out, SLICE("server_name"), record->server_name);
    write_json_member(out, SLICE("upstream"),
                      record->upstream.size ? record->upstream : (struct slice){ NULL, 0 });
    write_json_member(out, SLICE("route"), record->route);
    write_json_member(out, SLICE("service"), record->service);
    writer_text(out, "}\n");
}

void access_log_write_stream(struct access_log *log, const struct stream_record *record)
{
    uint32_t room;
    char *at = line_file_room(&log->file, &room);
    struct writer out = writer_of(at, room < ACCESS_LOG_LINE_MAX ? room : ACCESS_LOG_LINE_MAX);
    if (log->format == ACCESS_LOG_JSON)
        write_stream_json(&out, record);
    else
        write_basic(&out, record);
    line_file_added(&log->file, out.overflow ? 0 : (uint32_t)(out.next - at));
}

void access_log_write(struct access_log *log, const struct access_record *given)
{
    struct access_record record = *given;
    record.target = clip(record.target);
    record.referer = clip(record.referer);
    record.user_agent = clip(record.user_agent);
    record.host = clip(record.host);
    record.reason = clip(record.reason);
    uint32_t room;
    char *at = line_file_room(&log->file, &room);
    struct writer out = writer_of(at, room < ACCESS_LOG_LINE_MAX * 4 ? room : ACCESS_LOG_LINE_MAX * 4);
    if (log->format == ACCESS_LOG_JSON)
        write_json(&out, &record);
    else
        write_combined(&out, &record);
    line_file_added(&log->file, out.overflow ? 0 : (uint32_t)(out.next - at));
}
