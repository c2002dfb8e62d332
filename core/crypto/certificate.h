/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration has to know of certificates and keys in PEM: that they are good, that they belong
 * together, and when they end. Nothing is kept of them but these facts. Control thread. */
#pragma once

#include "core/crypto/digest.h"

enum { CERTIFICATE_REASON_SIZE = 256, CERTIFICATE_DIGEST_SIZE = 32 };

enum certificate_key {
    CERTIFICATE_KEY_RSA,
    CERTIFICATE_KEY_EC,
    CERTIFICATE_KEY_EDWARDS,
    CERTIFICATE_KEY_OTHER
};

/* Of a chain's first certificate, but for the count. */
struct certificate_facts {
    unsigned count; /* of the chain */
    enum certificate_key key;
    bool is_authority; /* its basic constraints say CA */
    int64_t not_after_s; /* since 1970 */
    char digest[2 * CERTIFICATE_DIGEST_SIZE + 1]; /* SHA-256 of its DER form, lower-case hex */
    unsigned char public_key[CERTIFICATE_DIGEST_SIZE]; /* SHA-256 of its SubjectPublicKeyInfo */
};

struct key_facts {
    enum certificate_key key;
    unsigned char public_key[CERTIFICATE_DIGEST_SIZE]; /* as above: equal when they belong together */
};

/* False with the library's words in `reason` (room for CERTIFICATE_REASON_SIZE), which quote nothing of the
 * text. Of a chain every certificate must be good. */
bool certificate_read(struct slice pem, struct certificate_facts *facts, char *reason) MUST_CHECK;
bool certificate_read_private_key(struct slice pem, struct key_facts *facts, char *reason) MUST_CHECK;
bool certificate_read_public_key(struct slice pem, struct key_facts *facts, char *reason) MUST_CHECK;
