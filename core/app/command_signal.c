/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/command_load.h"
#include "core/app/status_query.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 30000 }; /* beyond drain_timeout */

/* Only in messages and decisions of one call. */
struct running {
    const char *command, *pid_file;
    long pid;
    int pidfd;
};

static int fail(const struct running *running, int status, const char *reason)
{
    fprintf(stderr, "sluice %s: %s: %s\n", running->command, running->pid_file, reason);
    return status;
}

/* The first line of a small file; false: it cannot be read. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool read = fgets(line, size, file) != NULL;
    fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

static bool is_sluice(long pid)
{
    char path[64], name[64];
    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    return read_line(path, name, sizeof(name)) && strcmp(name, "sluice") == 0;
}

/* Opens the process before asking what it is: the descriptor stays with this one, whoever gets its number
 * later. The exit status, or 0. */
static int find_process(struct running *running)
{
    char line[64];
    uint64_t pid;
    errno = 0;
    if (!read_line(running->pid_file, line, sizeof(line)))
        return fail(running, COMMAND_EXIT_FAILED,
                    errno == ENOENT ? "no such file: the gateway is not running"
                    : errno         ? strerror(errno)
                                    : "empty");
    if (!slice_to_u64(slice_trim(slice_of(line)), &pid) || pid == 0 || pid > INT32_MAX)
        return fail(running, COMMAND_EXIT_FAILED, "holds no process id");
    running->pid = (long)pid;
    running->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (running->pidfd >= 0 && is_sluice(running->pid))
        return 0;
    fprintf(stderr, "sluice %s: not running: %s names process %ld, which %s\n", running->command,
            running->pid_file, running->pid, running->pidfd < 0 ? "does not exist" : "is not sluice");
    if (running->pidfd >= 0)
        close(running->pidfd);
    return COMMAND_EXIT_FAILED;
}

static int wait_for_end(const struct running *running, const struct settings *settings)
{
    struct pollfd ended = { .fd = running->pidfd, .events = POLLIN };
    int64_t limit_ms = settings->drain_timeout_ms + STOP_GRACE_MS;
    int count;
    do
        count = poll(&ended, 1, limit_ms < INT32_MAX ? (int)limit_ms : INT32_MAX);
    while (count < 0 && errno == EINTR);
    if (count > 0)
        return COMMAND_EXIT_OK;
    fprintf(stderr, "sluice stop: process %ld was told to end and still runs\n", running->pid);
    return COMMAND_EXIT_FAILED;
}

static int act(const struct running *running, const struct settings *settings)
{
    bool stop = strcmp(running->command, "stop") == 0;
    if (strcmp(running->command, "status") == 0) {
        printf("running, pid %ld\n", running->pid);
        status_query_print(settings, stdout);
        return COMMAND_EXIT_OK;
    }
    if (syscall(SYS_pidfd_send_signal, running->pidfd, stop ? SIGTERM : SIGHUP, NULL, 0) != 0)
        return fail(running, COMMAND_EXIT_FAILED, strerror(errno));
    return stop ? wait_for_end(running, settings) : COMMAND_EXIT_OK;
}

int command_signal(const struct command_options *options, const char *command)
{
    struct loaded loaded;
    struct running running = { .command = command, .pid_file = options->pid_file };
    if (!command_load(options, &loaded)) {
        config_unload(&loaded);
        return COMMAND_EXIT_INVALID;
    }
    if (running.pid_file == NULL && loaded.settings.pid_file.size > 0)
        running.pid_file = loaded.settings.pid_file.data;
    int status;
    if (running.pid_file == NULL) {
        fprintf(stderr, "sluice %s: no pid file: give --pid FILE or the setting pid_file\n", command);
        status = COMMAND_EXIT_USAGE;
    } else {
        status = find_process(&running);
        if (status == 0) {
            status = act(&running, &loaded.settings);
            close(running.pidfd);
        }
    }
    config_unload(&loaded);
    return status;
}
