/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/signature.h"
#include "tests/support/test_keys.h"

#include <criterion/criterion.h>
#include <pthread.h>

#define TEXT(literal) { literal, sizeof(literal) - 1 } /* SLICE is no constant in ISO C */

static const struct {
    enum signature_algorithm algorithm;
    const char *type;
    unsigned bits;
} pairs[] = {
    { SIGNATURE_RS256, "RSA2048", 2048 }, { SIGNATURE_RS384, "RSA1024", 1024 },
    { SIGNATURE_RS512, "RSA2048", 2048 }, { SIGNATURE_PS256, "RSA2048", 2048 },
    { SIGNATURE_PS384, "RSA2048", 2048 }, { SIGNATURE_PS512, "RSA2048", 2048 },
    { SIGNATURE_ES256, "P-256", 256 },    { SIGNATURE_ES384, "P-384", 384 },
    { SIGNATURE_ES512, "P-521", 521 },    { SIGNATURE_EDDSA, "ED25519", 256 },
    { SIGNATURE_EDDSA, "ED448", 456 },
};

static struct slice slice_bytes(const unsigned char *bytes, size_t size)
{
    return (struct slice){ (const char *)bytes, size };
}

/* Every cut and every changed byte of a signature is refused. */
static void check_damaged(const struct public_key *key, const unsigned char *signature, size_t size)
{
    unsigned char damaged[TEST_SIGNATURE_MAX + 1];
    for (size_t i = 0; i < size; i += 5) {
        memcpy(damaged, signature, size);
        damaged[i] ^= 1;
        cr_assert_not(public_key_verify(key, SLICE("message"), slice_bytes(damaged, size)));
        cr_assert_not(public_key_verify(key, SLICE("message"), slice_bytes(signature, i)));
    }
    memcpy(damaged, signature, size);
    damaged[size] = 0;
    cr_assert_not(public_key_verify(key, SLICE("message"), slice_bytes(damaged, size + 1)));
    memset(damaged, 0, size);
    cr_assert_not(public_key_verify(key, SLICE("message"), slice_bytes(damaged, size)));
}

Test(signature, each_algorithm)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct arena arena;
        struct public_key *key = NULL;
        unsigned char signature[TEST_SIGNATURE_MAX];
        struct test_key *signer = test_key_make(pairs[i].type);
        arena_init(&arena, NULL, 0, 100000);
        cr_assert_eq(public_key_read(test_key_pem(signer), pairs[i].algorithm, &arena, &key), PUBLIC_KEY_OK);
        cr_assert_eq(public_key_bits(key), pairs[i].bits);
        for (int again = 0; again < 5; again++) { /* r and s of every few ECDSA signatures have a high bit */
            size_t size = test_key_sign(signer, pairs[i].algorithm, SLICE("message"), signature);
            cr_assert(public_key_verify(key, SLICE("message"), slice_bytes(signature, size)), "%s",
                      pairs[i].type);
            cr_assert_not(public_key_verify(key, SLICE("massage"), slice_bytes(signature, size)));
            cr_assert_not(public_key_verify(key, SLICE(""), slice_bytes(signature, size)));
            if (again == 0)
                check_damaged(key, signature, size);
        }
        cr_assert_not(public_key_verify(key, SLICE("message"), (struct slice){ NULL, 0 }));
        arena_deinit(&arena);
        test_key_free(signer);
    }
}

Test(signature, an_algorithm_is_not_another)
{
    struct test_key *signer = test_key_make("RSA2048");
    struct arena arena;
    struct public_key *key = NULL;
    unsigned char signature[TEST_SIGNATURE_MAX];
    arena_init(&arena, NULL, 0, 100000);
    for (enum signature_algorithm reader = SIGNATURE_RS256; reader <= SIGNATURE_PS512; reader++) {
        cr_assert_eq(public_key_read(test_key_pem(signer), reader, &arena, &key), PUBLIC_KEY_OK);
        for (enum signature_algorithm writer = SIGNATURE_RS256; writer <= SIGNATURE_PS512; writer++) {
            size_t size = test_key_sign(signer, writer, SLICE("message"), signature);
            cr_assert_eq(public_key_verify(key, SLICE("message"), slice_bytes(signature, size)),
                         reader == writer);
        }
    }
    arena_deinit(&arena);
    test_key_free(signer);
}

static const struct {
    enum signature_algorithm algorithm;
    const char *type;
    enum public_key_result result;
} misfits[] = {
    { SIGNATURE_RS256, "P-256", PUBLIC_KEY_TYPE },   { SIGNATURE_RS256, "ED25519", PUBLIC_KEY_TYPE },
    { SIGNATURE_PS256, "P-256", PUBLIC_KEY_TYPE },   { SIGNATURE_ES256, "RSA2048", PUBLIC_KEY_TYPE },
    { SIGNATURE_ES256, "P-384", PUBLIC_KEY_TYPE },   { SIGNATURE_ES384, "P-256", PUBLIC_KEY_TYPE },
    { SIGNATURE_ES512, "P-384", PUBLIC_KEY_TYPE },   { SIGNATURE_EDDSA, "P-256", PUBLIC_KEY_TYPE },
    { SIGNATURE_EDDSA, "RSA2048", PUBLIC_KEY_TYPE }, { SIGNATURE_RS256, "RSA768", PUBLIC_KEY_SMALL },
};

Test(signature, a_key_must_fit_its_algorithm)
{
    for (size_t i = 0; i < COUNT_OF(misfits); i++) {
        struct test_key *signer = test_key_make(misfits[i].type);
        struct arena arena;
        struct public_key *key = NULL;
        arena_init(&arena, NULL, 0, 100000);
        cr_assert_eq(public_key_read(test_key_pem(signer), misfits[i].algorithm, &arena, &key),
                     misfits[i].result, "%zu", i);
        cr_assert_null(key);
        arena_deinit(&arena);
        test_key_free(signer);
    }
}

static const struct slice no_keys[] = {
    TEXT(""),
    TEXT("nope"),
    TEXT("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"),
    TEXT("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
    TEXT("-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899\n\n"
         "AAAAAAAAAAAAAAAAAAAAAA==\n-----END PUBLIC KEY-----\n"),
};

Test(signature, what_is_no_key_is_refused)
{
    struct arena arena;
    arena_init(&arena, NULL, 0, 100000);
    for (size_t i = 0; i < COUNT_OF(no_keys); i++) {
        struct public_key *key = NULL;
        cr_assert_eq(public_key_read(no_keys[i], SIGNATURE_RS256, &arena, &key), PUBLIC_KEY_INVALID, "%zu",
                     i);
        cr_assert_null(key);
    }
    arena_deinit(&arena);
}

Test(signature, tells_when_memory_is_exhausted)
{
    struct test_key *signer = test_key_make("P-256");
    for (size_t limit = 0; limit <= 32; limit += 8) {
        struct arena arena;
        struct public_key *key = NULL;
        arena_init(&arena, NULL, 0, limit);
        cr_assert_eq(public_key_read(test_key_pem(signer), SIGNATURE_ES256, &arena, &key), PUBLIC_KEY_MEMORY);
        arena_deinit(&arena);
    }
    test_key_free(signer);
}

enum { THREADS = 4, ROUNDS = 50 };

struct shared {
    const struct public_key *key;
    unsigned char signature[TEST_SIGNATURE_MAX];
    size_t size;
};

static void *verify_often(void *pointer)
{
    const struct shared *shared = pointer;
    size_t good = 0;
    for (int i = 0; i < ROUNDS; i++) {
        good +=
            public_key_verify(shared->key, SLICE("message"), slice_bytes(shared->signature, shared->size));
        good +=
            !public_key_verify(shared->key, SLICE("massage"), slice_bytes(shared->signature, shared->size));
    }
    return good == 2 * ROUNDS ? pointer : NULL;
}

Test(signature, threads_share_a_key)
{
    for (size_t i = 0; i < COUNT_OF(pairs); i += 3) {
        struct test_key *signer = test_key_make(pairs[i].type);
        struct public_key *key = NULL;
        struct shared shared;
        struct arena arena;
        pthread_t threads[THREADS];
        arena_init(&arena, NULL, 0, 100000);
        cr_assert_eq(public_key_read(test_key_pem(signer), pairs[i].algorithm, &arena, &key), PUBLIC_KEY_OK);
        shared.key = key;
        shared.size = test_key_sign(signer, pairs[i].algorithm, SLICE("message"), shared.signature);
        for (int thread = 0; thread < THREADS; thread++)
            cr_assert_eq(pthread_create(&threads[thread], NULL, verify_often, &shared), 0);
        for (int thread = 0; thread < THREADS; thread++) {
            void *result = NULL;
            pthread_join(threads[thread], &result);
            cr_assert_not_null(result);
        }
        arena_deinit(&arena);
        test_key_free(signer);
    }
}
