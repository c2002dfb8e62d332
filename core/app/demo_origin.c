/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/demo_origin.h"

#include "net/http/http1_parse.h"
#include "net/http/http1_write.h"
#include "net/transport/address.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARENA_BYTES = 262144, HEAD_ROOM = 512, INPUT_BYTES = 16384, STACK_BYTES = 262144 };

/* Of one connection, and its thread's. */
struct origin_client {
    int fd;
    struct http1_parser parser;
    struct message message;
    struct arena arena;
    json_int_t body_bytes;
};

static void add_header(json_t *headers, struct header header)
{
    if (header.name.data == NULL)
        return;
    json_t *value = json_stringn(header.value.data, header.value.size);
    char name[256];
    if (header.name.size >= sizeof(name)) {
        json_decref(value);
        return;
    }
    memcpy(name, header.name.data, header.name.size);
    name[header.name.size] = '\0';
    json_t *before = json_object_get(headers, name);
    json_t *joined = NULL;
    if (before && value)
        joined = json_pack("s++", json_string_value(before), ", ", json_string_value(value));
    if (joined) {
        json_decref(value);
        value = joined;
    }
    json_object_set_new(headers, name, value ? value : json_string("(not UTF-8)"));
}

/* The request as JSON, to be freed; NULL without memory. */
static char *describe(const struct origin_client *client)
{
    const struct message *message = &client->message;
    json_t *headers = json_object();
    for (uint32_t i = 0; i < message->header_count; i++)
        add_header(headers, message->headers[i]);
    json_t *path = json_stringn(message->target.data, message->target.size);
    json_t *root = json_pack("{s:s, s:s%, s:o, s:o, s:I}", "message", "hello from the origin of the demo",
                             "method", message->method.data, message->method.size, "path",
                             path ? path : json_string("(not UTF-8)"), "headers", headers, "body_bytes",
                             client->body_bytes);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return text;
}

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* False: the connection is over. */
static bool answer(const struct origin_client *client)
{
    char *text = describe(client);
    size_t size = text ? strlen(text) : 0;
    char *output = text ? malloc(HEAD_ROOM + size) : NULL;
    if (output == NULL) {
        free(text);
        return false;
    }
    struct writer out = writer_of(output, HEAD_ROOM + size);
    http1_write_status_line(&out, 200, (struct slice){ NULL, 0 });
    writer_text(&out, "Content-Type: application/json\r\nServer: demo-origin\r\n");
    writer_header_u64(&out, SLICE("Content-Length"), size + 1);
    writer_text(&out, "\r\n");
    if (!slice_equal(client->message.method, SLICE("HEAD"))) {
        writer_bytes(&out, text, size);
        writer_byte(&out, '\n');
    }
    CHECK(!out.overflow);
    bool sent = send_all(client->fd, output, (size_t)(out.next - output));
    free(output);
    free(text);
    return sent && client->message.keep_alive;
}

static void begin(struct origin_client *client)
{
    arena_reset(&client->arena);
    client->body_bytes = 0;
    http1_parser_begin(&client->parser, &client->message, &client->arena);
}

/* All that these bytes hold; false: the connection is over. */
static bool take(struct origin_client *client, const char *data, size_t size)
{
    for (;;) {
        size_t consumed = 0;
        struct slice body;
        enum http1_event event = http1_parse(&client->parser, data, size, &consumed, &body);
        data += consumed;
        size -= consumed;
        if (event == HTTP1_MORE)
            return true;
        if (event == HTTP1_REFUSED || (event == HTTP1_END && !answer(client)))
            return false;
        if (event == HTTP1_BODY)
            client->body_bytes += (json_int_t)body.size;
        if (event == HTTP1_END)
            begin(client);
    }
}

static void *serve(void *argument)
{
    struct origin_client *client = argument;
    char input[INPUT_BYTES];
    ssize_t size;
    arena_init(&client->arena, NULL, 0, ARENA_BYTES);
    http1_parser_init(&client->parser, HTTP1_REQUEST, &http1_default_limits);
    begin(client);
    do
        size = recv(client->fd, input, sizeof(input), 0);
    while ((size < 0 && errno == EINTR) || (size > 0 && take(client, input, (size_t)size)));
    close(client->fd);
    arena_deinit(&client->arena);
    free(client);
    return NULL;
}

/* A detached thread that no signal is delivered to. 0, or an errno. */
static int start_thread(void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int failure = pthread_attr_init(&attributes);
    if (failure)
        return failure;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&thread, &attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failure;
}

static void *accept_all(void *argument)
{
    int listener = (int)(intptr_t)argument;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            usleep(100000); /* no descriptor or memory: some will be given back */
        if (fd < 0)
            continue;
        struct origin_client *client = calloc(1, sizeof(*client));
        if (client)
            client->fd = fd;
        if (client == NULL || start_thread(serve, client) != 0) {
            free(client);
            close(fd);
        }
    }
    return NULL;
}

int demo_origin_open(uint16_t *port)
{
    struct address address = { .size = sizeof(address.v4) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    address.v4.sin_family = AF_INET;
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int failure = 0;
    if (bind(fd, &address.any, address.size) != 0 || listen(fd, 511) != 0 ||
        getsockname(fd, &address.any, &address.size) != 0)
        failure = errno;
    else
        failure = start_thread(accept_all, (void *)(intptr_t)fd);
    if (failure)
        close(fd);
    *port = failure ? 0 : address_port(&address);
    return failure;
}
