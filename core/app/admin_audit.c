/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_audit.h"

#include "config/kong/error_tree.h"
#include "core/app/journal.h"
#include "core/crypto/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SHOWN_BYTES = 512 };

bool admin_audit_open(struct admin_node *node, const char **reason)
{
    static char text[512]; /* of the control thread, until the next start */
    struct slice path = node->settings->admin_audit_log;
    node->audit_fd = -1;
    if (path.size == 0 || slice_equal(path, SLICE("off")))
        return true;
    node->audit_fd = open(path.data, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (node->audit_fd >= 0)
        return true;
    snprintf(text, sizeof(text), "admin_audit_log %s: %s", path.data, strerror(errno));
    *reason = text;
    return false;
}

void admin_audit_close(struct admin_node *node)
{
    if (node->audit_fd >= 0)
        close(node->audit_fd);
    node->audit_fd = -1;
}

static bool only_reads(struct slice method)
{
    return slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD")) ||
           slice_equal(method, SLICE("OPTIONS"));
}

/* One segment of a path as it was sent is this word. */
static bool says(struct slice segment, const char *word)
{
    for (size_t i = 0; i < segment.size; i++, word++) {
        char c = segment.data[i];
        int high = i + 2 < segment.size && c == '%' ? slice_hex_value(segment.data[i + 1]) : -1;
        int low = high >= 0 ? slice_hex_value(segment.data[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (*word == '\0' || *word != c)
            return false;
    }
    return *word == '\0';
}

/* Keys stand for their entities in paths: they are not told, ids are. */
static void show_path(struct slice path, char shown[PATH_SHOWN_BYTES + 1])
{
    bool secret = false;
    size_t at = 0;
    shown[0] = '\0';
    for (struct slice rest = path; rest.data && at < PATH_SHOWN_BYTES;) {
        unsigned char bytes[UUID_BYTES];
        struct slice segment = slice_split(rest, '/', &rest);
        bool hidden = secret && segment.size && !uuid_read(segment, bytes);
        int added = snprintf(shown + at, PATH_SHOWN_BYTES + 1 - at, "%.*s%s",
                             SLICE_FORMAT(hidden ? SLICE("***") : segment), rest.data ? "/" : "");
        at += added > 0 ? (size_t)added : 0;
        secret = says(segment, "key-auth") || says(segment, "key-auths");
    }
}

static void write_line(const struct admin_node *node, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT), *whole = NULL;
    int size = text ? asprintf(&whole, "%s\n", text) : -1;
    if (size < 0 || write(node->audit_fd, whole, (size_t)size) != size)
        journal(JOURNAL_ERROR, "the audit log could not be written: %s", strerror(errno));
    if (size >= 0)
        free(whole);
    free(text);
}

void admin_audit(const struct admin_node *node, const struct admin_request *request,
                 const struct admin_answer *answer)
{
    const struct message *message = request->message;
    char method[32], path[PATH_SHOWN_BYTES + 1], peer[64], stamp[32];
    if (request->side != ADMIN_SIDE_ADMIN || only_reads(message->method))
        return;
    struct slice query, target = slice_split(message->origin_form, '?', &query);
    snprintf(method, sizeof(method), "%.*s", SLICE_FORMAT(message->method));
    show_path(target, path);
    snprintf(peer, sizeof(peer), "%.*s", SLICE_FORMAT(request->peer_address));
    journal(JOURNAL_NOTICE, "admin request method=%s path=%s status=%d client=%s", method, path,
            answer->status, peer);
    if (node->audit_fd < 0)
        return;
    struct tm parts;
    time_t now = time(NULL);
    gmtime_r(&now, &parts);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &parts);
    json_t *line = json_pack("{s:s, s:s, s:s, s:o, s:i, s:I}", "time", stamp, "client", peer, "method",
                             method, "path", kong_error_text(path), "status", answer->status, "body_bytes",
                             (json_int_t)request->body.size);
    if (line)
        write_line(node, line);
    json_decref(line);
}
