/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes objects in texts for unit tests: load them into a model, and ask which route its rules lead
 * to. The plugin jwt-authorizer is the real one. The test owns it; one thread. */
#pragma once

#include "config/kubernetes/kubernetes.h"
#include "net/proxy/router.h"
#include "tests/support/config_setup.h"

struct kube_setup {
    struct config_setup config;
    struct arena arena; /* of requests */
    struct regex_scratch scratch;
    struct router router;
    struct router_match match; /* of the last question */
};

void kube_setup_init(struct kube_setup *setup);
void kube_setup_deinit(struct kube_setup *setup);

/* Loads the documents of a text into a new model and builds its router. False when something was reported
 * as an error. */
bool kube_setup_load(struct kube_setup *setup, const char *text);

/* A request: "GET api.example.com /path?query", with lines "Name: value" behind it. */
struct kube_question {
    const char *text;
    uint16_t port; /* of the listener; 0: 8000 */
    uint8_t draw;
    bool tls;
};

/* The route it leads to, or NULL. */
const struct route *kube_setup_ask(struct kube_setup *setup, const struct kube_question *question);

/* The same over cleartext on port 8000: the name of the route, "404" of one that answers so, "-": none. */
const char *kube_setup_name(struct kube_setup *setup, const char *text);

/* The host of the service that a route's backend number `index` sends to, or "". */
const char *kube_setup_backend(const struct route *route, uint32_t index);
