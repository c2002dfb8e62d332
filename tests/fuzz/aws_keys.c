/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as temporary keys and as a function's answer: what is found could go into a head, and an
 * answer does not grow. */
#include "plugins/aws_lambda.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct aws_keys *keys)
{
    CHECK(keys->key_id.size > 0 && keys->key_id.size < AWS_KEY_SIZE && keys->secret.size > 0);
    for (size_t i = 0; i < keys->token.size; i++)
        CHECK(keys->token.data[i] > ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { (const char *)data, size };
    struct aws_keys keys;
    if (aws_keys_read_json(text, &keys))
        check(&keys);
    if (aws_keys_read_xml(text, &keys))
        check(&keys);
    char *copy = malloc(size + 1);
    CHECK(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    CHECK(lambda_without_empty_arrays(copy, size).size <= size);
    free(copy);
    return 0;
}
