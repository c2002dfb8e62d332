/* SPDX-License-Identifier: Apache-2.0 */
/* Signed requests of an ACME client (RFC 8555 section 6.2). Private to plugins/acme*.c. */
#pragma once

#include "tls/tls_acme.h"

struct acme_message {
    struct evp_pkey_st *key;
    struct slice account; /* its URL; absent: the key itself is sent */
    struct slice nonce, url;
    struct slice payload; /* JSON; empty: the answer is only asked for */
};

/* The body, application/jose+json; absent: out of memory. */
struct slice acme_message_sign(const struct acme_message *message, struct arena *arena);

/* What binds an account elsewhere to the key (section 7.3.4). */
struct acme_binding {
    struct slice kid, secret, url; /* the secret decoded */
};
struct slice acme_message_bind(struct evp_pkey_st *key, const struct acme_binding *binding,
                               struct arena *arena);

/* The one of that type among the challenges of an authorization (section 8): views of the list. False: there
 * is none. */
struct acme_challenge {
    struct slice url, token;
};
bool acme_message_challenge(struct slice list, struct slice type, struct acme_challenge *found) MUST_CHECK;

/* TOKEN "." thumbprint of the key (section 8.1). */
struct slice acme_message_authorize(struct evp_pkey_st *key, struct slice token, struct arena *arena);

struct slice acme_message_encode(struct slice bytes, struct arena *arena); /* base64url */
