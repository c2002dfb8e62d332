/* SPDX-License-Identifier: Apache-2.0 */
/* Reading PEM with libcrypto, for the files of this folder that use it. Never asks for a password. */
#pragma once

#include "core/base/slice.h"

#include <openssl/x509.h>

/* The reason that libcrypto gives last, which quotes nothing; its queue of errors is emptied. */
void tls_pem_reason(const char *what, char *reason);

/* All certificates of a text, in order; NULL with a reason. */
STACK_OF(X509) * tls_pem_certificates(struct slice pem, char *reason);

EVP_PKEY *tls_pem_private_key(struct slice pem, char *reason);

/* All revocation lists of a text; NULL with a reason. */
STACK_OF(X509_CRL) * tls_pem_revocations(struct slice pem, char *reason);
