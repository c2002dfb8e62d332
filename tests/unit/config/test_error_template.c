/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of errors from files: what a template may hold. */
#include "config/error_template.h"

#include <criterion/criterion.h>

static struct arena arena;
static struct error_template template;

static void start(void)
{
    arena_init(&arena, NULL, 0, 1 << 20);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(error_template, .init = start, .fini = end);

Test(error_template, is_cut_at_its_two_places)
{
    static const struct {
        const char *text, *parts[3];
    } cases[] = {
        { "a%sb%sc", { "a", "b", "c" } },
        { "%s%s", { "", "", "" } },
        { "100%% %s|%s%%", { "100% ", "|", "%" } },
        { "{\"m\":\"%s\",\n\"id\":\"%s\"}\n", { "{\"m\":\"", "\",\n\"id\":\"", "\"}\n" } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert_null(error_template_parse(slice_of(cases[i].text), &arena, &template), "%s", cases[i].text);
        for (int part = 0; part < 3; part++)
            cr_expect(slice_equal(template.parts[part], slice_of(cases[i].parts[part])), "%s, part %d",
                      cases[i].text, part);
    }
}

Test(error_template, says_what_is_wrong)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        { "", "must hold two %s: the message and the request's id" },
        { "only %s", "must hold two %s: the message and the request's id" },
        { "%s %s %s", "holds more than two %s" },
        { "%s %d", "holds a % that is neither %s nor %%" },
        { "%s %s %", "holds a % that is neither %s nor %%" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_str_eq(error_template_parse(slice_of(cases[i].text), &arena, &template), cases[i].reason);
    cr_expect_str_eq(error_template_read("/nonexistent/file", &arena, &template), "cannot be opened");
}
