/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this front-end share while one configuration is read: the maps of names and ids, the open
 * references, and the readers of entities. Private to config/kong; control thread only. */
#pragma once

#include "config/kong/checks.h"
#include "config/kong/kong.h"
#include "core/crypto/uuid.h"

/* The entities of one kind, to find them by id and by name. */
struct kong_index {
    const char *kind; /* "services" */
    unsigned char space[UUID_BYTES]; /* of the ids that are derived */
    struct map ids, names;
};

/* A reference that is looked up when all entities are known. */
struct kong_reference {
    struct kong_reference *next;
    const struct kong_index *index;
    const struct node *value;
    const char *path, *field;
    void *target; /* a pointer to the model's pointer */
};

/* A plugin's kind of credential with the fields every credential has. */
struct kong_credential_kind {
    const struct credential_kind *kind;
    struct schema schema;
    size_t common_offset;
    struct kong_index index;
};

/* A plugin instance to be checked when its references are known. */
struct kong_scoped {
    struct kong_scoped *next;
    struct plugin_instance *instance;
    const char *path;
    unsigned scope_count; /* references written; fewer found ones were reported */
};

/* A credential to be completed when its consumer is known. */
struct kong_owned {
    struct kong_owned *next;
    struct kong_credential_kind *kind;
    struct credential *credential;
    const struct node *node;
    const char *path;
    enum secret_form form;
};

struct kong_reader {
    struct model *model;
    struct report *report;
    const struct plugin_kind *const *plugins;
    struct arena scratch; /* dies with the reading: paths, maps */
    struct kong_index services, routes, consumers, plugin_index, custom_ids;
    struct kong_index upstreams, targets, certificates, snis, ca_certificates, ca_digests;
    struct kong_index consumer_groups, vaults, key_sets, keys, kids, filter_chains, workspaces;
    struct kong_credential_kind *credentials;
    uint32_t credential_count;
    const char *const *top_keys, *const *consumer_keys; /* collections a mapping may hold */
    struct kong_reference *references, **reference_end;
    struct kong_scoped *scoped, **scoped_end;
    struct kong_owned *owned, **owned_end;
    struct kong_later *later, **later_end;
    struct map identified; /* address of a node -> struct entity; for a catalog */
    struct random_pool random;
    const char *file; /* of the document being read, in the model's arena */
    int64_t now_s;
    enum secret_form form; /* of the document being read */
    bool old_format, out_of_memory;
};

/* The entity around a nested one: at most one is set. `credential` is the kind being read. */
struct kong_parent {
    struct service *service;
    struct route *route;
    struct consumer *consumer;
    struct consumer_group *group;
    struct upstream *upstream;
    struct certificate *certificate;
    struct key_set *key_set;
    struct kong_credential_kind *credential;
};

typedef void kong_read_fn(struct kong_reader *reader, const struct node *node,
                          const struct config_place *place, const struct kong_parent *parent);

kong_read_fn kong_read_service, kong_read_route, kong_read_consumer, kong_read_plugin, kong_read_credential,
    kong_read_upstream, kong_read_target, kong_read_certificate, kong_read_sni, kong_read_ca_certificate,
    kong_read_vault, kong_read_key_set, kong_read_key, kong_read_filter_chain, kong_read_workspace,
    kong_read_parameter, kong_read_consumer_group, kong_read_membership, kong_read_group_of_consumer,
    kong_read_group_plugin;

/* Fields all entities have; read into a struct that begins with the model's one. */
struct kong_common {
    struct slice id;
    int64_t created_at, updated_at;
};
#define KONG_COMMON_FIELDS(type, member)                                                                  \
    { "id", FIELD_STRING, offsetof(type, common.id), .check = kong_check_id,                              \
      .help = "a UUID; derived from the name when missing" },                                             \
        { "created_at", FIELD_INTEGER, offsetof(type, common.created_at), .help = "seconds since 1970" }, \
        { "updated_at", FIELD_INTEGER, offsetof(type, common.updated_at), .help = "seconds since 1970" }, \
    {                                                                                                     \
        "tags", FIELD_STRINGS, offsetof(type, member.tags), .check = kong_check_tag                       \
    }

extern const char *const kong_protocol_choices[]; /* in the order of Kong's messages */
enum protocol kong_protocol_of(int choice);
uint64_t kong_protocol_bits(uint64_t choices); /* PROTOCOL_BITs */

extern const struct schema kong_service_schema, kong_route_schema, kong_consumer_schema, kong_plugin_schema,
    kong_upstream_schema, kong_target_schema, kong_certificate_schema, kong_sni_schema,
    kong_ca_certificate_schema, kong_vault_schema, kong_key_set_schema, kong_key_schema,
    kong_consumer_group_schema, kong_membership_schema;

/* A zeroed piece of the model or of the scratch memory; NULL when exhausted, which ends the reading. */
void *kong_take(struct kong_reader *reader, struct arena *arena, size_t size);
bool kong_fail_memory(struct kong_reader *reader);

/* Reads every element of a collection; null is an empty one. */
void kong_read_array(struct kong_reader *reader, const struct node *array, const struct config_place *place,
                     kong_read_fn *read, const struct kong_parent *parent);

/* Reports a collection that is not supported, unless it is empty. */
void kong_refuse_collection(struct kong_reader *reader, const struct node *node,
                            const struct config_place *place);

struct config_place kong_element(struct kong_reader *reader, const struct config_place *place,
                                 const char *name, uint32_t index);
struct config_place kong_place(struct kong_reader *reader, const struct config_place *place,
                               const char *name);

/* route.c, plugin.c: rules over them and what they are attached to, when all is known. */
void kong_check_routes(struct kong_reader *reader);
void kong_check_plugins(struct kong_reader *reader);

/* credential.c: false when memory is exhausted. */
bool kong_credential_init(struct kong_reader *reader, struct kong_credential_kind *one,
                          const struct credential_kind *kind);
struct kong_credential_kind *kong_find_credential(struct kong_reader *reader, struct slice name);
void kong_complete_credentials(struct kong_reader *reader); /* when references are resolved */

/* catalog.c: one document per entity into the model's catalog. False: no memory. */
bool kong_catalogue(struct kong_reader *reader, const struct documents *documents);
/* path.c: the path of a route as it stands in the model; absent when it was reported. */
struct slice kong_route_path(struct kong_reader *reader, const struct node *node,
                             const struct config_place *place);
