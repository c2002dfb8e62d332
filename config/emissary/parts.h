/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of what several resources of Emissary have in common. Private to config/emissary; control thread
 * only. */
#pragma once

#include "config/emissary/reader.h"

/* A field that Emissary knows and that is not done here, or has no meaning here. */
struct emissary_refused {
    const char *name;
    const char *harmless; /* this value changes nothing; NULL: any does, "*": none does */
};

/* Reports all of the table that the record has, ends with a NULL name. */
void emissary_refuse(const struct emissary_refused *table, const struct node *record,
                     const struct config_place *place);

/* The names of a table and others as a list for struct schema, ends with NULL; NULL: no memory. With those
 * that stand beside them when the object (may be NULL) has the flat form. */
const char *const *emissary_others(struct kube_reader *kube, const struct kube_object *object,
                                   const struct emissary_refused *table, const char *const *others);

bool emissary_is_given(const struct node *record, const char *name);

/* Records that may stand in a Mapping and in the Module. `record` holds the field. */
bool emissary_read_retry(struct emissary_reader *reader, const struct node *record,
                         const struct config_place *place, struct emissary_retry *retry);
bool emissary_read_balance(struct emissary_reader *reader, const struct node *record,
                           const struct config_place *place, struct emissary_balance *balance);
bool emissary_read_circuit(struct emissary_reader *reader, const struct node *record,
                           const struct config_place *place, struct circuit_limits *circuit);

/* `field`: {name: value} or {name: {value, append}}. */
bool emissary_read_headers(struct emissary_reader *reader, const struct node *record, const char *field,
                           const struct config_place *place, struct header_edits *edits);

/* `field`: a text or a list of texts. */
bool emissary_read_texts(struct emissary_reader *reader, const struct node *record, const char *field,
                         const struct config_place *place, struct slices *texts);

/* Could a name be matched by both? Names may hold a star at one end. */
bool emissary_globs_meet(struct slice a, struct slice b);

/* Is every name that `narrow` matches matched by `wide`? */
bool emissary_glob_covers(struct slice wide, struct slice narrow);

/* module.c, listener.c, host.c, mapping.c, filter.c: read all objects of their kinds. */
void emissary_read_module(struct emissary_reader *reader);
void emissary_read_listeners(struct emissary_reader *reader);
void emissary_read_hosts(struct emissary_reader *reader); /* after the listeners */
void emissary_read_mappings(struct emissary_reader *reader); /* after module and hosts */
void emissary_read_policies(struct emissary_reader *reader);

/* Is the object meant for this gateway, by its ambassador_id? */
bool emissary_is_ours(struct emissary_reader *reader, const struct kube_object *object);

/* NULL, or why it is no name with at most one star at an end. */
const char *emissary_check_hostname(struct slice name);

/* service.c: the upstream of a Mapping; NULL: it was reported. */
struct service *emissary_service(struct emissary_reader *reader, const struct emissary_mapping *mapping);

/* order.c: puts Mappings into groups and these into the order in which they are asked. */
void emissary_group_mappings(struct emissary_reader *reader);
int emissary_compare(const struct emissary_mapping *a, const struct emissary_mapping *b);

/* filter.c: the plugin instances of a policy's rule on a route. */
void emissary_apply_policy(struct emissary_reader *reader, struct emissary_policy *policy,
                           struct route *route);

/* The same for the shadow of a group. */
void emissary_apply_shadow(struct emissary_reader *reader, struct emissary_group *group, struct route *route);

/* action.c: what a Mapping of a group does; `backends` are drawn by weight. */
const struct action *emissary_action(struct emissary_reader *reader, const struct emissary_group *group,
                                     const struct emissary_mapping *mapping, struct backend *backends,
                                     uint32_t count);

/* rules.c: match rules for all groups on all Hosts. */
void emissary_compile(struct emissary_reader *reader);

extern const struct schema emissary_listener_schema, emissary_host_schema, emissary_mapping_schema,
    emissary_module_schema;
