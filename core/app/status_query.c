/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/status_query.h"

#include "net/transport/address.h"

#include <sys/time.h>
#include <unistd.h>

enum { REQUEST_BYTES = 4096, LINE_BYTES = 4096, TIMEOUT_S = 2 };

/* The first one in the clear: its address to connect to; an unspecified one is reached over loopback. */
static bool address_of(const struct listener_settings *listeners, struct address *address)
{
    uint32_t at = 0;
    while (at < listeners->count && listeners->items[at].ssl)
        at++;
    if (at == listeners->count || listeners->items[at].port == 0 ||
        !address_parse(listeners->items[at].address, listeners->items[at].port, address))
        return false;
    if (address->any.sa_family == AF_INET && address->v4.sin_addr.s_addr == htonl(INADDR_ANY))
        address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr))
        address->v6.sin6_addr = in6addr_loopback;
    return true;
}

/* A socket that has sent the request; -1: nobody takes it. */
static int open_query(const struct address *address, struct slice token, const char *target)
{
    char request[REQUEST_BYTES];
    int size =
        snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: localhost\r\n%s%.*s%s\r\n", target,
                 token.size ? "Kong-Admin-Token: " : "", SLICE_FORMAT(token), token.size ? "\r\n" : "");
    struct timeval limit = { .tv_sec = TIMEOUT_S };
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && size < (int)sizeof(request) &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, &address->any, address->size) == 0 &&
        send(fd, request, (size_t)size, MSG_NOSIGNAL) == size)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The body of an answer with status 200; NULL: there is none. */
static json_t *ask(const struct settings *settings, const struct listener_settings *listeners,
                   const char *target)
{
    struct address address;
    int fd = address_of(listeners, &address) ? open_query(&address, settings->admin_token, target) : -1;
    FILE *answer = fd >= 0 ? fdopen(fd, "r") : NULL;
    char line[LINE_BYTES];
    json_t *value = NULL;
    if (answer == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    bool good = fgets(line, sizeof(line), answer) && strncmp(line, "HTTP/1.1 200 ", 13) == 0;
    while (good && fgets(line, sizeof(line), answer) && strcmp(line, "\r\n") != 0)
        continue;
    if (good)
        value = json_loadf(answer, 0, NULL);
    fclose(answer);
    return value;
}

json_t *status_query_admin(const struct settings *settings, const char *target)
{
    return ask(settings, &settings->admin_listeners, target);
}

static bool print_numbers(json_t *root, FILE *out)
{
    const char *name;
    json_t *server = json_object_get(root, "server"), *value;
    json_object_foreach(server, name, value) if (json_is_integer(value))
        fprintf(out, "  %-24s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
    const char *hash = json_string_value(json_object_get(root, "configuration_hash"));
    if (hash)
        fprintf(out, "  %-24s %s\n", "configuration_hash", hash);
    return server != NULL;
}

void status_query_print(const struct settings *settings, FILE *out)
{
    const struct listener_settings *candidates[] = { &settings->status_listeners,
                                                     &settings->admin_listeners };
    for (size_t i = 0; i < COUNT_OF(candidates); i++) {
        json_t *root = ask(settings, candidates[i], "/status");
        bool printed = print_numbers(root, out);
        json_decref(root);
        if (printed)
            return;
    }
    fprintf(out, "  neither status_listen nor admin_listen answers in the clear: no numbers\n");
}
