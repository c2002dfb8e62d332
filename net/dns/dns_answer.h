/* SPDX-License-Identifier: Apache-2.0 */
/* What a DNS message answers: the records of one type that the question's name has, aliases followed, with
 * the time they are valid. Messages come from outside and are read bounds-checked; no I/O. */
#pragma once

#include "core/base/arena.h"
#include "net/transport/address.h"

enum {
    DNS_NAME_SIZE = 256, /* of a name as text, with NUL */
    DNS_RECORDS_MAX = 1024, /* of one answer; further ones are dropped */
    DNS_ALIASES_MAX = 16 /* CNAMEs in a row */
};

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_CNAME = 5, DNS_TYPE_AAAA = 28, DNS_TYPE_SRV = 33 };

struct dns_record {
    struct address address; /* A, AAAA; port 0 */
    struct slice host; /* SRV, CNAME: lower case, without a dot at its end; in the arena, ends with NUL */
    uint16_t priority, weight, port; /* SRV */
};

struct dns_answer {
    struct dns_record *records; /* in the arena */
    uint32_t count; /* 0: the name has no record of that type */
    uint32_t ttl_s; /* the shortest of the records and of the aliases before them */
};

/* Reads a whole message. False: it is malformed, no successful response, or memory is exhausted. Records
 * whose host is no plain host name (letters, digits, `-`, `_`) are left out. RFC 1035 section 4, RFC 2782. */
bool dns_answer_read(struct dns_answer *answer, struct arena *arena, struct slice message,
                     enum dns_type type) MUST_CHECK;
