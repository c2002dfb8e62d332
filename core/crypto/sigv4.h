/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4: what a request to AWS carries so that it is believed. The caller gives the request
 * as it will be sent; the two or three header fields that make it a signed one come back. Any thread. */
#pragma once

#include "core/base/arena.h"

struct sigv4_field {
    struct slice name, value;
};

struct sigv4_credentials {
    struct slice key_id, secret;
    struct slice session_token; /* absent: none */
};

struct sigv4_request {
    struct slice method;
    struct slice
        path; /* as it is sent, percent-encoded; it is encoded once more, as all services but S3 want */
    struct slice
        query; /* as it is sent, without '?'; absent: none. A name or value holds no raw reserved bytes */
    const struct sigv4_field *fields; /* to be signed: Host must be among them, no name twice */
    size_t field_count;
    struct slice body;
    struct slice region, service;
    int64_t time_s; /* since 1970 */
};

enum { SIGV4_FIELDS_MAX = 16, SIGV4_PARAMETERS_MAX = 32, SIGV4_DATE_SIZE = 17 };

/* What is to be sent besides. */
struct sigv4_signature {
    struct slice date; /* X-Amz-Date */
    struct slice token; /* X-Amz-Security-Token; absent: none */
    struct slice authorization; /* Authorization */
};

/* In the arena. False: memory is exhausted, or there are more fields or parameters than the limits. */
bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_credentials *credentials,
                struct arena *arena, struct sigv4_signature *signature) MUST_CHECK;

/* What is signed, for tests: the canonical request, with the fields that signing adds. */
struct slice sigv4_canonical(const struct sigv4_request *request, const struct sigv4_credentials *credentials,
                             struct arena *arena, struct slice *signed_names);
