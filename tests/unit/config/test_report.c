/* SPDX-License-Identifier: Apache-2.0 */
#include "config/document.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static char *printed(const struct report *report)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    report_print(report, out);
    fclose(out);
    return text;
}

Test(report, lines_in_the_order_of_the_file)
{
    struct report report;
    report_init(&report);
    struct node_position late = { "a", 10, 1 }, early = { "a", 9, 20 }, nowhere = { .file = "--set" };
    report_add(&report, REPORT_ERROR, &late, "b.c", "expected %s", "this");
    report_add(&report, REPORT_WARNING, &early, "b", "odd");
    report_add(&report, REPORT_ERROR, &nowhere, "key", "bad");
    report_add(&report, REPORT_ERROR, NULL, "", "out of \x1b[31m memory\n");
    report_sort(&report);
    char *text = printed(&report);
    cr_assert_str_eq(text, "out of \\x1b[31m memory\\x0a\n--set: key: bad\na:9:20: warning: b: odd\n"
                           "a:10:1: b.c: expected this\n");
    cr_assert_eq(report.error_count, 3);
    free(text);
    report_deinit(&report);
}

Test(report, what_is_too_much_is_counted)
{
    struct report report;
    report_init(&report);
    report.limit = 2;
    for (int i = 0; i < 5; i++)
        report_add(&report, REPORT_ERROR, NULL, "", "error %d", i);
    char *text = printed(&report);
    cr_assert_str_eq(text, "error 0\nerror 1\n3 more errors\n");
    free(text);
    report_deinit(&report);
}
