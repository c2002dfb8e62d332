/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/kong.h"

#include "config/kong/index.h"

#include <stdlib.h>
#include <time.h>

static const size_t scratch_limit_bytes = (size_t)4 * 1024 * 1024 * 1024;

const char *const kong_protocol_choices[] = {
    "grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", NULL,
};

enum protocol kong_protocol_of(int choice)
{
    static const enum protocol protocols[] = {
        PROTOCOL_GRPC, PROTOCOL_GRPCS,           PROTOCOL_HTTP, PROTOCOL_HTTPS, PROTOCOL_TCP,
        PROTOCOL_TLS,  PROTOCOL_TLS_PASSTHROUGH, PROTOCOL_UDP,
    };
    CHECK(choice >= 0 && (size_t)choice < COUNT_OF(protocols));
    return protocols[choice];
}

uint64_t kong_protocol_bits(uint64_t choices)
{
    uint64_t bits = 0;
    for (int i = 0; kong_protocol_choices[i]; i++)
        if (choices >> i & 1)
            bits |= PROTOCOL_BIT(kong_protocol_of(i));
    return bits;
}

bool kong_fail_memory(struct kong_reader *reader)
{
    if (!reader->out_of_memory)
        report_add(reader->report, REPORT_ERROR, NULL, "", "out of memory");
    reader->out_of_memory = true;
    return false;
}

void *kong_take(struct kong_reader *reader, struct arena *arena, size_t size)
{
    void *memory = arena_alloc_zero(arena, size);
    if (memory == NULL)
        kong_fail_memory(reader);
    return memory;
}

/* The path and a part of it, with room for more behind its end; NULL: memory is exhausted. There are several
 * for every entity, which is why nothing is formatted here. */
static char *path_with(struct kong_reader *reader, struct config_place *place, struct slice part, size_t more)
{
    size_t size = strlen(place->path);
    char *path = arena_alloc(&reader->scratch, size + part.size + more + 1);
    if (path == NULL) {
        kong_fail_memory(reader);
        place->path = "";
        return NULL;
    }
    memcpy(path, place->path, size);
    memcpy(path + size, part.data, part.size);
    path[size + part.size] = '\0';
    place->path = path;
    return path + size + part.size;
}

struct config_place kong_place(struct kong_reader *reader, const struct config_place *place, const char *name)
{
    struct config_place deeper = *place;
    if (place->path[0])
        (void)path_with(reader, &deeper, SLICE("."), 0);
    (void)path_with(reader, &deeper, slice_of(name), 0);
    return deeper;
}

struct config_place kong_element(struct kong_reader *reader, const struct config_place *place,
                                 const char *name, uint32_t index)
{
    struct config_place deeper = *place;
    char *end = path_with(reader, &deeper, slice_of(name), SLICE_U64_SIZE + sizeof("[]"));
    if (end) {
        *end = '[';
        end = slice_write_u64(end + 1, index);
        memcpy(end, "]", sizeof("]"));
    }
    return deeper;
}

static bool expect(const struct config_place *place, const struct node *node, enum node_kind kind,
                   const char *reason)
{
    if (node->kind != kind)
        report_add(place->report, REPORT_ERROR, &node->position, place->path, "%s", reason);
    return node->kind == kind;
}

void kong_read_array(struct kong_reader *reader, const struct node *array, const struct config_place *place,
                     kong_read_fn *read, const struct kong_parent *parent)
{
    if (array == NULL || array->kind == NODE_NULL ||
        !expect(place, array, NODE_SEQUENCE, "expected an array"))
        return;
    for (uint32_t i = 0; i < array->count && !reader->out_of_memory; i++) {
        const struct node *node = array->entries[i].value;
        struct config_place deeper = kong_element(reader, place, "", i);
        if (expect(&deeper, node, NODE_MAPPING, "expected a record"))
            read(reader, node, &deeper, parent);
    }
}

void kong_refuse_collection(struct kong_reader *reader, const struct node *node,
                            const struct config_place *place)
{
    (void)reader;
    bool empty = node == NULL || node->kind == NODE_NULL || (node->kind == NODE_SEQUENCE && node->count == 0);
    if (!empty)
        report_add(place->report, REPORT_ERROR, &node->position, place->path, "not supported yet");
}

/* What a file may hold at its top, beside the credentials of the plugins there are. Without a reader: known
 * to Kong, and not supported here unless it is empty. */
static const struct collection {
    const char *name;
    kong_read_fn *read;
} collections[] = {
    { "services", kong_read_service },
    { "routes", kong_read_route },
    { "consumers", kong_read_consumer },
    { "plugins", kong_read_plugin },
    { "upstreams", kong_read_upstream },
    { "targets", kong_read_target },
    { "certificates", kong_read_certificate },
    { "snis", kong_read_sni },
    { "ca_certificates", kong_read_ca_certificate },
    { "vaults", kong_read_vault },
    { "keys", kong_read_key },
    { "key_sets", kong_read_key_set },
    { "filter_chains", kong_read_filter_chain },
    { "workspaces", kong_read_workspace },
    { "parameters", kong_read_parameter },
    { "consumer_groups", kong_read_consumer_group },
    { "consumer_group_consumers", kong_read_membership },
    { "consumer_group_plugins", kong_read_group_plugin },
    { "sessions", NULL },
    { "acme_storage", NULL },
    { "clustering_data_planes", NULL },
};
static const char *const credential_collections[] = {
    "keyauth_credentials", "basicauth_credentials", "hmacauth_credentials",       "jwt_secrets", "acls",
    "oauth2_credentials",  "oauth2_tokens",         "oauth2_authorization_codes",
};

struct top {
    int version;
    bool transform;
    struct slice comment;
};

static const char *const versions[] = { "1.1", "2.1", "3.0", NULL };

static const struct field top_fields[] = {
    { "_format_version", FIELD_CHOICE, offsetof(struct top, version), .flags = FIELD_REQUIRED,
      .choices = versions, .help = "a string" },
    { "_transform", FIELD_BOOLEAN, offsetof(struct top, transform), .fallback = "true",
      .help = "false: secrets are hashed already" },
    { "_comment", FIELD_STRING, offsetof(struct top, comment), .flags = FIELD_EMPTY, .help = "not read" },
};

static const struct schema top_schema = {
    .name = "the file",
    .fields = top_fields,
    .field_count = COUNT_OF(top_fields),
    .struct_size = sizeof(struct top),
};

const struct schema *const kong_schemas[] = {
    &top_schema,         &kong_service_schema,        &kong_route_schema,      &kong_consumer_schema,
    &kong_plugin_schema, &kong_upstream_schema,       &kong_target_schema,     &kong_certificate_schema,
    &kong_sni_schema,    &kong_ca_certificate_schema, &kong_vault_schema,      &kong_key_set_schema,
    &kong_key_schema,    &kong_consumer_group_schema, &kong_membership_schema, NULL,
};

bool kong_recognise(const struct node *document)
{
    return node_find(document, "_format_version") != NULL;
}

static uint32_t add_names(const char **out, uint32_t count, const char *const *names, size_t name_count)
{
    for (size_t i = 0; i < name_count; i++)
        out[count++] = names[i];
    return count;
}

static uint32_t count_credentials(const struct plugin_kind *const *plugins, uint32_t *alias_count)
{
    uint32_t count = 0;
    *alias_count = 0;
    for (; *plugins; plugins++) {
        const struct credential_kind *kind = (*plugins)->credentials;
        count += kind != NULL;
        for (const char *const *alias = kind ? kind->aliases : NULL; alias && *alias; alias++)
            *alias_count += 1;
    }
    return count;
}

/* The keys a consumer and the whole file may hold; they depend on the plugins there are. */
static bool make_keys(struct kong_reader *reader, uint32_t alias_count)
{
    size_t room =
        COUNT_OF(collections) + COUNT_OF(credential_collections) + reader->credential_count + alias_count + 8;
    const char **top = kong_take(reader, &reader->scratch, room * sizeof(*top));
    const char **consumer = kong_take(reader, &reader->scratch, room * sizeof(*consumer));
    if (top == NULL || consumer == NULL)
        return false;
    static const char *const in_consumer[] = { "plugins", "_comment", "_ignore", "groups",
                                               "consumer_group_consumers" };
    uint32_t tops = 0;
    for (size_t i = 0; i < COUNT_OF(collections); i++)
        top[tops++] = collections[i].name;
    uint32_t inner = add_names(consumer, 0, in_consumer, COUNT_OF(in_consumer));
    for (uint32_t i = 0; i < reader->credential_count; i++) {
        const struct credential_kind *kind = reader->credentials[i].kind;
        top[tops++] = consumer[inner++] = kind->name;
        for (const char *const *alias = kind->aliases; alias && *alias; alias++)
            consumer[inner++] = *alias;
    }
    tops = add_names(top, tops, credential_collections, COUNT_OF(credential_collections));
    add_names(consumer, inner, credential_collections, COUNT_OF(credential_collections));
    top[tops] = "_ignore";
    reader->top_keys = top;
    reader->consumer_keys = consumer;
    return true;
}

static bool make_indexes(struct kong_reader *reader)
{
    const struct {
        struct kong_index *index;
        const char *kind;
    } rows[] = {
        { &reader->services, "services" },
        { &reader->routes, "routes" },
        { &reader->consumers, "consumers" },
        { &reader->consumer_groups, "consumer_groups" },
        { &reader->custom_ids, "consumers" },
        { &reader->plugin_index, "plugins" },
        { &reader->upstreams, "upstreams" },
        { &reader->targets, "targets" },
        { &reader->certificates, "certificates" },
        { &reader->snis, "snis" },
        { &reader->ca_certificates, "ca_certificates" },
        { &reader->ca_digests, "ca_certificates" },
        { &reader->vaults, "vaults" },
        { &reader->key_sets, "key_sets" },
        { &reader->keys, "keys" },
        { &reader->kids, "keys" },
        { &reader->filter_chains, "filter_chains" },
        { &reader->workspaces, "workspaces" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!kong_index_init(reader, rows[i].index, rows[i].kind))
            return false;
    return true;
}

static bool start(struct kong_reader *reader)
{
    uint32_t alias_count;
    reader->credential_count = count_credentials(reader->plugins, &alias_count);
    reader->credentials =
        kong_take(reader, &reader->scratch, (reader->credential_count + 1u) * sizeof(*reader->credentials));
    if (reader->credentials == NULL)
        return false;
    uint32_t next = 0;
    for (const struct plugin_kind *const *plugin = reader->plugins; *plugin; plugin++)
        if ((*plugin)->credentials &&
            !kong_credential_init(reader, &reader->credentials[next++], (*plugin)->credentials))
            return false;
    return make_indexes(reader) && make_keys(reader, alias_count);
}

static kong_read_fn *find_reader(struct slice key)
{
    for (size_t i = 0; i < COUNT_OF(collections); i++)
        if (slice_equal(key, slice_of(collections[i].name)))
            return collections[i].read;
    return NULL;
}

static bool is_collection(const struct kong_reader *reader, struct slice key)
{
    for (const char *const *name = reader->top_keys; *name; name++)
        if (slice_equal(key, slice_of(*name)))
            return !slice_equal(key, SLICE("_ignore"));
    return false;
}

static void read_collection(struct kong_reader *reader, const struct node_entry *entry,
                            const struct config_place *place)
{
    struct config_place deeper = kong_place(reader, place, entry->key.data);
    struct kong_parent none = { 0 };
    kong_read_fn *read = find_reader(entry->key);
    if (read == NULL) {
        struct kong_credential_kind *kind = kong_find_credential(reader, entry->key);
        none.credential = kind && slice_equal(entry->key, slice_of(kind->kind->name)) ? kind : NULL;
        read = none.credential ? kong_read_credential : NULL;
    }
    if (read)
        kong_read_array(reader, entry->value, &deeper, read, &none);
    else
        kong_refuse_collection(reader, entry->value, &deeper);
}

static struct config_place start_document(struct kong_reader *reader, const struct node *document)
{
    reader->file = arena_copy(&reader->model->arena, slice_of(document->position.file)).data;
    if (reader->file == NULL)
        kong_fail_memory(reader);
    return (struct config_place){ reader->report, &reader->model->arena, "", &document->position,
                                  &reader->model->vaults };
}

/* Before everything that may refer to them, in whichever file that stands. */
static void read_vaults(struct kong_reader *reader, const struct node *document)
{
    struct config_place place = start_document(reader, document);
    struct kong_parent none = { 0 };
    struct config_place deeper = kong_place(reader, &place, "vaults");
    kong_read_array(reader, node_find(document, "vaults"), &deeper, kong_read_vault, &none);
}

static void read_document(struct kong_reader *reader, const struct node *document)
{
    struct config_place place = start_document(reader, document);
    struct schema schema = top_schema;
    struct top top;
    schema.others = reader->top_keys;
    if (reader->out_of_memory)
        return;
    schema_read(&schema, document, &place, &top);
    if (document->kind != NODE_MAPPING)
        return;
    reader->form = top.transform ? SECRET_PLAIN : SECRET_STORED;
    reader->old_format = top.version == 0 || top.version == 1;
    for (uint32_t i = 0; i < document->count; i++)
        if (is_collection(reader, document->entries[i].key) &&
            !slice_equal(document->entries[i].key, SLICE("vaults")))
            read_collection(reader, &document->entries[i], &place);
}

bool kong_read_all(const struct documents *documents, const struct plugin_kind *const *plugins,
                   struct model *model, struct report *report)
{
    uint32_t before = report->error_count;
    struct kong_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        report_add(report, REPORT_ERROR, NULL, "", "out of memory");
        return false;
    }
    *reader = (struct kong_reader){ .model = model, .report = report, .plugins = plugins };
    reader->reference_end = &reader->references;
    reader->scoped_end = &reader->scoped;
    reader->owned_end = &reader->owned;
    reader->later_end = &reader->later;
    reader->now_s = time(NULL);
    arena_init(&reader->scratch, NULL, 0, scratch_limit_bytes);
    map_init(&reader->identified, &reader->scratch);
    if (start(reader)) {
        for (uint32_t i = 0; i < documents->count && !reader->out_of_memory; i++)
            read_vaults(reader, documents->items[i]);
        for (uint32_t i = 0; i < documents->count && !reader->out_of_memory; i++)
            read_document(reader, documents->items[i]);
        kong_resolve(reader);
        kong_finish_later(reader);
        kong_complete_credentials(reader);
        kong_check_routes(reader);
        kong_check_plugins(reader);
        if (model->catalog && report->error_count == before && !kong_catalogue(reader, documents))
            kong_fail_memory(reader);
    } else {
        kong_fail_memory(reader);
    }
    arena_deinit(&reader->scratch);
    free(reader);
    model->kong_headers = true;
    return report->error_count == before;
}

bool kong_read(const struct node *document, const struct plugin_kind *const *plugins, struct model *model,
               struct report *report)
{
    struct node *item = (struct node *)(uintptr_t)document;
    struct documents one = { &item, 1 };
    return kong_read_all(&one, plugins, model, report);
}
