/* SPDX-License-Identifier: Apache-2.0 */
/* What test_access_log.c does not show: files that are opened later, and lines that were cut. */
#include "core/io/line_file.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct shard shard;
static struct line_file file;
static char folder[] = "/tmp/test_line_file_XXXXXX", path[64];

static void start(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    shard_setup_open(&shard);
    struct line_file_options options = { .path = path, .mode = 0644, .opening = LINE_FILE_OPEN_LATER };
    cr_assert_eq(line_file_open(&file, &shard, &options), ERROR_OK);
}

static void end(void)
{
    shard_disconnect(&shard);
    line_file_close(&file);
    shard_close(&shard);
    unlink(path);
    rmdir(folder);
}

TestSuite(line_file, .init = start, .fini = end, .timeout = 60);

static bool is_written(void *unused)
{
    (void)unused;
    return file.fd >= 0 && line_file_is_idle(&file);
}

static void expect(const char *wanted)
{
    char content[256] = "";
    cr_assert(shard_setup_turn_until(&shard, is_written, NULL));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_geq(read(fd, content, sizeof(content) - 1), 0);
    close(fd);
    cr_assert_str_eq(content, wanted);
}

Test(line_file, opens_with_the_first_line)
{
    struct stat info;
    shard_turn(&shard);
    cr_assert_neq(stat(path, &info), 0);
    line_file_add(&file, SLICE("1\n"));
    line_file_add(&file, SLICE("2\n"));
    expect("1\n2\n");
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0644 & ~022);
}

static bool has_failed(void *unused)
{
    (void)unused;
    return file.failed;
}

Test(line_file, what_cannot_be_opened_is_tried_again)
{
    file.options.path = "/nonexistent/log";
    line_file_add(&file, SLICE("1\n"));
    cr_assert(shard_setup_turn_until(&shard, has_failed, NULL));
    file.options.path = path;
    line_file_reopen(&file);
    expect("1\n");
}

Test(line_file, a_cut_line_is_ended)
{
    line_file_add(&file, SLICE("1\n"));
    expect("1\n");
    file.torn = true; /* as after a disk that became full */
    line_file_add(&file, SLICE("2\n"));
    expect("1\n\n2\n");
}

Test(line_file, a_line_too_long_is_counted)
{
    static char line[LINE_FILE_BUFFER_BYTES + 1];
    line_file_add(&file, (struct slice){ line, sizeof(line) });
    cr_assert_eq(metric_read(&shard.metrics, METRIC_LOG_DROPPED), 1);
}
