/* SPDX-License-Identifier: Apache-2.0 */
#include "config/emissary/parts.h"

struct module_record {
    int64_t timeout_ms;
    struct slice resolver;
};

static const struct field module_fields[] = {
    { "cluster_request_timeout_ms", FIELD_INTEGER, offsetof(struct module_record, timeout_ms), .max = 1e12,
      .fallback = "3000", .help = "0: none" },
    { "resolver", FIELD_STRING, offsetof(struct module_record, resolver), .fallback = "kubernetes-service" },
};

static const struct emissary_refused refused[] = {
    { "add_linkerd_headers", "false" },
    { "admin_port", NULL },
    { "diag_port", NULL },
    { "allow_chunked_length", "false" },
    { "buffer", "*" },
    { "buffer_limit_bytes", "*" },
    { "keepalive", "*" },
    { "cors", "*" },
    { "cluster_idle_timeout_ms", "*" },
    { "cluster_max_connection_lifetime_ms", "*" },
    { "default_label_domain", NULL },
    { "default_labels", "*" },
    { "diagnostics", NULL },
    { "liveness_probe", NULL },
    { "readiness_probe", NULL },
    { "enable_grpc_web", "*" },
    { "enable_grpc_http11_bridge", "*" },
    { "enable_http10", "false" },
    { "enable_ipv4", "true" },
    { "enable_ipv6", "false" },
    { "envoy_log_type", "*" },
    { "envoy_log_path", "*" },
    { "envoy_log_format", "*" },
    { "error_response_overrides", "*" },
    { "forward_client_cert_details", "SANITIZE" },
    { "set_current_client_cert_details", "*" },
    { "grpc_stats", "*" },
    { "gzip", "*" },
    { "headers_with_underscores_action", "ALLOW" },
    { "ip_allow", "*" },
    { "ip_deny", "*" },
    { "listener_idle_timeout_ms", "*" },
    { "lua_scripts", "*" },
    { "max_request_headers_kb", "*" },
    { "merge_slashes", "true" },
    { "reject_requests_with_escaped_slashes", "false" },
    { "strip_matching_host_port", "false" },
    { "preserve_external_request_id", "false" },
    { "proper_case", "false" },
    { "suppress_envoy_headers", "false" },
    { "header_case_overrides", "*" },
    { "regex_max_size", NULL },
    { "runtime_flags", "*" },
    { "server_name", "envoy" },
    { "use_ambassador_namespace_for_service_resolution", "false" },
    { "use_remote_address", "true" },
    { "xff_num_trusted_hops", "0" },
    { "use_proxy_proto", NULL },
    { "x_forwarded_proto_redirect", NULL },
    { "service_port", NULL },
    { "regex_type", NULL },
    { "prune_unreachable_routes", NULL },
    { "envoy_validation_timeout", NULL },
    { NULL, NULL },
};

static const char *const read_elsewhere[] = {
    "circuit_breakers", "defaults", "load_balancer", "retry_policy", NULL,
};

const struct schema emissary_module_schema = {
    .name = "Module",
    .fields = module_fields,
    .field_count = COUNT_OF(module_fields),
    .struct_size = sizeof(struct module_record),
    .others = read_elsewhere,
};

static const char *const default_names[] = {
    "add_request_headers",
    "add_response_headers",
    "httpmapping",
    NULL,
};
static const struct emissary_refused refused_defaults[] = {
    { "remove_request_headers", "*" },
    { "remove_response_headers", "*" },
    { "stats_name", NULL },
    { "tls_secret_namespacing", NULL },
    { NULL, NULL },
};

/* defaults.httpmapping, then defaults itself. */
static void read_defaults(struct emissary_reader *reader, const struct node *config,
                          const struct config_place *place)
{
    struct emissary_module *module = &reader->module;
    const struct node *outer = node_find(config, "defaults");
    const struct node *inner = node_find(outer, "httpmapping");
    struct config_place outer_place = schema_place(place, "defaults");
    struct config_place inner_place = schema_place(&outer_place, "httpmapping");
    char nothing;
    struct schema schema = { .name = "defaults", .struct_size = 0 };
    schema.others = emissary_others(reader->kube, NULL, refused_defaults, default_names);
    if (outer == NULL || schema.others == NULL)
        return;
    schema_read(&schema, outer, &outer_place, &nothing);
    emissary_refuse(refused_defaults, outer, &outer_place);
    if (inner) {
        schema_read(&schema, inner, &inner_place, &nothing);
        emissary_refuse(refused_defaults, inner, &inner_place);
    }
    if (!inner ||
        !emissary_read_headers(reader, inner, "add_request_headers", &inner_place, &module->request))
        emissary_read_headers(reader, outer, "add_request_headers", &outer_place, &module->request);
    if (!inner ||
        !emissary_read_headers(reader, inner, "add_response_headers", &inner_place, &module->response))
        emissary_read_headers(reader, outer, "add_response_headers", &outer_place, &module->response);
}

static void read_config(struct emissary_reader *reader, const struct kube_object *object)
{
    struct emissary_module *module = &reader->module;
    struct config_place spec = kube_place(reader->kube, object, "spec");
    struct config_place place = schema_place(&spec, "config");
    const struct node *config = node_find(object->spec, "config");
    struct module_record read;
    struct schema schema = emissary_module_schema;
    schema.others = emissary_others(reader->kube, NULL, refused, read_elsewhere);
    if (schema.others == NULL || !schema_read(&schema, config, &place, &read))
        return;
    module->timeout_ms = read.timeout_ms;
    module->resolver = read.resolver;
    emissary_refuse(refused, config, &place);
    emissary_read_retry(reader, config, &place, &module->retry);
    emissary_read_balance(reader, config, &place, &module->balance);
    emissary_read_circuit(reader, config, &place, &module->circuit);
    read_defaults(reader, config, &place);
}

void emissary_read_module(struct emissary_reader *reader)
{
    struct kube_reader *kube = reader->kube;
    reader->module = (struct emissary_module){ .timeout_ms = 3000,
                                               .resolver = SLICE("kubernetes-service"),
                                               .retry = { .retry_on = -1 } };
    for (uint32_t i = 0; i < kube->object_count; i++) {
        const struct kube_object *object = kube->objects[i];
        if (!kube_is(object, KUBE_EMISSARY, "Module") || !emissary_is_ours(reader, object))
            continue;
        if (!slice_equal(object->name, SLICE("ambassador"))) {
            kube_complain(kube, object, REPORT_ERROR, "only the Module 'ambassador' is supported yet");
        } else if (reader->module.object) {
            kube_complain(kube, object, REPORT_ERROR, "there is a second Module 'ambassador'");
        } else {
            reader->module.object = object;
            read_config(reader, object);
        }
    }
}
