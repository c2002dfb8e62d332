/* SPDX-License-Identifier: Apache-2.0 */
/* The few LDAP messages that it takes to check a password (RFC 4511), written and read as BER with definite
 * lengths. Bytes of a server are not trusted. Any thread. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

enum {
    LDAP_REQUEST_AROUND = 64, /* bytes of a request beside its texts, at most */
    LDAP_RESPONSE_MAX = 16 * 1024, /* a longer answer is refused */
    LDAP_ID_MAX = 0x7fffffff
};

/* resultCode (RFC 4511 section 4.1.9), those that are told apart. */
enum ldap_code {
    LDAP_CODE_SUCCESS = 0,
    LDAP_CODE_OPERATIONS_ERROR = 1,
    LDAP_CODE_PROTOCOL_ERROR = 2,
    LDAP_CODE_TIME_LIMIT = 3,
    LDAP_CODE_BUSY = 51,
    LDAP_CODE_UNAVAILABLE = 52,
    LDAP_CODE_OTHER = 80
};

enum ldap_operation { LDAP_BIND_RESPONSE = 0x61, LDAP_EXTENDED_RESPONSE = 0x78 };

/* Written to the end of `memory`, which has room for LDAP_REQUEST_AROUND more than the texts; id from 1 to
 * LDAP_ID_MAX. */
struct slice ldap_write_bind(char *memory, size_t capacity, uint32_t id, struct slice dn,
                             struct slice password);
struct slice ldap_write_start_tls(char *memory, size_t capacity, uint32_t id);

struct ldap_response {
    uint32_t id; /* 0: nobody asked */
    unsigned char operation; /* enum ldap_operation, or another one */
    uint32_t code; /* of the two known operations */
    size_t bytes; /* of the whole message */
};

enum ldap_reading { LDAP_READ, LDAP_INCOMPLETE, LDAP_INVALID };

/* The message that the bytes begin with. */
enum ldap_reading ldap_read_response(struct slice bytes, struct ldap_response *response) MUST_CHECK;
