/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/base64.h"
#include "plugins/jwt_token.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { TEXT_MAX = 2 * JWT_TOKEN_MAX };

/* header.payload.signature, the first two encoded, the last as it is. */
static struct slice make(char text[TEXT_MAX], const char *header, const char *payload, const char *signature)
{
    size_t size = base64_encode(BASE64_URL, slice_of(header), text);
    text[size++] = '.';
    size += base64_encode(BASE64_URL, slice_of(payload), text + size);
    size += (size_t)snprintf(text + size, TEXT_MAX - size, ".%s", signature);
    return (struct slice){ text, size };
}

static enum jwt_flaw read_parts(const char *header, const char *payload, const char *signature,
                                struct jwt_token *token)
{
    static char text[TEXT_MAX];
    return jwt_token_read(make(text, header, payload, signature), SLICE("iss"), token);
}

#define HS256 "{\"alg\":\"HS256\"}"

Test(jwt_token, takes_a_token_apart)
{
    static struct jwt_token token;
    char text[TEXT_MAX];
    struct slice whole = make(text, HS256, "{\"iss\":\"me\",\"exp\":12,\"nbf\":3.5}", "Zm9v");
    cr_assert_eq(jwt_token_read(whole, SLICE("iss"), &token), JWT_GOOD);
    cr_assert_eq(token.algorithm, JWT_HS256);
    cr_assert(slice_equal(token.signature, SLICE("foo")));
    cr_assert(slice_equal(token.signed_text, (struct slice){ text, whole.size - 5 }));
    cr_assert(token.key.kind == JSON_STRING && slice_equal(token.key.text, SLICE("me")));
    cr_assert(slice_equal(token.expires.text, SLICE("12")));
    cr_assert(slice_equal(token.not_before.text, SLICE("3.5")));
}

static const struct {
    const char *header, *payload, *signature;
    enum jwt_flaw flaw;
} parts[] = {
    { HS256, "{}", "", JWT_GOOD },
    { HS256, "[1]", "AAAA", JWT_GOOD },
    { HS256, "{}", "AAA==", JWT_GOOD }, /* as Kong: padding that is not even right */
    { "{\"alg\":\"EdDSA\",\"typ\":7,\"b64\":true}", "{}", "AAAA", JWT_GOOD },
    { "{x", "{}", "AAAA", JWT_BAD_JSON },
    { "", "{}", "AAAA", JWT_BAD_JSON },
    { HS256, "", "AAAA", JWT_BAD_JSON },
    { HS256, "nope", "AAAA", JWT_BAD_JSON },
    { HS256, "{} ,", "AAAA", JWT_BAD_JSON },
    { HS256, "{\"iss\":1,\"iss\":2}", "AAAA", JWT_BAD_JSON },
    { "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{}", "AAAA", JWT_BAD_JSON },
    { "{}", "{}", "AAAA", JWT_BAD_ALGORITHM },
    { "[]", "{}", "AAAA", JWT_BAD_ALGORITHM },
    { "{\"alg\":\"none\"}", "{}", "", JWT_BAD_ALGORITHM },
    { "{\"alg\":\"None\"}", "{}", "", JWT_BAD_ALGORITHM },
    { "{\"alg\":\"hs256\"}", "{}", "AAAA", JWT_BAD_ALGORITHM },
    { "{\"alg\":\"HS256 \"}", "{}", "AAAA", JWT_BAD_ALGORITHM },
    { "{\"alg\":[\"HS256\"]}", "{}", "AAAA", JWT_BAD_ALGORITHM },
    { "{\"alg\":null}", "{}", "AAAA", JWT_BAD_ALGORITHM },
    { "{\"alg\":\"HS256\",\"crit\":[\"x\"]}", "{}", "AAAA", JWT_UNKNOWN_EXTENSION },
    { "{\"alg\":\"HS256\",\"crit\":null}", "{}", "AAAA", JWT_UNKNOWN_EXTENSION },
    { "{\"alg\":\"HS256\",\"b64\":false}", "{}", "AAAA", JWT_UNKNOWN_EXTENSION },
    { HS256, "{}", "AAAA.AAAA", JWT_BAD_SIGNATURE_ENCODING },
    { HS256, "{}", "AAAA.AAAA.AAAA", JWT_BAD_SIGNATURE_ENCODING }, /* the encrypted form has five parts */
    { HS256, "{}", "A", JWT_BAD_SIGNATURE_ENCODING },
    { HS256, "{}", "AB", JWT_BAD_SIGNATURE_ENCODING }, /* leftover bits */
    { HS256, "{}", "AAA===", JWT_BAD_SIGNATURE_ENCODING },
    { HS256, "{}", "AA+A", JWT_BAD_SIGNATURE_ENCODING },
    { HS256, "{}", "AA A", JWT_BAD_SIGNATURE_ENCODING },
    { HS256, "{}", "AAAA\n", JWT_BAD_SIGNATURE_ENCODING },
};

Test(jwt_token, flaws)
{
    static struct jwt_token token;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        cr_assert_eq(read_parts(parts[i].header, parts[i].payload, parts[i].signature, &token), parts[i].flaw,
                     "%zu", i);
}

static const char *const no_tokens[] = { "",
                                         ".",
                                         "..",
                                         "...",
                                         "a",
                                         "a.b",
                                         "a.b.c",
                                         "eyJhbGciOiJIUzI1NiJ9",
                                         "eyJhbGciOiJIUzI1NiJ9.e30",
                                         "eyJhbGciOiJIUzI1NiJ9..AAAA",
                                         ".e30.AAAA",
                                         "eyJhbGciOiJIUzI1NiJ9 .e30.AAAA",
                                         "eyJhbGciOiJIUzI1NiJ9.e31.AAAA" };

Test(jwt_token, what_has_not_three_parts)
{
    static struct jwt_token token;
    for (size_t i = 0; i < COUNT_OF(no_tokens); i++)
        cr_assert_eq(jwt_token_read(slice_of(no_tokens[i]), SLICE("iss"), &token), JWT_BAD_JSON, "%s",
                     no_tokens[i]);
}

static const struct {
    const char *header, *payload;
    enum json_kind kind;
    const char *text;
} keys[] = {
    { HS256, "{\"iss\":\"a\"}", JSON_STRING, "a" },
    { HS256, "{\"\\u0069ss\":\"\\u0061\\n\"}", JSON_STRING, "a\n" },
    { HS256, "{\"iss\":\"\"}", JSON_STRING, "" },
    { HS256, "{\"x\":{\"iss\":\"a\"}}", JSON_ABSENT, NULL },
    { HS256, "{\"ISS\":\"a\"}", JSON_ABSENT, NULL },
    { HS256, "{\"iss\":12}", JSON_NUMBER, "12" },
    { HS256, "{\"iss\":null}", JSON_NULL, "null" },
    { HS256, "{\"iss\":false}", JSON_ABSENT, NULL },
    { "{\"alg\":\"HS256\",\"iss\":\"h\"}", "{}", JSON_STRING, "h" },
    { "{\"alg\":\"HS256\",\"iss\":\"\\u0068\"}", "{}", JSON_STRING, "h" },
    { "{\"alg\":\"HS256\",\"iss\":\"h\"}", "{\"iss\":\"p\"}", JSON_STRING, "p" },
    { "{\"alg\":\"HS256\",\"iss\":\"h\"}", "{\"iss\":false}", JSON_STRING, "h" },
    { "{\"alg\":\"HS256\",\"iss\":false}", "{}", JSON_ABSENT, NULL },
    { "{\"alg\":\"HS256\",\"iss\":\"h\"}", "[1]", JSON_ABSENT, NULL },
    { "{\"alg\":\"HS256\",\"iss\":\"h\"}", "null", JSON_ABSENT, NULL },
};

Test(jwt_token, where_the_key_is_found)
{
    static struct jwt_token token;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        cr_assert_eq(read_parts(keys[i].header, keys[i].payload, "AAAA", &token), JWT_GOOD, "%zu", i);
        cr_assert_eq(token.key.kind, keys[i].kind, "%zu", i);
        cr_assert(keys[i].text == NULL || slice_equal(token.key.text, slice_of(keys[i].text)), "%zu", i);
    }
}

Test(jwt_token, size_has_a_limit)
{
    static struct jwt_token token;
    static char text[TEXT_MAX], signature[TEXT_MAX];
    size_t rest = JWT_TOKEN_MAX - make(text, HS256, "{}", "").size;
    memset(signature, 'A', rest - rest % 4);
    struct slice whole = make(text, HS256, "{}", signature);
    cr_assert_leq(whole.size, JWT_TOKEN_MAX);
    cr_assert_eq(jwt_token_read(whole, SLICE("iss"), &token), JWT_GOOD);
    memset(signature, 'A', rest - rest % 4 + 4);
    whole = make(text, HS256, "{}", signature);
    cr_assert_eq(jwt_token_read(whole, SLICE("iss"), &token), JWT_TOO_LARGE);
}

static const struct {
    const char *value;
    enum jwt_time expires, not_before; /* at second 1000 */
    bool lives_at_most_100;
} times[] = {
    { "1001", JWT_TIME_FINE, JWT_TIME_REFUSED, true },
    { "1000", JWT_TIME_REFUSED, JWT_TIME_FINE, true },
    { "1000.5", JWT_TIME_FINE, JWT_TIME_REFUSED, true },
    { "999.9", JWT_TIME_REFUSED, JWT_TIME_FINE, true },
    { "1.1e3", JWT_TIME_FINE, JWT_TIME_REFUSED, true },
    { "1100", JWT_TIME_FINE, JWT_TIME_REFUSED, true },
    { "1100.1", JWT_TIME_FINE, JWT_TIME_REFUSED, false },
    { "-1", JWT_TIME_REFUSED, JWT_TIME_FINE, true },
    { "-9223372036854775809", JWT_TIME_REFUSED, JWT_TIME_FINE, true },
    { "9223372036854775808", JWT_TIME_FINE, JWT_TIME_REFUSED, false },
    { "1e400", JWT_TIME_NO_NUMBER, JWT_TIME_NO_NUMBER, false },
    { "-1e400", JWT_TIME_NO_NUMBER, JWT_TIME_NO_NUMBER, false },
    { "\"1001\"", JWT_TIME_NO_NUMBER, JWT_TIME_NO_NUMBER, false },
    { "null", JWT_TIME_NO_NUMBER, JWT_TIME_NO_NUMBER, false },
    { "true", JWT_TIME_NO_NUMBER, JWT_TIME_NO_NUMBER, false },
    { "[1001]", JWT_TIME_NO_NUMBER, JWT_TIME_NO_NUMBER, false },
};

Test(jwt_token, times)
{
    static struct jwt_token token;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        char payload[128];
        snprintf(payload, sizeof(payload), "{\"exp\":%s,\"nbf\":%s}", times[i].value, times[i].value);
        cr_assert_eq(read_parts(HS256, payload, "AAAA", &token), JWT_GOOD);
        cr_assert_eq(jwt_token_expires(&token, 1000), times[i].expires, "%s", times[i].value);
        cr_assert_eq(jwt_token_not_before(&token, 1000), times[i].not_before, "%s", times[i].value);
        cr_assert_eq(jwt_token_lives_at_most(&token, 1000, 100), times[i].lives_at_most_100, "%s",
                     times[i].value);
    }
}

Test(jwt_token, absent_times_are_no_numbers)
{
    static struct jwt_token token;
    cr_assert_eq(read_parts(HS256, "{}", "AAAA", &token), JWT_GOOD);
    cr_assert_eq(jwt_token_expires(&token, 1000), JWT_TIME_NO_NUMBER);
    cr_assert_eq(jwt_token_not_before(&token, 1000), JWT_TIME_NO_NUMBER);
    cr_assert_not(jwt_token_lives_at_most(&token, 1000, 100));
}
