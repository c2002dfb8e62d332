/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this front-end share while resources are read. Private to config/emissary; control thread
 * only. Everything lives in the model's arena or dies with the load. */
#pragma once

#include "config/emissary/emissary.h"

/* --- parts that several kinds share ----------------------------------------------------------------- */

struct emissary_retry {
    int retry_on; /* index of emissary_retry_names; -1: no policy */
    int64_t num_retries, per_try_timeout_ms; /* 0: none */
};

struct emissary_balance {
    bool set;
    int balance; /* enum balance */
    struct hash_key hash;
    struct slice cookie_path;
    int64_t cookie_ttl_s;
};

/* What a Mapping without such a field gets. */
struct emissary_module {
    const struct kube_object *object; /* NULL: there is none */
    int64_t timeout_ms;
    struct slice resolver;
    struct emissary_retry retry;
    struct emissary_balance balance;
    struct circuit_limits circuit;
    struct header_edits request, response;
};

/* --- Listener --------------------------------------------------------------------------------------- */

enum emissary_security { EMISSARY_XFP, EMISSARY_SECURE, EMISSARY_INSECURE };

struct emissary_listener {
    const struct kube_object *object;
    int64_t port;
    int security; /* enum emissary_security */
    int from; /* enum emissary_from */
    struct schema_map labels;
    bool used; /* some Host is bound */
};

/* --- Host ------------------------------------------------------------------------------------------- */

enum emissary_insecure { EMISSARY_REDIRECT, EMISSARY_ROUTE, EMISSARY_REJECT };

/* Ports, as the values of a condition; all of them when nothing listens but proxy_listen. */
struct emissary_ports {
    struct match_value *values;
    uint32_t count;
};

/* What a Host does with requests, by where they come in. */
struct emissary_access {
    bool any_port; /* there are no Listeners */
    struct emissary_ports all; /* every port the Host is bound to */
    struct emissary_ports route; /* served however they come */
    struct emissary_ports route_tls; /* served over TLS */
    struct emissary_ports redirect; /* sent to https, unless served by the above */
};

struct emissary_host {
    const struct kube_object *object; /* NULL: the wildcard that is assumed without any Host */
    struct slice hostname; /* lower case */
    struct schema_map selector;
    bool has_selector;
    int insecure; /* enum emissary_insecure */
    struct emissary_access access;
    struct emissary_access open_access; /* as if insecure requests were served */
    const struct route *redirect; /* made when it is needed first */
};

/* --- Mapping ---------------------------------------------------------------------------------------- */

/* One condition over a header, a pseudo header or a query argument. */
struct emissary_condition {
    struct slice name, value; /* absent value: any */
    bool regex;
};

struct emissary_conditions {
    struct emissary_condition *items;
    uint32_t count;
};

struct emissary_mapping {
    const struct kube_object *object;
    struct slice prefix, rewrite, hostname, host, method, service, resolver, host_rewrite;
    bool prefix_exact, prefix_regex, case_sensitive, host_regex, method_regex, auto_host_rewrite, bypass_auth;
    bool host_redirect, shadow, use_websocket;
    struct schema_map headers, regex_headers, query, regex_query;
    struct {
        struct slice pattern, substitution;
    } regex_rewrite, regex_redirect;
    struct slice path_redirect, prefix_redirect;
    int64_t redirect_code, precedence, weight, timeout_ms, idle_timeout_ms, connect_timeout_ms;

    struct emissary_retry retry;
    bool has_retry, has_balance, has_circuit;
    struct emissary_balance balance;
    struct circuit_limits circuit;
    struct header_edits add_request, add_response; /* of the Mapping, else the Module's */
    struct slices remove_request, remove_response, allow_upgrade;

    struct slice name; /* for the order and the groups, as the rest; for ties: namespace/name */
    struct slice domain; /* hostname or host, absent: neither */
    struct emissary_conditions header_list, query_list; /* with :authority and :method */
    uint64_t header_weight, query_weight;
    struct slice group_key;

    struct service *upstream;
    const struct regex *path_regex, *rewrite_regex;
};

/* Mappings with the same conditions, as one. */
struct emissary_group {
    struct emissary_mapping **items;
    uint32_t count, capacity;
    struct emissary_mapping *shadow; /* gets copies; NULL: none does */
    struct kube_plugin copies; /* its kind is NULL before the first route of the group */
};

/* --- Filter and FilterPolicy ------------------------------------------------------------------------ */

struct emissary_policy {
    const struct kube_object *object;
    struct slice host, path; /* globs */
    const struct kube_object *filter; /* NULL: none, requests pass */
    const struct node *filter_node; /* where the policy names it */
    struct slices scopes;
    void *config; /* of the plugin, once it is used */
};

/* --- all -------------------------------------------------------------------------------------------- */

struct emissary_reader {
    struct kube_reader *kube;
    const struct kube_cluster *cluster;
    struct emissary_module module;
    MODEL_VECTOR(emissary_listener, listeners);
    MODEL_VECTOR(emissary_host, hosts); /* the most specific name first, once all are read */
    MODEL_VECTOR(emissary_mapping, mappings);
    MODEL_VECTOR(emissary_group, groups); /* the first to be asked first */
    MODEL_VECTOR(emissary_policy, policies);
    uint64_t next_order;
};
