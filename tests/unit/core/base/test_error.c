/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

Test(error, every_one_has_a_text_and_a_status)
{
    for (int i = 0; i < ERROR_COUNT; i++) {
        enum error error = (enum error)i;
        cr_expect_not_null(error_text(error));
        cr_expect_gt(strlen(error_text(error)), 0);
        cr_expect(error_http_status(error) >= 200 && error_http_status(error) < 600);
    }
}

Test(error, statuses_that_clients_rely_on)
{
    static const struct {
        enum error error;
        int status;
    } cases[] = {
        { ERROR_OK, 200 },      { ERROR_REFUSED, 502 },   { ERROR_RESET, 502 },   { ERROR_CLOSED, 502 },
        { ERROR_TIMEOUT, 504 }, { ERROR_PROTOCOL, 502 },  { ERROR_NAME, 503 },    { ERROR_MEMORY, 503 },
        { ERROR_LIMIT, 503 },   { ERROR_CANCELLED, 499 }, { ERROR_INVALID, 400 }, { ERROR_NOT_FOUND, 404 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(error_http_status(cases[i].error), cases[i].status, "%s", error_text(cases[i].error));
}

Test(error, stands_for_an_errno)
{
    static const struct {
        int number;
        enum error error;
    } cases[] = {
        { 0, ERROR_OK },
        { ENOMEM, ERROR_MEMORY },
        { ENOBUFS, ERROR_MEMORY },
        { EMFILE, ERROR_DESCRIPTORS },
        { ENFILE, ERROR_DESCRIPTORS },
        { ECONNREFUSED, ERROR_REFUSED },
        { EHOSTUNREACH, ERROR_REFUSED },
        { ENETUNREACH, ERROR_REFUSED },
        { EADDRNOTAVAIL, ERROR_REFUSED },
        { ECONNRESET, ERROR_RESET },
        { EPIPE, ERROR_RESET },
        { ECONNABORTED, ERROR_RESET },
        { ETIMEDOUT, ERROR_TIMEOUT },
        { ECANCELED, ERROR_CANCELLED },
        { EINVAL, ERROR_KERNEL },
        { -1, ERROR_KERNEL },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(error_from_errno(cases[i].number), cases[i].error, "%d", cases[i].number);
}

Test(error, no_text_for_a_value_that_is_none, .signal = SIGABRT)
{
    (void)error_text(ERROR_COUNT);
}
