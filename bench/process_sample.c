/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/process_sample.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Reads a small /proc file as text. Returns its size, 0 if it is gone. */
static size_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

static pid_t parent_of(const char *pid)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
    if (read_text(path, text, sizeof text) == 0)
        return 0;
    const char *after_name = strrchr(text, ')');
    int parent = 0;
    if (after_name == NULL || sscanf(after_name + 1, " %*c %d", &parent) != 1)
        return 0;
    return parent;
}

static bool contains(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* Adds direct children of known processes; returns the new count. */
static size_t add_children(pid_t *pids, size_t count)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return count;
    for (const struct dirent *entry; (entry = readdir(proc)) != NULL && count < PROCESS_LIMIT;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && !contains(pids, count, pid) && contains(pids, count, parent_of(entry->d_name)))
            pids[count++] = pid;
    }
    closedir(proc);
    return count;
}

static void add_threads(struct process_sample *sample, pid_t pid)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.16s/schedstat", pid, entry->d_name);
        if (read_text(path, text, sizeof text) > 0)
            sample->cpu_ns += strtoull(text, NULL, 10);
    }
    closedir(tasks);
}

static void add_ticks(struct process_sample *sample, pid_t pid)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_text(path, text, sizeof text) == 0)
        return;
    const char *after_name = strrchr(text, ')');
    uint64_t user = 0;
    uint64_t system = 0;
    if (after_name == NULL)
        return;
    int fields = sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                        &user, &system);
    if (fields == 2) {
        sample->user_ticks += user;
        sample->system_ticks += system;
    }
}

static uint64_t status_kib(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line != NULL ? strtoull(line + strlen(name), NULL, 10) : 0;
}

static void add_memory(struct process_sample *sample, pid_t pid)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (read_text(path, text, sizeof text) == 0)
        return;
    sample->processes++;
    sample->rss_bytes += status_kib(text, "VmRSS:") * 1024;
    sample->anonymous_bytes += status_kib(text, "RssAnon:") * 1024;
}

void process_sample_read(struct process_sample *sample, const pid_t *roots, size_t root_count)
{
    pid_t pids[PROCESS_LIMIT];
    size_t count = root_count < PROCESS_LIMIT ? root_count : PROCESS_LIMIT;
    *sample = (struct process_sample){ .processes = 0 };
    if (count == 0)
        return;
    memcpy(pids, roots, count * sizeof pids[0]);
    for (size_t before = 0; before != count;) {
        before = count;
        count = add_children(pids, count);
    }
    for (size_t i = 0; i < count; i++) {
        add_threads(sample, pids[i]);
        add_ticks(sample, pids[i]);
        add_memory(sample, pids[i]);
    }
}

uint64_t process_own_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
