/* SPDX-License-Identifier: Apache-2.0 */
/* A text as a Terraform file, as JSON (show, *.tf.json) and as OpenAPI, through the AWS front-end: whatever
 * it is, it ends in a model that a router takes, or in reports. */
#include "tests/support/aws_setup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(const char *path, const char *text)
{
    struct aws_setup setup;
    aws_setup_init(&setup);
    aws_setup_add(&setup, path, text);
    uint32_t before = setup.report.error_count;
    if (before == 0) {
        bool good = aws_setup_read(&setup);
        CHECK(good == (setup.report.error_count == 0));
        for (uint32_t i = 0; good && i < setup.model->routes.count; i++)
            CHECK(setup.model->routes.items[i]->action != NULL);
        if (good)
            aws_setup_match(&setup, "a.execute-api.test", "GET /a/b", NULL);
    }
    aws_setup_deinit(&setup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size < 65536 ? malloc(size + 1) : NULL;
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    read_as("/nowhere/a.tf", text);
    read_as("a.tf.json", text);
    read_as("a.yaml", text);
    free(text);
    return 0;
}
