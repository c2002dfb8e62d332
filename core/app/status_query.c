/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/status_query.h"

#include "net/transport/address.h"

#include <jansson.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 65536, TIMEOUT_S = 2 };

/* The address to connect to; an unspecified one is reached over loopback. */
static bool address_of(const struct listener_settings *listeners, struct address *address)
{
    if (listeners->count == 0 || listeners->items[0].port == 0 ||
        !address_parse(listeners->items[0].address, listeners->items[0].port, address))
        return false;
    if (address->any.sa_family == AF_INET && address->v4.sin_addr.s_addr == htonl(INADDR_ANY))
        address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr))
        address->v6.sin6_addr = in6addr_loopback;
    return true;
}

/* The whole answer with its NUL; its size, 0 when there is none. */
static size_t ask(const struct address *address, char answer[ANSWER_BYTES])
{
    static const char request[] = "GET /status HTTP/1.0\r\n\r\n";
    struct timeval limit = { .tv_sec = TIMEOUT_S };
    size_t size = 0;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, &address->any, address->size) == 0 &&
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1) {
        ssize_t received;
        while (size < ANSWER_BYTES - 1 &&
               (received = recv(fd, answer + size, ANSWER_BYTES - 1 - size, 0)) > 0)
            size += (size_t)received;
    }
    close(fd);
    answer[size] = '\0';
    return size;
}

static bool print_answer(const char *answer, FILE *out)
{
    const char *body = strstr(answer, "\r\n\r\n"), *name;
    json_t *root = body ? json_loads(body + 4, 0, NULL) : NULL;
    json_t *server = json_object_get(root, "server"), *value;
    json_object_foreach(server, name, value) if (json_is_integer(value))
        fprintf(out, "  %-24s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
    const char *hash = json_string_value(json_object_get(root, "configuration_hash"));
    if (hash)
        fprintf(out, "  %-24s %s\n", "configuration_hash", hash);
    bool printed = server != NULL;
    json_decref(root);
    return printed;
}

void status_query_print(const struct settings *settings, FILE *out)
{
    const struct listener_settings *candidates[] = { &settings->status_listeners,
                                                     &settings->admin_listeners };
    char answer[ANSWER_BYTES];
    struct address address;
    for (size_t i = 0; i < COUNT_OF(candidates); i++)
        if (address_of(candidates[i], &address) && ask(&address, answer) > 0 && print_answer(answer, out))
            return;
    fprintf(out, "  neither status_listen nor admin_listen answers: no numbers\n");
}
