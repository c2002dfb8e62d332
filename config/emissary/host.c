/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, and which Listeners take them. */
#include "config/emissary/parts.h"

#include <stdlib.h>

static const char *const actions[] = { "Redirect", "Route", "Reject", NULL };

struct host_record {
    struct slice hostname;
    struct {
        struct schema_map labels;
    } selector, old_selector;
    struct {
        struct {
            int action;
            int64_t additional_port;
        } insecure;
    } policy;
    struct {
        struct slice authority;
    } acme;
};

#define AT(member) offsetof(struct host_record, member)
#define INSIDE(outer, member) (AT(outer.member) - AT(outer))

static const struct field selector_fields[] = {
    { "matchLabels", FIELD_MAP, 0, .flags = FIELD_SINGLE | FIELD_EMPTY },
};
static const struct schema selector_schema = { "selector", selector_fields, COUNT_OF(selector_fields),
                                               sizeof(struct schema_map) };
static const struct field insecure_fields[] = {
    { "action", FIELD_CHOICE, INSIDE(policy.insecure, action), .choices = actions, .fallback = "Redirect" },
    { "additionalPort", FIELD_INTEGER, INSIDE(policy.insecure, additional_port), .help = "has no effect" },
};
static const struct schema insecure_schema = { "insecure", insecure_fields, COUNT_OF(insecure_fields),
                                               sizeof(((struct host_record *)0)->policy.insecure) };
static const struct field policy_fields[] = {
    { "insecure", FIELD_RECORD, 0, .record = &insecure_schema },
};
static const struct schema policy_schema = { "requestPolicy", policy_fields, COUNT_OF(policy_fields),
                                             sizeof(((struct host_record *)0)->policy) };
static const struct field acme_fields[] = {
    { "authority", FIELD_STRING, 0, .help = "none: no certificates are ordered" },
};
static const char *const acme_others[] = { "email", "privateKeySecret", "registration", NULL };
static const struct schema acme_schema = { "acmeProvider",       acme_fields, COUNT_OF(acme_fields),
                                           sizeof(struct slice), NULL,        acme_others };

static const struct field host_fields[] = {
    { "hostname", FIELD_STRING, AT(hostname), .fallback = "*" },
    { "mappingSelector", FIELD_RECORD, AT(selector), .record = &selector_schema },
    { "selector", FIELD_RECORD, AT(old_selector), .record = &selector_schema,
      .help = "older mappingSelector" },
    { "requestPolicy", FIELD_RECORD, AT(policy), .record = &policy_schema },
    { "acmeProvider", FIELD_RECORD, AT(acme), .record = &acme_schema },
};

static const struct emissary_refused refused[] = {
    { "tlsSecret", "*" }, { "tlsContext", "*" }, { "tls", "*" }, { "previewUrl", "*" }, { NULL, NULL },
};
static const char *const others[] = { "ambassador_id", "ambassadorId", NULL };

const struct schema emissary_host_schema = {
    .name = "Host",
    .fields = host_fields,
    .field_count = COUNT_OF(host_fields),
    .struct_size = sizeof(struct host_record),
    .others = others,
};

const char *emissary_check_hostname(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '*' && i != 0 && i != name.size - 1)
            return "a star may stand at the beginning or at the end only";
        if (name.data[i] <= ' ' || name.data[i] == '/')
            return "no host name";
    }
    return name.size > 1 && name.data[0] == '*' && name.data[name.size - 1] == '*'
               ? "only one star is allowed"
               : NULL;
}

static void add_host(struct emissary_reader *reader, struct emissary_host *host)
{
    struct emissary_host **items =
        model_reserve(reader->kube->model, reader->hosts.items, reader->hosts.count, &reader->hosts.capacity);
    if (items == NULL) {
        kube_fail_memory(reader->kube);
        return;
    }
    reader->hosts.items = items;
    items[reader->hosts.count++] = host;
}

static void check_twice(struct emissary_reader *reader, const struct emissary_host *host,
                        const struct config_place *place)
{
    for (uint32_t i = 0; i < reader->hosts.count; i++)
        if (slice_equal(reader->hosts.items[i]->hostname, host->hostname))
            schema_error(place, host->object->spec, "hostname", "already taken by %s",
                         reader->hosts.items[i]->object->path);
}

static void read_host(struct emissary_reader *reader, const struct kube_object *object)
{
    struct host_record read;
    struct config_place place = kube_place(reader->kube, object, "spec");
    struct schema schema = emissary_host_schema;
    schema.others = emissary_others(reader->kube, object, refused, others);
    emissary_refuse(refused, object->spec, &place);
    struct emissary_host *host = kube_take(reader->kube, sizeof(*host));
    if (!host || !schema.others || !schema_read(&schema, object->spec, &place, &read))
        return;
    const char *reason = emissary_check_hostname(read.hostname);
    if (reason)
        schema_error(&place, object->spec, "hostname", "%s", reason);
    if (emissary_is_given(object->spec, "acmeProvider") &&
        !slice_equal_nocase(read.acme.authority, SLICE("none")))
        schema_error(&place, object->spec, "acmeProvider", "not supported yet, unless its authority is none");
    bool old = !emissary_is_given(object->spec, "mappingSelector");
    *host = (struct emissary_host){ .object = object,
                                    .hostname = kube_lower(reader->kube, read.hostname),
                                    .selector = old ? read.old_selector.labels : read.selector.labels,
                                    .insecure = read.policy.insecure.action };
    host->has_selector = !old || emissary_is_given(object->spec, "selector");
    check_twice(reader, host, &place);
    add_host(reader, host);
}

/* --- Listeners -------------------------------------------------------------------------------------- */

static bool takes(const struct emissary_listener *listener, const struct emissary_host *host)
{
    enum { SELF };
    if (host->object == NULL)
        return true;
    if (listener->from == SELF && !slice_equal(listener->object->namespace, host->object->namespace))
        return false;
    return kube_selects(&listener->labels, &host->object->labels);
}

static bool add_port(struct emissary_reader *reader, struct emissary_ports *ports, int64_t port)
{
    if (ports->values == NULL)
        ports->values = kube_take(reader->kube, (reader->listeners.count + 1u) * sizeof(*ports->values));
    if (ports->values == NULL)
        return false;
    ports->values[ports->count++] = (struct match_value){ .test = MATCH_EQUAL, .number = port };
    return true;
}

/* Which requests a Listener's security model takes for secure, and what the Host does with the others. */
static void grant(struct emissary_reader *reader, struct emissary_access *access, int security, int insecure,
                  int64_t port)
{
    bool enough = add_port(reader, &access->all, port);
    if (security == EMISSARY_SECURE || insecure == EMISSARY_ROUTE) {
        (void)(enough && add_port(reader, &access->route, port));
        return;
    }
    if (enough && security == EMISSARY_XFP)
        enough = add_port(reader, &access->route_tls, port);
    if (enough && insecure == EMISSARY_REDIRECT)
        (void)add_port(reader, &access->redirect, port);
}

static void bind(struct emissary_reader *reader, struct emissary_host *host)
{
    if (reader->listeners.count == 0) {
        host->access.any_port = host->open_access.any_port = true;
        grant(reader, &host->access, EMISSARY_XFP, host->insecure, 0);
        grant(reader, &host->open_access, EMISSARY_XFP, EMISSARY_ROUTE, 0);
        return;
    }
    for (uint32_t i = 0; i < reader->listeners.count; i++) {
        struct emissary_listener *listener = reader->listeners.items[i];
        if (!takes(listener, host))
            continue;
        listener->used = true;
        grant(reader, &host->access, listener->security, host->insecure, listener->port);
        grant(reader, &host->open_access, listener->security, EMISSARY_ROUTE, listener->port);
    }
    if (host->access.all.count == 0)
        kube_complain(reader->kube, host->object, REPORT_WARNING, "no Listener takes this Host");
}

/* 0: a whole name, then by the longer text: *.x, x.*, and at last any. */
static int rank(struct slice name)
{
    if (slice_equal(name, SLICE("*")))
        return 3;
    if (name.data[0] == '*')
        return 1;
    return name.data[name.size - 1] == '*' ? 2 : 0;
}

static int compare(const void *left, const void *right)
{
    const struct emissary_host *a = *(struct emissary_host *const *)left;
    const struct emissary_host *b = *(struct emissary_host *const *)right;
    int order = rank(a->hostname) - rank(b->hostname);
    if (order == 0 && a->hostname.size != b->hostname.size)
        order = a->hostname.size > b->hostname.size ? -1 : 1;
    return order ? order : slice_compare(a->hostname, b->hostname);
}

static void assume_host(struct emissary_reader *reader)
{
    struct emissary_host *host = kube_take(reader->kube, sizeof(*host));
    if (host == NULL)
        return;
    *host = (struct emissary_host){ .hostname = SLICE("*"), .insecure = EMISSARY_ROUTE };
    add_host(reader, host);
}

void emissary_read_hosts(struct emissary_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    bool any = false;
    for (uint32_t i = 0; i < kube->object_count && !kube->out_of_memory; i++) {
        if (!kube_is(kube->objects[i], KUBE_EMISSARY, "Host") || !emissary_is_ours(reader, kube->objects[i]))
            continue;
        any = true;
        read_host(reader, kube->objects[i]);
    }
    if (!any)
        assume_host(reader);
    for (uint32_t i = 0; i < reader->hosts.count && !kube->out_of_memory; i++)
        bind(reader, reader->hosts.items[i]);
    if (reader->hosts.count)
        qsort(reader->hosts.items, reader->hosts.count, sizeof(*reader->hosts.items), compare);
    for (uint32_t i = 0; i < reader->listeners.count; i++) {
        const struct emissary_listener *listener = reader->listeners.items[i];
        if (listener->used)
            (void)kube_add_port(kube, listener->object, (uint16_t)listener->port);
        else if (reader->hosts.count)
            kube_complain(kube, listener->object, REPORT_WARNING, "takes no Host: its port stays closed");
    }
}
