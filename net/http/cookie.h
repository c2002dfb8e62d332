/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies of a request (RFC 6265 section 4.2): views of its Cookie fields. Any thread. */
#pragma once

#include "net/http/message.h"

/* The value of the first cookie of exactly that name, quotes and escapes left alone; absent: there is
 * none. */
struct slice cookie_find(const struct message *request, struct slice name);

struct cookie_choice {
    bool (*is_ours)(const void *context, struct slice name);
    const void *context;
};

/* The Cookie field without the cookies that are chosen: absent when there is none of them,
 * empty when nothing else is left. False: out of memory. */
bool cookie_others(struct arena *arena, const struct message *request, const struct cookie_choice *choice,
                   struct slice *left) MUST_CHECK;
