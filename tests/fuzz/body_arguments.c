/* SPDX-License-Identifier: Apache-2.0 */
/* A Content-Type in the first line, a body behind it: what was read and written afresh says the same when
 * it is read again. */
#include "plugins/body_arguments.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct body_argument *a, const struct body_argument *b, bool multipart)
{
    bool names = slice_equal(a->name, b->name);
    /* Quotes and line ends in the name of a part are escaped for good. */
    for (size_t i = 0; multipart && !names && i < a->name.size; i++)
        names = strchr("\"\r\n\\", a->name.data[i]) != NULL;
    return names && a->type == b->type && slice_equal(a->value, b->value);
}

static void compare(struct body_arguments *arguments, const struct message *request)
{
    struct body_arguments again;
    struct slice written = body_arguments_write(arguments);
    CHECK(written.data != NULL);
    body_arguments_open(&again, request, written);
    CHECK(again.kind == arguments->kind);
    CHECK(again.count == arguments->count);
    for (uint32_t i = 0; i < again.count; i++)
        CHECK(same(&arguments->items[i], &again.items[i], again.kind == BODY_ARGUMENTS_MULTIPART));
    body_arguments_close(&again);
}

/* A value that was not a delimiter's line within its part may become one under a new head: not compared
 * then. */
static void write_afresh(struct body_arguments *arguments)
{
    for (uint32_t i = 0; i < arguments->count; i++)
        body_argument_rename(&arguments->items[i], arguments->items[i].name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body, type = slice_split((struct slice){ (const char *)data, size }, '\n', &body);
    struct arena arena;
    struct message request;
    struct body_arguments arguments;
    arena_init(&arena, NULL, 0, SIZE_MAX);
    message_init(&request, &arena);
    if (size == 0 || body.data == NULL || !message_add(&request, SLICE("Content-Type"), type)) {
        arena_deinit(&arena);
        return 0;
    }
    body_arguments_open(&arguments, &request, body);
    CHECK(!arguments.failed);
    if (arguments.kind != BODY_ARGUMENTS_NONE) {
        compare(&arguments, &request);
        write_afresh(&arguments);
        if (arguments.kind != BODY_ARGUMENTS_MULTIPART)
            compare(&arguments, &request);
        else
            CHECK(body_arguments_write(&arguments).data != NULL);
    }
    body_arguments_close(&arguments);
    arena_deinit(&arena);
    return 0;
}
