/* SPDX-License-Identifier: Apache-2.0 */
/* A schema and a value, on two lines: whatever they are, the answer comes within the bounds, and the same
 * twice; what the tree reads, the scanner takes for JSON too. */
#include "core/base/json_schema.h"

#include "core/base/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void validate(const struct json_schema *schema, const struct json_node *value, struct arena *arena)
{
    static struct regex_scratch scratch;
    struct json_schema_fault first, second;
    if (scratch.match_data == NULL)
        CHECK(regex_scratch_init(&scratch) == ERROR_OK);
    enum json_schema_result result = json_schema_validate(schema, value, arena, &scratch, &first);
    CHECK((result == JSON_SCHEMA_WRONG) ==
          (result != JSON_SCHEMA_VALID && result != JSON_SCHEMA_TOO_COMPLEX &&
           result != JSON_SCHEMA_NO_MEMORY));
    if (result == JSON_SCHEMA_NO_MEMORY)
        return;
    enum json_schema_result again = json_schema_validate(schema, value, arena, &scratch, &second);
    CHECK(again == result || again == JSON_SCHEMA_NO_MEMORY);
    if (result == JSON_SCHEMA_WRONG && again == result)
        CHECK(first.reason[0] != '\0' && strcmp(first.reason, second.reason) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_tree_limits limits = { 100, 20000 };
    struct slice value_text,
        text = slice_split((struct slice){ size ? (const char *)data : "", size }, '\n', &value_text);
    struct json_schema_options options = { (enum json_schema_draft)(size % 5), size % 2, size % 3 == 0 };
    char reason[JSON_SCHEMA_REASON_SIZE];
    struct json_node *value = NULL;
    struct arena arena;
    arena_init(&arena, NULL, 0, 32 * 1024 * 1024);
    const struct json_schema *schema = json_schema_compile(&arena, text, &options, reason);
    CHECK((schema == NULL) == (reason[0] != '\0'));
    if (value_text.data && json_tree_read(&arena, value_text, &limits, &value) == JSON_READ) {
        struct json_cursor cursor = { value_text.data, value_text.data + value_text.size };
        struct json_value whole;
        CHECK(json_read_value(&cursor, JSON_DEPTH_MAX, &whole) && cursor.at == cursor.end);
        CHECK(whole.kind == value->value.kind);
    }
    if (schema && value)
        validate(schema, value, &arena);
    arena_deinit(&arena);
    return 0;
}
