/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/config_setup.h"

#include "core/base/hash.h"

static const char *const policies[] = { "local", "redis", NULL };

static const struct field guard_fields[] = {
    { "names", FIELD_STRINGS, offsetof(struct guard_config, names), .fallback = "authorization" },
    { "strict", FIELD_BOOLEAN, offsetof(struct guard_config, strict), .fallback = "false" },
};
static const struct field redis_fields[] = {
    { "host", FIELD_STRING, offsetof(struct count_config, redis.host) },
    { "port", FIELD_INTEGER, offsetof(struct count_config, redis.port), .max = 65535, .fallback = "6379" },
};
static const struct schema redis_schema = { "redis", redis_fields, COUNT_OF(redis_fields),
                                            sizeof(struct count_config) };
static const struct field count_fields[] = {
    { "minute", FIELD_NUMBER, offsetof(struct count_config, minute), FIELD_REQUIRED | FIELD_POSITIVE },
    { "policy", FIELD_CHOICE, offsetof(struct count_config, policy), .choices = policies,
      .fallback = "local" },
    { "redis", FIELD_RECORD, 0, .record = &redis_schema },
};
static const struct field key_fields[] = {
    { "key", FIELD_STRING, offsetof(struct guard_key, key) },
    { "secret", FIELD_STRING, offsetof(struct guard_key, secret), FIELD_SECRET },
};
static const struct schema key_schema = { "guard_keys", key_fields, COUNT_OF(key_fields),
                                          sizeof(struct guard_key) };
static const char *const key_aliases[] = { "guard", NULL };

const struct credential_kind guard_keys = {
    .name = "guard_keys",
    .schema = &key_schema,
    .key_offset = offsetof(struct guard_key, key),
    .key_name = "key",
    .generate_key = true,
    .aliases = key_aliases,
};

static const struct plugin_kind guard_kind = {
    .name = "guard",
    .priority = 1000,
    .config = { "guard", guard_fields, COUNT_OF(guard_fields), sizeof(struct guard_config) },
    .credentials = &guard_keys,
    .forbids_consumer = true,
};
static const struct plugin_kind count_kind = {
    .name = "count",
    .priority = 900,
    .config = { "count", count_fields, COUNT_OF(count_fields), sizeof(struct count_config) },
};

const struct plugin_kind *const config_setup_kinds[] = { &guard_kind, &count_kind, NULL };

void config_setup_init(struct config_setup *setup)
{
    hash_start();
    arena_init(&setup->arena, NULL, 0, (size_t)1 << 30);
    report_init(&setup->report);
    setup->model = model_open();
    CHECK(setup->model != NULL);
}

void config_setup_deinit(struct config_setup *setup)
{
    model_close(setup->model);
    report_deinit(&setup->report);
    arena_deinit(&setup->arena);
}

struct documents config_setup_read(struct config_setup *setup, const char *file, const char *text)
{
    struct documents documents;
    struct document_reading reading = { &document_default_limits, &setup->arena, &setup->report };
    if (!document_read_text(slice_of(text), file, &reading, &documents))
        return (struct documents){ 0 };
    return documents;
}

const struct node *config_setup_node(struct config_setup *setup, const char *text)
{
    struct documents documents = config_setup_read(setup, "test.yaml", text);
    return documents.count == 1 ? documents.items[0] : NULL;
}

bool config_setup_kong(struct config_setup *setup, const char *text)
{
    struct documents documents = config_setup_read(setup, "test.yaml", text);
    return documents.count > 0 && kong_read_all(&documents, config_setup_kinds, setup->model, &setup->report);
}

bool config_setup_reported(const struct config_setup *setup, uint32_t line, const char *path,
                           const char *reason)
{
    for (uint32_t i = 0; i < setup->report.count; i++) {
        const struct report_entry *entry = &setup->report.entries[i];
        char text[1024];
        snprintf(text, sizeof(text), entry->meant ? "%s (did you mean '%s'?)" : "%s", entry->reason,
                 entry->meant);
        if ((line == 0 || entry->line == line) && strcmp(entry->path, path) == 0 && strstr(text, reason))
            return true;
    }
    return false;
}
