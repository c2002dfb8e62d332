/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_connection.h"

#include "core/app/admin_audit.h"
#include "net/http/http1_write.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    IDLE_MS = 30000,   /* for the first byte of a request */
    HEAD_MS = 10000,   /* for the rest of its head */
    BODY_MS = 30000,   /* for each piece of its body */
    SEND_MS = 10000,   /* for the client to take an answer */
    LINGER_MS = 1000,
    IDLE_YIELDS_MS = 100, /* whoever has just connected is about to ask */
    STALLED_YIELDS_MS = 2000,
    ARENA_BYTES = 65536,
    STATUS_BODY_BYTES = 1024, /* of a request to the status listener */
    HEAD_ROOM = 1024   /* status line and headers of an answer */
};

static const struct http1_limits limits = { .head_bytes = 16384,
                                            .line_bytes = 8192,
                                            .header_fields = 64,
                                            .target_bytes = 4096,
                                            .chunk_extension_bytes = 256,
                                            .trailer_bytes = 1024 };

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void begin_message(struct admin_connection *connection, uint64_t now_ms)
{
    arena_reset(&connection->arena);
    free(connection->body);
    connection->body = NULL;
    connection->body_size = connection->body_capacity = 0;
    http1_parser_begin(&connection->parser, &connection->message, &connection->arena);
    connection->state = ADMIN_READING;
    connection->request_start_us = 0;
    connection->moved_ms = now_ms;
    connection->deadline_ms = now_ms + IDLE_MS;
}

bool admin_connection_is_idle(const struct admin_connection *connection)
{
    return connection->state == ADMIN_LINGERING ||
           (connection->state == ADMIN_READING && connection->request_start_us == 0);
}

uint64_t admin_connection_yields_ms(const struct admin_connection *connection)
{
    bool idle = admin_connection_is_idle(connection);
    return connection->moved_ms + (idle ? IDLE_YIELDS_MS : STALLED_YIELDS_MS);
}

struct admin_connection *admin_connection_open(const struct admin_node *node, int fd, enum admin_side side,
                                               uint64_t now_ms)
{
    struct admin_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        close(fd);
        return NULL;
    }
    connection->node = node;
    connection->fd = fd;
    connection->side = side;
    struct address local = { .size = sizeof(local.v6) };
    if (getsockname(fd, &local.any, &local.size) == 0)
        address_text(&local, connection->local);
    struct address peer = { .size = sizeof(peer.v6) };
    if (getpeername(fd, &peer.any, &peer.size) == 0)
        address_text(&peer, connection->peer);
    arena_init(&connection->arena, NULL, 0, ARENA_BYTES);
    http1_parser_init(&connection->parser, HTTP1_REQUEST, &limits);
    begin_message(connection, now_ms);
    return connection;
}

void admin_connection_free(struct admin_connection *connection)
{
    if (connection == NULL)
        return;
    tls_socket_free(connection->tls);
    close(connection->fd);
    arena_deinit(&connection->arena);
    if (connection->stream)
        connection->stream->close(connection->stream);
    free(connection->output);
    free(connection->body);
    free(connection);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void write_date(struct writer *out)
{
    char text[64];
    struct tm parts;
    time_t now = time(NULL);
    gmtime_r(&now, &parts);
    size_t size = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    writer_header(out, SLICE("Date"), (struct slice){ text, size });
}

/* What Kong's clients read beside the body. */
static void write_extras(const struct admin_connection *connection, const struct admin_answer *answer,
                         struct writer *out)
{
    unsigned headers = connection->node->settings->headers_sent;
    if (answer->challenge)
        writer_header(out, SLICE("WWW-Authenticate"), SLICE("Bearer"));
    if (answer->retry_after_s)
        writer_header_u64(out, SLICE("Retry-After"), answer->retry_after_s);
    if (answer->headers)
        writer_bytes(out, answer->headers, strlen(answer->headers));
    else
        writer_header(out, SLICE("Cache-Control"), SLICE("no-store"));
    writer_header(out, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
    if (headers & SETTINGS_HEADER_SERVER)
        writer_header(out, SLICE("Server"), SLICE("sluice/" SLUICE_VERSION));
    if (connection->side != ADMIN_SIDE_ADMIN)
        return;
    writer_header(out, SLICE("Access-Control-Allow-Origin"), SLICE("*"));
    writer_header(out, SLICE("Access-Control-Allow-Credentials"), SLICE("true"));
    if (headers & SETTINGS_HEADER_ADMIN_LATENCY) {
        uint64_t spent_us = clock_us() - connection->request_start_us;
        writer_header_u64(out, SLICE("X-Kong-Admin-Latency"), spent_us / 1000);
    }
}

static void write_length(const struct admin_connection *connection, const struct admin_answer *answer,
                         struct writer *out)
{
    if (answer->stream == NULL)
        writer_header_u64(out, SLICE("Content-Length"), answer->size);
    else if (connection->chunked)
        writer_header(out, SLICE("Transfer-Encoding"), SLICE("chunked"));
}

static void write_head(const struct admin_connection *connection, const struct admin_answer *answer,
                       struct writer *out)
{
    bool has_body = answer->status != 204 && answer->status != 304;
    http1_write_status_line(out, answer->status, (struct slice){ NULL, 0 });
    write_date(out);
    if (has_body && answer->type)
        writer_header(out, SLICE("Content-Type"), slice_of(answer->type));
    if (has_body)
        write_length(connection, answer, out);
    if (answer->allow[0])
        writer_header(out, SLICE("Allow"), slice_of(answer->allow));
    if (answer->allow[0] && answer->status == 204) {
        writer_header(out, SLICE("Access-Control-Allow-Methods"), slice_of(answer->allow));
        writer_header(out, SLICE("Access-Control-Allow-Headers"), SLICE("Content-Type"));
    }
    if (!answer->bare)
        write_extras(connection, answer, out);
    writer_header(out, SLICE("Connection"), connection->close_after ? SLICE("close") : SLICE("keep-alive"));
    writer_text(out, "\r\n");
}

/* Where the length is not known, chunks or the end of the connection tell it. */
static void take_stream(struct admin_connection *connection, struct admin_answer *answer)
{
    if (answer->stream == NULL)
        return;
    connection->chunked = connection->message.version_minor >= 1;
    connection->close_after = connection->close_after || !connection->chunked;
    if (!slice_equal(connection->message.method, SLICE("HEAD")))
        connection->stream = answer->stream;
    else
        answer->stream->close(answer->stream);
}

/* The next part of the stream becomes the output. False: the answer cannot be completed. */
static bool fill_output(struct admin_connection *connection, uint64_t now_ms)
{
    enum { PART_MAX = 16 * 1024 * 1024 };
    struct text part;
    text_init(&part, PART_MAX);
    bool more = connection->stream->next(connection->stream, &part);
    char *output = part.failed ? NULL : malloc(part.size + HTTP1_CHUNK_LINE_BYTES + sizeof("\r\n0\r\n\r\n"));
    if (output == NULL) {
        text_deinit(&part);
        return false;
    }
    struct writer out = writer_of(output, part.size + HTTP1_CHUNK_LINE_BYTES + sizeof("\r\n0\r\n\r\n"));
    if (connection->chunked && part.size > 0)
        http1_write_chunk_line(&out, part.size);
    writer_slice(&out, text_slice(&part));
    if (connection->chunked && part.size > 0)
        writer_text(&out, "\r\n");
    if (connection->chunked && !more)
        writer_text(&out, "0\r\n\r\n");
    text_deinit(&part);
    CHECK(!out.overflow);
    connection->output = output;
    connection->output_at = 0;
    connection->output_size = (size_t)(out.next - output);
    connection->deadline_ms = now_ms + SEND_MS;
    if (!more) {
        connection->stream->close(connection->stream);
        connection->stream = NULL;
    }
    return true;
}

/* Takes the answer's body. */
static void send_answer(struct admin_connection *connection, struct admin_answer *answer, uint64_t now_ms)
{
    take_stream(connection, answer);
    connection->output = malloc(HEAD_ROOM + answer->size);
    if (connection->output == NULL) {
        free(answer->body);
        connection->state = ADMIN_CLOSED;
        return;
    }
    struct writer out = writer_of(connection->output, HEAD_ROOM + answer->size);
    bool without = slice_equal(connection->message.method, SLICE("HEAD")) || answer->status == 204;
    write_head(connection, answer, &out);
    if (answer->body && !without)
        writer_bytes(&out, answer->body, answer->size);
    CHECK(!out.overflow);
    free(answer->body);
    connection->output_at = 0;
    connection->output_size = (size_t)(out.next - connection->output);
    connection->state = ADMIN_WRITING;
    connection->moved_ms = now_ms;
    connection->deadline_ms = now_ms + SEND_MS;
}

static struct admin_request request_of(const struct admin_connection *connection)
{
    return (struct admin_request){ .side = connection->side,
                                   .message = &connection->message,
                                   .body = { connection->body, connection->body_size },
                                   .local_address = slice_of(connection->local),
                                   .peer_address = slice_of(connection->peer) };
}

static void answer_request(struct admin_connection *connection)
{
    struct admin_request request = request_of(connection);
    struct admin_answer answer;
    admin_api_answer(connection->node, &request, &answer);
    /* A change of the configuration may have taken its time. */
    send_answer(connection, &answer, clock_us() / 1000);
}

/* --- input and output ----------------------------------------------------------------------------------- */

static size_t body_limit(const struct admin_connection *connection)
{
    return connection->side == ADMIN_SIDE_ADMIN ? (size_t)connection->node->settings->admin_body_bytes
                                                : STATUS_BODY_BYTES;
}

/* The rest of the request is not read. */
static bool refuse(struct admin_connection *connection, struct admin_answer *answer, uint64_t now_ms)
{
    connection->close_after = true;
    send_answer(connection, answer, now_ms);
    return false;
}

static bool refuse_with(struct admin_connection *connection, int status, const char *text, uint64_t now_ms)
{
    struct admin_answer answer;
    admin_message(&answer, status, text);
    return refuse(connection, &answer, now_ms);
}

/* False: the answer is on its way already. */
static bool take_head(struct admin_connection *connection, uint64_t now_ms)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct message *message = &connection->message;
    struct admin_request request = request_of(connection);
    struct admin_answer answer;
    connection->close_after = connection->close_after || !message->keep_alive;
    if (admin_pages_refuse(connection->node, &request, &answer)) {
        connection->close_after = connection->close_after || message->framing != BODY_NONE;
        admin_audit(connection->node, &request, &answer);
        send_answer(connection, &answer, now_ms);
        return false;
    }
    if (message->framing == BODY_LENGTH && message->body_bytes > body_limit(connection))
        return refuse_with(connection, 413, "request body too large", now_ms);
    /* An empty socket takes so few bytes; a client that did not get them sends its body nevertheless. */
    if (message->expects_continue && message->framing != BODY_NONE &&
        send(connection->fd, go_on, sizeof(go_on) - 1, MSG_NOSIGNAL) < 0)
        connection->close_after = true;
    if (message->framing != BODY_NONE)
        connection->deadline_ms = now_ms + BODY_MS;
    return true;
}

static bool take_body(struct admin_connection *connection, struct slice part, uint64_t now_ms)
{
    size_t size = connection->body_size + part.size;
    if (size > body_limit(connection))
        return refuse_with(connection, 413, "request body too large", now_ms);
    if (size > connection->body_capacity) {
        size_t capacity = size * 2 < 4096 ? 4096 : size * 2;
        char *body = realloc(connection->body, capacity);
        if (body == NULL)
            return refuse_with(connection, 503, "out of memory", now_ms);
        connection->body = body;
        connection->body_capacity = capacity;
    }
    memcpy(connection->body + connection->body_size, part.data, part.size);
    connection->body_size = size;
    connection->deadline_ms = now_ms + BODY_MS;
    return true;
}

/* One event of what has been received; false: it takes more bytes, or the request is over. */
static bool parse_input(struct admin_connection *connection, uint64_t now_ms)
{
    size_t consumed = 0;
    struct slice body;
    enum http1_event event = http1_parse(&connection->parser, connection->input + connection->input_at,
                                         connection->input_size - connection->input_at, &consumed, &body);
    connection->input_at += consumed;
    struct admin_answer answer;
    switch (event) {
    case HTTP1_HEAD: return take_head(connection, now_ms);
    case HTTP1_BODY: return take_body(connection, body, now_ms);
    case HTTP1_END: answer_request(connection); return false;
    case HTTP1_REFUSED:
        admin_pages_refused(&answer, http1_parser_status(&connection->parser),
                            http1_refusal_text(connection->parser.refusal));
        return refuse(connection, &answer, now_ms);
    case HTTP1_MORE: break;
    }
    return false;
}

enum progress { WAIT, GO_ON };

static enum progress receive(struct admin_connection *connection, uint64_t now_ms)
{
    ssize_t size = connection->tls
                       ? tls_socket_receive(connection->tls, connection->input, sizeof(connection->input))
                       : recv(connection->fd, connection->input, sizeof(connection->input), 0);
    if (size < 0 && errno == EINTR)
        return GO_ON;
    if (size < 0 && errno == EAGAIN)
        return WAIT;
    connection->input_at = 0;
    connection->input_size = size > 0 ? (size_t)size : 0;
    connection->moved_ms = now_ms;
    if (size <= 0) {
        connection->state = ADMIN_CLOSED;
    } else if (connection->state == ADMIN_READING && connection->request_start_us == 0) {
        connection->request_start_us = clock_us();
        connection->deadline_ms = now_ms + HEAD_MS;
    }
    return GO_ON;
}

static enum progress read_request(struct admin_connection *connection, uint64_t now_ms)
{
    if (connection->input_at == connection->input_size && receive(connection, now_ms) == WAIT)
        return WAIT;
    if (connection->request_start_us == 0)
        connection->request_start_us = clock_us(); /* it came together with the one before */
    while (parse_input(connection, now_ms))
        continue;
    return GO_ON;
}

static enum progress write_answer(struct admin_connection *connection, uint64_t now_ms)
{
    size_t left = connection->output_size - connection->output_at;
    const char *next = connection->output + connection->output_at;
    ssize_t size = connection->tls ? tls_socket_send(connection->tls, next, left)
                                   : send(connection->fd, next, left, MSG_NOSIGNAL);
    if (size < 0 && errno == EAGAIN)
        return WAIT;
    if (size < 0 && errno != EINTR) {
        connection->state = ADMIN_CLOSED;
        return GO_ON;
    }
    connection->output_at += size > 0 ? (size_t)size : 0;
    connection->moved_ms = now_ms;
    if (connection->output_at < connection->output_size)
        return GO_ON;
    free(connection->output);
    connection->output = NULL;
    if (connection->stream) { /* others have their turn in between */
        if (!fill_output(connection, now_ms))
            connection->state = ADMIN_CLOSED;
        return WAIT;
    }
    if (!connection->close_after) {
        begin_message(connection, now_ms);
        return GO_ON;
    }
    if (connection->tls)
        tls_socket_finish(connection->tls);
    shutdown(connection->fd, SHUT_WR);
    connection->state = ADMIN_LINGERING;
    connection->deadline_ms = now_ms + LINGER_MS;
    return GO_ON;
}

void admin_connection_step(struct admin_connection *connection, uint64_t now_ms, enum admin_keep keep)
{
    if (keep == ADMIN_CLOSE_AFTER)
        connection->close_after = true;
    enum progress progress = GO_ON;
    while (progress == GO_ON && connection->state != ADMIN_CLOSED) {
        switch (connection->state) {
        case ADMIN_READING: progress = read_request(connection, now_ms); break;
        case ADMIN_WRITING: progress = write_answer(connection, now_ms); break;
        case ADMIN_LINGERING: progress = receive(connection, now_ms); break;
        case ADMIN_CLOSED: break;
        }
    }
}
