/* SPDX-License-Identifier: Apache-2.0 */
#include "plugins/proxy_cache.h"

static const char *const strategies[] = { "memory", NULL };
static const char *const methods[] = { "HEAD", "GET", "POST", "PATCH", "PUT", NULL };

static const char *check_name(struct slice name)
{
    return name.size > 0 ? NULL : "length must be at least 1";
}

#define OFFSET(member) offsetof(struct proxy_cache_config, member)

static const struct field show_fields[] = {
    { "age", FIELD_BOOLEAN, OFFSET(show.age) - OFFSET(show), .fallback = "true",
      .help = "Age on what comes from the cache" },
    { "X-Cache-Status", FIELD_BOOLEAN, OFFSET(show.status) - OFFSET(show), .fallback = "true",
      .help = "what the cache did" },
    { "X-Cache-Key", FIELD_BOOLEAN, OFFSET(show.key) - OFFSET(show), .fallback = "true",
      .help = "what it is stored under" },
};

static const struct schema show_schema = { .name = "response_headers",
                                           .fields = show_fields,
                                           .field_count = COUNT_OF(show_fields),
                                           .struct_size = sizeof(((struct proxy_cache_config *)0)->show) };

static const struct field memory_fields[] = {
    { "dictionary_name", FIELD_STRING, 0, FIELD_REQUIRED, .fallback = "kong_db_cache",
      .help = "without effect: there is one store, see the setting mem_cache_size" },
};

static const struct schema memory_schema = { .name = "memory",
                                             .fields = memory_fields,
                                             .field_count = COUNT_OF(memory_fields),
                                             .struct_size = sizeof(struct slice) };

const struct field proxy_cache_fields[] = {
    { "response_code", FIELD_INTEGERS, OFFSET(response_code), .min = 100, .max = 900,
      .fallback = "200,301,404", .help = "statuses that are stored" },
    { "request_method", FIELD_CHOICES, OFFSET(request_method), .choices = methods, .fallback = "GET,HEAD",
      .help = "methods that are answered from the cache" },
    { "content_type", FIELD_STRINGS, OFFSET(content_type), .fallback = "text/plain,application/json",
      .help = "media types that are stored, parameters included; * stands for any type or subtype" },
    { "cache_ttl", FIELD_INTEGER, OFFSET(cache_ttl_s), FIELD_POSITIVE, .fallback = "300",
      .help = "seconds that a response is used, unless cache_control says it" },
    { "strategy", FIELD_CHOICE, OFFSET(strategy), FIELD_REQUIRED, .choices = strategies,
      .help = "where responses are kept" },
    { "cache_control", FIELD_BOOLEAN, OFFSET(cache_control), .fallback = "false",
      .help = "follow Cache-Control and all of RFC 9111" },
    { "ignore_uri_case", FIELD_BOOLEAN, OFFSET(ignore_uri_case), .fallback = "false",
      .help = "paths that differ in case are the same" },
    { "storage_ttl", FIELD_INTEGER, OFFSET(storage_ttl_s),
      .help = "seconds that a response is kept; default: as long as it may be used" },
    { "vary_query_params", FIELD_STRINGS, OFFSET(vary_query_params), .check = check_name,
      .help = "query parameters that tell responses apart; default: all" },
    { "vary_headers", FIELD_STRINGS, OFFSET(vary_headers), .check = check_name,
      .help = "request headers that tell responses apart" },
    { "response_headers", FIELD_RECORD, OFFSET(show), .record = &show_schema,
      .help = "which of the cache's own headers are sent" },
    { "memory", FIELD_RECORD, OFFSET(dictionary_name), .record = &memory_schema, .help = "of the strategy" },
};
_Static_assert(COUNT_OF(proxy_cache_fields) == PROXY_CACHE_FIELD_COUNT, "count the fields");

void proxy_cache_check(void *value, const struct node *node, const struct config_place *place)
{
    const struct proxy_cache_config *config = value;
    if (config->storage_ttl_s != INTEGER_NULL && config->storage_ttl_s < 0)
        schema_error(place, node, "storage_ttl", "must not be negative");
}

/* --- media types ---------------------------------------------------------------------------------------- */

/* Each parameter of one is in the other. */
static bool has_parameters(struct slice all, struct slice wanted)
{
    while (wanted.data) {
        struct slice rest, one = slice_trim(slice_split(wanted, ';', &rest));
        wanted = rest;
        if (one.size == 0)
            continue;
        bool found = false;
        for (struct slice left = all; !found && left.data; left = rest)
            found = slice_equal_nocase(slice_trim(slice_split(left, ';', &rest)), one);
        if (!found)
            return false;
    }
    return true;
}

static bool part_matches(struct slice wanted, struct slice part)
{
    return slice_equal(wanted, SLICE("*")) || slice_equal_nocase(wanted, part);
}

static bool one_type_matches(struct slice wanted, struct slice type)
{
    struct slice parameters, wanted_parameters, subtype, wanted_subtype;
    type = slice_trim(slice_split(type, ';', &parameters));
    wanted = slice_trim(slice_split(wanted, ';', &wanted_parameters));
    type = slice_split(type, '/', &subtype);
    wanted = slice_split(wanted, '/', &wanted_subtype);
    return subtype.size > 0 && part_matches(wanted, type) && part_matches(wanted_subtype, subtype) &&
           has_parameters(parameters, wanted_parameters) && has_parameters(wanted_parameters, parameters);
}

bool proxy_cache_type_matches(const struct proxy_cache_config *config, struct slice type)
{
    for (uint32_t i = 0; i < config->content_type.count; i++)
        if (one_type_matches(config->content_type.items[i], type))
            return true;
    return false;
}
