/* SPDX-License-Identifier: Apache-2.0 */
/* The three sources of settings. */
#include "config/settings_apply.h"

#include "config/bundled.h"
#include "config/settings_rows.h"

static void report(const struct setting *setting, enum report_kind kind, const char *reason)
{
    report_add(setting->report, kind,
               kind == REPORT_ERROR ? &setting->value_position : &setting->key_position, setting->path, "%s",
               reason);
}

/* A setting that has no row: maybe Kong has it. */
static bool judge(const struct setting *setting)
{
    const char *reason = "";
    switch (settings_judge(setting->key, setting->value, &reason)) {
    case SETTINGS_NEEDLESS: return true;
    case SETTINGS_USELESS:
        report_add(setting->report, REPORT_WARNING, &setting->key_position, setting->path,
                   "has no effect here: %s", reason);
        return true;
    case SETTINGS_REFUSED:
        report_add(setting->report, REPORT_ERROR, &setting->value_position, setting->path,
                   "'%.*s': not supported yet: %s", SLICE_FORMAT(setting->value), reason);
        return false;
    case SETTINGS_UNKNOWN: break;
    }
    const char *nearest = schema_nearest(&settings_schema, setting->key);
    if (nearest)
        report_add(setting->report, REPORT_ERROR, &setting->key_position, setting->path,
                   "unknown setting (did you mean '%s'?)", nearest);
    else
        report_add(setting->report, REPORT_ERROR, &setting->key_position, setting->path, "unknown setting");
    return false;
}

static const struct field *find_row(struct slice key)
{
    struct slice ours = settings_of_nginx(key);
    return schema_find(&settings_schema, ours.data ? ours : key);
}

/* Unlike in an entity a secret that is not found is an error here: nothing would start with it. */
static bool dereference(struct settings *settings, const struct setting *setting, struct slice *value)
{
    struct vaults vaults = { .count = 0 };
    bundled_vaults(settings, &vaults);
    *value = setting->value;
    if (!vault_is_reference(slice_trim(setting->value)))
        return true;
    const char *reason = vault_resolve(&vaults, slice_trim(setting->value), &settings->arena, value);
    if (reason != NULL)
        report_add(setting->report, REPORT_ERROR, &setting->value_position, setting->path,
                   "failed to dereference '%.*s': %s", SLICE_FORMAT(setting->value), reason);
    return reason == NULL;
}

static bool apply(struct settings *settings, const struct setting *setting)
{
    const struct field *field = find_row(setting->key);
    struct slice value;
    if (field == NULL)
        return judge(setting);
    if (!dereference(settings, setting, &value))
        return false;
    const char *reason = "not supported yet";
    if (!(field->flags & FIELD_UNSUPPORTED))
        reason = schema_set_text(field, value, &settings->arena, (char *)settings + field->offset);
    if (reason)
        report(setting, REPORT_ERROR, reason);
    return reason == NULL;
}

bool settings_is_turn(struct slice key, enum settings_turn turn)
{
    return slice_starts_with(key, SLICE("vault")) == (turn == SETTINGS_VAULTS);
}

bool settings_apply_text(struct settings *settings, struct slice key, struct slice value, const char *origin,
                         struct report *report)
{
    struct node_position position = { .file = origin };
    struct slice name = arena_copy(&settings->arena, slice_trim(key));
    if (name.data == NULL) {
        report_add(report, REPORT_ERROR, &position, "", "out of memory");
        return false;
    }
    struct setting setting = { name, value, position, position, name.data, report };
    return apply(settings, &setting);
}

/* A scalar as it was written; of a list its scalars with commas. Absent for anything else. */
static struct slice text_of(struct settings *settings, const struct node *node)
{
    const struct slice none = { NULL, 0 };
    if (node->kind != NODE_SEQUENCE)
        return node->kind == NODE_MAPPING ? none : node->text;
    struct slice text = SLICE("");
    for (uint32_t i = 0; i < node->count && text.data; i++) {
        const struct node *item = node->entries[i].value;
        if (item->kind == NODE_MAPPING || item->kind == NODE_SEQUENCE)
            return none;
        text = arena_format(&settings->arena, "%.*s%s%.*s", SLICE_FORMAT(text), i ? "," : "",
                            SLICE_FORMAT(item->text));
    }
    return text;
}

static void apply_entry(struct settings *settings, const struct node_entry *entry, const char *around,
                        struct report *report)
{
    struct slice path = arena_format(&settings->arena, "%s.%.*s", around, SLICE_FORMAT(entry->key));
    struct setting setting = {
        .key = entry->key,
        .value = text_of(settings, entry->value),
        .key_position = entry->key_position,
        .value_position = entry->value->position,
        .path = path.data,
        .report = report,
    };
    if (entry->value->kind == NODE_NULL)
        return;
    if (setting.value.data == NULL)
        report_add(report, REPORT_ERROR, &entry->value->position, path.data, "expected a text, not %s",
                   node_kind_name(entry->value->kind));
    else
        apply(settings, &setting);
}

static void apply_turn(struct settings *settings, const struct node *mapping, const char *around,
                       struct report *report, enum settings_turn turn)
{
    for (uint32_t i = 0; i < mapping->count; i++) {
        const struct node_entry *entry = &mapping->entries[i];
        bool special = slice_equal(entry->key, SLICE("profiles")) || slice_equal(entry->key, SLICE("cores"));
        if (!special && settings_is_turn(entry->key, turn))
            apply_entry(settings, entry, around, report);
    }
}

static void apply_mapping(struct settings *settings, const struct node *mapping, const char *around,
                          struct report *report)
{
    apply_turn(settings, mapping, around, report, SETTINGS_VAULTS);
    apply_turn(settings, mapping, around, report, SETTINGS_OTHERS);
}

/* The cores a profile is for; 0 when it does not say so. */
static int64_t cores_of(const struct node *profile)
{
    const struct node *cores = node_find(profile, "cores");
    bool good = cores != NULL && cores->kind == NODE_NUMBER && cores->is_integer && cores->integer > 0;
    return good ? cores->integer : 0;
}

static void refuse_profile(const struct node *profile, const char *path, struct report *report)
{
    const struct node *cores = node_find(profile, "cores");
    const char *reason = "cores: required field missing";
    if (profile->kind != NODE_MAPPING)
        reason = "expected a record";
    else if (cores != NULL)
        reason = "cores: expected an integer greater than 0";
    report_add(report, REPORT_ERROR, cores ? &cores->position : &profile->position, path, "%s", reason);
}

/* Profiles that are not applied are still checked, on settings that nobody uses. */
static void apply_profile(struct settings *settings, const struct node *profile, const char *path,
                          struct report *report)
{
    struct settings spare;
    if (settings != NULL) {
        apply_mapping(settings, profile, path, report);
        return;
    }
    if (settings_init(&spare))
        apply_mapping(&spare, profile, path, report);
    settings_deinit(&spare);
}

static void apply_profiles(struct settings *settings, const struct node *list, unsigned cores,
                           struct report *report)
{
    const struct node *best = NULL;
    if (list->kind != NODE_SEQUENCE) {
        report_add(report, REPORT_ERROR, &list->position, "sluice.profiles", "expected an array");
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const struct node *profile = list->entries[i].value;
        int64_t wanted = cores_of(profile);
        if (wanted > 0 && wanted <= (int64_t)cores && (best == NULL || wanted > cores_of(best)))
            best = profile;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const struct node *profile = list->entries[i].value;
        struct slice path = arena_format(&settings->arena, "sluice.profiles[%u]", i);
        if (cores_of(profile) > 0)
            apply_profile(profile == best ? settings : NULL, profile, path.data, report);
        else
            refuse_profile(profile, path.data, report);
    }
}

bool settings_recognise(const struct node *document)
{
    return node_find(document, "sluice") != NULL;
}

bool settings_apply_node(struct settings *settings, const struct node *document, unsigned cores,
                         struct report *report)
{
    uint32_t before = report->error_count;
    const struct node *sluice = node_find(document, "sluice");
    for (uint32_t i = 0; i < document->count; i++) {
        const struct node_entry *entry = &document->entries[i];
        if (entry->value != sluice)
            report_add(report, REPORT_ERROR, &entry->key_position, entry->key.data,
                       "unknown field: a settings file has the key 'sluice' only");
    }
    if (sluice->kind == NODE_NULL)
        return report->error_count == before;
    if (sluice->kind != NODE_MAPPING) {
        report_add(report, REPORT_ERROR, &sluice->position, "sluice", "expected a record");
        return false;
    }
    apply_mapping(settings, sluice, "sluice", report);
    const struct node *profiles = node_find(sluice, "profiles");
    if (profiles != NULL && profiles->kind != NODE_NULL)
        apply_profiles(settings, profiles, cores, report);
    return report->error_count == before;
}

/* The key of NAME=VALUE behind its prefix, in lower case; absent when it has another prefix. */
static struct slice key_of(struct settings *settings, struct slice variable, struct slice prefix)
{
    struct slice rest;
    struct slice name = slice_split(variable, '=', &rest);
    if (!slice_starts_with(name, prefix) || name.size == prefix.size || rest.data == NULL || rest.size == 0)
        return (struct slice){ NULL, 0 };
    char *key = arena_alloc(&settings->arena, name.size - prefix.size + 1);
    if (key == NULL)
        return (struct slice){ NULL, 0 };
    for (size_t i = prefix.size; i < name.size; i++)
        key[i - prefix.size] = slice_lower(name.data[i]);
    key[name.size - prefix.size] = '\0';
    return (struct slice){ key, name.size - prefix.size };
}

/* By its own name, or by an older one that only Kong has. */
static bool is_kongs(struct slice key)
{
    const struct field *field = find_row(key);
    return field != NULL && ((field->flags & SETTINGS_KONG) || !slice_equal(key, slice_of(field->name)));
}

bool settings_apply_kongs(struct settings *settings, const struct setting *setting)
{
    const char *reason;
    bool known =
        is_kongs(setting->key) || (find_row(setting->key) == NULL &&
                                   settings_judge(setting->key, setting->value, &reason) != SETTINGS_UNKNOWN);
    if (known)
        return apply(settings, setting);
    report(setting, REPORT_WARNING, "has no effect here: not one of Kong's settings");
    return true;
}

struct environment {
    const char *const *variables;
    struct slice prefix;
    struct report *report;
};

static void apply_variable(struct settings *settings, struct slice variable,
                           const struct environment *environment, enum settings_turn turn)
{
    struct slice key = key_of(settings, variable, environment->prefix), value;
    if (key.data == NULL || !settings_is_turn(key, turn))
        return;
    struct slice name = slice_split(variable, '=', &value);
    struct slice origin = arena_format(&settings->arena, "environment %.*s", SLICE_FORMAT(name));
    struct node_position position = { .file = origin.data };
    struct setting setting = { key, value, position, position, key.data, environment->report };
    if (slice_equal(environment->prefix, SLICE("KONG_")))
        settings_apply_kongs(settings, &setting);
    else
        apply(settings, &setting);
}

static void apply_variables(struct settings *settings, const struct environment *environment,
                            enum settings_turn turn)
{
    for (const char *const *variable = environment->variables; *variable; variable++)
        apply_variable(settings, slice_of(*variable), environment, turn);
}

bool settings_apply_environment(struct settings *settings, const char *const *environment,
                                struct report *report)
{
    uint32_t before = report->error_count;
    const struct environment kong = { environment, SLICE("KONG_"), report };
    const struct environment own = { environment, SLICE("SLUICE_"), report };
    for (int turn = SETTINGS_VAULTS; turn <= SETTINGS_OTHERS; turn++) {
        apply_variables(settings, &kong, (enum settings_turn)turn);
        apply_variables(settings, &own, (enum settings_turn)turn);
    }
    return report->error_count == before;
}
