/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of Criterion without its own isolation of processes, whose shared memory ThreadSanitizer
 * refuses: one fork per test, several at a time. Takes the place of main and of what the assertions call;
 * only in the ThreadSanitizer build. Arguments name suites to run; without one, all run. */
#include <criterion/criterion.h>
#include <criterion/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 120
#define AT_ONCE_MAX 64

/* The linker gives the bounds of the sections into which Criterion's macros put their tests and suites. */
extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak)), *__stop_cr_sts[] __attribute__((weak));

/* Of the one test that this process runs. */
static const struct criterion_test *current;
static bool assertion_failed;

static const struct criterion_test_extra_data *suite_data(const char *name)
{
    for (struct criterion_suite **suite = __start_cr_sts; suite < __stop_cr_sts; suite++)
        if (!strcmp((*suite)->name, name))
            return (*suite)->data;
    return NULL;
}

void criterion_internal_test_setup(void)
{
    const struct criterion_test_extra_data *suite = suite_data(current->category);
    if (suite && suite->init)
        suite->init();
    if (current->data->init)
        current->data->init();
}

void criterion_internal_test_main(void (*test)(void))
{
    test();
}

void criterion_internal_test_teardown(void)
{
    const struct criterion_test_extra_data *suite = suite_data(current->category);
    if (current->data->fini)
        current->data->fini();
    if (suite && suite->fini)
        suite->fini();
}

void cri_asserts_passed_incr(void)
{
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (!stats->passed)
        fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message ? stats->message : "fails");
}

void criterion_continue_test(void)
{
    assertion_failed = true;
}

void criterion_abort_test(void)
{
    _exit(1);
}

/* In the child: ends the process; ThreadSanitizer turns exit status 0 into 66 after a report. */
static void run_here(const struct criterion_test *test)
{
    current = test;
    alarm(TIMEOUT_SECONDS);
    test->test();
    exit(assertion_failed ? 1 : 0);
}

/* The children that run, and what became of those before. */
static struct child {
    pid_t pid; /* 0: a free place */
    const struct criterion_test *test;
} children[AT_ONCE_MAX];
static int running, passed, failed;

static void judge(const struct criterion_test *test, int status)
{
    const struct criterion_test_extra_data *suite = suite_data(test->category);
    int expected_signal = test->data->signal;
    if (suite && !expected_signal)
        expected_signal = suite->signal;
    bool good = expected_signal ? WIFSIGNALED(status) && WTERMSIG(status) == expected_signal
                                : WIFEXITED(status) && WEXITSTATUS(status) == test->data->exit_code;
    if (!good)
        printf("FAIL %s::%s: status %#x\n", test->category, test->name, (unsigned)status);
    passed += good;
    failed += !good;
}

static struct child *child_of(pid_t pid)
{
    for (int i = 0; i < AT_ONCE_MAX; i++)
        if (children[i].pid == pid)
            return &children[i];
    return NULL;
}

static void await_one(void)
{
    int status = 0;
    pid_t pid = waitpid(-1, &status, 0);
    struct child *child = pid > 0 ? child_of(pid) : NULL;
    if (!child) {
        perror("waitpid");
        exit(1);
    }
    judge(child->test, status);
    child->pid = 0;
    running--;
}

static void start(const struct criterion_test *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        run_here(test);
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    *child_of(0) = (struct child){ pid, test };
    running++;
}

static int at_once(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > AT_ONCE_MAX ? AT_ONCE_MAX : (int)processors;
}

static bool wanted(const char *suite, int argc, char **argv)
{
    bool found = argc < 2;
    for (int i = 1; i < argc; i++)
        found |= !strcmp(argv[i], suite);
    return found;
}

int main(int argc, char **argv)
{
    for (struct criterion_test **place = __start_cr_tst; place < __stop_cr_tst; place++) {
        const struct criterion_test *test = *place;
        if (test->data->disabled || !wanted(test->category, argc, argv))
            continue;
        while (running >= at_once())
            await_one();
        start(test);
    }
    while (running > 0)
        await_one();
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
