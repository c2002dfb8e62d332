/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made when asked for: authorities, servers, clients, expired and revoked ones. Freed
 * with the test's process, or by test_cert_free. One thread. */
#pragma once

#include "core/base/slice.h"

#include <stdbool.h>

struct test_cert;

struct test_cert_options {
    const char *name; /* the common name, and the alternative name unless `authority`; "127.0.0.1" too */
    const char *type; /* "P-256" (NULL too), "P-384", "RSA", "ED25519" */
    struct test_cert *issuer; /* NULL: itself */
    bool authority;
    long ends_s; /* from now; 0: in a day */
};

struct test_cert *test_cert_make(const struct test_cert_options *options);
void test_cert_free(struct test_cert *cert);

/* Its own PEM, then those of its issuers but the root. Lives as long as the certificate. */
struct slice test_cert_chain(struct test_cert *cert);
struct slice test_cert_own(struct test_cert *cert);
struct slice test_cert_key(struct test_cert *cert);

/* A list signed by the authority, with that certificate on it (NULL: empty). Lives as long as the
 * authority. */
struct slice test_cert_revocations(struct test_cert *authority, const struct test_cert *revoked);
