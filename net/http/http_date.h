/* SPDX-License-Identifier: Apache-2.0 */
/* Dates in fields, RFC 9110 section 5.6.7: the format in use and the two obsolete ones. Names in any
 * case, as other caches take them. Any thread. */
#pragma once

#include "core/base/slice.h"

/* Seconds since 1970, UTC; false when the text is none of the three formats. A year of two digits is the one
 * that is not more than 50 years after `now_s`. */
bool http_date_parse(struct slice text, int64_t now_s, int64_t *seconds);
