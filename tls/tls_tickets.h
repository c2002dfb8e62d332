/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of session tickets (RFC 8446 section 4.6.1, RFC 5077): the newest seals, all open. A set is
 * immutable and counted; the control thread makes the next one and hands it to every shard (tls_loop.h), so
 * that a ticket of one shard resumes on another, and with keys from a file on another node. */
#pragma once

#include "core/base/check.h"
#include "core/base/slice.h"

struct tls_tickets;

enum { TLS_TICKET_KEYS_MAX = 3, TLS_TICKET_KEY_BYTES = 48 /* a name of 16, a key of 32 */ };

/* A new random key in front of those of `previous` (NULL: none; it stays the caller's). NULL: out of
 * memory. */
struct tls_tickets *tls_tickets_rotate(const struct tls_tickets *previous) MUST_CHECK;

/* One to three lines, each the base64 of 48 random bytes; the first one seals. NULL with a reason that lives
 * for ever. */
struct tls_tickets *tls_tickets_read(struct slice text, const char **reason) MUST_CHECK;

void tls_tickets_take(struct tls_tickets *tickets); /* any thread */
void tls_tickets_release(struct tls_tickets *tickets); /* any thread; wipes at the last */

struct tls_ticket {
    unsigned char *name, *iv, *tag; /* room for 16, 12, 16 bytes */
    unsigned char *bytes; /* sealed and opened in place */
    size_t size;
    struct slice scope; /* what it is good for: the server name */
};

bool tls_tickets_seal(const struct tls_tickets *tickets, const struct tls_ticket *ticket) MUST_CHECK;

enum tls_ticket_answer {
    TLS_TICKET_GOOD,
    TLS_TICKET_OLD /* good, by a key that seals no more */,
    TLS_TICKET_BAD
};

enum tls_ticket_answer tls_tickets_open(const struct tls_tickets *tickets, const struct tls_ticket *ticket);
