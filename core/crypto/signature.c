/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/signature.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

enum key_type { KEY_RSA, KEY_EC, KEY_EDWARDS };

/* What an algorithm asks of its key. `half_bytes`: of r and of s in an ECDSA signature. */
struct method {
    enum key_type type;
    const char *digest; /* NULL: the signature scheme has its own */
    const char *group;
    size_t half_bytes;
    bool pss;
};

static const struct method methods[] = {
    [SIGNATURE_RS256] = { KEY_RSA, "SHA256" },
    [SIGNATURE_RS384] = { KEY_RSA, "SHA384" },
    [SIGNATURE_RS512] = { KEY_RSA, "SHA512" },
    [SIGNATURE_PS256] = { KEY_RSA, "SHA256", .pss = true },
    [SIGNATURE_PS384] = { KEY_RSA, "SHA384", .pss = true },
    [SIGNATURE_PS512] = { KEY_RSA, "SHA512", .pss = true },
    [SIGNATURE_ES256] = { KEY_EC, "SHA256", "prime256v1", 32 },
    [SIGNATURE_ES384] = { KEY_EC, "SHA384", "secp384r1", 48 },
    [SIGNATURE_ES512] = { KEY_EC, "SHA512", "secp521r1", 66 },
    [SIGNATURE_EDDSA] = { KEY_EDWARDS, NULL },
};

struct public_key {
    const struct method *method;
    EVP_PKEY *key;
    EVP_MD *digest; /* fetched here, as looking it up by name takes a lock */
};

static void close_key(void *pointer)
{
    struct public_key *key = pointer;
    EVP_PKEY_free(key->key);
    EVP_MD_free(key->digest);
}

/* Without it a PEM that claims to be encrypted would ask for a password on the terminal. */
static int no_password(char *buffer, int size, int writing, void *unused)
{
    (void)buffer, (void)size, (void)writing, (void)unused;
    return -1;
}

static EVP_PKEY *decode(struct slice pem)
{
    EVP_PKEY *key = NULL;
    const unsigned char *data = (const unsigned char *)pem.data;
    size_t left = pem.size;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&key, "PEM", NULL, NULL, EVP_PKEY_PUBLIC_KEY, NULL, NULL);
    bool done = decoder != NULL && OSSL_DECODER_CTX_set_pem_password_cb(decoder, no_password, NULL) == 1 &&
                OSSL_DECODER_from_data(decoder, &data, &left) == 1;
    OSSL_DECODER_CTX_free(decoder);
    ERR_clear_error();
    if (done)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static bool suits(const struct method *method, const EVP_PKEY *key)
{
    switch (method->type) {
    case KEY_RSA: return EVP_PKEY_is_a(key, "RSA") || (method->pss && EVP_PKEY_is_a(key, "RSA-PSS"));
    case KEY_EDWARDS: return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    case KEY_EC: break;
    }
    char group[32];
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
           strcmp(group, method->group) == 0;
}

enum public_key_result public_key_read(struct slice pem, enum signature_algorithm algorithm,
                                       struct arena *arena, struct public_key **out)
{
    EVP_PKEY *decoded = decode(pem);
    return decoded ? public_key_adopt(decoded, algorithm, arena, out) : PUBLIC_KEY_INVALID;
}

enum public_key_result public_key_adopt(EVP_PKEY *decoded, enum signature_algorithm algorithm,
                                        struct arena *arena, struct public_key **out)
{
    const struct method *method = &methods[algorithm];
    enum public_key_result result = PUBLIC_KEY_OK;
    if (!suits(method, decoded))
        result = PUBLIC_KEY_TYPE;
    else if (method->type == KEY_RSA && EVP_PKEY_get_bits(decoded) < PUBLIC_KEY_RSA_MIN_BITS)
        result = PUBLIC_KEY_SMALL;
    struct public_key *key = result == PUBLIC_KEY_OK ? arena_alloc(arena, sizeof(*key)) : NULL;
    if (key == NULL) {
        EVP_PKEY_free(decoded);
        return result == PUBLIC_KEY_OK ? PUBLIC_KEY_MEMORY : result;
    }
    *key = (struct public_key){ .method = method, .key = decoded };
    if (method->digest)
        key->digest = EVP_MD_fetch(NULL, method->digest, NULL);
    if ((method->digest && key->digest == NULL) || !arena_on_close(arena, close_key, key)) {
        close_key(key);
        return PUBLIC_KEY_MEMORY;
    }
    *out = key;
    return PUBLIC_KEY_OK;
}

unsigned public_key_bits(const struct public_key *key)
{
    return (unsigned)EVP_PKEY_get_bits(key->key);
}

/* One number of an ECDSA signature as an ASN.1 INTEGER: minimal, and never negative. False when it is zero.
 * */
static bool write_integer(const unsigned char *number, size_t size, unsigned char **to)
{
    while (size > 0 && *number == 0) {
        number++;
        size--;
    }
    if (size == 0)
        return false;
    bool sign = (*number & 0x80) != 0;
    *(*to)++ = 0x02;
    *(*to)++ = (unsigned char)(size + sign);
    if (sign)
        *(*to)++ = 0;
    memcpy(*to, number, size);
    *to += size;
    return true;
}

/* From r and s one after the other (RFC 7518 section 3.4) to the DER that the library reads; its size, or 0
 * when the signature is none. */
enum { DER_MAX = 3 + 2 * (2 + 1 + 66) };

static size_t write_der(const struct method *method, struct slice signature, unsigned char out[DER_MAX])
{
    unsigned char body[DER_MAX], *end = body;
    const unsigned char *raw = (const unsigned char *)signature.data;
    if (signature.size != 2 * method->half_bytes || !write_integer(raw, method->half_bytes, &end) ||
        !write_integer(raw + method->half_bytes, method->half_bytes, &end))
        return 0;
    size_t size = (size_t)(end - body), head = 0;
    out[head++] = 0x30;
    if (size > 127)
        out[head++] = 0x81;
    out[head++] = (unsigned char)size;
    memcpy(out + head, body, size);
    return head + size;
}

static bool verify(const struct public_key *key, struct slice message, const unsigned char *signature,
                   size_t size)
{
    EVP_PKEY_CTX *options = NULL; /* belongs to `state` */
    EVP_MD_CTX *state = EVP_MD_CTX_new();
    bool good = state != NULL && EVP_DigestVerifyInit(state, &options, key->digest, NULL, key->key) == 1;
    /* The salt may have any length, as signers differ in it and it carries no security. */
    if (good && key->method->pss)
        good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) > 0;
    good = good &&
           EVP_DigestVerify(state, signature, size, (const unsigned char *)message.data, message.size) == 1;
    EVP_MD_CTX_free(state);
    return good;
}

bool public_key_verify(const struct public_key *key, struct slice message, struct slice signature)
{
    unsigned char der[DER_MAX];
    const unsigned char *bytes = (const unsigned char *)signature.data;
    size_t size = signature.size;
    if (key->method->type == KEY_EC) {
        size = write_der(key->method, signature, der);
        bytes = der;
    }
    if (size == 0)
        return false;
    bool good = verify(key, message, bytes, size);
    if (!good)
        ERR_clear_error(); /* the thread's error queue is nobody's to read, and must not grow */
    return good;
}
