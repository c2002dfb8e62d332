/* SPDX-License-Identifier: Apache-2.0 */
/* CORS of AWS HTTP APIs: answers preflights without asking anybody, and says on every other answer which
 * origin may read it. */
#include "net/proxy/exchange.h"
#include "plugins/plugins.h"

struct cors_config {
    struct slices allow_origins, allow_methods, allow_headers, expose_headers;
    bool allow_credentials, answers_preflight;
    int64_t max_age; /* seconds; INTEGER_NULL, 0: not said */
    struct slice methods_text, headers_text, expose_text, max_age_text; /* prepared from the above */
    bool any_origin;
};

#define AT(member) offsetof(struct cors_config, member)

static const struct field fields[] = {
    { "allow_origins", FIELD_STRINGS, AT(allow_origins), .alias = "allowOrigins",
      .help = "origins as they are sent, *, http://* or https://*" },
    { "allow_methods", FIELD_STRINGS, AT(allow_methods), .alias = "allowMethods" },
    { "allow_headers", FIELD_STRINGS, AT(allow_headers), .alias = "allowHeaders" },
    { "expose_headers", FIELD_STRINGS, AT(expose_headers), .alias = "exposeHeaders" },
    { "allow_credentials", FIELD_BOOLEAN, AT(allow_credentials), .fallback = "false",
      .alias = "allowCredentials" },
    { "max_age", FIELD_INTEGER, AT(max_age), .min = -1, .max = 86400, .alias = "maxAge",
      .help = "seconds; 0: not said" },
    { "answers_preflight", FIELD_BOOLEAN, AT(answers_preflight), .fallback = "false",
      .help = "true: this route is for preflights, which end here" },
};

static bool holds_any(const struct slices *texts)
{
    for (uint32_t i = 0; i < texts->count; i++)
        if (slice_equal(texts->items[i], SLICE("*")))
            return true;
    return false;
}

static struct slice join(const struct slices *texts, struct arena *arena)
{
    struct slice text = SLICE("");
    for (uint32_t i = 0; i < texts->count && text.data; i++)
        text = arena_format(arena, "%.*s%s%.*s", SLICE_FORMAT(text), i ? "," : "",
                            SLICE_FORMAT(texts->items[i]));
    return text;
}

/* They go into headers as they are. */
static bool is_printable(const struct slices *texts)
{
    for (uint32_t i = 0; i < texts->count; i++)
        for (size_t j = 0; j < texts->items[i].size; j++)
            if (texts->items[i].data[j] <= ' ' || texts->items[i].data[j] > '~')
                return false;
    return true;
}

static void check(void *value, const struct node *node, const struct config_place *place)
{
    struct cors_config *config = value;
    const struct {
        const char *name;
        const struct slices *texts;
    } lists[] = {
        { "allow_origins", &config->allow_origins },
        { "allow_methods", &config->allow_methods },
        { "allow_headers", &config->allow_headers },
        { "expose_headers", &config->expose_headers },
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (!is_printable(lists[i].texts))
            schema_error(place, node, lists[i].name, "holds a character that no header may hold");
        if (config->allow_credentials && i != 3 && holds_any(lists[i].texts))
            schema_error(place, node, lists[i].name, "'*' is not allowed together with allow_credentials");
    }
    config->any_origin = holds_any(&config->allow_origins);
    config->methods_text = join(&config->allow_methods, place->arena);
    config->headers_text = join(&config->allow_headers, place->arena);
    config->expose_text = join(&config->expose_headers, place->arena);
    config->max_age_text = config->max_age == INTEGER_NULL || config->max_age == 0
                               ? SLICE("")
                               : arena_format(place->arena, "%lld", (long long)config->max_age);
    if (!config->methods_text.data || !config->headers_text.data || !config->expose_text.data ||
        !config->max_age_text.data)
        schema_error(place, node, "", "out of memory");
}

static bool is_scheme_of(struct slice entry, struct slice origin)
{
    static const struct slice http = { "http://*", 8 }, https = { "https://*", 9 };
    if (!slice_equal(entry, http) && !slice_equal(entry, https))
        return false;
    return origin.size >= entry.size &&
           slice_starts_with(origin, (struct slice){ entry.data, entry.size - 1 });
}

static bool is_allowed(const struct cors_config *config, struct slice origin)
{
    for (uint32_t i = 0; i < config->allow_origins.count; i++) {
        struct slice entry = config->allow_origins.items[i];
        if (slice_equal_nocase(entry, origin) || is_scheme_of(entry, origin))
            return true;
    }
    return config->any_origin;
}

/* An empty text is not said. */
static bool say(struct exchange *exchange, struct slice name, struct slice text)
{
    return text.size == 0 || exchange_set_response_header(exchange, name, text);
}

static bool say_always(struct exchange *exchange, const struct cors_config *config, struct slice origin)
{
    return say(exchange, SLICE("access-control-allow-origin"), config->any_origin ? SLICE("*") : origin) &&
           say(exchange, SLICE("access-control-allow-credentials"),
               config->allow_credentials ? SLICE("true") : SLICE("")) &&
           say(exchange, SLICE("access-control-expose-headers"), config->expose_text);
}

static bool say_to_preflight(struct exchange *exchange, const struct cors_config *config)
{
    return say(exchange, SLICE("access-control-allow-methods"), config->methods_text) &&
           say(exchange, SLICE("access-control-allow-headers"), config->headers_text) &&
           say(exchange, SLICE("access-control-max-age"), config->max_age_text) &&
           say(exchange, SLICE("vary"), config->any_origin ? SLICE("") : SLICE("Origin"));
}

static enum verdict on_access(const struct plugin_call *call)
{
    const struct cors_config *config = call->config;
    struct exchange *exchange = call->exchange;
    struct slice origin = message_find_name(exchange_request(exchange), SLICE("Origin"));
    bool allowed = origin.data && is_allowed(config, origin);
    if (allowed && !say_always(exchange, config, origin))
        return exchange_respond_failure(exchange);
    if (!config->answers_preflight)
        return VERDICT_CONTINUE;
    if (allowed && !say_to_preflight(exchange, config))
        return exchange_respond_failure(exchange);
    return exchange_respond_body(exchange, 204, (struct slice){ NULL, 0 }, SLICE(""));
}

const struct plugin aws_cors_plugin = {
    .kind = { .name = "aws-cors",
              .priority = 2005,
              .config = { .name = "aws-cors",
                          .fields = fields,
                          .field_count = COUNT_OF(fields),
                          .struct_size = sizeof(struct cors_config),
                          .check = check },
              .forbids_consumer = true },
    .on = { [PHASE_ACCESS] = on_access },
};
