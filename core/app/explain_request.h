/* SPDX-License-Identifier: Apache-2.0 */
/* The request that `sluice explain` is asked about, from its arguments. It goes through the same parser as
 * one from the network. Views into its arena; one thread. */
#pragma once

#include "net/http/http1_parse.h"

struct explain_request {
    struct message message;
    struct slice path; /* as written, without query */
    struct slice query; /* absent when there is none */
    struct slice sni; /* absent without https, and for addresses */
    uint16_t port; /* the URL's, or its scheme's */
    bool tls;
    bool json; /* how the answer is wanted */
};

/* METHOD URL [-H 'Name: value']... [--json] NULL, or what is wrong with them (valid as long as the arena). */
const char *explain_request_read(struct explain_request *request, struct arena *arena,
                                 const char *const *arguments, int count);
