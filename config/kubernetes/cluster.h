/* SPDX-License-Identifier: Apache-2.0 */
/* Services of a cluster and where their pods are, as Service, EndpointSlice and Endpoints objects in files
 * say. Read once per load for all front-ends; control thread only. */
#pragma once

#include "config/kubernetes/build.h"

struct kube_port {
    struct slice name; /* "" when it has none */
    int64_t number;
    struct slice target; /* the name or number of the pods' port; absent: `number` */
    struct slice protocol, app_protocol; /* absent: TCP, none */
};

struct kube_service {
    const struct kube_object *object;
    struct slice external_name; /* with type ExternalName */
    bool headless;
    struct kube_port *ports;
    uint32_t port_count;
    bool has_endpoints; /* some object lists its pods, maybe none */
    struct kube_endpoint *endpoints;
};

/* One address of one port of a service; the list of a service has each only once. */
struct kube_endpoint {
    struct kube_endpoint *next;
    struct slice port_name;
    struct slice address;
    uint16_t port;
};

struct kube_cluster {
    struct map services; /* "namespace/name" -> struct kube_service */
    struct map namespaces; /* name -> struct kube_object */
};

/* Reads them all; what is wrong is reported. */
void kube_cluster_read(struct kube_reader *reader, struct kube_cluster *cluster);

/* NULL: there is no such Service. */
const struct kube_service *kube_cluster_service(struct kube_reader *reader,
                                                const struct kube_cluster *cluster, struct slice namespace,
                                                struct slice name);

/* By number or name; the only one when `text` is absent. NULL: none. */
const struct kube_port *kube_service_port(const struct kube_service *service, struct slice text);

/* Where the requests for a port go: the ready pods, or the service's DNS name when nothing lists them. The
 * key begins with `name`. False when memory is exhausted. */
bool kube_service_destination(struct kube_reader *reader, const struct kube_service *service,
                              const struct kube_port *port, struct kube_destination *destination);

/* The labels of a namespace; none when no object declares it. `kubernetes.io/metadata.name` is there
 * always. */
struct schema_map kube_namespace_labels(struct kube_reader *reader, const struct kube_cluster *cluster,
                                        struct slice namespace);
