/* SPDX-License-Identifier: Apache-2.0 */
/* A Content-Type in the first line, a form behind it: whatever the names say, an object comes out, or
 * none. */
#include "core/app/admin_form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body, type = slice_split((struct slice){ (const char *)data, size }, '\n', &body);
    struct arena arena;
    struct message request;
    arena_init(&arena, NULL, 0, SIZE_MAX);
    message_init(&request, &arena);
    if (size > 0 && body.data && message_add(&request, SLICE("Content-Type"), type)) {
        json_t *object = admin_form_read(&request, body);
        CHECK(object == NULL || json_is_object(object));
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        CHECK(object == NULL || text != NULL);
        free(text);
        json_decref(object);
    }
    arena_deinit(&arena);
    return 0;
}
