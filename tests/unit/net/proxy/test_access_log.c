/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy/access_log.h"
#include "tests/support/shard_setup.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static struct shard shard;
static struct access_log access_log;
static char path[] = "/tmp/test_access_log_XXXXXX", old_path[sizeof(path) + 4];
static char content[2 * LINE_FILE_BUFFER_BYTES + 1]; /* of the file, see read_back */

static void start(void)
{
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    snprintf(old_path, sizeof(old_path), "%s.old", path);
    shard_setup_open(&shard);
    access_log.file.fd = -1;
}

static void end(void)
{
    shard_disconnect(&shard);
    access_log_close(&access_log);
    shard_close(&shard);
    unlink(path);
    unlink(old_path);
}

TestSuite(access_log, .init = start, .fini = end, .timeout = 60);

static void open_log(const char *where, enum access_log_format format)
{
    struct access_log_options options = { where, format };
    cr_assert_eq(access_log_open(&access_log, &shard, &options), ERROR_OK);
    cr_assert_eq(access_log_is_on(&access_log), where != NULL);
}

static bool is_written(void *unused)
{
    (void)unused;
    return !access_log.file.write_op.armed && access_log.file.filled[0] == 0 &&
           access_log.file.filled[1] == 0;
}

static void turn_until_written(void)
{
    cr_assert(shard_setup_turn_until(&shard, is_written, NULL));
}

static const char *read_back(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    ssize_t size = read(fd, content, sizeof(content) - 1);
    cr_assert_geq(size, 0);
    content[size] = '\0';
    close(fd);
    return content;
}

static struct access_record record_of(const char *target)
{
    return (struct access_record){ .client_ip = SLICE("192.0.2.1"),
                                   .method = SLICE("GET"),
                                   .target = slice_of(target),
                                   .request_id = SLICE("0123456789abcdef0123456789abcdef"),
                                   .upstream = "",
                                   .version = SLICE("HTTP/1.1"),
                                   .status = 200,
                                   .sent_bytes = 1234,
                                   .received_bytes = 56,
                                   .duration_us = 789,
                                   .wall_ms = 1700000000123 };
}

static void write_target(const char *target)
{
    struct access_record record = record_of(target);
    access_log_write(&access_log, &record);
}

#define COMBINED(target)                                       \
    "192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] \"GET " target \
    " HTTP/1.1\" 200 1234 \"-\" \"-\" kong_request_id: \"0123456789abcdef0123456789abcdef\"\n"

Test(access_log, combined_lines)
{
    static const struct {
        const char *target, *line;
    } cases[] = {
        { "/a?b=c", COMBINED("/a?b=c") },
        { "/\"\\", COMBINED("/\\x22\\x5C") },
        { "/\r\n\x01\x7f\xC3\xA4", COMBINED("/\\x0D\\x0A\\x01\\x7F\\xC3\\xA4") },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert_eq(truncate(path, 0), 0);
        open_log(path, ACCESS_LOG_COMBINED);
        write_target(cases[i].target);
        turn_until_written();
        cr_expect_str_eq(read_back(path), cases[i].line);
        access_log_close(&access_log);
    }
}

Test(access_log, combined_lines_name_referer_and_agent)
{
    struct access_record record = record_of("/");
    record.referer = SLICE("http://a/\"");
    record.user_agent = SLICE("curl/8");
    open_log(path, ACCESS_LOG_COMBINED);
    access_log_write(&access_log, &record);
    turn_until_written();
    cr_assert_not_null(strstr(read_back(path), " 1234 \"http://a/\\x22\" \"curl/8\" kong_request_id"));
}

Test(access_log, json_lines)
{
    struct access_record record = record_of("/a\"b\\c\n\x7f\xC3\xA4");
    record.host = SLICE("example.com");
    record.route = SLICE("r");
    record.service = SLICE("s");
    record.consumer = SLICE("alice");
    record.plugin = SLICE("acl");
    record.reason = SLICE("not you");
    record.referer = SLICE("");
    record.upstream = "127.0.0.1:80";
    record.upstream_us = 5;
    open_log(path, ACCESS_LOG_JSON);
    access_log_write(&access_log, &record);
    struct access_record bare = { .upstream = "", .status = 400 };
    access_log_write(&access_log, &bare);
    turn_until_written();
    cr_expect_str_eq(read_back(path),
                     "{\"time\":\"2023-11-14T22:13:20Z\",\"client_ip\":\"192.0.2.1\",\"method\":\"GET\","
                     "\"target\":\"/a\\u0022b\\u005cc\\u000a\\u007f\\u00c3\\u00a4\",\"host\":\"example.com\","
                     "\"status\":200,\"sent_bytes\":1234,\"received_bytes\":56,\"duration_us\":789,"
                     "\"upstream_us\":5,\"upstream\":\"127.0.0.1:80\",\"route\":\"r\",\"service\":\"s\","
                     "\"consumer\":\"alice\",\"plugin\":\"acl\",\"reason\":\"not you\",\"referer\":\"\","
                     "\"request_id\":\"0123456789abcdef0123456789abcdef\"}\n"
                     "{\"time\":\"1970-01-01T00:00:00Z\",\"status\":400,\"sent_bytes\":0,"
                     "\"received_bytes\":0,\"duration_us\":0,\"upstream_us\":0}\n");
}

Test(access_log, long_texts_are_clipped)
{
    static char target[5000];
    memset(target, '\x01', sizeof(target) - 1);
    open_log(path, ACCESS_LOG_JSON);
    write_target(target);
    turn_until_written();
    unsigned escapes = 0;
    for (const char *at = read_back(path); (at = strstr(at, "\\u0001")) != NULL; at++)
        escapes++;
    cr_assert_eq(escapes, 1024);
    cr_assert_eq(content[strlen(content) - 1], '\n');
}

/* Nothing is written meanwhile: the buffer takes what fits, whole lines, and the rest is counted. */
Test(access_log, a_full_buffer_drops_and_counts)
{
    uint64_t given = 0, written = 0;
    open_log(path, ACCESS_LOG_COMBINED);
    while (metric_read(&shard.metrics, METRIC_LOG_DROPPED) < 10) {
        write_target("/some/path");
        given++;
    }
    turn_until_written();
    size_t size = strlen(COMBINED("/some/path"));
    for (const char *at = read_back(path); *at; at += size, written++)
        cr_assert_eq(strncmp(at, COMBINED("/some/path"), size), 0);
    cr_assert_eq(written, given - 10);
    cr_assert_eq(written, LINE_FILE_BUFFER_BYTES / size);
    write_target("/after");
    turn_until_written();
    cr_assert_eq(metric_read(&shard.metrics, METRIC_LOG_DROPPED), 10);
    cr_assert(slice_ends_with(slice_of(read_back(path)), SLICE(COMBINED("/after"))));
}

Test(access_log, lines_of_a_write_in_flight_wait_for_the_next)
{
    open_log(path, ACCESS_LOG_COMBINED);
    write_target("/1");
    access_log.file.task.run(&access_log.file.task);
    cr_assert(access_log.file.write_op.armed);
    write_target("/2");
    write_target("/3");
    turn_until_written();
    cr_assert_str_eq(read_back(path), COMBINED("/1") COMBINED("/2") COMBINED("/3"));
}

Test(access_log, reopens_after_the_file_was_moved)
{
    open_log(path, ACCESS_LOG_COMBINED);
    write_target("/old");
    turn_until_written();
    cr_assert_eq(rename(path, old_path), 0);
    write_target("/still old");
    turn_until_written();
    line_file_reopen(&access_log.file);
    write_target("/new");
    turn_until_written();
    cr_assert_str_eq(read_back(old_path), COMBINED("/old") COMBINED("/still old"));
    cr_assert_str_eq(read_back(path), COMBINED("/new"));
}

Test(access_log, reopens_once_the_write_in_flight_has_ended)
{
    open_log(path, ACCESS_LOG_COMBINED);
    write_target("/old");
    access_log.file.task.run(&access_log.file.task);
    cr_assert(access_log.file.write_op.armed);
    cr_assert_eq(rename(path, old_path), 0);
    line_file_reopen(&access_log.file);
    write_target("/new");
    turn_until_written();
    cr_assert_str_eq(read_back(old_path), COMBINED("/old"));
    cr_assert_str_eq(read_back(path), COMBINED("/new"));
}

Test(access_log, what_is_buffered_is_written_at_the_close)
{
    open_log(path, ACCESS_LOG_COMBINED);
    write_target("/last");
    access_log_close(&access_log);
    cr_assert_str_eq(read_back(path), COMBINED("/last"));
    cr_assert_not(access_log_is_on(&access_log));
    list_remove(&access_log.file.task.node);
}

Test(access_log, a_full_disk_costs_lines_only)
{
    open_log("/dev/full", ACCESS_LOG_COMBINED);
    for (uint64_t i = 1; i <= 3; i++) {
        write_target("/lost");
        turn_until_written();
        cr_assert_eq(metric_read(&shard.metrics, METRIC_LOG_DROPPED), i);
    }
}

Test(access_log, may_be_off_or_impossible)
{
    struct access_log_options impossible = { "/nonexistent/log", ACCESS_LOG_JSON };
    open_log(NULL, ACCESS_LOG_COMBINED);
    line_file_reopen(&access_log.file);
    access_log_close(&access_log);
    cr_assert_neq(access_log_open(&access_log, &shard, &impossible), ERROR_OK);
    cr_assert_not(access_log_is_on(&access_log));
}
