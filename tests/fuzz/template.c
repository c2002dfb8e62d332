/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as a template: what is compiled can be rendered, within the bounds, and twice alike. */
#include "plugins/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct template_root roots[] = { { "headers", true }, { "status", false }, { NULL, false } };

static bool find(const struct template_scope *scope, uint32_t root, const struct template_value *key,
                 uint32_t nth, struct template_value *value)
{
    (void)scope;
    *value = (struct template_value){ .kind = TEMPLATE_NUMBER, .number = nth + 0.5 };
    if (root == 0)
        *value = key->kind == TEMPLATE_STRING && key->text.size % 2
                     ? (struct template_value){ .kind = TEMPLATE_STRING, .text = key->text }
                     : (struct template_value){ .kind = TEMPLATE_NIL };
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { size ? (const char *)data : "", size }, first, second;
    struct template_error error;
    struct arena arena;
    arena_init(&arena, NULL, 0, 16 * 1024 * 1024);
    const struct template *template = template_compile(&arena, text, roots, &error);
    if (template) {
        struct template_scope scope = { &arena, find };
        enum template_result result = template_render(template, &scope, &first);
        CHECK(template_render(template, &scope, &second) == result || result == TEMPLATE_OUT_OF_MEMORY ||
              arena.used_bytes > 4 * 1024 * 1024);
        if (result == TEMPLATE_RENDERED && template_constant(template).data == NULL)
            CHECK(first.data != NULL && first.size <= size + TEMPLATE_TEXT_BYTES_MAX);
    } else {
        CHECK(error.reason[0] != '\0' && error.offset <= size);
    }
    arena_deinit(&arena);
    return 0;
}
