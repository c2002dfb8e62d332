/* SPDX-License-Identifier: Apache-2.0 */
#include "core/app/admin_yaml.h"

#include "config/kong/error_tree.h"
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Written as YAML and read again it is the same. */
Test(admin_yaml, comes_back)
{
    static const char *const texts[] = {
        "{\"a\":1}",
        "{\"a\":{\"b\":[1,2.5,true,null,\"x\"]},\"c\":[]}",
        "{\"list\":[{\"a\":1,\"b\":{\"c\":2}},{\"a\":[[1],[2,[3]]]}],\"last\":{}}",
        "{\"on\":\"yes\",\"no\":\"1.0\",\"a b\":\"- x\",\"~\":\"#\",\"null\":\"null\"}",
        "{\"text\":\"two\\nlines\\t\\\"quoted\\\" \\u00e9 \\u2028 \\u007f \\u0085 \\ufeff \\ud83d\\ude00\"}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct config_setup setup;
        config_setup_init(&setup);
        json_t *value = json_loads(texts[i], 0, NULL);
        char *yaml = admin_yaml(value);
        struct documents documents = config_setup_read(&setup, "a.yaml", yaml);
        cr_assert_eq(documents.count, 1, "%s", yaml);
        json_t *again = kong_node_json(documents.items[0]);
        cr_assert(json_equal(value, again), "%s", yaml);
        json_decref(again);
        json_decref(value);
        free(yaml);
        config_setup_deinit(&setup);
    }
}
