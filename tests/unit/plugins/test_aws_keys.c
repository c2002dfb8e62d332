/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary keys of AWS as they are written, and what older Kongs made of empty arrays. */
#include "plugins/aws_lambda.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(aws_keys, are_read_from_json)
{
    struct aws_keys keys;
    cr_assert(aws_keys_read_json(
        SLICE("{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B/+\",\"Token\":\"C==\","
              "\"Expiration\":\"2026-11-23T12:00:00Z\"}"),
        &keys));
    cr_expect(slice_equal(keys.key_id, SLICE("A")));
    cr_expect(slice_equal(keys.secret, SLICE("B/+")));
    cr_expect(slice_equal(keys.token, SLICE("C==")));
    cr_expect_eq(keys.expires_s, 1795435200);
    cr_assert(aws_keys_read_json(SLICE("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\"}"), &keys));
    cr_expect_null(keys.token.data);
    cr_expect_eq(keys.expires_s, 0);
    static const char *const wrong[] = { "",
                                         "{}",
                                         "[]",
                                         "{\"AccessKeyId\":\"A\"}",
                                         "{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"B\"}",
                                         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":5}",
                                         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\\n\"}",
                                         "{\"AccessKeyId\":\"A B\",\"SecretAccessKey\":\"B\"}",
                                         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":null}" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_expect_not(aws_keys_read_json(slice_of(wrong[i]), &keys), "%s", wrong[i]);
}

Test(aws_keys, are_read_from_xml)
{
    struct aws_keys keys;
    cr_assert(aws_keys_read_xml(SLICE("<R><AccessKeyId>A</AccessKeyId><SecretAccessKey> B\n</SecretAccessKey>"
                                      "<SessionToken>C</SessionToken><Expiration>2026-11-23T12:00:00.5Z"
                                      "</Expiration></R>"),
                                &keys) == false);
    cr_assert(aws_keys_read_xml(SLICE("<R><AccessKeyId>A</AccessKeyId><SecretAccessKey> B </SecretAccessKey>"
                                      "<SessionToken>C</SessionToken><Expiration>2026-11-23T12:00:00.5Z"
                                      "</Expiration></R>"),
                                &keys));
    cr_expect(slice_equal(keys.secret, SLICE("B")));
    cr_expect_eq(keys.expires_s, 1795435200);
    cr_expect_not(aws_keys_read_xml(SLICE("<AccessKeyId>A"), &keys));
    cr_expect_not(aws_keys_read_xml(SLICE(""), &keys));
    cr_expect_eq(aws_time_read(SLICE("yesterday")), 0);
    cr_expect_eq(aws_time_read(SLICE("2026-11-23T12:00:00")), 0);
}

Test(aws_lambda, turns_empty_arrays_into_objects)
{
    static const struct {
        const char *json, *legacy;
    } rows[] = { { "[]", "{}" },
                 { "[ \n ]", "{}" },
                 { "[1,[]]", "[1,{}]" },
                 { "{\"[]\":\"[]\"}", "{\"[]\":\"[]\"}" },
                 { "\"\\\"[]\"", "\"\\\"[]\"" },
                 { "[[[]]]", "[[{}]]" },
                 { "[", "[" },
                 { "\"\\", "\"\\" },
                 { "", "" } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[64];
        int size = snprintf(text, sizeof(text), "%s", rows[i].json);
        struct slice legacy = lambda_without_empty_arrays(text, (size_t)size);
        cr_expect(slice_equal(legacy, slice_of(rows[i].legacy)), "%s", rows[i].json);
    }
}
