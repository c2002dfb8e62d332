/* SPDX-License-Identifier: Apache-2.0 */
/* Anything at all as JSON: what is accepted stays accepted with space around it and inside of an array, and
 * is found again under a name; what is refused stays refused. */
#include "core/base/json_scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const struct json_value *value)
{
    char *text = malloc(value->text.size + 1);
    CHECK(text != NULL);
    size_t size = json_unescape(value->text, text);
    CHECK(size <= value->text.size);
    CHECK(value->escaped ? size < value->text.size : size == value->text.size);
    free(text);
}

/* The text as the value of a member. */
static void check_member(struct slice text, bool good)
{
    struct json_member member = { .name = SLICE("name") };
    enum json_kind root;
    char *object = malloc(text.size + 16);
    CHECK(object != NULL);
    memcpy(object, "{\"n\\u0061me\":", 14);
    memcpy(object + 14, text.data, text.size);
    object[14 + text.size] = '}';
    bool whole = json_scan((struct slice){ object, text.size + 15 }, &member, 1, &root);
    /* Inside, the text may be one level too deep; outside, its own names count. */
    if (good && whole) {
        CHECK(root == JSON_OBJECT && member.value.kind != JSON_ABSENT);
        if (member.value.kind == JSON_STRING)
            check_string(&member.value);
        if (member.value.kind == JSON_NUMBER)
            (void)json_number(member.value.text);
    }
    free(object);
}

static void check_spaced(struct slice text, bool good)
{
    enum json_kind root;
    char *spaced = malloc(text.size + 4);
    CHECK(spaced != NULL);
    memcpy(spaced, " \t", 2);
    memcpy(spaced + 2, text.data, text.size);
    memcpy(spaced + 2 + text.size, "\r\n", 2);
    CHECK(json_scan((struct slice){ spaced, text.size + 4 }, NULL, 0, &root) == good);
    free(spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { size ? (const char *)data : "", size };
    struct json_member members[] = { { .name = SLICE("iss") }, { .name = SLICE("exp") } };
    enum json_kind root;
    bool good = json_scan(text, members, COUNT_OF(members), &root);
    for (size_t i = 0; good && i < COUNT_OF(members); i++)
        if (members[i].value.kind == JSON_STRING)
            check_string(&members[i].value);
    check_spaced(text, good);
    check_member(text, good);
    return 0;
}
