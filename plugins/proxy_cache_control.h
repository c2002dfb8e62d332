/* SPDX-License-Identifier: Apache-2.0 */
/* What Cache-Control, Expires, Date and Age say (RFC 9111, RFC 5861), without any I/O: read from messages,
 * asked by plugins/proxy_cache*.c. Any thread. */
#pragma once

#include "net/http/message.h"

enum control_flag {
    CONTROL_NO_STORE = 1,
    CONTROL_NO_CACHE = 2, /* also with field names */
    CONTROL_PRIVATE = 4, /* also with field names */
    CONTROL_PUBLIC = 8,
    CONTROL_MUST_REVALIDATE = 16, /* or proxy-revalidate */
    CONTROL_ONLY_IF_CACHED = 32,
    CONTROL_MAX_STALE = 64, /* max_stale_s may say how much */
    CONTROL_MUST_UNDERSTAND = 128
};

/* Seconds; -1: not said. A number that is none stands for 0, one too large for CONTROL_SECONDS_MAX. */
struct control {
    unsigned flags; /* enum control_flag */
    int64_t max_age_s, s_maxage_s, max_stale_s, min_fresh_s, while_revalidate_s, if_error_s;
};

#define CONTROL_SECONDS_MAX INT64_C(2147483648)

struct control control_read(const struct message *message);

/* How long a response may be used, and how old it was when it came (RFC 9111 sections 4.2.1 and 4.2.3). */
struct freshness {
    int64_t lifetime_s; /* -1: it does not say */
    int64_t age_s;
};

/* `asked_ms` and `now_ms` are when the request went out and the response came, since 1970. */
struct freshness freshness_read(const struct message *response, const struct control *control,
                                uint64_t asked_ms, uint64_t now_ms);

/* The one value of an entity tag list that matches weakly (RFC 9110 section 8.8.3.2); `*` matches any. */
bool etag_list_matches(struct slice list, struct slice etag);
/* Strongly: neither is weak. */
bool etag_is_same(struct slice a, struct slice b);
