/* SPDX-License-Identifier: Apache-2.0 */
/* All Kubernetes objects of a configuration as one: the ones that Emissary and the Gateway API know become
 * part of the model, the cluster's own say where services are. Control thread only. */
#pragma once

#include "config/model.h"

struct kubernetes_sources {
    const struct documents *documents;
    const struct plugin_kind *const *plugins; /* ends with NULL */
    struct slice namespace; /* of objects that name none; absent: default */
    struct slice ambassador_id; /* absent: default */
    struct slice controller; /* of the GatewayClasses that are ours; absent: all are */
};

/* A document with an apiVersion. */
bool kubernetes_recognise(const struct node *document);

/* Adds them to the model. False when something was reported; the model is then only good for model_close. */
bool kubernetes_read_all(const struct kubernetes_sources *sources, struct model *model,
                         struct report *report);
