/* SPDX-License-Identifier: Apache-2.0 */
/* What clients are shown of a certificate's status when they ask (OCSP stapling, RFC 6066 section 8): a
 * response that its authority has signed, verified before it is kept, and shown as long as it is in force.
 * One for each certificate in the process, whatever configuration names it, so that a reload asks nobody
 * anew. Counted; any thread. */
#pragma once

#include "core/base/arena.h"
#include "tls/tls_key.h"

struct tls_staple;

/* Of the key's own certificate. NULL: who has issued it does not stand in its chain, or no memory. */
struct tls_staple *tls_staple_open(const struct tls_key *key) MUST_CHECK;
void tls_staple_take(struct tls_staple *staple);
void tls_staple_release(struct tls_staple *staple); /* legal for NULL */

struct slice tls_staple_issuer(const struct tls_staple *staple); /* DER */
const char *tls_staple_name(const struct tls_staple *staple); /* of whom the certificate is, for logs */
struct slice tls_staple_url(const struct tls_staple *staple); /* of the responder; absent: none is named */

/* Another number for each response; 0: none is in force now. */
uint64_t tls_staple_version(struct tls_staple *staple);

/* What is in force now; absent: nothing, or no memory. */
struct slice tls_staple_copy(struct tls_staple *staple, void *(*allocate)(size_t size));

/* --- getting them --- */

/* One that wants another response, which nobody else gets before `retry_s` from now; with a reference for the
 * caller. NULL: none. */
struct tls_staple *tls_staple_due(int64_t now_s, int64_t retry_s);

/* What to ask the responder, DER; absent: out of memory. */
struct slice tls_staple_question(const struct tls_staple *staple, struct arena *arena);

/* Judges a response, and keeps it if it says that the certificate is good: until half of its life is over,
 * and for `refresh_s` at most, none is due. NULL, or why it was not taken; a revocation ends what was
 * shown. */
const char *tls_staple_offer(struct tls_staple *staple, struct slice response, int64_t refresh_s);

/* The same of a file, for the certificate that it is about: no responder is asked about that one until
 * tls_staple_forget_files. */
const char *tls_staple_offer_file(struct slice response);
void tls_staple_forget_files(void);
