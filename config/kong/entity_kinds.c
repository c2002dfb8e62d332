/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/entity_kinds.h"

#include "config/kong/reader.h"

static const char *const services_fields[] = { "id",
                                               "created_at",
                                               "updated_at",
                                               "name",
                                               "retries",
                                               "protocol",
                                               "host",
                                               "port",
                                               "path",
                                               "connect_timeout",
                                               "write_timeout",
                                               "read_timeout",
                                               "tags",
                                               "client_certificate",
                                               "tls_verify",
                                               "tls_verify_depth",
                                               "ca_certificates",
                                               "enabled",
                                               NULL };
static const char *const routes_fields[] = { "id",
                                             "created_at",
                                             "updated_at",
                                             "name",
                                             "protocols",
                                             "methods",
                                             "hosts",
                                             "paths",
                                             "headers",
                                             "https_redirect_status_code",
                                             "regex_priority",
                                             "strip_path",
                                             "path_handling",
                                             "preserve_host",
                                             "request_buffering",
                                             "response_buffering",
                                             "tags",
                                             "service",
                                             "snis",
                                             "sources",
                                             "destinations",
                                             NULL };
static const char *const consumers_fields[] = { "id",        "created_at", "updated_at", "username",
                                                "custom_id", "tags",       NULL };
static const char *const plugins_fields[] = { "id",        "name",    "created_at", "updated_at",
                                              "route",     "service", "consumer",   "config",
                                              "protocols", "enabled", "tags",       "instance_name",
                                              NULL };
static const char *const upstreams_fields[] = { "id",
                                                "created_at",
                                                "updated_at",
                                                "name",
                                                "algorithm",
                                                "hash_on",
                                                "hash_fallback",
                                                "hash_on_header",
                                                "hash_fallback_header",
                                                "hash_on_cookie",
                                                "hash_on_cookie_path",
                                                "hash_on_query_arg",
                                                "hash_fallback_query_arg",
                                                "hash_on_uri_capture",
                                                "hash_fallback_uri_capture",
                                                "slots",
                                                "healthchecks",
                                                "tags",
                                                "host_header",
                                                "client_certificate",
                                                "use_srv_name",
                                                NULL };
static const char *const targets_fields[] = { "id",     "created_at", "updated_at", "upstream",
                                              "target", "weight",     "tags",       NULL };
static const char *const certificates_fields[] = { "id",       "created_at", "updated_at", "cert", "key",
                                                   "cert_alt", "key_alt",    "tags",       NULL };
static const char *const snis_fields[] = { "id",   "name",        "created_at", "updated_at",
                                           "tags", "certificate", NULL };
static const char *const ca_certificates_fields[] = { "id",          "created_at", "updated_at", "cert",
                                                      "cert_digest", "tags",       NULL };
static const char *const vaults_fields[] = { "id",          "created_at", "updated_at", "prefix", "name",
                                             "description", "config",     "tags",       NULL };
static const char *const keys_fields[] = { "id",  "set",  "name",       "kid",        "jwk",
                                           "pem", "tags", "created_at", "updated_at", NULL };
static const char *const key_sets_fields[] = { "id", "name", "tags", "created_at", "updated_at", NULL };
static const char *const consumer_groups_fields[] = {
    "id", "name", "tags", "created_at", "updated_at", NULL
};

static const struct kong_entity_kind kinds[] = {
    { "acls", NULL, NULL, "acls", NULL, NULL },
    { "basicauth_credentials", "username", NULL, "basic-auths", NULL, NULL },
    { "ca_certificates", NULL, NULL, "ca_certificates", ca_certificates_fields, &kong_ca_certificate_schema },
    { "certificates", NULL, "certificate", "certificates", certificates_fields, &kong_certificate_schema },
    { "consumer_group_consumers", NULL, NULL, NULL, NULL, NULL },
    { "consumer_group_plugins", NULL, NULL, NULL, NULL, NULL },
    { "consumer_groups", "name", "consumer_group", "consumer_groups", consumer_groups_fields,
      &kong_consumer_group_schema },
    { "consumers", "username", "consumer", "consumers", consumers_fields, &kong_consumer_schema },
    { "filter_chains", "name", NULL, "filter-chains", NULL, NULL },
    { "hmacauth_credentials", "username", NULL, "hmac-auths", NULL, NULL },
    { "jwt_secrets", "key", NULL, "jwts", NULL, NULL },
    { "key_sets", "name", "set", "key-sets", key_sets_fields, &kong_key_set_schema },
    { "keyauth_credentials", "key", NULL, "key-auths", NULL, NULL },
    { "keys", "name", NULL, "keys", keys_fields, &kong_key_schema },
    { "oauth2_authorization_codes", NULL, NULL, NULL, NULL, NULL },
    { "oauth2_credentials", "client_id", "credential", "oauth2", NULL, NULL },
    { "oauth2_tokens", NULL, NULL, NULL, NULL, NULL },
    { "plugins", "instance_name", NULL, "plugins", plugins_fields, &kong_plugin_schema },
    { "routes", "name", "route", "routes", routes_fields, &kong_route_schema },
    { "services", "name", "service", "services", services_fields, &kong_service_schema },
    { "snis", "name", NULL, "snis", snis_fields, &kong_sni_schema },
    { "targets", NULL, NULL, "targets", targets_fields, &kong_target_schema },
    { "upstreams", "name", "upstream", "upstreams", upstreams_fields, &kong_upstream_schema },
    { "vaults", "prefix", NULL, "vaults", vaults_fields, &kong_vault_schema },
    { "workspaces", "name", NULL, NULL, NULL, NULL },
};

static const struct kong_relation relations[] = {
    { "routes", "service", "services", "routes", KONG_RESTRICT, false, true },
    { "plugins", "service", "services", "plugins", KONG_CASCADE, false, true },
    { "plugins", "route", "routes", "plugins", KONG_CASCADE, false, true },
    { "plugins", "consumer", "consumers", "plugins", KONG_CASCADE, false, true },
    { "plugins", "consumer_group", "consumer_groups", "plugins", KONG_CASCADE, false, true },
    { "targets", "upstream", "upstreams", "targets", KONG_CASCADE, true, false },
    { "snis", "certificate", "certificates", "snis", KONG_RESTRICT, true, false },
    { "services", "client_certificate", "certificates", "services", KONG_RESTRICT, false, true },
    { "upstreams", "client_certificate", "certificates", "upstreams", KONG_RESTRICT, false, true },
    { "keys", "set", "key_sets", "keys", KONG_CASCADE, false, true },
    { "filter_chains", "service", "services", "filter-chains", KONG_CASCADE, false, true },
    { "filter_chains", "route", "routes", "filter-chains", KONG_CASCADE, false, true },
    { "keyauth_credentials", "consumer", "consumers", "key-auth", KONG_CASCADE, true, true },
    { "basicauth_credentials", "consumer", "consumers", "basic-auth", KONG_CASCADE, true, true },
    { "hmacauth_credentials", "consumer", "consumers", "hmac-auth", KONG_CASCADE, true, true },
    { "jwt_secrets", "consumer", "consumers", "jwt", KONG_CASCADE, true, true },
    { "acls", "consumer", "consumers", "acls", KONG_CASCADE, true, true },
    { "oauth2_credentials", "consumer", "consumers", "oauth2", KONG_CASCADE, true, true },
};

static const struct kong_uniqueness uniquenesses[] = {
    { "consumers", { "custom_id" } },
    { "plugins", { "name", "route", "service", "consumer" } },
    { "targets", { "upstream", "target" } },
    { "ca_certificates", { "cert_digest" } },
    { "keys", { "kid", "set" } },
    { "acls", { "consumer", "group" } },
};

const struct kong_entity_kind *kong_find_entity_kind(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (slice_equal(name, slice_of(kinds[i].name)))
            return &kinds[i];
    return NULL;
}

const struct kong_entity_kind *kong_find_kind_of_path(struct slice path)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].path && slice_equal(path, slice_of(kinds[i].path)))
            return &kinds[i];
    return NULL;
}

const struct kong_entity_kind *kong_entity_kind_at(size_t index)
{
    return index < COUNT_OF(kinds) ? &kinds[index] : NULL;
}

const struct kong_entity_kind *kong_find_foreign_kind(struct slice field)
{
    if (slice_equal(field, SLICE("client_certificate")))
        return kong_find_entity_kind(SLICE("certificates"));
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].as_parent && slice_equal(field, slice_of(kinds[i].as_parent)))
            return &kinds[i];
    return NULL;
}

const struct kong_relation *kong_relation_at(size_t index)
{
    return index < COUNT_OF(relations) ? &relations[index] : NULL;
}

const struct kong_relation *kong_find_relation(struct slice kind, struct slice field)
{
    for (size_t i = 0; i < COUNT_OF(relations); i++)
        if (slice_equal(kind, slice_of(relations[i].kind)) &&
            slice_equal(field, slice_of(relations[i].field)))
            return &relations[i];
    return NULL;
}

const struct kong_uniqueness *kong_uniqueness_at(size_t index)
{
    return index < COUNT_OF(uniquenesses) ? &uniquenesses[index] : NULL;
}
