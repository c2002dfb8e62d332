/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/handover.h"

#include "core/app/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SOCKETS_NAME "SLUICE_HANDOVER_SOCKETS"
#define READY_NAME "SLUICE_HANDOVER_READY"

enum { INHERITED_MAX = 4096 };

/* Written by handover_start and the functions of the new process, before any shard runs. */
static struct {
    char program[PATH_MAX];
    char *const *argv;
    int fds[INHERITED_MAX]; /* -1: taken */
    uint32_t count;
    int ready_fd;
} own = { .ready_fd = -1 };

/* --- the new process ------------------------------------------------------------------------------------ */

static int next_number(const char **text)
{
    char *end;
    long number = strtol(*text, &end, 10);
    bool good = end != *text && number > STDERR_FILENO && number <= INT_MAX;
    *text = *end == ',' ? end + 1 : end;
    return good ? (int)number : -1;
}

static bool listens(int fd)
{
    int on = 0;
    socklen_t size = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

void handover_start(char *const *argv)
{
    const char *sockets = getenv(SOCKETS_NAME), *ready = getenv(READY_NAME);
    ssize_t size = readlink("/proc/self/exe", own.program, sizeof(own.program) - 1);
    own.program[size > 0 ? size : 0] = '\0';
    own.argv = argv;
    while (sockets && *sockets && own.count < INHERITED_MAX) {
        int fd = next_number(&sockets);
        if (fd < 0 || !listens(fd))
            continue;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        own.fds[own.count++] = fd;
    }
    if (ready && own.count > 0) {
        own.ready_fd = next_number(&ready);
        (void)fcntl(own.ready_fd, F_SETFD, FD_CLOEXEC);
    }
    unsetenv(SOCKETS_NAME);
    unsetenv(READY_NAME);
}

int handover_take(const struct address *address)
{
    for (uint32_t i = 0; i < own.count; i++) {
        struct address bound = { .size = sizeof(bound.v6) };
        int fd = own.fds[i];
        if (fd < 0 || getsockname(fd, &bound.any, &bound.size) != 0)
            continue;
        struct address wanted = *address;
        if (address_port(&wanted) == 0)
            address_set_port(&wanted, address_port(&bound));
        if (!address_equal(&bound, &wanted))
            continue;
        own.fds[i] = -1;
        return fd;
    }
    return -1;
}

void handover_finish(void)
{
    for (uint32_t i = 0; i < own.count; i++)
        if (own.fds[i] >= 0)
            close(own.fds[i]);
    own.count = 0;
    if (own.ready_fd < 0)
        return;
    if (write(own.ready_fd, "r", 1) != 1)
        journal(JOURNAL_WARN, "the process that handed its sockets over is gone");
    close(own.ready_fd);
    own.ready_fd = -1;
}

/* --- the old process ------------------------------------------------------------------------------------ */

/* The environment with the two variables of the handover in front; NULL: out of memory. */
static char **environment_with(char *sockets, char *ready)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **all = calloc(count + 3, sizeof(*all));
    if (all == NULL)
        return NULL;
    all[0] = sockets;
    all[1] = ready;
    memcpy(all + 2, environ, count * sizeof(*all));
    return all;
}

/* A descriptor duplicated onto itself is inherited. */
static int spawn(struct handover *handover, int write_fd, const int *fds, uint32_t count)
{
    size_t room = sizeof(SOCKETS_NAME) + (size_t)count * 12 + 1, used = sizeof(SOCKETS_NAME);
    char *sockets = malloc(room), ready[sizeof(READY_NAME) + 16];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    snprintf(ready, sizeof(ready), READY_NAME "=%d", write_fd);
    int error = sockets ? posix_spawn_file_actions_adddup2(&actions, write_fd, write_fd) : ENOMEM;
    if (sockets)
        memcpy(sockets, SOCKETS_NAME "=", sizeof(SOCKETS_NAME) + 1);
    for (uint32_t i = 0; error == 0 && i < count; i++) {
        error = posix_spawn_file_actions_adddup2(&actions, fds[i], fds[i]);
        used += (size_t)snprintf(sockets + used, room - used, "%s%d", i ? "," : "", fds[i]);
    }
    char **environment = error == 0 ? environment_with(sockets, ready) : NULL;
    if (error == 0)
        error = environment
                    ? posix_spawn(&handover->child, own.program, &actions, &attributes, own.argv, environment)
                    : ENOMEM;
    free(environment);
    free(sockets);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

bool handover_begin(struct handover *handover, const int *fds, uint32_t count)
{
    int pipe_fds[2];
    if (handover->child != 0) {
        journal(JOURNAL_WARN, "a handover is under way already pid=%ld", (long)handover->child);
        return false;
    }
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0) {
        journal(JOURNAL_ERROR, "no handover: %s", strerror(errno));
        return false;
    }
    int error = spawn(handover, pipe_fds[1], fds, count);
    close(pipe_fds[1]);
    if (error != 0) {
        close(pipe_fds[0]);
        handover->child = 0;
        journal(JOURNAL_ERROR, "no handover: %s cannot be started: %s", own.program, strerror(error));
        return false;
    }
    handover->ready_fd = pipe_fds[0];
    journal(JOURNAL_NOTICE, "handover begins program=%s pid=%ld", own.program, (long)handover->child);
    return true;
}

enum handover_state handover_poll(struct handover *handover, uint64_t now_ms)
{
    char byte;
    int status;
    if (handover->child == 0)
        return HANDOVER_NONE;
    ssize_t size = read(handover->ready_fd, &byte, 1);
    bool late = size < 0 && now_ms >= handover->until_ms;
    if (size < 0 && !late)
        return HANDOVER_WAITING;
    close(handover->ready_fd);
    if (size == 1) {
        journal(JOURNAL_NOTICE, "handover done pid=%ld", (long)handover->child);
        return HANDOVER_DONE;
    }
    /* Its end of the pipe was closed without a byte, or its time is up. */
    (void)kill(handover->child, SIGKILL);
    (void)waitpid(handover->child, &status, 0);
    journal(JOURNAL_ERROR, "handover failed: the new process %s, this one serves on pid=%ld",
            late ? "was not ready within handover_timeout" : "has ended", (long)handover->child);
    handover->child = 0;
    return HANDOVER_FAILED;
}
