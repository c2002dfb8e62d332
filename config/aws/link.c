/* SPDX-License-Identifier: Apache-2.0 */
/* Ids become pointers, and what goes without saying is added: the parts of a quick-created API, and the stage
 * $default of an API without any. */
#include "config/aws/resources.h"

static struct aws_object *find(const struct aws_list *list, struct slice id)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct aws_object *object = list->items[i];
        if (slice_equal(object->id, id))
            return object;
    }
    return NULL;
}

static struct aws_api *find_api(struct aws_reader *reader, const struct aws_object *of, struct slice id)
{
    struct aws_api *api = (struct aws_api *)(void *)find(&reader->apis, id);
    if (api == NULL && id.data)
        aws_refuse(reader, of, "api_id", "'%.*s' names no API of these files", SLICE_FORMAT(id));
    return api;
}

static struct aws_stage *find_stage(const struct aws_api *api, struct slice name)
{
    for (uint32_t i = 0; i < api->stages.count; i++) {
        struct aws_stage *stage = api->stages.items[i];
        if (slice_equal(stage->name, name))
            return stage;
    }
    return NULL;
}

/* --- what goes without saying --------------------------------------------------------------------------- */

static void add_quick_route(struct aws_reader *reader, struct aws_api *api)
{
    struct aws_integration *integration = aws_take(reader, &reader->scratch, sizeof(*integration));
    struct aws_route *route = aws_take(reader, &reader->scratch, sizeof(*route));
    if (integration == NULL || route == NULL)
        return;
    bool is_http = slice_starts_with(api->target, SLICE("http"));
    if (!is_http)
        aws_refuse(reader, &api->object, "target", "expected an http URL; other targets: not supported yet");
    *integration = (struct aws_integration){
        .object = api->object,
        .type = SLICE("HTTP_PROXY"),
        .uri = api->target,
        .connection_type = SLICE("INTERNET"),
        .timeout_ms = 30000,
        .api = api,
    };
    *route = (struct aws_route){
        .object = api->object,
        .api_id = api->object.id,
        .route_key = api->route_key.data ? api->route_key : SLICE("$default"),
        .authorization = SLICE("NONE"),
        .integration = integration,
        .number = reader->routes.count,
    };
    aws_add(reader, &reader->routes, route);
}

static void add_default_stage(struct aws_reader *reader, struct aws_api *api)
{
    struct aws_stage *stage = aws_take(reader, &reader->scratch, sizeof(*stage));
    if (stage == NULL)
        return;
    *stage = (struct aws_stage){ .object = api->object, .name = SLICE("$default"), .api = api };
    stage->throttle.rate = (double)__builtin_nanf("");
    stage->throttle.burst = INTEGER_NULL;
    aws_add(reader, &api->stages, stage);
}

/* --- links ---------------------------------------------------------------------------------------------- */

static void link_target(struct aws_reader *reader, struct aws_route *route)
{
    static const struct slice prefix = { "integrations/", 13 };
    if (route->target.data == NULL) {
        if (route->integration == NULL)
            aws_warn(reader, &route->object, "", "a route without target answers 404");
        return;
    }
    if (!slice_starts_with(route->target, prefix)) {
        aws_refuse(reader, &route->object, "target", "expected integrations/ID");
        return;
    }
    struct slice id = slice_from(route->target, prefix.size);
    route->integration = (struct aws_integration *)(void *)find(&reader->integrations, id);
    if (route->integration == NULL)
        aws_refuse(reader, &route->object, "target", "'%.*s' names no integration of these files",
                   SLICE_FORMAT(id));
    else if (route->integration->api != route->api)
        aws_refuse(reader, &route->object, "target", "the integration belongs to another API");
}

static void link_authorizer(struct aws_reader *reader, struct aws_route *route)
{
    bool is_jwt = slice_equal(route->authorization, SLICE("JWT"));
    if (!is_jwt) {
        if (route->authorizer_id.data)
            aws_refuse(reader, &route->object, "authorizer_id", "only with authorization_type JWT");
        if (route->scopes.count)
            aws_refuse(reader, &route->object, "authorization_scopes", "only with authorization_type JWT");
        return;
    }
    if (route->authorizer == NULL && route->authorizer_id.data == NULL) {
        aws_refuse(reader, &route->object, "authorizer_id", "required with authorization_type JWT");
        return;
    }
    if (route->authorizer == NULL)
        route->authorizer = (struct aws_authorizer *)(void *)find(&reader->authorizers, route->authorizer_id);
    if (route->authorizer == NULL)
        aws_refuse(reader, &route->object, "authorizer_id", "'%.*s' names no authorizer of these files",
                   SLICE_FORMAT(route->authorizer_id));
    else if (route->authorizer->api != route->api)
        aws_refuse(reader, &route->object, "authorizer_id", "the authorizer belongs to another API");
}

static bool same_literals(const struct aws_route_key *a, const struct aws_route_key *b)
{
    for (uint32_t i = 0; i < a->segment_count; i++)
        if (a->segments[i].kind == AWS_LITERAL && !slice_equal(a->segments[i].text, b->segments[i].text))
            return false;
    return slice_equal(a->method, b->method);
}

static void check_twice(struct aws_reader *reader, const struct aws_route *route)
{
    for (uint32_t i = 0; i < route->api->routes.count; i++) {
        const struct aws_route *known = route->api->routes.items[i];
        bool same_text = slice_equal(known->route_key, route->route_key);
        if (!same_text && aws_route_key_compare(&known->key, &route->key) == 0 &&
            same_literals(&known->key, &route->key))
            aws_warn(reader, &route->object, "route_key", "never taken: '%.*s' of %s matches the same",
                     SLICE_FORMAT(known->route_key), known->object.address);
        if (same_text)
            aws_refuse(reader, &route->object, "route_key",
                       "Route with key %.*s already exists for this API: %s", SLICE_FORMAT(route->route_key),
                       known->object.address);
    }
}

static void link_route(struct aws_reader *reader, struct aws_route *route)
{
    const char *reason = aws_route_key_parse(&reader->scratch, route->route_key, &route->key);
    if (route->route_key.data == NULL || route->api_id.data == NULL)
        return;
    if (reason) {
        aws_refuse(reader, &route->object, "route_key", "%s", reason);
        return;
    }
    route->api = find_api(reader, &route->object, route->api_id);
    if (route->api == NULL)
        return;
    check_twice(reader, route);
    aws_add(reader, &route->api->routes, route);
    link_target(reader, route);
    link_authorizer(reader, route);
}

static void link_stage(struct aws_reader *reader, struct aws_stage *stage)
{
    stage->api = find_api(reader, &stage->object, stage->api_id);
    if (stage->api == NULL || stage->name.data == NULL)
        return;
    if (find_stage(stage->api, stage->name))
        aws_refuse(reader, &stage->object, "name", "Stage already exists");
    aws_add(reader, &stage->api->stages, stage);
}

static void link_mapping(struct aws_reader *reader, struct aws_mapping *mapping)
{
    mapping->api = find_api(reader, &mapping->object, mapping->api_id);
    mapping->domain = (struct aws_domain *)(void *)find(&reader->domains, mapping->domain_name);
    if (mapping->domain == NULL && mapping->domain_name.data)
        aws_refuse(reader, &mapping->object, "domain_name", "'%.*s' names no domain of these files",
                   SLICE_FORMAT(mapping->domain_name));
    if (mapping->api == NULL || mapping->stage_name.data == NULL)
        return;
    mapping->stage = find_stage(mapping->api, mapping->stage_name);
    if (mapping->stage == NULL)
        aws_refuse(reader, &mapping->object, "stage", "the API has no stage '%.*s'",
                   SLICE_FORMAT(mapping->stage_name));
}

static bool has_route(const struct aws_api *api, struct slice key)
{
    for (uint32_t i = 0; i < api->routes.count; i++) {
        const struct aws_route *route = api->routes.items[i];
        if (slice_equal(route->route_key, key))
            return true;
    }
    return false;
}

static void check_route_settings(struct aws_reader *reader, const struct aws_stage *stage)
{
    for (uint32_t i = 0; stage->api && i < stage->route_settings.count; i++) {
        const struct aws_route_settings *one = stage->route_settings.items[i];
        if (one->route_key.data && !has_route(stage->api, one->route_key))
            aws_refuse(reader, &stage->object, "route_settings",
                       "Unable to find Route by key %.*s within the provided RouteSettings",
                       SLICE_FORMAT(one->route_key));
    }
}

/* Ids come from addresses: those of two directories may be alike. */
static void check_unique(struct aws_reader *reader, const struct aws_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct aws_object *object = list->items[i];
        const struct aws_object *first = object->id.data ? find(list, object->id) : object;
        if (first != object)
            aws_refuse(reader, object, "", "has the id of another one: %s in line %u of %s", first->address,
                       first->node->position.line, first->node->position.file);
    }
}

void aws_link(struct aws_reader *reader)
{
    const struct aws_list *const named[] = { &reader->apis, &reader->integrations, &reader->authorizers,
                                             &reader->domains };
    for (size_t i = 0; i < COUNT_OF(named); i++)
        check_unique(reader, named[i]);
    for (uint32_t i = 0; i < reader->apis.count; i++) {
        struct aws_api *api = reader->apis.items[i];
        if (api->target.data)
            add_quick_route(reader, api);
    }
    for (uint32_t i = 0; i < reader->integrations.count; i++) {
        struct aws_integration *integration = reader->integrations.items[i];
        if (integration->api == NULL)
            integration->api = find_api(reader, &integration->object, integration->api_id);
    }
    for (uint32_t i = 0; i < reader->authorizers.count; i++) {
        struct aws_authorizer *authorizer = reader->authorizers.items[i];
        if (authorizer->api == NULL)
            authorizer->api = find_api(reader, &authorizer->object, authorizer->api_id);
    }
    for (uint32_t i = 0; i < reader->routes.count; i++)
        link_route(reader, reader->routes.items[i]);
    for (uint32_t i = 0; i < reader->stages.count; i++)
        link_stage(reader, reader->stages.items[i]);
    for (uint32_t i = 0; i < reader->apis.count; i++) {
        struct aws_api *api = reader->apis.items[i];
        if (api->stages.count == 0 || (api->target.data && !find_stage(api, SLICE("$default"))))
            add_default_stage(reader, api);
    }
    for (uint32_t i = 0; i < reader->mappings.count; i++)
        link_mapping(reader, reader->mappings.items[i]);
    for (uint32_t i = 0; i < reader->stages.count; i++)
        check_route_settings(reader, reader->stages.items[i]);
}
