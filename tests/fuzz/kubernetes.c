/* SPDX-License-Identifier: Apache-2.0 */
/* A text as Kubernetes objects, through the front-ends of Emissary and the Gateway API: whatever it is, it
 * ends in a model that a router takes, or in reports. */
#include "tests/support/kube_setup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_model(const struct model *model)
{
    for (uint32_t i = 0; i < model->routes.count; i++)
        CHECK(model->routes.items[i]->action != NULL);
    for (uint32_t i = 0; i < model->services.count; i++)
        CHECK(model->services.items[i]->upstream != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_setup setup;
    char *text = size < 65536 ? malloc(size + 1) : NULL;
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    kube_setup_init(&setup);
    if (kube_setup_load(&setup, text))
        check_model(setup.config.model);
    (void)kube_setup_name(&setup, "GET a.test /a/b?q=1\nx: 1");
    kube_setup_deinit(&setup);
    free(text);
    return 0;
}
