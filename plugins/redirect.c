/* SPDX-License-Identifier: Apache-2.0 */
/* Kong's redirect: sends clients elsewhere, to one place or to the same path of another site. */
#include "core/base/path.h"
#include "core/base/url.h"
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

struct redirect_config {
    int64_t status_code;
    struct slice location;
    bool keep_incoming_path;
    struct slice site, fragment; /* prepared: the location before its path, and from its # on */
};

/* It goes into a head. */
static const char *check_location(struct slice text)
{
    struct url url;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return "may hold printable ASCII characters only";
    if (!url_split(text, &url))
        return "missing host in url";
    return url.scheme.size > 0 ? NULL : "missing scheme in url";
}

#define OFFSET(member) offsetof(struct redirect_config, member)

static const struct field fields[] = {
    { "status_code", FIELD_INTEGER, OFFSET(status_code), .min = 100, .max = 599, .fallback = "301",
      .help = "status of the answer, 200 at least" },
    { "location", FIELD_STRING, OFFSET(location), .flags = FIELD_REQUIRED, .check = check_location,
      .help = "where to: a URL" },
    { "keep_incoming_path", FIELD_BOOLEAN, OFFSET(keep_incoming_path), .fallback = "false",
      .help = "take the path and the query from the request, not from the location" },
};

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct redirect_config *config = value;
    struct url url;
    if (config->status_code >= 100 && config->status_code < 200)
        schema_error(place, node, "status_code", "a status below 200 does not end a request");
    if (config->location.data == NULL || !url_split(config->location, &url))
        return; /* that was reported */
    const char *end = url.port.data ? url.port.data + url.port.size : url.host.data + url.host.size;
    config->site = (struct slice){ config->location.data, (size_t)(end - config->location.data) };
    config->fragment = SLICE("");
    if (url.fragment.data)
        config->fragment = (struct slice){ url.fragment.data - 1, url.fragment.size + 1 };
}

/* Absent when memory is exhausted. */
static struct slice same_path(const struct redirect_config *config, struct exchange *exchange)
{
    struct slice path, query = exchange_query(exchange);
    if (path_escape(exchange_arena(exchange), exchange_path(exchange), &path) != ERROR_OK)
        return (struct slice){ NULL, 0 };
    return arena_format(exchange_arena(exchange), "%.*s%.*s%s%.*s%.*s", SLICE_FORMAT(config->site),
                        SLICE_FORMAT(path), query.size > 0 ? "?" : "", SLICE_FORMAT(query),
                        SLICE_FORMAT(config->fragment));
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct redirect_config *config = call->config;
    struct exchange *exchange = call->exchange;
    struct slice none = { NULL, 0 }, location = config->location;
    if (config->keep_incoming_path)
        location = same_path(config, exchange);
    if (location.data == NULL || !exchange_set_response_header(exchange, SLICE("Location"), location))
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, (int)config->status_code, none, SLICE("redirecting"));
}

const struct plugin redirect_plugin = {
    .kind = { .name = "redirect",
              .priority = 779,
              .config = { .name = "redirect",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct redirect_config),
                          .check = check } },
    .on = { [PHASE_ACCESS] = on_access },
};
