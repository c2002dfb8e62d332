/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http/http_date.h"

#include <criterion/criterion.h>

#define NOW_S 1795348830 /* 2026 */

static const struct {
    const char *text;
    int64_t seconds; /* -1: refused */
} dates[] = {
    { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
    { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
    { "Sun Nov  6 08:49:37 1994", 784111777 },
    { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
    { "Fri, 01 Jan 2100 00:00:00 GMT", 4102444800 },
    { "Sunday, 06-Nov-76 08:49:37 GMT", 3371878177 }, /* 50 years from now */
    { "Sunday, 06-Nov-77 08:49:37 GMT", 247654177 },
    { "sun, 06 nov 1994 08:49:37 gmt", 784111777 },
    { "", -1 },
    { "0", -1 },
    { "Sun, 06 Nov 1994 08:49:37 UTC", -1 },
    { "Sun, 06 Nov 1994 08:49:37", -1 },
    { "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
    { "Sun, 6 Nov 1994 08:49:37 GMT", -1 },
    { "Sun, 06 Nov 1994 8:49:37 GMT", -1 },
    { "Sun 06 Nov 1994 08:49:37 GMT", -1 },
    { "Sun, 06 Foo 1994 08:49:37 GMT", -1 },
    { "Sun, 00 Nov 1994 08:49:37 GMT", -1 },
    { "Sun, 32 Nov 1994 08:49:37 GMT", -1 },
    { "Sun, 06 Nov 1994 24:49:37 GMT", -1 },
    { "Sun, 06 Nov 1994 08:60:37 GMT", -1 },
    { "Sun, 06 Nov 94 08:49:37 GMT", -1 },
};

Test(http_date, formats)
{
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        int64_t seconds = -1;
        bool good = http_date_parse(slice_of(dates[i].text), NOW_S, &seconds);
        cr_assert_eq(good, dates[i].seconds >= 0, "%s", dates[i].text);
        cr_assert_eq(seconds, dates[i].seconds, "%s: %lld", dates[i].text, (long long)seconds);
    }
}

Test(http_date, every_prefix_is_refused)
{
    for (size_t d = 0; d < 3; d++)
        for (size_t size = 0; size < strlen(dates[d].text); size++) {
            int64_t seconds;
            cr_assert_not(http_date_parse((struct slice){ dates[d].text, size }, NOW_S, &seconds));
        }
}
