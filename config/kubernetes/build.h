/* SPDX-License-Identifier: Apache-2.0 */
/* What the front-ends for Kubernetes objects add to the model: entities with ids that stay the same over
 * reloads, services with upstreams of their own, routes, ports. Control thread only. Whatever gives a pointer
 * gives NULL after kube_fail_memory. */
#pragma once

#include "config/kubernetes/object.h"

/* Sets id, place and times. `part` tells several entities of one object apart; may be absent. */
void kube_identify(struct kube_reader *reader, struct entity *entity, const struct kube_object *object,
                   struct slice name, struct slice part);

/* The name that people know an object by: with its namespace when that is not the default one. */
struct slice kube_public_name(struct kube_reader *reader, const struct kube_object *object);

/* A place that requests go to. Equal keys give the same upstream. */
struct kube_destination {
    struct slice key; /* "user-service:8080", with whatever else makes a difference */
    struct slice host; /* a name or a numeric address, lower case */
    int64_t port;
    const struct target *targets; /* NULL: `host` and `port` are the only one; names unset */
    uint32_t target_count;
    bool listed; /* the targets are all there are, even if there are none */
    struct upstream rules; /* balancing and limits; its entity and targets are unset */
    int64_t connect_timeout_ms;
    bool tls; /* without looking at certificates, as Emissary without a TLSContext */
};

struct service *kube_add_service(struct kube_reader *reader, const struct kube_object *object,
                                 const struct kube_destination *destination);

/* A route in the list of the model, over HTTP and HTTPS. `part` as in kube_identify. */
struct route *kube_add_route(struct kube_reader *reader, const struct kube_object *object, struct slice part);

/* An instance of a kind of plugin on a route, with a configuration that several may share. */
struct kube_plugin {
    const struct kube_object *object;
    const struct plugin_kind *kind;
    void *config;
};
bool kube_add_plugin(struct kube_reader *reader, const struct kube_plugin *plugin, struct route *route);
const struct plugin_kind *kube_plugin_kind(const struct kube_reader *reader, const char *name);

/* A port that has to be open; equal ones are one. */
bool kube_add_port(struct kube_reader *reader, const struct kube_object *object, uint16_t port);

/* One field of a record: where messages about it point to. */
struct kube_spot {
    const struct config_place *place;
    const struct node *node;
    const char *field;
};

/* Copies of what a route's requests send upstream, by the plugin request-mirror. */
struct kube_mirror {
    const struct kube_object *object;
    struct kube_spot spot;
    const struct service *service; /* that gets them */
    const char *host; /* the plugin's option of that name */
    double percentage;
};

/* The instance, for kube_add_plugin. Its config is NULL when nothing is to be copied: that was reported. */
void kube_make_mirror(struct kube_reader *reader, const struct kube_mirror *mirror,
                      struct kube_plugin *plugin);

/* A regular expression that a linear-time engine would take. NULL: it was reported. */
const struct regex *kube_regex(struct kube_reader *reader, struct slice pattern, enum regex_anchor anchor,
                               const struct kube_spot *spot);

/* Go's way of writing durations: "1h2m3.5s", "300ms"; milliseconds. False: it is none. */
bool kube_duration(struct slice text, int64_t *ms);

/* A copy in lower case, in the model's arena; absent without memory. */
struct slice kube_lower(struct kube_reader *reader, struct slice text);
