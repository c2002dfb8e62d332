/* SPDX-License-Identifier: Apache-2.0 */
/* The SHA functions used here are marked deprecated since OpenSSL 3.0, in favour of EVP. They are used on
 * purpose: an EVP context is an allocation and a provider dispatch per message, which costs more than
 * hashing a token does, and these states can be copied with an assignment. They run the same assembler
 * code. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/crypto/hmac.h"

enum { BLOCK_MAX = 128 };

static size_t block_size(enum hmac_kind kind)
{
    return kind <= HMAC_SHA256 ? SHA256_CBLOCK /* SHA-1's too */ : SHA512_CBLOCK;
}

size_t hmac_size(enum hmac_kind kind)
{
    static const size_t sizes[] = { 20, 32, 48, 64 };
    return sizes[kind];
}

/* RFC 2104 section 2: a key longer than a block is replaced by its digest, a shorter one is filled with
 * zeros. */
static void key_block(enum hmac_kind kind, struct slice secret, unsigned char block[BLOCK_MAX])
{
    memset(block, 0, BLOCK_MAX);
    if (secret.size > block_size(kind)) {
        const unsigned char *bytes = (const unsigned char *)secret.data;
        if (kind == HMAC_SHA1)
            SHA1(bytes, secret.size, block);
        else if (kind == HMAC_SHA256)
            SHA256(bytes, secret.size, block);
        else if (kind == HMAC_SHA384)
            SHA384(bytes, secret.size, block);
        else
            SHA512(bytes, secret.size, block);
    } else if (secret.size > 0)
        memcpy(block, secret.data, secret.size);
}

static void mask(unsigned char block[BLOCK_MAX], unsigned char with)
{
    for (size_t i = 0; i < BLOCK_MAX; i++)
        block[i] ^= with;
}

static void start(struct hmac_key *key, bool inner, const unsigned char *block)
{
    if (key->kind == HMAC_SHA1) {
        SHA_CTX *state = inner ? &key->state.sha1.inner : &key->state.sha1.outer;
        SHA1_Init(state);
        SHA1_Update(state, block, SHA_CBLOCK);
        return;
    }
    if (key->kind == HMAC_SHA256) {
        SHA256_CTX *state = inner ? &key->state.sha256.inner : &key->state.sha256.outer;
        SHA256_Init(state);
        SHA256_Update(state, block, SHA256_CBLOCK);
        return;
    }
    SHA512_CTX *state = inner ? &key->state.sha512.inner : &key->state.sha512.outer;
    if (key->kind == HMAC_SHA384)
        SHA384_Init(state);
    else
        SHA512_Init(state);
    SHA512_Update(state, block, SHA512_CBLOCK);
}

void hmac_key_init(struct hmac_key *key, enum hmac_kind kind, struct slice secret)
{
    enum { INNER = 0x36, OUTER = 0x5c };
    unsigned char block[BLOCK_MAX];
    *key = (struct hmac_key){ .kind = kind };
    key_block(kind, secret, block);
    mask(block, INNER);
    start(key, true, block);
    mask(block, INNER ^ OUTER);
    start(key, false, block);
    explicit_bzero(block, sizeof(block));
}

static void sign_sha1(const struct hmac_key *key, const struct slice *parts, size_t count, unsigned char *out)
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA_CTX state = key->state.sha1.inner;
    for (size_t i = 0; i < count; i++)
        SHA1_Update(&state, parts[i].data, parts[i].size);
    SHA1_Final(digest, &state);
    state = key->state.sha1.outer;
    SHA1_Update(&state, digest, sizeof(digest));
    SHA1_Final(out, &state);
}

void hmac_sign_parts(const struct hmac_key *key, const struct slice *parts, size_t count, unsigned char *out)
{
    unsigned char digest[HMAC_MAX];
    if (key->kind == HMAC_SHA1) {
        sign_sha1(key, parts, count, out);
        return;
    }
    if (key->kind == HMAC_SHA256) {
        SHA256_CTX state = key->state.sha256.inner;
        for (size_t i = 0; i < count; i++)
            SHA256_Update(&state, parts[i].data, parts[i].size);
        SHA256_Final(digest, &state);
        state = key->state.sha256.outer;
        SHA256_Update(&state, digest, SHA256_DIGEST_LENGTH);
        SHA256_Final(out, &state);
        return;
    }
    /* SHA512_Final writes as many bytes as the state was begun for: 48 or 64. */
    SHA512_CTX state = key->state.sha512.inner;
    for (size_t i = 0; i < count; i++)
        SHA512_Update(&state, parts[i].data, parts[i].size);
    SHA512_Final(digest, &state);
    state = key->state.sha512.outer;
    SHA512_Update(&state, digest, hmac_size(key->kind));
    SHA512_Final(out, &state);
}

void hmac_sign(const struct hmac_key *key, struct slice message, unsigned char *out)
{
    hmac_sign_parts(key, &message, 1, out);
}

bool hmac_verify(const struct hmac_key *key, struct slice message, struct slice mac)
{
    unsigned char expected[HMAC_MAX];
    hmac_sign(key, message, expected);
    return slice_equal_constant_time((struct slice){ (const char *)expected, hmac_size(key->kind) }, mac);
}
