/* SPDX-License-Identifier: Apache-2.0 */
/* What any configuration means, whoever's dialect it was written in: validated, names resolved to pointers.
 * Built by a front-end on the control thread in one arena, then only read: the snapshot keeps it alive. */
#pragma once

#include "config/action.h"
#include "config/catalog.h"
#include "config/consumer.h"
#include "config/match.h"
#include "config/plugin_kind.h"
#include "config/service.h"
#include "config/vault.h"
#include "core/base/map.h"

enum protocol {
    PROTOCOL_HTTP,
    PROTOCOL_HTTPS,
    PROTOCOL_GRPC,
    PROTOCOL_GRPCS,
    PROTOCOL_TCP,
    PROTOCOL_TLS,
    PROTOCOL_UDP,
    PROTOCOL_TLS_PASSTHROUGH
};
#define PROTOCOL_BIT(protocol) (UINT64_C(1) << (protocol))
#define PROTOCOL_STREAM_BITS (UINT64_C(15) << PROTOCOL_TCP) /* no HTTP: the last four */

enum path_handling { PATH_HANDLING_V0, PATH_HANDLING_V1 };
enum router_flavor { ROUTER_TRADITIONAL_COMPATIBLE, ROUTER_TRADITIONAL, ROUTER_EXPRESSIONS };

/* An address or range, and a port; one of the two may be missing. */
struct route_endpoint {
    struct slice ip;
    int64_t port; /* INTEGER_NULL: any */
};
struct route_endpoints {
    struct route_endpoint *items;
    uint32_t count;
};

/* What leads to it stands twice: as written, for those who show it, and compiled in the model's rules, which
 * are what requests are matched with. */
struct route {
    struct entity entity;
    struct service *service; /* NULL: plugins answer */
    uint64_t protocols;      /* PROTOCOL_BITs */
    struct slices methods, hosts, paths, snis;
    struct schema_map headers;
    struct route_endpoints sources, destinations;
    struct slice expression; /* absent: none, the fields above say it */
    const struct match_node *condition; /* the expression compiled; NULL: none */
    int64_t priority; /* of the expression */
    int64_t regex_priority;
    int64_t https_redirect_status_code;
    bool strip_path, preserve_host, request_buffering, response_buffering;
    int path_handling; /* enum path_handling */
    int64_t created_at; /* seconds; ties in the traditional flavor */
    const struct action *action; /* NULL: the fields above and the service's are all */
};

/* One configuration of a plugin, attached to the most specific of its scopes. */
struct plugin_instance {
    struct entity entity; /* name = instance_name */
    const struct plugin_kind *kind;
    void *config; /* the struct of kind->config */
    struct route *route;
    struct service *service;
    struct consumer *consumer;
    struct consumer_group *consumer_group; /* not beside a consumer */
    uint64_t protocols;
    bool enabled;
};

/* A port that has to be open beside proxy_listen; one that a listener has is there already. */
struct listen_port {
    struct entity entity;
    struct slice address; /* numeric, without brackets */
    uint16_t port;
    bool proxy_protocol;
};

#define MODEL_VECTOR(type, name)  \
    struct {                      \
        struct type **items;      \
        uint32_t count, capacity; \
    } name

struct model {
    struct arena arena; /* owns everything below */
    unsigned holder_count;
    bool kong_headers; /* a Kong configuration is loaded: X-Kong-* headers are sent */
    enum answer_style style; /* for requests without a route: Kong's if there is a Kong configuration */
    enum router_flavor kong_flavor; /* how Kong's routes rank; set before they are read */
    MODEL_VECTOR(upstream, upstreams);
    MODEL_VECTOR(service, services);
    MODEL_VECTOR(route, routes);
    MODEL_VECTOR(match_rule, rules); /* what leads to them, of all front-ends, in no order */
    MODEL_VECTOR(consumer, consumers);
    MODEL_VECTOR(consumer_group, consumer_groups);
    MODEL_VECTOR(plugin_instance, plugins);
    MODEL_VECTOR(certificate, certificates);
    MODEL_VECTOR(sni, snis);
    MODEL_VECTOR(listen_port, listen_ports); /* one per address and port */
    MODEL_VECTOR(ca_certificate, ca_certificates);
    MODEL_VECTOR(key_set, key_sets);
    MODEL_VECTOR(signing_key, keys);
    struct vaults vaults;
    struct catalog *catalog; /* set before it is read by who wants one, in the model's arena; else NULL */
    struct map credentials; /* "<kind name>:<key>" -> struct credential, see model_credential */
    struct map consumers_by_id, consumers_by_name, consumers_by_custom_id; /* see model_consumer */
    char hash[33]; /* lower-case hex MD5 of the text, 32 zeros when empty */
};

/* An empty model, held once; NULL when memory is exhausted. */
struct model *model_open(void);

/* Another holder (a snapshot built again from the same model), and one less: the last one frees it. Control
 * thread only. */
struct model *model_take(struct model *model);
void model_close(struct model *model);

/* Room for one more item behind `count` in a MODEL_VECTOR: its items, moved when they had to grow. NULL when
 * memory is exhausted, and then nothing has changed. */
void *model_reserve(struct model *model, void *items, uint32_t count, uint32_t *capacity);

/* A new match rule, zeroed; NULL when memory is exhausted. */
struct match_rule *match_rule_add(struct model *model) MUST_CHECK;

/* Has plugins link what is theirs, then gives every service that has none its upstream: the named one, else
 * an implicit one, shared by all services of the same host and port. False when memory is exhausted. */
bool model_link_upstreams(struct model *model, struct report *report) MUST_CHECK;

/* Makes a consumer that has its id and names known to model_consumer. False when memory is exhausted. */
bool model_index_consumer(struct model *model, struct consumer *consumer) MUST_CHECK;

/* The consumer of that id, in any case, else of that username, or NULL. Any thread once the model is
 * built. */
struct consumer *model_consumer(const struct model *model, struct slice id_or_username);
struct consumer *model_consumer_of_custom_id(const struct model *model, struct slice custom_id);

/* Puts a credential into the list of its consumer. */
void model_attach_credential(struct credential *credential);

/* The name of a credential in model->credentials; absent when memory is exhausted. */
struct slice model_credential_key(struct arena *arena, const struct credential_kind *kind, struct slice key);

/* The credential of that kind with that key, or NULL. Any thread once the model is built. */
struct credential *model_credential(const struct model *model, const struct credential_kind *kind,
                                    struct slice key);
