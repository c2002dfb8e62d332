/* SPDX-License-Identifier: Apache-2.0 */
#include "config/bundled.h"

/* Kong's own, whether they are built in here or not: to list one of them is no mistake. */
static const char *const kongs_plugins[] = {
    "acl",
    "acme",
    "ai-prompt-decorator",
    "ai-prompt-guard",
    "ai-prompt-template",
    "ai-proxy",
    "ai-request-transformer",
    "ai-response-transformer",
    "aws-lambda",
    "azure-functions",
    "basic-auth",
    "bot-detection",
    "correlation-id",
    "cors",
    "datadog",
    "file-log",
    "grpc-gateway",
    "grpc-web",
    "header-cert-auth",
    "hmac-auth",
    "http-log",
    "ip-restriction",
    "jwt",
    "key-auth",
    "ldap-auth",
    "loggly",
    "oauth2",
    "opentelemetry",
    "post-function",
    "pre-function",
    "prometheus",
    "proxy-cache",
    "rate-limiting",
    "redirect",
    "request-size-limiting",
    "request-termination",
    "request-transformer",
    "response-ratelimiting",
    "response-transformer",
    "session",
    "standard-webhooks",
    "statsd",
    "syslog",
    "tcp-log",
    "udp-log",
    "zipkin",
};

static bool names(const struct slices *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (slice_equal(list->items[i], slice_of(name)))
            return true;
    return false;
}

static bool is_plugin(const struct plugin_kind *const *all, struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(kongs_plugins); i++)
        if (slice_equal(name, slice_of(kongs_plugins[i])))
            return true;
    for (; *all; all++)
        if (slice_equal(name, slice_of((*all)->name)))
            return true;
    return slice_equal(name, SLICE("bundled")) || slice_equal(name, SLICE("off"));
}

const struct plugin_kind *const *bundled_plugins(const struct plugin_kind *const *all,
                                                 const struct slices *chosen, struct arena *arena,
                                                 struct report *report)
{
    size_t count = 0, kept = 0;
    for (uint32_t i = 0; i < chosen->count; i++)
        if (!is_plugin(all, chosen->items[i]))
            report_add(report, REPORT_ERROR, NULL, "plugins", "'%.*s' plugin is enabled but not installed",
                       SLICE_FORMAT(chosen->items[i]));
    while (all[count])
        count++;
    const struct plugin_kind **out = arena_array(arena, count + 1, sizeof(struct plugin_kind *));
    for (size_t i = 0; out && i < count; i++)
        if (names(chosen, "bundled") || names(chosen, all[i]->name))
            out[kept++] = all[i];
    if (out != NULL)
        out[kept] = NULL;
    return out;
}

void bundled_vaults(const struct settings *settings, struct vaults *vaults)
{
    vaults->env_prefix = settings->vault_env_prefix;
    vaults->file_path = settings->vault_file_path;
    for (int kind = 0; vault_kind_names[kind]; kind++)
        if (!names(&settings->vaults, "bundled") && !names(&settings->vaults, vault_kind_names[kind]))
            vaults->disabled |= 1u << kind;
}
