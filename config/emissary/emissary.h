/* SPDX-License-Identifier: Apache-2.0 */
/* The front-end for the resources of Emissary-ingress and Ambassador Edge Stack: Listener, Host, Mapping,
 * Module, Filter and FilterPolicy become routes, match rules, upstreams and plugin instances of the model.
 * What is known to Emissary and not supported here is an error that says so. Control thread only. */
#pragma once

#include "config/kubernetes/cluster.h"

/* Adds what the reader's objects say to its model. What is wrong is reported. */
void emissary_read(struct kube_reader *kube, const struct kube_cluster *cluster);

/* The resources for the generated reference, ends with NULL. */
extern const struct schema *const emissary_schemas[];
