/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/plugin_setup.h"

#include <stdio.h>

void plugin_setup_init(struct plugin_setup *setup)
{
    setup->model = model_open();
    CHECK(setup->model != NULL);
    report_init(&setup->report);
}

void plugin_setup_deinit(struct plugin_setup *setup)
{
    model_close(setup->model);
    report_deinit(&setup->report);
}

struct consumer *plugin_setup_consumer(struct plugin_setup *setup, const char *username,
                                       const char *custom_id, const char *id)
{
    struct model *model = setup->model;
    struct consumer *consumer = arena_alloc_zero(&model->arena, sizeof(*consumer));
    struct consumer **items =
        model_reserve(model, model->consumers.items, model->consumers.count, &model->consumers.capacity);
    CHECK(consumer != NULL && items != NULL);
    consumer->entity.index = model->consumers.count;
    consumer->entity.name = arena_copy(&model->arena, slice_of(username));
    consumer->custom_id = arena_copy(&model->arena, slice_of(custom_id));
    if (id)
        snprintf(consumer->entity.id, sizeof(consumer->entity.id), "%s", id);
    else
        snprintf(consumer->entity.id, sizeof(consumer->entity.id), "00000000-0000-4000-8000-%012x",
                 model->consumers.count);
    model->consumers.items = items;
    items[model->consumers.count++] = consumer;
    CHECK(model_index_consumer(model, consumer));
    return consumer;
}

static void *read_text(struct plugin_setup *setup, const struct schema *schema, const char *text)
{
    struct arena *arena = &setup->model->arena;
    struct documents documents;
    struct config_place place = { .report = &setup->report, .arena = arena, .path = "test" };
    void *value = arena_alloc_zero(arena, schema->struct_size);
    CHECK(value != NULL);
    struct document_reading reading = { &document_default_limits, arena, &setup->report };
    if (!document_read_text(slice_of(text), "test", &reading, &documents))
        return NULL;
    CHECK(documents.count == 1);
    return schema_read(schema, documents.items[0], &place, value) ? value : NULL;
}

const void *plugin_setup_config(struct plugin_setup *setup, const struct plugin *plugin, const char *text)
{
    return read_text(setup, &plugin->kind.config, text);
}

struct credential *plugin_setup_credential(struct plugin_setup *setup, const struct plugin *plugin,
                                           struct consumer *consumer, const char *text)
{
    const struct credential_kind *kind = plugin->kind.credentials;
    struct credential *credential = read_text(setup, kind->schema, text);
    if (credential == NULL)
        return NULL;
    struct slice key = *(struct slice *)(void *)((char *)credential + kind->key_offset);
    struct slice name = model_credential_key(&setup->model->arena, kind, key);
    credential->consumer = consumer;
    credential->kind = kind;
    CHECK(kind->complete == NULL || kind->complete(credential, SECRET_PLAIN));
    if (kind->per_consumer) {
        model_attach_credential(credential);
        return credential;
    }
    CHECK(name.data != NULL && map_add(&setup->model->credentials, name, credential, NULL));
    return credential;
}

bool plugin_setup_reported(const struct plugin_setup *setup, enum report_kind kind, const char *field,
                           const char *reason)
{
    for (uint32_t i = 0; i < setup->report.count; i++) {
        const struct report_entry *entry = &setup->report.entries[i];
        if (entry->kind == kind && slice_ends_with(slice_of(entry->path), slice_of(field)) &&
            strstr(entry->reason, reason) != NULL)
            return true;
    }
    return false;
}
