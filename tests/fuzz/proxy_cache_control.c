/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of arbitrary Cache-Control, Expires, Date, Age, and lists of entity tags: only what is absent is
 * negative, no number is beyond the limit, and a list of a tag has it. */
#include "plugins/proxy_cache_control.h"
#include "core/base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_seconds(int64_t seconds)
{
    CHECK(seconds >= -1 && seconds <= CONTROL_SECONDS_MAX);
}

static void check_tags(struct slice list)
{
    (void)etag_list_matches(list, SLICE("\"a\""));
    if (list.size > 2 && list.data[0] == '"' && list.data[list.size - 1] == '"' &&
        memchr(list.data + 1, '"', list.size - 2) == NULL)
        CHECK(etag_list_matches(list, list) && etag_is_same(list, list));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "Cache-Control", "Expires", "Date", "Age", "ETag" };
    struct slice rest = { size ? (const char *)data : "", size };
    struct arena arena;
    struct message message;
    arena_init(&arena, NULL, 0, 1024 * 1024);
    message_init(&message, &arena);
    for (size_t i = 0; rest.data && i < COUNT_OF(names); i++) {
        struct slice line = slice_split(rest, '\n', &rest);
        CHECK(message_add(&message, slice_of(names[i]), line));
    }
    struct control control = control_read(&message);
    check_seconds(control.max_age_s);
    check_seconds(control.s_maxage_s);
    check_seconds(control.max_stale_s);
    check_seconds(control.min_fresh_s);
    check_seconds(control.while_revalidate_s);
    check_seconds(control.if_error_s);
    struct freshness freshness = freshness_read(&message, &control, 0, UINT64_C(1795348830000));
    CHECK(freshness.lifetime_s >= -1 && freshness.age_s >= 0);
    check_tags(message_find_name(&message, SLICE("ETag")));
    arena_deinit(&arena);
    return 0;
}
