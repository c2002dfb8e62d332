/* SPDX-License-Identifier: Apache-2.0 */
/* Which hosts and prefixes lead to which stage: custom domains, ids of APIs under execute-api, and any
 * host for the API that is meant when the host names none. */
#include "config/aws/compile.h"

#include <stdlib.h>

static bool add(struct aws_reader *reader, struct aws_list *scopes, const struct aws_scope *scope)
{
    struct aws_scope *copy = aws_take(reader, &reader->scratch, sizeof(*copy));
    if (copy == NULL)
        return false;
    *copy = *scope;
    return aws_add(reader, scopes, copy);
}

static struct slice prefix_of(struct aws_reader *reader, struct slice name)
{
    return name.size ? aws_text(reader, "/%.*s", SLICE_FORMAT(name)) : SLICE("");
}

/* Each stage under its name, $default under none; without one everything else is not found. */
static bool add_stages(struct aws_reader *reader, struct aws_list *scopes, const struct aws_scope *shared)
{
    const struct aws_api *api = shared->api;
    struct aws_scope scope = *shared;
    bool has_default = false, good = true;
    for (uint32_t i = 0; good && i < api->stages.count; i++) {
        scope.stage = api->stages.items[i];
        bool is_default = slice_equal(scope.stage->name, SLICE("$default"));
        has_default |= is_default;
        scope.prefix = is_default ? SLICE("") : prefix_of(reader, scope.stage->name);
        good = add(reader, scopes, &scope);
    }
    scope.stage = NULL;
    scope.prefix = SLICE("");
    return good && (has_default || shared->host.data == NULL || add(reader, scopes, &scope));
}

static struct aws_scope scope_of_domain(const struct aws_domain *domain)
{
    struct aws_scope scope = { .host = domain->name, .object = &domain->object, .prefix = SLICE("") };
    if (slice_starts_with(domain->name, SLICE("*."))) {
        scope.host = slice_from(domain->name, 1);
        scope.wildcard = MATCH_HOST_ENDS;
    }
    return scope;
}

static void check_mapping_twice(struct aws_reader *reader, uint32_t number)
{
    const struct aws_mapping *mapping = reader->mappings.items[number];
    for (uint32_t i = 0; i < number; i++) {
        const struct aws_mapping *known = reader->mappings.items[i];
        if (known->domain == mapping->domain && slice_equal(known->key, mapping->key))
            aws_refuse(reader, &mapping->object, "api_mapping_key",
                       "ApiMapping key already exists for this domain name: %s", known->object.address);
    }
}

static bool add_domain(struct aws_reader *reader, struct aws_list *scopes, const struct aws_domain *domain)
{
    struct aws_scope scope = scope_of_domain(domain);
    bool has_rest = false, good = true;
    for (uint32_t i = 0; good && i < reader->mappings.count; i++) {
        const struct aws_mapping *mapping = reader->mappings.items[i];
        if (mapping->domain != domain)
            continue;
        check_mapping_twice(reader, i);
        scope.api = mapping->api;
        scope.stage = mapping->stage;
        scope.prefix = prefix_of(reader, mapping->key);
        has_rest |= scope.prefix.size == 0;
        good = add(reader, scopes, &scope);
    }
    scope.stage = NULL;
    scope.prefix = SLICE("");
    return good && (has_rest || add(reader, scopes, &scope));
}

static bool is_called(const struct aws_api *api, struct slice name)
{
    return slice_equal_nocase(api->object.id, name) || slice_equal(api->name, name) ||
           slice_equal(slice_of(api->object.address), name);
}

/* NULL: none. */
static struct aws_api *default_api(struct aws_reader *reader)
{
    struct slice wanted = reader->reading->settings->aws_default_api;
    for (uint32_t i = 0; wanted.data && i < reader->apis.count; i++)
        if (is_called(reader->apis.items[i], wanted))
            return reader->apis.items[i];
    if (wanted.data)
        report_add(reader->report, REPORT_ERROR, NULL, "aws_default_api",
                   "'%.*s' is neither the id nor the name of an API", SLICE_FORMAT(wanted));
    return reader->apis.count == 1 && wanted.data == NULL ? reader->apis.items[0] : NULL;
}

static bool add_apis(struct aws_reader *reader, struct aws_list *scopes)
{
    struct aws_api *other = default_api(reader);
    bool good = true;
    for (uint32_t i = 0; good && i < reader->apis.count; i++) {
        struct aws_api *api = reader->apis.items[i];
        struct aws_scope scope = { .api = api, .object = &api->object, .wildcard = MATCH_HOST_STARTS };
        if (api->disabled)
            continue;
        scope.host = aws_text(reader, "%.*s.execute-api.", SLICE_FORMAT(api->object.id));
        good = add_stages(reader, scopes, &scope);
        scope.host = (struct slice){ NULL, 0 };
        if (good && api == other)
            good = add_stages(reader, scopes, &scope);
    }
    return good;
}

static int rank(const struct aws_scope *scope)
{
    if (scope->host.data == NULL)
        return 2;
    return scope->wildcard == MATCH_HOST_ENDS ? 1 : 0;
}

/* Exact hosts before wildcards, longer ones first; longer prefixes before those they begin with. */
static int compare(const void *left, const void *right)
{
    const struct aws_scope *a = *(struct aws_scope *const *)left, *b = *(struct aws_scope *const *)right;
    if (rank(a) != rank(b))
        return rank(a) < rank(b) ? -1 : 1;
    if (a->host.size != b->host.size)
        return a->host.size > b->host.size ? -1 : 1;
    int order = a->host.data ? slice_compare(a->host, b->host) : 0;
    if (order == 0 && a->prefix.size != b->prefix.size)
        order = a->prefix.size > b->prefix.size ? -1 : 1;
    return order ? order : slice_compare(a->prefix, b->prefix);
}

bool aws_scopes(struct aws_reader *reader, struct aws_list *scopes)
{
    bool good = true;
    for (uint32_t i = 0; good && i < reader->domains.count; i++)
        good = add_domain(reader, scopes, reader->domains.items[i]);
    good = good && add_apis(reader, scopes);
    if (good && scopes->count)
        qsort(scopes->items, scopes->count, sizeof(*scopes->items), compare);
    return good;
}
