/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors that AWS publishes with Signature Version 4 (aws-sig-v4-test-suite). */
#include "core/crypto/sigv4.h"

#include <criterion/criterion.h>

static const struct sigv4_credentials example = {
    .key_id = { "AKIDEXAMPLE", 11 }, .secret = { "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 40 }
};

static struct sigv4_request request_of(const char *method, const char *path, const char *query,
                                       const struct sigv4_field *fields, size_t count)
{
    return (struct sigv4_request){ .method = slice_of(method),
                                   .path = slice_of(path),
                                   .query = slice_of(query),
                                   .fields = fields,
                                   .field_count = count,
                                   .body = SLICE(""),
                                   .region = SLICE("us-east-1"),
                                   .service = SLICE("service"),
                                   .time_s = 1440938160 };
}

static const struct sigv4_field host_field = { { "Host", 4 }, { "example.amazonaws.com", 21 } };

Test(sigv4, vectors)
{
    static const struct {
        const char *method, *path, *query, *signature;
    } rows[] = {
        { "GET", "/", NULL, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "GET", "/", "Param2=value2&Param1=value1",
          "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        { "GET", "/", "Param1=value1", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
        { "POST", "/", NULL, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct sigv4_signature signature;
        arena_init(&arena, NULL, 0, 65536);
        struct sigv4_request request =
            request_of(rows[i].method, rows[i].path, rows[i].query, &host_field, 1);
        cr_assert(sigv4_sign(&request, &example, &arena, &signature));
        struct slice wanted =
            arena_format(&arena,
                         "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                         "SignedHeaders=host;x-amz-date, Signature=%s",
                         rows[i].signature);
        cr_expect_str_eq(signature.authorization.data, wanted.data);
        cr_expect_str_eq(signature.date.data, "20150830T123600Z");
        cr_expect_null(signature.token.data);
        arena_deinit(&arena);
    }
}

Test(sigv4, folds_values_and_signs_a_body)
{
    static const struct sigv4_field trim[] = { { { "Host", 4 }, { "example.amazonaws.com", 21 } },
                                               { { "My-Header1", 10 }, { " value1", 7 } },
                                               { { "My-Header2", 10 }, { " \"a   b   c\"", 12 } } };
    static const struct sigv4_field form[] = { { { "Content-Type", 12 },
                                                 { "application/x-www-form-urlencoded", 33 } },
                                               { { "Host", 4 }, { "example.amazonaws.com", 21 } } };
    struct arena arena;
    struct sigv4_signature signature;
    arena_init(&arena, NULL, 0, 65536);
    struct sigv4_request request = request_of("GET", "/", NULL, trim, COUNT_OF(trim));
    cr_assert(sigv4_sign(&request, &example, &arena, &signature));
    cr_expect_not_null(strstr(signature.authorization.data,
                              "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"));
    request = request_of("POST", "/", NULL, form, COUNT_OF(form));
    request.body = SLICE("Param1=value1");
    cr_assert(sigv4_sign(&request, &example, &arena, &signature));
    cr_expect_not_null(strstr(signature.authorization.data,
                              "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"));
    arena_deinit(&arena);
}

Test(sigv4, signs_the_token_and_encodes_the_path_again)
{
    struct sigv4_credentials credentials = example;
    struct sigv4_request request = request_of("POST", "/a/b%3Ac", "b&a=2&a=1", &host_field, 1);
    struct arena arena;
    struct slice names = { NULL, 0 };
    arena_init(&arena, NULL, 0, 65536);
    credentials.session_token = SLICE("token");
    struct slice text = sigv4_canonical(&request, &credentials, &arena, &names);
    cr_expect_str_eq(text.data, "POST\n/a/b%253Ac\na=1&a=2&b=\nhost:example.amazonaws.com\n"
                                "x-amz-date:20150830T123600Z\nx-amz-security-token:token\n\n"
                                "host;x-amz-date;x-amz-security-token\n"
                                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    arena_deinit(&arena);
}

Test(sigv4, has_limits)
{
    struct sigv4_field many[SIGV4_FIELDS_MAX];
    struct sigv4_signature signature;
    struct arena arena;
    arena_init(&arena, NULL, 0, 65536);
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = host_field;
    struct sigv4_request request = request_of("GET", "/", NULL, many, COUNT_OF(many));
    cr_expect_not(sigv4_sign(&request, &example, &arena, &signature));
    request = request_of("GET", "/", "a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a",
                         &host_field, 1);
    cr_expect_not(sigv4_sign(&request, &example, &arena, &signature));
    arena_deinit(&arena);
}
