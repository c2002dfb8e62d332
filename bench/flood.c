/* SPDX-License-Identifier: Apache-2.0 */
/* Floods a server as those do who want others to wait: each kind of flood that HTTP/2 is known for, and
 * connections that never come to a request. Whoever is closed connects again at once. Prints one JSON object.
 * Nothing is read that need not be, and nothing is checked: what the flood does to others is for others to
 * measure. */
#include "bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 65536,
    FRAME_MAX = 16384 + 9,
    EVENTS = 256,
    STREAMS_HELD = 100, /* by who asks and does not read */
    DRIP_NS = 500000000
};

enum frame_type { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING = 6, WINDOW_UPDATE = 8, CONTINUATION };
enum frame_flags { NONE = 0, END_STREAM = 1, END_HEADERS = 4 };

struct connection {
    int fd;
    uint32_t stream; /* the next one */
    uint32_t turn; /* of what comes in two forms */
    uint64_t sent_bytes, drip_ns;
    size_t begin, end; /* of what is to be sent */
    bool opened, ended;
    uint8_t buffer[BUFFER_BYTES];
};

struct kind {
    const char *name;
    void (*open)(struct connection *connection); /* what comes first */
    void (*more)(struct connection *connection); /* and then again and again; NULL: nothing */
    bool deaf; /* takes no answers */
    bool stubborn; /* sends on when the server has said its last word, until it is cut off */
    bool slow; /* one `more` per DRIP_NS */
};

struct totals {
    uint64_t connects, closes, failures, sent_bytes, received_bytes, longest_bytes;
};

struct flood {
    const struct kind *kind;
    struct sockaddr_in server;
    struct connection *connections;
    size_t count;
    int epoll;
    struct totals totals;
};

/* --- frames --------------------------------------------------------------------------------------------- */

static void put(struct connection *connection, const void *data, size_t size)
{
    memcpy(connection->buffer + connection->end, data, size);
    connection->end += size;
}

static void put_frame(struct connection *connection, enum frame_type type, int flags, uint32_t stream,
                      size_t size)
{
    uint8_t head[9] = { (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type,
                        (uint8_t)flags };
    uint32_t id = htonl(stream);
    memcpy(head + 5, &id, sizeof(id));
    put(connection, head, sizeof(head));
}

static void put_number(struct connection *connection, uint32_t number)
{
    uint32_t bytes = htonl(number);
    put(connection, &bytes, sizeof(bytes));
}

static void put_repeated(struct connection *connection, const char *text, size_t size, size_t times)
{
    for (size_t i = 0; i < times; i++)
        put(connection, text, size);
}

static uint32_t take_stream(struct connection *connection)
{
    connection->stream += 2;
    return connection->stream - 2;
}

/* HPACK: GET or POST, http, /, :authority a. */
static const char get_head[] = "\x82\x86\x84\x01\x01"
                               "a";
static const char post_head[] = "\x83\x86\x84\x01\x01"
                                "a";
static const char long_answer_head[] = "\x82\x86\x04\x10/a/bytes/1000000\x01\x01"
                                       "a";

enum { HEAD_BYTES = sizeof(get_head) - 1, LONG_ANSWER_BYTES = sizeof(long_answer_head) - 1 };

static uint32_t put_get(struct connection *connection, int flags)
{
    uint32_t stream = take_stream(connection);
    put_frame(connection, HEADERS, flags, stream, HEAD_BYTES);
    put(connection, get_head, HEAD_BYTES);
    return stream;
}

static uint32_t put_post(struct connection *connection)
{
    uint32_t stream = take_stream(connection);
    put_frame(connection, HEADERS, END_HEADERS, stream, HEAD_BYTES);
    put(connection, post_head, HEAD_BYTES);
    return stream;
}

static void put_setting(struct connection *connection, uint16_t name, uint32_t value)
{
    uint16_t bytes = htons(name);
    put_frame(connection, SETTINGS, NONE, 0, 6);
    put(connection, &bytes, sizeof(bytes));
    put_number(connection, value);
}

static void put_window(struct connection *connection, uint32_t stream, uint32_t size)
{
    put_frame(connection, WINDOW_UPDATE, NONE, stream, 4);
    put_number(connection, size);
}

/* --- beginnings ----------------------------------------------------------------------------------------- */

static void open_http2(struct connection *connection)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    connection->stream = 1;
    put(connection, preface, sizeof(preface) - 1);
    put_frame(connection, SETTINGS, NONE, 0, 0);
}

static void open_upload(struct connection *connection)
{
    open_http2(connection);
    (void)put_post(connection);
}

static void open_head(struct connection *connection)
{
    open_http2(connection);
    (void)put_get(connection, END_STREAM);
}

/* One long field in the table of HPACK; a byte of a later head stands for all of it. */
static void open_bomb(struct connection *connection)
{
    enum { VALUE_BYTES = 3900 };
    static const char begin[] = "\x40\x03x-a\x7f\xbd\x1d"; /* a value of 127 + 61 + (29 << 7) bytes */
    open_http2(connection);
    put_frame(connection, HEADERS, END_HEADERS | END_STREAM, take_stream(connection),
              HEAD_BYTES + sizeof(begin) - 1 + VALUE_BYTES);
    put(connection, get_head, HEAD_BYTES);
    put(connection, begin, sizeof(begin) - 1);
    put_repeated(connection, "b", 1, VALUE_BYTES);
}

static void put_long_request(struct connection *connection)
{
    put_frame(connection, HEADERS, END_HEADERS | END_STREAM, take_stream(connection), LONG_ANSWER_BYTES);
    put(connection, long_answer_head, LONG_ANSWER_BYTES);
}

/* Asks for 100 MB and takes none of it; `window` says how much of each answer it allows. */
static void open_reader(struct connection *connection, uint32_t window)
{
    enum { INITIAL_WINDOW_SIZE = 4 };
    open_http2(connection);
    put_setting(connection, INITIAL_WINDOW_SIZE, window);
    put_window(connection, 0, 1u << 30);
    for (int i = 0; i < STREAMS_HELD; i++)
        put_long_request(connection);
}

static void open_no_window(struct connection *connection)
{
    open_reader(connection, 0);
}

static void open_slow_reader(struct connection *connection)
{
    open_reader(connection, 1u << 30);
}

static void open_http1(struct connection *connection)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    put(connection, head, sizeof(head) - 1);
}

/* A third of a ClientHello. */
static void open_hello(struct connection *connection)
{
    static const char begin[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    put(connection, begin, sizeof(begin) - 1);
    put_repeated(connection, "r", 1, 100);
}

/* --- what is repeated ----------------------------------------------------------------------------------- */

static void more_rapid_reset(struct connection *connection)
{
    uint32_t stream = put_get(connection, END_STREAM | END_HEADERS);
    put_frame(connection, RST_STREAM, NONE, stream, 4);
    put_number(connection, 8);
}

/* A name in upper case: the server has to reset the stream. */
static void more_provoked_reset(struct connection *connection)
{
    static const char field[] = "\x00\x01X\x01y";
    put_frame(connection, HEADERS, END_HEADERS, take_stream(connection), HEAD_BYTES + sizeof(field) - 1);
    put(connection, post_head, HEAD_BYTES);
    put(connection, field, sizeof(field) - 1);
}

/* Never complete, so that all but the first are too many. */
static void more_refused(struct connection *connection)
{
    (void)put_post(connection);
}

static void more_settings(struct connection *connection)
{
    put_frame(connection, SETTINGS, NONE, 0, 0);
}

/* Each has to be applied to all streams. */
static void more_windows(struct connection *connection)
{
    enum { INITIAL_WINDOW_SIZE = 4 };
    put_setting(connection, INITIAL_WINDOW_SIZE, connection->turn++ & 1);
}

static void more_ping(struct connection *connection)
{
    put_frame(connection, PING, NONE, 0, 8);
    put(connection, "12345678", 8);
}

static void more_priority(struct connection *connection)
{
    put_frame(connection, PRIORITY, NONE, 1, 5);
    put(connection, "\0\0\0\0\1", 5);
}

static void more_unknown(struct connection *connection)
{
    put_frame(connection, (enum frame_type)0x42, NONE, 0, 0);
}

static void more_empty_data(struct connection *connection)
{
    put_frame(connection, DATA, NONE, 1, 0);
}

static void more_tiny_data(struct connection *connection)
{
    put_frame(connection, DATA, NONE, 1, 1);
    put(connection, "x", 1);
}

static void more_continuation(struct connection *connection)
{
    static const char field[] = "\x00\x01x\x7f\x81\x7d"; /* a value of 127 + 1 + (125 << 7) bytes */
    enum { VALUE_BYTES = 127 + 1 + (125 << 7) };
    put_frame(connection, CONTINUATION, NONE, 1, sizeof(field) - 1 + VALUE_BYTES);
    put(connection, field, sizeof(field) - 1);
    put_repeated(connection, "b", 1, VALUE_BYTES);
}

static void more_empty_continuation(struct connection *connection)
{
    put_frame(connection, CONTINUATION, NONE, 1, 0);
}

static void more_bomb(struct connection *connection)
{
    enum { REFERENCES = 16000 };
    put_frame(connection, HEADERS, END_HEADERS | END_STREAM, take_stream(connection),
              HEAD_BYTES + REFERENCES);
    put(connection, get_head, HEAD_BYTES);
    put_repeated(connection, "\xbe", 1, REFERENCES);
}

static void more_trailers(struct connection *connection)
{
    enum { REFERENCES = 16000 };
    uint32_t stream = put_post(connection);
    put_frame(connection, HEADERS, END_HEADERS | END_STREAM, stream, REFERENCES);
    put_repeated(connection, "\xbe", 1, REFERENCES);
}

/* Crumbs of a cookie that become one field, in requests that never end. */
static void open_cookies(struct connection *connection)
{
    enum { VALUE_BYTES = 300, CRUMBS = 95 };
    static const char begin[] = "\x60\x7f\xad\x01"; /* a value of 127 + 45 + (1 << 7) bytes */
    open_http2(connection);
    for (int i = 0; i < STREAMS_HELD; i++) {
        size_t first = i == 0 ? sizeof(begin) - 1 + VALUE_BYTES : 1;
        put_frame(connection, HEADERS, END_HEADERS, take_stream(connection), HEAD_BYTES + first + CRUMBS - 1);
        put(connection, post_head, HEAD_BYTES);
        if (i == 0) {
            put(connection, begin, sizeof(begin) - 1);
            put_repeated(connection, "c", 1, VALUE_BYTES);
        }
        put_repeated(connection, "\xbe", 1, i == 0 ? CRUMBS - 1 : CRUMBS);
    }
}

/* Each field is put into the table, where it drives out another one. */
static void more_table(struct connection *connection)
{
    static const char field[] = "\x40\x01x\x01y";
    enum { TIMES = 3000 };
    put_frame(connection, HEADERS, END_HEADERS | END_STREAM, take_stream(connection),
              HEAD_BYTES + TIMES * (sizeof(field) - 1));
    put(connection, get_head, HEAD_BYTES);
    put_repeated(connection, field, sizeof(field) - 1, TIMES);
}

/* A byte for each of the answers, so that each is sent in frames of one byte. */
static void more_tiny_windows(struct connection *connection)
{
    for (uint32_t i = 0; i < STREAMS_HELD; i++)
        put_window(connection, 2 * i + 1, 1);
}

static void more_field(struct connection *connection)
{
    put(connection, "X-a: b\r\n", 8);
}

static const struct kind kinds[] = {
    { "rapid-reset", open_http2, more_rapid_reset },
    { "provoked-reset", open_http2, more_provoked_reset },
    { "refused-streams", open_http2, more_refused },
    { "continuation", open_head, more_continuation },
    { "empty-continuation", open_head, more_empty_continuation },
    { "settings", open_http2, more_settings },
    { "settings-deaf", open_http2, more_settings, .deaf = true },
    { "ping", open_http2, more_ping },
    { "ping-deaf", open_http2, more_ping, .deaf = true },
    { "ping-stubborn", open_http2, more_ping, .stubborn = true },
    { "priority", open_http2, more_priority },
    { "unknown-frames", open_http2, more_unknown },
    { "empty-data", open_upload, more_empty_data },
    { "tiny-data", open_upload, more_tiny_data },
    { "hpack-bomb", open_bomb, more_bomb },
    { "hpack-trailers", open_bomb, more_trailers },
    { "cookie-crumbs", open_cookies, NULL, .deaf = true },
    { "hpack-table", open_http2, more_table },
    { "window-changes", open_no_window, more_windows },
    { "tiny-windows", open_no_window, more_tiny_windows },
    { "no-window", open_no_window, NULL, .deaf = true },
    { "slow-readers", open_slow_reader, NULL, .deaf = true },
    { "slowloris", open_http1, more_field, .slow = true },
    { "half-open-tls", open_hello, NULL },
};

enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]), MORE_MAX = FRAME_MAX + 64 };

/* --- connections ---------------------------------------------------------------------------------------- */

static void watch(struct flood *flood, struct connection *connection, int how)
{
    bool sends = !connection->opened || connection->end > connection->begin ||
                 (flood->kind->more && !flood->kind->slow);
    struct epoll_event event = { .events = sends ? EPOLLOUT : 0, .data.ptr = connection };
    if (!connection->ended)
        event.events |= flood->kind->deaf ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP;
    (void)epoll_ctl(flood->epoll, how, connection->fd, &event);
}

static void begin(struct flood *flood, struct connection *connection)
{
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connection->sent_bytes = connection->begin = connection->end = 0;
    connection->drip_ns = wire_now_ns();
    connection->opened = connection->ended = false;
    if (connection->fd < 0) {
        flood->totals.failures++;
        return;
    }
    flood->totals.connects++;
    if (connect(connection->fd, (struct sockaddr *)&flood->server, sizeof(flood->server)) != 0 &&
        errno != EINPROGRESS)
        flood->totals.failures++;
    watch(flood, connection, EPOLL_CTL_ADD);
}

static void again(struct flood *flood, struct connection *connection)
{
    struct totals *totals = &flood->totals;
    totals->closes += connection->opened;
    totals->failures += !connection->opened;
    if (connection->sent_bytes > totals->longest_bytes)
        totals->longest_bytes = connection->sent_bytes;
    (void)close(connection->fd);
    begin(flood, connection);
}

static void fill(struct flood *flood, struct connection *connection)
{
    const struct kind *kind = flood->kind;
    connection->begin = connection->end = 0;
    if (!connection->opened)
        kind->open(connection);
    connection->opened = true;
    if (kind->more && !kind->slow)
        while (connection->end + MORE_MAX <= BUFFER_BYTES)
            kind->more(connection);
}

/* False: the server has cut it off. */
static bool send_some(struct flood *flood, struct connection *connection)
{
    if (connection->begin == connection->end)
        fill(flood, connection);
    ssize_t size = send(connection->fd, connection->buffer + connection->begin,
                        connection->end - connection->begin, MSG_NOSIGNAL);
    if (size < 0)
        return errno == EAGAIN;
    connection->begin += (size_t)size;
    connection->sent_bytes += (uint64_t)size;
    flood->totals.sent_bytes += (uint64_t)size;
    if (connection->begin == connection->end && (flood->kind->more == NULL || flood->kind->slow))
        watch(flood, connection, EPOLL_CTL_MOD);
    return true;
}

static bool receive_some(struct flood *flood, struct connection *connection)
{
    static uint8_t bytes[BUFFER_BYTES];
    ssize_t size = recv(connection->fd, bytes, sizeof(bytes), 0);
    if (size > 0)
        flood->totals.received_bytes += (uint64_t)size;
    if (size == 0 && flood->kind->stubborn) {
        connection->ended = true;
        watch(flood, connection, EPOLL_CTL_MOD);
        return true;
    }
    return size > 0 || (size < 0 && errno == EAGAIN);
}

static void handle(struct flood *flood, struct connection *connection, uint32_t events)
{
    bool good = !(events & (EPOLLERR | EPOLLHUP));
    if (good && events & EPOLLIN)
        good = receive_some(flood, connection);
    if (good && events & EPOLLRDHUP && !flood->kind->stubborn)
        good = false;
    if (good && events & EPOLLOUT)
        good = send_some(flood, connection);
    if (!good)
        again(flood, connection);
}

static void drip(struct flood *flood, uint64_t now_ns)
{
    for (size_t i = 0; i < flood->count; i++) {
        struct connection *connection = &flood->connections[i];
        if (!connection->opened || connection->begin < connection->end ||
            now_ns - connection->drip_ns < DRIP_NS)
            continue;
        connection->drip_ns = now_ns;
        connection->begin = connection->end = 0;
        flood->kind->more(connection);
        if (!send_some(flood, connection))
            again(flood, connection);
    }
}

static void run(struct flood *flood, uint64_t duration_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t end_ns = wire_now_ns() + duration_ns, now_ns;
    for (size_t i = 0; i < flood->count; i++)
        begin(flood, &flood->connections[i]);
    while ((now_ns = wire_now_ns()) < end_ns) {
        int count = epoll_wait(flood->epoll, events, EVENTS, 10);
        for (int i = 0; i < count; i++)
            handle(flood, events[i].data.ptr, events[i].events);
        if (flood->kind->slow)
            drip(flood, now_ns);
    }
}

/* --- the command ---------------------------------------------------------------------------------------- */

static _Noreturn void die(const char *message)
{
    fprintf(stderr, "flood: %s\n", message);
    exit(2);
}

static double number_of(const char *text, double most)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= most))
        die("a number is not valid");
    return value;
}

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    for (size_t i = 0; i < KIND_COUNT; i++)
        fprintf(stderr, "%s\n", kinds[i].name);
    die("the kind is none of these");
}

static void print_totals(const struct flood *flood)
{
    const struct totals *totals = &flood->totals;
    size_t open = 0;
    for (size_t i = 0; i < flood->count; i++)
        open += flood->connections[i].opened;
    printf("{\"connects\":%llu,\"closes\":%llu,\"failures\":%llu,\"open\":%zu,\"sent_bytes\":%llu,"
           "\"received_bytes\":%llu,\"longest_bytes\":%llu}\n",
           (unsigned long long)totals->connects, (unsigned long long)totals->closes,
           (unsigned long long)totals->failures, open, (unsigned long long)totals->sent_bytes,
           (unsigned long long)totals->received_bytes, (unsigned long long)totals->longest_bytes);
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "port", required_argument, NULL, 'p' },
                                             { "kind", required_argument, NULL, 'k' },
                                             { "connections", required_argument, NULL, 'c' },
                                             { "duration", required_argument, NULL, 'd' },
                                             { NULL, 0, NULL, 0 } };
    struct flood flood = { .kind = &kinds[0],
                           .count = 8,
                           .server = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
    double seconds = 3;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': flood.server.sin_port = htons((uint16_t)number_of(optarg, 65535)); break;
        case 'k': flood.kind = kind_of(optarg); break;
        case 'c': flood.count = (size_t)number_of(optarg, 100000); break;
        case 'd': seconds = number_of(optarg, 3600); break;
        default: die("usage: flood --port PORT --kind KIND [--connections 8] [--duration 3]");
        }
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    flood.connections = calloc(flood.count ? flood.count : 1, sizeof(*flood.connections));
    flood.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (flood.server.sin_port == 0 || flood.connections == NULL || flood.epoll < 0)
        die("--port is needed, and memory, and descriptors");
    run(&flood, (uint64_t)llround(seconds * 1e9));
    print_totals(&flood);
    free(flood.connections);
    return 0;
}
