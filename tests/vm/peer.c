/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS client, OpenSSL's, that does what curl does not: vm_peer PORT 1.2|1.3 WHAT [ARGUMENT]. It says "good"
 * and ends with 0, or says what went wrong. WHAT may be `serve FILE`: an origin that compares. Runs inside
 * the virtual machine of tests/vm/run.py. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST "GET /small HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define LAST "GET /small HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"

enum { IDLE_MAX = 4096, SLOW_BYTES = 4096 };

struct peer {
    SSL_CTX *ctx;
    SSL *ssl;
    int port, fd;
    int receive_bytes; /* of the socket; 0: as usual */
};

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf(" (%s)\n", ERR_reason_error_string(ERR_peek_last_error()));
    exit(1);
}

static int connect_tcp(const struct peer *peer)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)peer->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (peer->receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &peer->receive_bytes, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("no connection");
    return fd;
}

static void connect_tls(struct peer *peer)
{
    peer->fd = connect_tcp(peer);
    peer->ssl = SSL_new(peer->ctx);
    SSL_set_fd(peer->ssl, peer->fd);
    SSL_set_tlsext_host_name(peer->ssl, "a.test");
    if (SSL_connect(peer->ssl) != 1)
        fail("no handshake");
}

static void say(struct peer *peer, const char *text)
{
    if (SSL_write(peer->ssl, text, (int)strlen(text)) <= 0)
        fail("cannot write");
}

/* The whole response, by its Content-Length; returns the status. */
static int hear(struct peer *peer)
{
    char text[8192];
    size_t used = 0;
    for (;;) {
        int got = SSL_read(peer->ssl, text + used, (int)(sizeof(text) - 1 - used));
        if (got <= 0)
            return -SSL_get_error(peer->ssl, got);
        used += (size_t)got;
        text[used] = '\0';
        const char *body = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length: ");
        if (body && length && used >= (size_t)(body - text) + 4 + strtoul(length + 18, NULL, 10))
            return (int)strtol(text + 9, NULL, 10);
    }
}

static void expect(struct peer *peer, int status)
{
    int got = hear(peer);
    if (got != status)
        fail("answered %d", got);
}

/* The other side's close_notify must come, not just a FIN. */
static void expect_end(struct peer *peer)
{
    char byte;
    int got = SSL_read(peer->ssl, &byte, 1);
    if (got > 0 || SSL_get_error(peer->ssl, got) != SSL_ERROR_ZERO_RETURN)
        fail("not ended by close_notify: %d", SSL_get_error(peer->ssl, got));
}

static void expect_alert(struct peer *peer, int alert)
{
    char byte;
    int got = SSL_read(peer->ssl, &byte, 1);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (got > 0 || reason != SSL_AD_REASON_OFFSET + alert)
        fail("not alert %d: %d, error %d, shutdown %d", alert, got, SSL_get_error(peer->ssl, got),
             SSL_get_shutdown(peer->ssl));
}

/* --- what it does --------------------------------------------------------------------------------------- */

static void ours_first(struct peer *peer)
{
    connect_tls(peer);
    say(peer, REQUEST);
    expect(peer, 200);
    if (SSL_shutdown(peer->ssl) < 0)
        fail("cannot shut down");
    expect_end(peer);
}

static void theirs_first(struct peer *peer)
{
    connect_tls(peer);
    say(peer, LAST);
    expect(peer, 200);
    expect_end(peer);
    SSL_shutdown(peer->ssl);
}

static void cut(struct peer *peer)
{
    connect_tls(peer);
    say(peer, REQUEST);
    expect(peer, 200);
    shutdown(peer->fd, SHUT_WR);
    char rest[512];
    while (recv(peer->fd, rest, sizeof(rest), 0) > 0)
        continue;
}

static void spoil(struct peer *peer)
{
    unsigned char record[5 + 40] = { 23, 3, 3, 0, 40, 1, 2, 3 };
    connect_tls(peer);
    say(peer, REQUEST);
    expect(peer, 200);
    if (send(peer->fd, record, sizeof(record), 0) != sizeof(record))
        fail("cannot send");
    expect_alert(peer, SSL_AD_BAD_RECORD_MAC);
}

static void overflow(struct peer *peer)
{
    unsigned char header[5 + 8] = { 23, 3, 3, 0x7f, 0xff }; /* with the nonce of TLS 1.2 */
    connect_tls(peer);
    say(peer, REQUEST);
    expect(peer, 200);
    if (send(peer->fd, header, sizeof(header), 0) != sizeof(header))
        fail("cannot send");
    expect_alert(peer, SSL_AD_RECORD_OVERFLOW);
}

static void update(struct peer *peer, int kind, bool followed)
{
    connect_tls(peer);
    say(peer, REQUEST);
    expect(peer, 200);
    for (unsigned i = 0; i < 3; i++) {
        if (SSL_key_update(peer->ssl, kind) != 1 || SSL_do_handshake(peer->ssl) != 1)
            fail("no KeyUpdate");
        if (!followed) { /* by a kernel that cannot change keys */
            expect_alert(peer, SSL_AD_INTERNAL_ERROR);
            return;
        }
        say(peer, REQUEST);
        expect(peer, 200);
        say(peer, REQUEST);
        expect(peer, 200);
    }
}

static void resume(struct peer *peer)
{
    theirs_first(peer);
    SSL_SESSION *session = SSL_get1_session(peer->ssl);
    peer->fd = connect_tcp(peer);
    peer->ssl = SSL_new(peer->ctx);
    SSL_set_fd(peer->ssl, peer->fd);
    SSL_set_tlsext_host_name(peer->ssl, "a.test");
    SSL_set_session(peer->ssl, session);
    if (SSL_connect(peer->ssl) != 1 || !SSL_session_reused(peer->ssl))
        fail("not resumed");
    say(peer, LAST);
    expect(peer, 200);
    expect_end(peer);
}

static void wait_for(int milliseconds)
{
    (void)poll(NULL, 0, milliseconds);
}

static size_t flush(struct peer *peer, BIO *out, size_t most)
{
    char bytes[16384];
    int size = BIO_read(out, bytes, most < sizeof(bytes) ? (int)most : (int)sizeof(bytes));
    if (size > 0 && send(peer->fd, bytes, (size_t)size, 0) != size)
        fail("cannot send");
    return size > 0 ? (size_t)size : 0;
}

static void fill(struct peer *peer, BIO *in)
{
    char bytes[16384];
    ssize_t size = recv(peer->fd, bytes, sizeof(bytes), 0);
    if (size <= 0)
        fail("closed in the handshake");
    BIO_write(in, bytes, (int)size);
}

/* The last flight of the handshake arrives together with `ahead` bytes of a request's record; the rest of it
 * when the other side has had time to take those for what they are. */
static void ahead(struct peer *peer, size_t bytes)
{
    peer->fd = connect_tcp(peer);
    peer->ssl = SSL_new(peer->ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(peer->ssl, in, out);
    SSL_set_connect_state(peer->ssl);
    SSL_set_tlsext_host_name(peer->ssl, "a.test");
    bool old = SSL_CTX_get_max_proto_version(peer->ctx) == TLS1_2_VERSION;
    for (;;) {
        bool done = SSL_do_handshake(peer->ssl) == 1;
        if (done && !old)
            break;
        while (flush(peer, out, SIZE_MAX) > 0)
            continue;
        if (done)
            break;
        fill(peer, in);
    }
    size_t before = BIO_ctrl_pending(out);
    say(peer, REQUEST);
    flush(peer, out, before + bytes);
    wait_for(300); /* the record is cut, whatever happens now */
    while (flush(peer, out, SIZE_MAX) > 0)
        continue;
    SSL_set_fd(peer->ssl, peer->fd);
    expect(peer, 200);
    say(peer, LAST);
    expect(peer, 200);
    expect_end(peer);
}

static void many(struct peer *peer, unsigned count)
{
    connect_tls(peer);
    for (unsigned i = 0; i < count; i++) {
        say(peer, REQUEST);
        expect(peer, 200);
    }
    say(peer, LAST);
    expect(peer, 200);
    expect_end(peer);
}

/* Everything must come before the FIN, however small the window. */
static void slow(struct peer *peer, const char *path, uint64_t wanted)
{
    char text[512], bytes[SLOW_BYTES];
    uint64_t got = 0;
    peer->receive_bytes = SLOW_BYTES;
    connect_tls(peer);
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", path);
    say(peer, text);
    for (;;) {
        int size = SSL_read(peer->ssl, bytes, sizeof(bytes));
        if (size <= 0 && SSL_get_error(peer->ssl, size) == SSL_ERROR_ZERO_RETURN)
            break;
        if (size <= 0)
            fail("cut off after %lu bytes", (unsigned long)got);
        if (got < 300000)
            wait_for(1); /* the window stays shut now and then */
        got += (unsigned)size;
    }
    if (got < wanted)
        fail("only %lu bytes", (unsigned long)got);
}

/* Keeps connections open until its standard input ends. */
static void idle(struct peer *peer, unsigned count)
{
    static SSL *all[IDLE_MAX];
    for (unsigned i = 0; i < count && i < IDLE_MAX; i++) {
        connect_tls(peer);
        say(peer, REQUEST);
        expect(peer, 200);
        all[i] = peer->ssl;
    }
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    for (unsigned i = 0; i < count && i < IDLE_MAX; i++)
        SSL_shutdown(all[i]);
}

/* --- an origin ------------------------------------------------------------------------------------------ */

static void signal_children(void)
{
    struct sigaction none = { .sa_handler = SIG_IGN };
    sigaction(SIGCHLD, &none, NULL);
}

static void answer(int fd, const char *text)
{
    char head[256];
    int size =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                 strlen(text), text);
    if (send(fd, head, (size_t)size, 0) != size)
        fail("cannot answer");
    shutdown(fd, SHUT_WR);
    while (recv(fd, head, sizeof(head), 0) > 0)
        continue;
}

/* Compares what comes with the file, whose size it must have. */
static void compare(int fd, FILE *file)
{
    char got[65536], wanted[65536], head[8192];
    size_t used = 0, size = 0, wrong = 0;
    const char *body = NULL, *length;
    while (body == NULL) {
        ssize_t part = recv(fd, head + used, sizeof(head) - 1 - used, 0);
        if (part <= 0)
            exit(0);
        used += (size_t)part;
        head[used] = '\0';
        body = strstr(head, "\r\n\r\n");
    }
    length = strcasestr(head, "\r\nContent-Length: ");
    size_t left = length ? strtoul(length + 18, NULL, 10) : 0;
    ssize_t part = (ssize_t)(head + used - (body + 4));
    memcpy(got, body + 4, (size_t)part);
    while (part > 0 || left > size) {
        size_t there = fread(wanted, 1, (size_t)part, file);
        wrong += there != (size_t)part || memcmp(got, wanted, there) != 0;
        size += (size_t)part;
        part = left > size ? recv(fd, got, sizeof(got), 0) : 0;
        if (left > size && part <= 0)
            exit(1);
    }
    answer(fd, wrong == 0 && fgetc(file) == EOF ? "same" : "different");
}

static void serve(struct peer *peer, const char *path)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)peer->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 16) != 0)
        fail("cannot listen");
    signal_children();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && fork() == 0) {
            compare(fd, fopen(path, "re"));
            exit(0);
        }
        close(fd);
    }
}

static bool run(struct peer *peer, const char *what, const char *argument)
{
    unsigned long number = argument ? strtoul(argument, NULL, 10) : 0;
    if (strcmp(what, "ours-first") == 0)
        ours_first(peer);
    else if (strcmp(what, "theirs-first") == 0)
        theirs_first(peer);
    else if (strcmp(what, "cut") == 0)
        cut(peer);
    else if (strcmp(what, "spoil") == 0)
        spoil(peer);
    else if (strcmp(what, "overflow") == 0)
        overflow(peer);
    else if (strcmp(what, "update") == 0)
        update(peer, SSL_KEY_UPDATE_NOT_REQUESTED, number);
    else if (strcmp(what, "update-both") == 0)
        update(peer, SSL_KEY_UPDATE_REQUESTED, number);
    else if (strcmp(what, "resume") == 0)
        resume(peer);
    else if (strcmp(what, "ahead") == 0)
        ahead(peer, number);
    else if (strcmp(what, "many") == 0)
        many(peer, (unsigned)number);
    else if (strcmp(what, "slow") == 0)
        slow(peer, "/middle", number);
    else if (strcmp(what, "serve") == 0)
        serve(peer, argument);
    else if (strcmp(what, "idle") == 0)
        idle(peer, (unsigned)number);
    else
        return false;
    return true;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 4)
        return 2;
    struct peer peer = { .ctx = SSL_CTX_new(TLS_client_method()),
                         .port = (int)strtol(arguments[1], NULL, 10) };
    int version = strcmp(arguments[2], "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_CTX_set_min_proto_version(peer.ctx, version);
    SSL_CTX_set_max_proto_version(peer.ctx, version);
    SSL_CTX_set_session_cache_mode(peer.ctx, SSL_SESS_CACHE_CLIENT);
    if (!run(&peer, arguments[3], argument_count > 4 ? arguments[4] : NULL))
        return 2;
    printf("good\n");
    return 0;
}
