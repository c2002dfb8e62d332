/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/jwk.h"

#include "core/base/json_scan.h"
#include "core/crypto/base64.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

enum member { KTY, KID, USE, ALG, CRV, N, E, X, Y, MEMBERS };

enum { COORDINATE_MAX = 66 };

static const struct {
    const char *name;
    enum signature_algorithm algorithm;
} algorithms[] = {
    { "RS256", SIGNATURE_RS256 }, { "RS384", SIGNATURE_RS384 }, { "RS512", SIGNATURE_RS512 },
    { "PS256", SIGNATURE_PS256 }, { "PS384", SIGNATURE_PS384 }, { "PS512", SIGNATURE_PS512 },
    { "ES256", SIGNATURE_ES256 }, { "ES384", SIGNATURE_ES384 }, { "ES512", SIGNATURE_ES512 },
    { "EdDSA", SIGNATURE_EDDSA },
};

static const struct {
    const char *name, *group;
    size_t bytes;
    enum signature_algorithm algorithm;
} curves[] = {
    { "P-256", "prime256v1", 32, SIGNATURE_ES256 },
    { "P-384", "secp384r1", 48, SIGNATURE_ES384 },
    { "P-521", "secp521r1", 66, SIGNATURE_ES512 },
};

/* The text of a string member as it is meant; absent when it is no string. */
static struct slice text_of(const struct json_value *value, struct arena *arena)
{
    if (value->kind != JSON_STRING)
        return (struct slice){ NULL, 0 };
    char *copy = arena_alloc(arena, value->text.size + 1);
    return copy ? (struct slice){ copy, json_unescape(value->text, copy) } : (struct slice){ NULL, 0 };
}

static struct slice bytes_of(const struct json_value *value, struct arena *arena)
{
    struct slice text = text_of(value, arena), bytes = { NULL, 0 };
    char *out = text.size ? arena_alloc(arena, text.size) : NULL;
    if (out && base64_decode(BASE64_URL, text, out, &bytes.size))
        bytes.data = out;
    return bytes;
}

static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *parts)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(parts);
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    bool made = params && maker && EVP_PKEY_fromdata_init(maker) == 1 &&
                EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    if (made)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static EVP_PKEY *rsa_key(struct slice modulus, struct slice exponent)
{
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn((const unsigned char *)modulus.data, (int)modulus.size, NULL);
    BIGNUM *e = BN_bin2bn((const unsigned char *)exponent.data, (int)exponent.size, NULL);
    EVP_PKEY *key = NULL;
    if (parts && n && e && OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = build("RSA", parts);
    OSSL_PARAM_BLD_free(parts);
    BN_free(n);
    BN_free(e);
    return key;
}

/* RFC 7518 section 6.2.1.2 wants all octets, but providers exist that leave out the zeros at the beginning:
 * one of 64 of their keys is shorter. It can only mean the same number. */
static bool put_coordinate(unsigned char *at, size_t bytes, struct slice coordinate)
{
    if (coordinate.size == 0 || coordinate.size > bytes)
        return false;
    memcpy(at + bytes - coordinate.size, coordinate.data, coordinate.size);
    return true;
}

/* A point as libcrypto wants it: 4, x, y (SEC 1 section 2.3.3). It checks that the point is on the curve. */
static EVP_PKEY *elliptic_key(size_t curve, struct slice x, struct slice y)
{
    unsigned char point[1 + 2 * COORDINATE_MAX] = { 4 };
    size_t bytes = curves[curve].bytes;
    if (!put_coordinate(point + 1, bytes, x) || !put_coordinate(point + 1 + bytes, bytes, y))
        return NULL;
    OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (parts &&
        OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, curves[curve].group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * bytes) == 1)
        key = build("EC", parts);
    OSSL_PARAM_BLD_free(parts);
    return key;
}

/* One EVP_PKEY is shared by the algorithms it can serve. */
static bool add(struct jwk *jwk, EVP_PKEY *key, enum signature_algorithm algorithm, struct arena *arena)
{
    return EVP_PKEY_up_ref(key) == 1 &&
           public_key_adopt(key, algorithm, arena, &jwk->by_algorithm[algorithm]) == PUBLIC_KEY_OK;
}

/* `only`: the algorithm the key says it is for, or -1. */
static bool add_range(struct jwk *jwk, EVP_PKEY *key, const int range[2], int only, struct arena *arena)
{
    bool some = false;
    for (int i = range[0]; key && i <= range[1]; i++)
        if (only < 0 || only == i)
            some = add(jwk, key, (enum signature_algorithm)i, arena) || some;
    EVP_PKEY_free(key);
    return some;
}

static bool read_elliptic(struct jwk *jwk, const struct json_member *members, int only, struct arena *arena)
{
    struct slice name = text_of(&members[CRV].value, arena);
    struct slice x = bytes_of(&members[X].value, arena), y = bytes_of(&members[Y].value, arena);
    for (size_t i = 0; i < COUNT_OF(curves); i++)
        if (slice_equal(name, slice_of(curves[i].name)))
            return add_range(jwk, elliptic_key(i, x, y),
                             (int[]){ (int)curves[i].algorithm, (int)curves[i].algorithm }, only, arena);
    return false;
}

static bool read_edwards(struct jwk *jwk, const struct json_member *members, int only, struct arena *arena)
{
    struct slice name = text_of(&members[CRV].value, arena), x = bytes_of(&members[X].value, arena);
    const char *type = slice_equal(name, SLICE("Ed25519")) ? "ED25519"
                       : slice_equal(name, SLICE("Ed448")) ? "ED448"
                                                           : NULL;
    EVP_PKEY *key = type && x.size ? EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL,
                                                                    (const unsigned char *)x.data, x.size)
                                   : NULL;
    ERR_clear_error();
    return add_range(jwk, key, (int[]){ SIGNATURE_EDDSA, SIGNATURE_EDDSA }, only, arena);
}

/* -1: for any that fits; -2: for something else than signatures we know. */
static int algorithm_of(const struct json_member *members, struct arena *arena)
{
    struct slice use = text_of(&members[USE].value, arena), name = text_of(&members[ALG].value, arena);
    if (use.data && !slice_equal(use, SLICE("sig")))
        return -2;
    for (size_t i = 0; name.data && i < COUNT_OF(algorithms); i++)
        if (slice_equal(name, slice_of(algorithms[i].name)))
            return (int)algorithms[i].algorithm;
    return name.data ? -2 : -1;
}

/* False: not a key that can be used. */
static bool read_key(struct slice text, struct arena *arena, struct jwk *jwk)
{
    struct json_member members[MEMBERS] = {
        [KTY] = { .name = SLICE("kty") }, [KID] = { .name = SLICE("kid") }, [USE] = { .name = SLICE("use") },
        [ALG] = { .name = SLICE("alg") }, [CRV] = { .name = SLICE("crv") }, [N] = { .name = SLICE("n") },
        [E] = { .name = SLICE("e") },     [X] = { .name = SLICE("x") },     [Y] = { .name = SLICE("y") },
    };
    enum json_kind root;
    *jwk = (struct jwk){ .kid = { NULL, 0 } };
    if (!json_scan(text, members, MEMBERS, &root) || root != JSON_OBJECT)
        return false;
    int only = algorithm_of(members, arena);
    struct slice type = text_of(&members[KTY].value, arena);
    jwk->kid = text_of(&members[KID].value, arena);
    if (only == -2)
        return false;
    if (slice_equal(type, SLICE("EC")))
        return read_elliptic(jwk, members, only, arena);
    if (slice_equal(type, SLICE("OKP")))
        return read_edwards(jwk, members, only, arena);
    struct slice n = bytes_of(&members[N].value, arena), e = bytes_of(&members[E].value, arena);
    return slice_equal(type, SLICE("RSA")) && n.size > 0 && e.size > 0 &&
           add_range(jwk, rsa_key(n, e), (int[]){ SIGNATURE_RS256, SIGNATURE_PS512 }, only, arena);
}

enum error jwk_set_read(struct slice json, struct arena *arena, struct jwk_set *set)
{
    struct json_member keys = { .name = SLICE("keys") };
    enum json_kind root;
    *set = (struct jwk_set){ .keys = NULL };
    if (json.size > JWK_SET_BYTES_MAX || !json_scan(json, &keys, 1, &root) || keys.value.kind != JSON_ARRAY)
        return ERROR_INVALID;
    set->keys = arena_array(arena, JWK_SET_KEYS_MAX, sizeof(*set->keys));
    if (set->keys == NULL)
        return ERROR_MEMORY;
    struct slice rest = keys.value.text;
    struct json_value element;
    while (json_array_next(&rest, &element)) {
        if (set->count == JWK_SET_KEYS_MAX)
            return ERROR_INVALID;
        if (element.kind == JSON_OBJECT && read_key(element.text, arena, &set->keys[set->count]))
            set->count++;
        else
            set->skipped_count++;
    }
    return ERROR_OK;
}

const struct public_key *jwk_set_next(const struct jwk_set *set, struct slice kid,
                                      enum signature_algorithm algorithm, uint32_t *from)
{
    while (*from < set->count) {
        const struct jwk *jwk = &set->keys[(*from)++];
        if (jwk->by_algorithm[algorithm] && (kid.data == NULL || slice_equal(jwk->kid, kid)))
            return jwk->by_algorithm[algorithm];
    }
    return NULL;
}
