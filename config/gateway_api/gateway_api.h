/* SPDX-License-Identifier: Apache-2.0 */
/* The front-end for the Gateway API: GatewayClass, Gateway, HTTPRoute and ReferenceGrant become ports,
 * routes and match rules of the model, Services with their EndpointSlices upstreams. What is known to the
 * API and not supported here is an error that says so. Control thread only. */
#pragma once

#include "config/kubernetes/cluster.h"

/* Adds what the reader's objects say to its model. What is wrong is reported. */
void gateway_api_read(struct kube_reader *kube, const struct kube_cluster *cluster);
