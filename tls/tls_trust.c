/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_trust.h"

#include "core/crypto/digest.h"
#include "tls/tls_key.h"
#include "tls/tls_pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_trust {
    uint32_t references; /* atomic: every profile that uses it holds one */
    X509_STORE *store;
    STACK_OF(X509) * authorities;
    int depth;
    bool revocations, whole_chain;
};

static bool add_authorities(struct tls_trust *trust, struct slice pem, char *reason)
{
    if (pem.data == NULL)
        return true;
    trust->authorities = tls_pem_certificates(pem, reason);
    if (trust->authorities == NULL)
        return false;
    for (int i = 0; i < sk_X509_num(trust->authorities); i++) {
        X509 *authority = sk_X509_value(trust->authorities, i);
        if (X509_STORE_add_cert(trust->store, authority) != 1) {
            tls_pem_reason("CA certificate", reason);
            return false;
        }
    }
    return true;
}

static bool add_revocations(struct tls_trust *trust, struct slice pem, char *reason)
{
    if (pem.data == NULL)
        return true;
    STACK_OF(X509_CRL) *lists = tls_pem_revocations(pem, reason);
    bool good = lists != NULL;
    for (int i = 0; good && i < sk_X509_CRL_num(lists); i++) {
        good = X509_STORE_add_crl(trust->store, sk_X509_CRL_value(lists, i)) == 1;
        if (!good)
            tls_pem_reason("revocation list", reason);
    }
    sk_X509_CRL_pop_free(lists, X509_CRL_free);
    trust->revocations = true;
    return good;
}

static bool add_system(struct tls_trust *trust, char *reason)
{
    if (X509_STORE_set_default_paths(trust->store) == 1)
        return true;
    tls_pem_reason("the system's CA certificates", reason);
    return false;
}

struct tls_trust *tls_trust_make(const struct tls_trust_options *options, char *reason)
{
    struct tls_trust *trust = calloc(1, sizeof(*trust));
    snprintf(reason, TLS_REASON_SIZE, "out of memory");
    if (trust == NULL)
        return NULL;
    trust->references = 1;
    trust->depth = options->depth;
    trust->whole_chain = options->whole_chain;
    trust->store = X509_STORE_new();
    if (trust->store == NULL || !add_authorities(trust, options->authorities_pem, reason) ||
        !add_revocations(trust, options->revocations_pem, reason) ||
        (options->system_authorities && !add_system(trust, reason))) {
        tls_trust_release(trust);
        return NULL;
    }
    return trust;
}

struct tls_trust *tls_trust_at_depth(const struct tls_trust *trust, int depth)
{
    struct tls_trust *other = calloc(1, sizeof(*other));
    if (other == NULL)
        return NULL;
    other->references = 1;
    other->depth = depth;
    other->revocations = trust->revocations;
    other->whole_chain = trust->whole_chain;
    if (X509_STORE_up_ref(trust->store) == 1)
        other->store = trust->store;
    if (other->store)
        return other;
    tls_trust_release(other);
    return NULL;
}

void tls_trust_take(struct tls_trust *trust)
{
    __atomic_fetch_add(&trust->references, 1, __ATOMIC_RELAXED);
}

void tls_trust_release(struct tls_trust *trust)
{
    if (trust == NULL || __atomic_sub_fetch(&trust->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    X509_STORE_free(trust->store);
    sk_X509_pop_free(trust->authorities, X509_free);
    free(trust);
}

/* --- judging -------------------------------------------------------------------------------------------- */

static X509 *parse(struct slice der)
{
    const unsigned char *data = (const unsigned char *)der.data;
    return der.size <= LONG_MAX ? d2i_X509(NULL, &data, (long)der.size) : NULL;
}

static STACK_OF(X509) * parse_rest(const struct tls_chain *chain)
{
    STACK_OF(X509) *rest = sk_X509_new_null();
    for (uint32_t i = 1; rest && i < chain->count; i++) {
        X509 *one = parse(chain->certificates[i]);
        if (one == NULL || sk_X509_push(rest, one) <= 0) {
            X509_free(one);
            sk_X509_pop_free(rest, X509_free);
            rest = NULL;
        }
    }
    return rest;
}

static bool ask_name(X509_VERIFY_PARAM *asked, const char *name)
{
    if (name == NULL)
        return true;
    X509_VERIFY_PARAM_set_hostflags(asked, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_ip_asc(asked, name) == 1 ||
           X509_VERIFY_PARAM_set1_host(asked, name, 0) == 1;
}

static const char *judge(const struct tls_trust *trust, X509_STORE_CTX *work, const struct tls_chain *chain)
{
    X509_VERIFY_PARAM *asked = X509_STORE_CTX_get0_param(work);
    (void)X509_STORE_CTX_set_default(work, chain->role == TLS_PEER_CLIENT ? "ssl_client" : "ssl_server");
    if (trust->depth >= 0)
        X509_VERIFY_PARAM_set_depth(asked, trust->depth);
    if (trust->revocations)
        (void)X509_VERIFY_PARAM_set_flags(asked, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    /* A trusted certificate need not be a root, nor the peer's own be signed by another: as Kong's users know
     * it from pinning a service's certificate. */
    if (!trust->whole_chain)
        (void)X509_VERIFY_PARAM_set_flags(asked, X509_V_FLAG_PARTIAL_CHAIN);
    if (!ask_name(asked, chain->name))
        return "the name to check is invalid";
    if (X509_verify_cert(work) == 1)
        return NULL;
    return X509_verify_cert_error_string(X509_STORE_CTX_get_error(work));
}

static bool copy_chain(X509_STORE_CTX *work, struct arena *arena, struct slices *certificates)
{
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(work);
    int count = sk_X509_num(chain);
    certificates->items = arena_array(arena, (size_t)(count > 0 ? count : 0) + 1, sizeof(struct slice));
    for (int i = 0; certificates->items && i < count; i++) {
        int size = i2d_X509(sk_X509_value(chain, i), NULL);
        unsigned char *bytes = size > 0 ? arena_alloc(arena, (size_t)size) : NULL, *next = bytes;
        if (bytes == NULL)
            return false;
        (void)i2d_X509(sk_X509_value(chain, i), &next);
        certificates->items[certificates->count++] = (struct slice){ (const char *)bytes, (size_t)size };
    }
    return certificates->items != NULL;
}

/* `arena` NULL: only whether. False: out of memory. */
static bool verify(const struct tls_trust *trust, const struct tls_chain *chain, struct arena *arena,
                   struct tls_verified *verified)
{
    X509 *own = chain->count > 0 ? parse(chain->certificates[0]) : NULL;
    STACK_OF(X509) *rest = own ? parse_rest(chain) : NULL;
    X509_STORE_CTX *work = rest ? X509_STORE_CTX_new() : NULL;
    bool good = true;
    *verified = (struct tls_verified){ .refusal = "the certificate cannot be read" };
    if (work && X509_STORE_CTX_init(work, trust->store, own, rest) == 1)
        verified->refusal = judge(trust, work, chain);
    if (arena && verified->refusal == NULL)
        good = copy_chain(work, arena, &verified->certificates);
    X509_STORE_CTX_free(work);
    sk_X509_pop_free(rest, X509_free);
    X509_free(own);
    ERR_clear_error();
    return good;
}

const char *tls_trust_refuses(const struct tls_trust *trust, const struct tls_chain *chain)
{
    struct tls_verified verified;
    (void)verify(trust, chain, NULL, &verified);
    return verified.refusal;
}

bool tls_trust_verify(const struct tls_trust *trust, const struct tls_chain *chain, struct arena *arena,
                      struct tls_verified *verified)
{
    return verify(trust, chain, arena, verified);
}

bool tls_trust_digest(struct slice pem, char *digest, char *reason)
{
    STACK_OF(X509) *certificates = tls_pem_certificates(pem, reason);
    unsigned char *der = NULL;
    int size = certificates ? i2d_X509(sk_X509_value(certificates, 0), &der) : -1;
    bool good =
        size > 0 && digest_hex(DIGEST_SHA256, (struct slice){ (const char *)der, (size_t)size }, digest);
    OPENSSL_free(der);
    sk_X509_pop_free(certificates, X509_free);
    return good;
}
