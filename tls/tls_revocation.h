/* SPDX-License-Identifier: Apache-2.0 */
/* Has a certificate been revoked? What to ask whom (OCSP, RFC 6960; revocation lists, RFC 5280 section 5),
 * and what the answers say; who calls moves the bytes. Answers are signed, and judged as strangers' all the
 * same.
 * Pure functions, any thread. */
#pragma once

#include "core/base/arena.h"
#include "core/base/slice.h"

/* DER, both: of a chain that has been verified. */
struct tls_issued {
    struct slice certificate, issuer;
};

/* The first of each kind that is http or https; absent: none. */
struct tls_revocation_urls {
    struct slice ocsp, list;
};

/* False: out of memory, or the certificate cannot be read. Everything is in the arena. */
bool tls_revocation_urls(struct slice certificate, struct arena *arena,
                         struct tls_revocation_urls *urls) MUST_CHECK;

/* An OCSP request for it, to be sent with POST as application/ocsp-request; absent: out of memory. */
struct slice tls_ocsp_question(const struct tls_issued *issued, struct arena *arena);

enum tls_revocation { TLS_NOT_REVOKED, TLS_REVOKED, TLS_REVOCATION_UNKNOWN };

/* UNKNOWN: not an answer to that question, not signed by the issuer or by whom it has charged with it, out of
 * date, or the responder does not know either. */
enum tls_revocation tls_ocsp_read(const struct tls_issued *issued, struct slice answer);

/* The same, and for how long that is said: since 1970, `until_s` 0 when it is not said. Unset for UNKNOWN. */
struct tls_ocsp_period {
    int64_t from_s, until_s;
};
enum tls_revocation tls_ocsp_read_period(const struct tls_issued *issued, struct slice answer,
                                         struct tls_ocsp_period *period);

/* A list in DER or PEM. UNKNOWN: not the issuer's, or out of date. */
enum tls_revocation tls_list_read(const struct tls_issued *issued, struct slice list);
