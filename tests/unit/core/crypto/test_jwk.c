/* SPDX-License-Identifier: Apache-2.0 */
/* Key sets from outside: what is taken, what is left out, what is refused. Signatures made with such keys are
 * tested end to end (test_jwt_authorizer.py), the examples here are those of the RFCs. */
#include "core/crypto/jwk.h"

#include <criterion/criterion.h>

/* RFC 7517 appendix A.1 and RFC 8037 appendix A.2. */
#define EC_X "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define EC_Y "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define ED "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define RSA_N                                                                          \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1" \
    "L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4" \
    "QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO" \
    "pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF" \
    "Cur-kEgU8awapJzKnqDKgw"
#define RSA "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" RSA_N "\""

static struct arena arena;
static struct jwk_set set;

static void start(void)
{
    arena_init(&arena, NULL, 0, 64 << 20);
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(jwk, .init = start, .fini = end);

static unsigned count(const char *kid, enum signature_algorithm algorithm)
{
    struct slice name = kid ? slice_of(kid) : (struct slice){ NULL, 0 };
    uint32_t from = 0;
    unsigned found = 0;
    while (jwk_set_next(&set, name, algorithm, &from))
        found++;
    return found;
}

Test(jwk, takes_each_kind)
{
    const char *text = "{\"keys\":[{" EC ",\"kid\":\"e\"},{" ED ",\"kid\":\"d\"},{" RSA ",\"kid\":\"r\"},"
                       "{" RSA ",\"alg\":\"PS256\"}]}";
    cr_assert_eq(jwk_set_read(slice_of(text), &arena, &set), ERROR_OK);
    cr_assert_eq(set.count, 4);
    cr_assert_eq(set.skipped_count, 0);
    cr_expect_eq(count("e", SIGNATURE_ES256), 1);
    cr_expect_eq(count("e", SIGNATURE_ES384), 0, "a curve has one algorithm");
    cr_expect_eq(count("d", SIGNATURE_EDDSA), 1);
    cr_expect_eq(count("r", SIGNATURE_RS256), 1);
    cr_expect_eq(count("r", SIGNATURE_PS512), 1);
    cr_expect_eq(count("r", SIGNATURE_ES256), 0);
    cr_expect_eq(count(NULL, SIGNATURE_RS256), 1, "the other one is for PS256 alone");
    cr_expect_eq(count(NULL, SIGNATURE_PS256), 2);
    cr_expect_eq(count("unknown", SIGNATURE_RS256), 0);
}

/* Made by glewlwyd 2.7: the numbers have a zero at the beginning, which was left out. */
Test(jwk, takes_coordinates_without_their_zeros)
{
    const char *text = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"x\","
                       "\"x\":\"FYnt1_Mqa1dpQxZfS74uHy8g_yrUztKNq76pMS5yiQ\","
                       "\"y\":\"9FLFITdcVTL-XixSIUxEac6-i2N-Qzxjz8QQXWnutRQ\"},"
                       "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"y\","
                       "\"x\":\"nMrGkQgoqBOB1jDZdztu_45-6HEwYlZonz0pTz36gXI\","
                       "\"y\":\"hXycD4ZzNI_hXMbrrcTWQt9tfxBFgmY2hEY74rH9dA\"}]}";
    cr_assert_eq(jwk_set_read(slice_of(text), &arena, &set), ERROR_OK);
    cr_assert_eq(set.skipped_count, 0);
    cr_expect_eq(count("x", SIGNATURE_ES256), 1);
    cr_expect_eq(count("y", SIGNATURE_ES256), 1);
}

Test(jwk, leaves_out_what_is_no_good)
{
    static const char *const keys[] = {
        "5",
        "\"x\"",
        "null",
        "{}",
        "{\"kty\":\"EC\"}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{" EC ",\"use\":\"enc\"}",
        "{" EC ",\"alg\":\"RS256\"}",
        "{" EC ",\"alg\":\"none\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_Y "\",\"y\":\"" EC_X "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\",\"y\":\"" EC_Y "\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA" EC_X "\",\"y\":\"" EC_Y "\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AAAA\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"kty\":\"EC\"}",
    };
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct slice text = arena_format(&arena, "{\"keys\":[%s]}", keys[i]);
        enum error error = jwk_set_read(text, &arena, &set);
        cr_expect_eq(error, ERROR_OK, "%s", keys[i]);
        cr_expect_eq(set.count, 0, "%s", keys[i]);
        cr_expect_eq(set.skipped_count, 1, "%s", keys[i]);
    }
}

Test(jwk, refuses_what_is_no_set)
{
    static const char *const texts[] = {
        "", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[}", "{\"keys\":[],\"keys\":[]}"
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        cr_expect_eq(jwk_set_read(slice_of(texts[i]), &arena, &set), ERROR_INVALID, "%s", texts[i]);
}

Test(jwk, has_limits)
{
    enum { ROOM = 1 << 20 };
    char *text = arena_alloc(&arena, ROOM);
    struct slice many = SLICE("{\"keys\":[{" ED "}");
    for (int i = 0; i < JWK_SET_KEYS_MAX; i++)
        many = arena_format(&arena, "%.*s,{" ED "}", SLICE_FORMAT(many));
    many = arena_format(&arena, "%.*s]}", SLICE_FORMAT(many));
    cr_expect_eq(jwk_set_read(many, &arena, &set), ERROR_INVALID);
    memset(text, ' ', ROOM);
    memcpy(text, "{\"keys\":[]}", 11);
    cr_expect_eq(jwk_set_read((struct slice){ text, JWK_SET_BYTES_MAX }, &arena, &set), ERROR_OK);
    cr_expect_eq(jwk_set_read((struct slice){ text, JWK_SET_BYTES_MAX + 1 }, &arena, &set), ERROR_INVALID);
}
