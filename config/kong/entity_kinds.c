/* SPDX-License-Identifier: Apache-2.0 */
#include "config/kong/entity_kinds.h"

#include "core/base/check.h"

static const struct kong_entity_kind kinds[] = {
    { "acls", NULL, NULL },
    { "basicauth_credentials", "username", NULL },
    { "ca_certificates", NULL, NULL },
    { "certificates", NULL, "certificate" },
    { "consumer_group_consumers", NULL, NULL },
    { "consumer_group_plugins", NULL, NULL },
    { "consumer_groups", "name", "consumer_group" },
    { "consumers", "username", "consumer" },
    { "filter_chains", "name", NULL },
    { "hmacauth_credentials", "username", NULL },
    { "jwt_secrets", "key", NULL },
    { "key_sets", "name", "set" },
    { "keyauth_credentials", "key", NULL },
    { "keys", "name", NULL },
    { "oauth2_authorization_codes", NULL, NULL },
    { "oauth2_credentials", "client_id", "credential" },
    { "oauth2_tokens", NULL, NULL },
    { "plugins", "instance_name", NULL },
    { "routes", "name", "route" },
    { "services", "name", "service" },
    { "snis", "name", NULL },
    { "targets", NULL, NULL },
    { "upstreams", "name", "upstream" },
    { "vaults", "prefix", NULL },
    { "workspaces", "name", NULL },
};

const struct kong_entity_kind *kong_find_entity_kind(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (slice_equal(name, slice_of(kinds[i].name)))
            return &kinds[i];
    return NULL;
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
