/* SPDX-License-Identifier: Apache-2.0 */
/* Where a Mapping's requests go. */
#include "config/emissary/parts.h"

#include <inttypes.h>

enum { RING_SLOTS = 10000 };

/* [scheme://]name[.namespace][.more][:port] */
struct service_text {
    struct slice name; /* lower case, without port and brackets */
    struct slice port; /* a number or a name; absent: none */
    bool tls, literal; /* literal: an IP address */
};

static bool split(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                  const struct config_place *place, struct service_text *out)
{
    const struct node *spec = mapping->object->spec;
    struct slice text = kube_lower(reader->kube, mapping->service);
    struct match_range range;
    *out = (struct service_text){ .tls = slice_starts_with(text, SLICE("https://")) };
    if (out->tls || slice_starts_with(text, SLICE("http://")))
        text = slice_from(text, out->tls ? 8 : 7);
    else if (memmem(text.data, text.size, "://", 3)) {
        schema_error(place, spec, "service", "expected http:// or https:// as its scheme");
        return false;
    }
    if (memchr(text.data, '/', text.size) || memchr(text.data, '?', text.size)) {
        schema_error(place, spec, "service", "a path or query has no place here");
        return false;
    }
    const char *bracket = text.size && text.data[0] == '[' ? memchr(text.data, ']', text.size) : NULL;
    if (bracket) {
        struct slice behind = slice_from(text, (size_t)(bracket - text.data) + 1);
        out->name = (struct slice){ text.data + 1, (size_t)(bracket - text.data) - 1 };
        out->port = behind.size > 1 && behind.data[0] == ':' ? slice_from(behind, 1) : (struct slice){ 0 };
    } else {
        out->name = slice_split(text, ':', &out->port);
    }
    out->literal = match_range_parse(out->name, &range) == NULL;
    if (out->name.size == 0 || (out->port.data && out->port.size == 0))
        schema_error(place, spec, "service", "expected NAME or NAME:PORT");
    return out->name.size > 0 && (out->port.data == NULL || out->port.size > 0);
}

/* An unqualified name is one of the Mapping's namespace, unless that is the gateway's own. */
static struct slice qualify(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                            const struct service_text *text)
{
    struct slice namespace = mapping->object->namespace;
    bool qualified = text->literal || slice_equal(text->name, SLICE("localhost")) ||
                     memchr(text->name.data, '.', text->name.size) != NULL;
    if (qualified || slice_equal(namespace, reader->kube->options.namespace))
        return text->name;
    struct slice full = arena_format(&reader->kube->model->arena, "%.*s.%.*s", SLICE_FORMAT(text->name),
                                     SLICE_FORMAT(namespace));
    if (full.data == NULL)
        kube_fail_memory(reader->kube);
    return full;
}

enum resolver { RESOLVER_DNS, RESOLVER_ENDPOINTS, RESOLVER_UNKNOWN };

static enum resolver find_resolver(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                                   const struct config_place *place)
{
    struct kube_reader *kube = reader->kube;
    struct slice name = mapping->resolver, namespace = mapping->object->namespace;
    if (slice_equal(name, SLICE("kubernetes-service")) ||
        kube_find(kube, KUBE_EMISSARY, "KubernetesServiceResolver", namespace, name))
        return RESOLVER_DNS;
    if (slice_equal(name, SLICE("kubernetes-endpoint")) || slice_equal(name, SLICE("endpoint")) ||
        kube_find(kube, KUBE_EMISSARY, "KubernetesEndpointResolver", namespace, name))
        return RESOLVER_ENDPOINTS;
    bool consul = slice_starts_with(name, SLICE("consul"));
    schema_error(place, mapping->object->spec, "resolver",
                 consul ? "'%.*s': not supported yet" : "there is no resolver '%.*s'", SLICE_FORMAT(name));
    return RESOLVER_UNKNOWN;
}

/* --- destinations ----------------------------------------------------------------------------------- */

static bool by_name(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                    const struct service_text *text, struct kube_destination *destination)
{
    struct config_place place = kube_place(reader->kube, mapping->object, "spec");
    uint64_t port = text->tls ? 443 : 80;
    if (text->port.data && (!slice_to_u64(text->port, &port) || port == 0 || port > 65535)) {
        schema_error(&place, mapping->object->spec, "service", "port '%.*s' is no number from 1 to 65535",
                     SLICE_FORMAT(text->port));
        return false;
    }
    destination->host = qualify(reader, mapping, text);
    destination->port = (int64_t)port;
    return true;
}

static bool by_endpoints(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                         const struct service_text *text, struct kube_destination *destination)
{
    const struct node *spec = mapping->object->spec;
    struct config_place place = kube_place(reader->kube, mapping->object, "spec");
    struct slice rest, namespace = mapping->object->namespace, name = slice_split(text->name, '.', &rest);
    if (rest.data)
    namespace = slice_split(rest, '.', &rest);
    const struct kube_service *service = kube_cluster_service(reader->kube, reader->cluster, namespace, name);
    if (service == NULL) {
        schema_error(&place, spec, "service", "there is no Service '%.*s' in the namespace '%.*s'",
                     SLICE_FORMAT(name), SLICE_FORMAT(namespace));
        return false;
    }
    const struct kube_port *port = kube_service_port(service, text->port);
    if (port == NULL) {
        schema_error(&place, spec, "service", "%s has no such port", service->object->path);
        return false;
    }
    return kube_service_destination(reader->kube, service, port, destination);
}

/* Policies of their own make upstreams of their own. */
static bool set_rules(struct emissary_reader *reader, const struct emissary_mapping *mapping,
                      struct kube_destination *destination)
{
    const struct emissary_balance *balance = &mapping->balance;
    const struct circuit_limits *circuit = &mapping->circuit;
    struct slice host = destination->host;
    bool bare = host.size && memchr(host.data, ':', host.size);
    destination->rules = (struct upstream){ .balance = balance->balance,
                                            .hash_on = balance->hash,
                                            .cookie_path = balance->cookie_path,
                                            .cookie_ttl_s = balance->cookie_ttl_s,
                                            .slots = RING_SLOTS,
                                            .circuit = *circuit };
    if (!balance->set)
        destination->rules.cookie_ttl_s = INTEGER_NULL;
    destination->key =
        arena_format(&reader->kube->scratch, bare ? "[%.*s]:%" PRId64 "%s" : "%.*s:%" PRId64 "%s",
                     SLICE_FORMAT(host), destination->port, destination->listed ? " endpoints" : "");
    if (balance->set && destination->key.data)
        destination->key = arena_format(&reader->kube->scratch, "%.*s lb %d %d %.*s %lld %.*s",
                                        SLICE_FORMAT(destination->key), balance->balance, balance->hash.input,
                                        SLICE_FORMAT(balance->hash.name), (long long)balance->cookie_ttl_s,
                                        SLICE_FORMAT(balance->cookie_path));
    if (circuit->connections && destination->key.data)
        destination->key =
            arena_format(&reader->kube->scratch, "%.*s cb %u %u %u %u", SLICE_FORMAT(destination->key),
                         circuit->connections, circuit->pending, circuit->requests, circuit->retries);
    return destination->key.data != NULL || kube_fail_memory(reader->kube);
}

struct service *emissary_service(struct emissary_reader *reader, const struct emissary_mapping *mapping)
{
    const struct node *spec = mapping->object->spec;
    struct config_place place = kube_place(reader->kube, mapping->object, "spec");
    struct kube_destination destination = { .connect_timeout_ms = mapping->connect_timeout_ms };
    struct service_text text;
    enum resolver resolver = find_resolver(reader, mapping, &place);
    if (resolver == RESOLVER_UNKNOWN || !split(reader, mapping, &place, &text))
        return NULL;
    destination.tls = text.tls;
    if (resolver == RESOLVER_DNS && mapping->has_balance && mapping->balance.set) {
        schema_error(&place, spec, "load_balancer", "needs the resolver kubernetes-endpoint");
        return NULL;
    }
    bool good = resolver == RESOLVER_DNS || text.literal ? by_name(reader, mapping, &text, &destination)
                                                         : by_endpoints(reader, mapping, &text, &destination);
    if (!good || !set_rules(reader, mapping, &destination))
        return NULL;
    return kube_add_service(reader->kube, mapping->object, &destination);
}
