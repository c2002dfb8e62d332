/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport/datagrams.h"

#include <errno.h>
#include <sys/un.h>
#include <unistd.h>

enum { AT_ONCE = 64 /* datagrams of one system call */ };

static enum error connect_to(struct datagrams *datagrams, const struct sockaddr *to, socklen_t size)
{
    datagrams->fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (datagrams->fd >= 0 && connect(datagrams->fd, to, size) == 0)
        return ERROR_OK;
    enum error error = error_from_errno(errno);
    datagrams_close(datagrams);
    return error;
}

enum error datagrams_open(struct datagrams *datagrams, const struct address *address)
{
    return connect_to(datagrams, &address->any, address->size);
}

enum error datagrams_open_path(struct datagrams *datagrams, const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t size = strlen(path);
    datagrams->fd = -1;
    if (size >= sizeof(to.sun_path))
        return ERROR_INVALID;
    memcpy(to.sun_path, path, size);
    return connect_to(datagrams, (const struct sockaddr *)&to, sizeof(to));
}

void datagrams_close(struct datagrams *datagrams)
{
    if (datagrams->fd >= 0)
        close(datagrams->fd);
    datagrams->fd = -1;
}

static uint32_t send_some(struct datagrams *datagrams, const struct slice *texts, uint32_t count,
                          enum error *error)
{
    struct mmsghdr messages[AT_ONCE];
    struct iovec parts[AT_ONCE];
    memset(messages, 0, count * sizeof(messages[0]));
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = (struct iovec){ (void *)(uintptr_t)texts[i].data, texts[i].size };
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(datagrams->fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return (uint32_t)sent;
    if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
        *error = error_from_errno(errno);
    return 0;
}

uint32_t datagrams_send(struct datagrams *datagrams, const struct slice *texts, uint32_t count,
                        enum error *error)
{
    uint32_t done = 0;
    *error = ERROR_OK;
    while (done < count) {
        uint32_t wanted = count - done < AT_ONCE ? count - done : AT_ONCE;
        uint32_t sent = send_some(datagrams, texts + done, wanted, error);
        done += sent;
        if (sent < wanted && (sent == 0 || *error != ERROR_OK))
            break;
    }
    return done;
}
