/* SPDX-License-Identifier: Apache-2.0 */
/* Plays the official test suite (json_schema/README.md). */
#include "core/base/json_schema.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* From the root of the repository, or beside this file. */
static struct slice read_file(struct arena *arena, const char *name)
{
    static const char *const folders[] = { "tests/unit/core/base/json_schema/", NULL };
    char path[512], *slash;
    snprintf(path, sizeof(path), "%s", __FILE__);
    slash = strrchr(path, '/');
    snprintf(slash ? slash + 1 : path, 64, "json_schema/%s.json", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        snprintf(path, sizeof(path), "%s%s.json", folders[0], name);
        file = fopen(path, "rb");
    }
    cr_assert_not_null(file, "%s", path);
    enum { MOST = 400000 };
    char *text = arena_alloc(arena, MOST);
    size_t size = fread(text, 1, MOST, file);
    fclose(file);
    return (struct slice){ text, size };
}

static struct slice raw(const struct json_node *node)
{
    struct slice text = node->value.text;
    return node->value.kind == JSON_STRING ? (struct slice){ text.data - 1, text.size + 2 } : text;
}

static const struct json_tree_limits limits = { 400, 1000000 };

struct play {
    struct arena arena;
    struct regex_scratch scratch;
    unsigned passed, wrong, remote;
};

static void play_case(struct play *play, const struct json_schema *schema, const struct json_node *group,
                      const struct json_node *one)
{
    struct json_schema_fault fault;
    struct json_node *value;
    bool valid = json_member_of(one, SLICE("valid"))->value.kind == JSON_TRUE;
    cr_assert_eq(json_tree_read(&play->arena, raw(json_member_of(one, SLICE("data"))), &limits, &value),
                 JSON_READ);
    enum json_schema_result result =
        json_schema_validate(schema, value, &play->arena, &play->scratch, &fault);
    cr_assert_eq(result == JSON_SCHEMA_WRONG, fault.reason[0] != '\0');
    if (result == (valid ? JSON_SCHEMA_VALID : JSON_SCHEMA_WRONG)) {
        play->passed++;
        return;
    }
    play->wrong++;
    struct slice file = json_member_of(group, SLICE("file"))->value.text;
    struct slice name = json_member_of(group, SLICE("description"))->value.text;
    fprintf(stderr, "%.*s: %.*s: %.*s: %d %s\n", SLICE_FORMAT(file), SLICE_FORMAT(name),
            SLICE_FORMAT(json_member_of(one, SLICE("description"))->value.text), (int)result, fault.reason);
}

static void play_draft(const char *name, enum json_schema_draft draft, unsigned cases, unsigned remote)
{
    struct play play = { .passed = 0 };
    struct json_schema_options options = { .draft = draft };
    struct json_node *root;
    char reason[JSON_SCHEMA_REASON_SIZE];
    arena_init(&play.arena, NULL, 0, SIZE_MAX);
    cr_assert_eq(regex_scratch_init(&play.scratch), ERROR_OK);
    cr_assert_eq(json_tree_read(&play.arena, read_file(&play.arena, name), &limits, &root), JSON_READ);
    for (const struct json_node *group = root->first; group; group = group->next) {
        const struct json_schema *schema =
            json_schema_compile(&play.arena, raw(json_member_of(group, SLICE("schema"))), &options, reason);
        if (schema == NULL) {
            cr_assert(strstr(reason, "not in this document") || strstr(reason, "not supported") ||
                          strstr(reason, "unknown property"),
                      "%s", reason);
            play.remote++;
            continue;
        }
        const struct json_node *tests = json_member_of(group, SLICE("tests"));
        for (const struct json_node *one = tests->first; one; one = one->next)
            play_case(&play, schema, group, one);
    }
    arena_deinit(&play.arena);
    regex_scratch_deinit(&play.scratch);
    cr_assert_eq(play.wrong, 0);
    cr_assert_eq(play.passed, cases, "%u", play.passed);
    cr_assert_eq(play.remote, remote, "%u", play.remote);
}

Test(json_schema_suite, draft4)
{
    play_draft("draft4", JSON_SCHEMA_DRAFT_4, 597, 2);
}

Test(json_schema_suite, draft7)
{
    play_draft("draft7", JSON_SCHEMA_DRAFT_7, 900, 2);
}

Test(json_schema_suite, draft2020_12)
{
    play_draft("draft2020-12", JSON_SCHEMA_DRAFT_2020_12, 1005, 7);
}
