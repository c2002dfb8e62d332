/* SPDX-License-Identifier: Apache-2.0 */
#include "config/vault.h"

#include "config/kong/index.h"

struct kong_vault {
    struct vault vault;
    struct kong_common common;
    struct slice name, description;
};

static const char *check_prefix(struct slice text)
{
    for (int i = 0; vault_kind_names[i]; i++)
        if (slice_equal(text, slice_of(vault_kind_names[i])))
            return "must not be one of: env, file";
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
        bool inside = i > 0 && i + 1 < text.size;
        if (!letter && !(digit && i > 0) && !(c == '-' && inside))
            return "invalid value: {}";
    }
    return text.size < 2 ? "invalid value: {}" : NULL;
}

static const struct field fields[] = {
    { "prefix", FIELD_STRING, offsetof(struct kong_vault, vault.entity.name), .flags = FIELD_REQUIRED,
      .check = check_prefix, .help = "unique; the name in references: lower-case letters, digits, hyphens" },
    { "name", FIELD_STRING, offsetof(struct kong_vault, name), .flags = FIELD_REQUIRED,
      .help = "the type: env, or file" },
    { "description", FIELD_STRING, offsetof(struct kong_vault, description) },
    KONG_COMMON_FIELDS(struct kong_vault, vault.entity),
};

static const char *const others[] = { "config", "_comment", "_ignore", NULL };

const struct schema kong_vault_schema = {
    .name = "vaults",
    .fields = fields,
    .field_count = COUNT_OF(fields),
    .struct_size = sizeof(struct kong_vault),
    .others = others,
};

struct vault_config {
    struct slice prefix, path;
    bool base64_decode;
    double ttl, neg_ttl, resurrect_ttl;
};

#define CONFIG(member) offsetof(struct vault_config, member)

/* ^[%a_-][%a%d_-]*$ */
static const char *check_env_prefix(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char lower = slice_lower(text.data[i]);
        bool digit = lower >= '0' && lower <= '9' && i > 0;
        if ((lower < 'a' || lower > 'z') && lower != '_' && lower != '-' && !digit)
            return "invalid value: {}";
    }
    return NULL;
}

#define COMMON_CONFIG                                                               \
    { "base64_decode", FIELD_BOOLEAN, CONFIG(base64_decode), .fallback = "false" }, \
        { "ttl", FIELD_NUMBER, CONFIG(ttl), .max = 100000000 },                     \
        { "neg_ttl", FIELD_NUMBER, CONFIG(neg_ttl), .max = 100000000 },             \
        { "resurrect_ttl", FIELD_NUMBER, CONFIG(resurrect_ttl), .max = 100000000 }

static const struct field env_fields[] = {
    { "prefix", FIELD_STRING, CONFIG(prefix), .check = check_env_prefix },
    COMMON_CONFIG,
};
static const struct field file_fields[] = {
    { "prefix", FIELD_STRING, CONFIG(prefix), .check = check_env_prefix },
    { "path", FIELD_STRING, CONFIG(path), .flags = FIELD_REQUIRED },
    COMMON_CONFIG,
};
static const struct schema env_schema = { "config", env_fields, COUNT_OF(env_fields),
                                          sizeof(struct vault_config) };
static const struct schema file_schema = { "config", file_fields, COUNT_OF(file_fields),
                                           sizeof(struct vault_config) };

static int find_kind(const struct vaults *vaults, struct slice name)
{
    for (int i = 0; vault_kind_names[i]; i++)
        if (slice_equal(name, slice_of(vault_kind_names[i])) && !(vaults->disabled >> i & 1))
            return i;
    return -1;
}

static void read_config(struct kong_reader *reader, struct vault *vault, const struct node *node,
                        const struct config_place *place)
{
    static const char *const times[] = { "ttl", "neg_ttl", "resurrect_ttl" };
    struct vault_config config = { .base64_decode = false };
    const struct node *value = node_find(node, "config");
    struct config_place deeper = kong_place(reader, place, "config");
    deeper.position = &node->position;
    schema_read(vault->kind == VAULT_FILE ? &file_schema : &env_schema, value, &deeper, &config);
    vault->prefix = config.prefix;
    vault->path = config.path;
    vault->base64_decode = config.base64_decode;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        const struct node *time = node_find(value, times[i]);
        if (time != NULL && time->kind == NODE_NUMBER)
            report_add(place->report, REPORT_WARNING, &time->position, schema_place(&deeper, times[i]).path,
                       "has no effect: secrets are read when the configuration is loaded");
    }
}

void kong_read_vault(struct kong_reader *reader, const struct node *node, const struct config_place *place,
                     const struct kong_parent *parent)
{
    struct vaults *vaults = &reader->model->vaults;
    struct kong_vault *wide = kong_take(reader, &reader->model->arena, sizeof(*wide));
    struct vault **items = model_reserve(reader->model, vaults->items, vaults->count, &vaults->capacity);
    (void)parent;
    if (wide == NULL || items == NULL) {
        kong_fail_memory(reader);
        return;
    }
    struct vault *vault = &wide->vault;
    schema_read(&kong_vault_schema, node, place, wide);
    vault->kind = wide->name.data ? find_kind(vaults, wide->name) : VAULT_ENV;
    if (vault->kind < 0)
        schema_error(place, node, "name", "vault '%.*s' is not installed", SLICE_FORMAT(wide->name));
    else if (wide->name.data != NULL)
        read_config(reader, vault, node, place);
    const struct kong_key_part parts[] = { { "prefix", NULL } };
    struct kong_identity identity = { &reader->vaults, &vault->entity, &wide->common,
                                      kong_composite_key(reader, "vaults", node, parts, COUNT_OF(parts)),
                                      "prefix" };
    kong_identify(reader, &identity, node, place);
    if (vault->kind < 0)
        return;
    vaults->items = items;
    vault->entity.index = vaults->count;
    items[vaults->count++] = vault;
}
