/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys of the model, as PEM texts that were checked when they were read. Built by a
 * front-end in the model's arena, then only read. */
#pragma once

#include "config/entity.h"

/* One chain with its key, and maybe a second one with a key of another type. A text that came from a vault
 * without such a secret is empty, and then there is no certificate to offer. */
struct certificate {
    struct entity entity;
    struct slice cert, key;
    struct slice cert_alt, key_alt; /* absent: none */
    int64_t not_after_s; /* of the first certificate of `cert`, since 1970; 0: unknown */
};

/* A server name, exact or with `*` at its left or right end, or `*` alone. */
struct sni {
    struct entity entity;
    struct certificate *certificate;
};

struct ca_certificate {
    struct entity entity;
    struct slice cert;
    char digest[65]; /* SHA-256 of its DER form, lower-case hex */
};

struct key_set {
    struct entity entity;
};

/* A public key, a private one, or both: either a JSON Web Key or PEM. */
struct signing_key {
    struct entity entity;
    struct key_set *set; /* NULL: none */
    struct slice kid;
    struct slice jwk; /* absent: the PEM below */
    struct slice public_key, private_key;
};
