/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of Kubernetes that files hold, in the envelope all of them share: told apart, named, checked
 * for doubles. What they specify is read by the front-ends for their kinds (config/emissary,
 * config/gateway_api). One reader per load; control thread only. */
#pragma once

#include "config/model.h"

enum kube_group {
    KUBE_CORE, /* v1 */
    KUBE_DISCOVERY, /* discovery.k8s.io */
    KUBE_EMISSARY, /* getambassador.io */
    KUBE_GATEWAY_API /* gateway.networking.k8s.io */
};

struct kube_object {
    const struct node *node; /* all of it */
    const struct node *spec; /* what the kind says; of Emissary's flat form all of it; NULL: nothing */
    enum kube_group group;
    struct slice version, kind, namespace, name;
    struct schema_map labels, annotations; /* one value each */
    int64_t created_at_s; /* since 1970; 0: not said */
    bool flat;
    const char *file; /* where it stands, in the model's arena */
    const char *path; /* "Mapping/users", with a namespace in between when it is not the default one */
    uint32_t index; /* in the order of reading */
};

/* Which of the objects are meant for this gateway. */
struct kube_options {
    struct slice namespace; /* of objects that name none */
    struct slice ambassador_id;
    struct slice controller; /* of a GatewayClass; absent: any is ours */
};

struct kube_reader {
    struct model *model; /* its arena holds whatever is kept */
    struct report *report;
    const struct plugin_kind *const *plugins; /* ends with NULL */
    struct kube_options options;
    struct arena scratch; /* gone when the model is built */
    struct kube_object **objects;
    uint32_t object_count, object_capacity;
    struct map by_name; /* "group/kind/namespace/name" */
    struct map upstreams; /* by what distinguishes them, see build.h */
    struct map services;
    const char *file; /* the last one, in the model's arena */
    bool out_of_memory;
};

/* Model, report, plugins and options are set. kube_close is due. */
void kube_open(struct kube_reader *reader);
void kube_close(struct kube_reader *reader);

/* Adds the objects of one document, lists one by one. What is wrong is reported. */
void kube_read(struct kube_reader *reader, const struct node *document);

bool kube_is(const struct kube_object *object, enum kube_group group, const char *kind);
struct kube_object *kube_find(const struct kube_reader *reader, enum kube_group group, const char *kind,
                              struct slice namespace, struct slice name);

/* A label's value, absent when it has none. */
struct slice kube_label(const struct schema_map *labels, struct slice name);

/* Whether all labels of the selector are there; an empty one selects everything. */
bool kube_selects(const struct schema_map *selector, const struct schema_map *labels);

/* The place of what an object says under `name` ("spec"); "" of the flat form. Unknown fields are
 * warnings. */
struct config_place kube_place(struct kube_reader *reader, const struct kube_object *object,
                               const char *name);

/* Reports about an object as a whole. */
void kube_complain(struct kube_reader *reader, const struct kube_object *object, enum report_kind kind,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Notes that memory ran out, once. Always false. */
bool kube_fail_memory(struct kube_reader *reader);

/* Zeroed memory of the model or of the load; NULL: kube_fail_memory was called. */
void *kube_take(struct kube_reader *reader, size_t size);
void *kube_take_scratch(struct kube_reader *reader, size_t size);
