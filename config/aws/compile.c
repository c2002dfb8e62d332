/* SPDX-License-Identifier: Apache-2.0 */
/* One route of the model for every route in every place where a stage is served, and the rules that lead
 * there: within a scope first preflights, then the routes from the most specific on, then 404. */
#include "config/aws/compile.h"
#include "config/aws/resources.h"

#include "core/crypto/uuid.h"

#include <stdlib.h>

/* Made up once for this front-end: ids of routes derive from it. */
static const unsigned char namespace[UUID_BYTES] = { 0x5f, 0x2b, 0x7d, 0x43, 0x9c, 0x0e, 0x4e, 0x61,
                                                     0x8a, 0x57, 0x3d, 0x6b, 0xd1, 0x94, 0x20, 0xe8 };

#define HTTP_PROTOCOLS (PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS))

static bool set_id(struct aws_reader *reader, struct route *route)
{
    unsigned char id[UUID_BYTES];
    if (!uuid_of_name(namespace, route->entity.name, id))
        return aws_fail_memory(reader);
    uuid_write(id, route->entity.id);
    return true;
}

/* `what`: the route key, or what else it does. */
static struct route *add_route(struct aws_reader *reader, const struct aws_scope *scope,
                               const struct aws_object *object, struct slice what)
{
    struct model *model = reader->model;
    struct route *route = aws_take(reader, &model->arena, sizeof(*route));
    struct action *action = aws_take(reader, &model->arena, sizeof(*action));
    struct route **items =
        model_reserve(model, model->routes.items, model->routes.count, &model->routes.capacity);
    if (route == NULL || action == NULL || items == NULL)
        return aws_fail_memory(reader), NULL;
    action->style = ANSWER_STYLE_AWS;
    *route = (struct route){
        .entity = { .index = model->routes.count, .position = object->node->position },
        .protocols = HTTP_PROTOCOLS,
        .https_redirect_status_code = 426,
        .strip_path = true,
        .request_buffering = true,
        .response_buffering = true,
        .path_handling = PATH_HANDLING_V0,
        .action = action,
    };
    struct slice host = scope->host.data ? scope->host : SLICE("*");
    route->entity.name = arena_format(&model->arena, "%.*s%.*s %.*s", SLICE_FORMAT(host),
                                      SLICE_FORMAT(scope->prefix), SLICE_FORMAT(what));
    route->entity.position.file = arena_copy(&model->arena, slice_of(object->node->position.file)).data;
    if (route->entity.name.data == NULL || route->entity.position.file == NULL || !set_id(reader, route))
        return aws_fail_memory(reader), NULL;
    model->routes.items = items;
    items[model->routes.count++] = route;
    return route;
}

/* The action of a route just made. */
static struct action *action_of(const struct route *route)
{
    return (struct action *)(uintptr_t)route->action;
}

static void answer_not_found(struct action *action)
{
    action->status = 404;
    action->body = SLICE("{\"message\":\"Not Found\"}");
    action->content_type = SLICE("application/json");
}

#define NAME(text) { text, sizeof(text) - 1 }

/* The upstream's own CORS headers go; who keeps answers must know that they differ by origin. */
static void edit_response(struct action *action)
{
    static const struct header_edit edits[] = {
        { HEADER_EDIT_REMOVE, NAME("Access-Control-Allow-Origin"), { NULL, 0 } },
        { HEADER_EDIT_REMOVE, NAME("Access-Control-Allow-Credentials"), { NULL, 0 } },
        { HEADER_EDIT_REMOVE, NAME("Access-Control-Allow-Methods"), { NULL, 0 } },
        { HEADER_EDIT_REMOVE, NAME("Access-Control-Allow-Headers"), { NULL, 0 } },
        { HEADER_EDIT_REMOVE, NAME("Access-Control-Expose-Headers"), { NULL, 0 } },
        { HEADER_EDIT_REMOVE, NAME("Access-Control-Max-Age"), { NULL, 0 } },
        { HEADER_EDIT_APPEND, NAME("Vary"), NAME("Origin") },
    };
    action->response = (struct header_edits){ edits, COUNT_OF(edits) };
}

static bool add_not_found(struct aws_reader *reader, const struct aws_scope *scope)
{
    struct route *route = add_route(reader, scope, scope->object, SLICE("not found"));
    if (route == NULL)
        return false;
    answer_not_found(action_of(route));
    bool good = scope->stage == NULL || scope->api->cors == NULL ||
                aws_add_cors(reader, scope->api, route, AWS_CORS_RESPONSE);
    struct aws_rule rule = { .scope = scope, .route = route };
    return good && aws_rule_for_all(reader, &rule);
}

static struct route *make_route(struct aws_reader *reader, const struct aws_scope *scope,
                                const struct aws_route *from)
{
    struct route *route = add_route(reader, scope, &from->object, from->route_key);
    if (route == NULL)
        return NULL;
    struct aws_target target = { scope, from, route, action_of(route) };
    bool good = true;
    if (from->integration)
        good = aws_set_upstream(reader, &target);
    else
        answer_not_found(target.action);
    good = good && aws_add_throttle(reader, &target);
    if (good && from->authorizer)
        good = aws_add_authorizer(reader, from, route);
    if (scope->api->cors)
        edit_response(target.action);
    if (good && scope->api->cors)
        good = aws_add_cors(reader, scope->api, route, AWS_CORS_RESPONSE);
    return good ? route : NULL;
}

/* An explicit OPTIONS route is asked before the API's CORS answers, whatever it is beside the other
 * routes. */
static bool add_preflights(struct aws_reader *reader, const struct aws_scope *scope,
                           struct aws_route *const *sorted, struct route *const *made)
{
    struct aws_rule rule = { .scope = scope, .method = SLICE("OPTIONS"), .preflight = true };
    for (uint32_t i = 0; i < scope->api->routes.count; i++) {
        rule.route = made[i];
        if (slice_equal(sorted[i]->key.method, SLICE("OPTIONS")) &&
            !aws_rule_for_key(reader, &rule, &sorted[i]->key))
            return false;
    }
    struct route *route = add_route(reader, scope, &scope->api->object, SLICE("preflight"));
    if (route == NULL || !aws_add_cors(reader, scope->api, route, AWS_CORS_PREFLIGHT))
        return false;
    rule.route = route;
    return aws_rule_for_all(reader, &rule);
}

static int compare(const void *left, const void *right)
{
    const struct aws_route *a = *(struct aws_route *const *)left, *b = *(struct aws_route *const *)right;
    int order = aws_route_key_compare(&a->key, &b->key);
    return order ? order : a->number < b->number ? -1 : a->number > b->number;
}

static bool add_rules(struct aws_reader *reader, const struct aws_scope *scope,
                      struct aws_route *const *sorted, struct route *const *made)
{
    bool good = scope->api->cors == NULL || add_preflights(reader, scope, sorted, made);
    for (uint32_t i = 0; good && i < scope->api->routes.count; i++) {
        struct aws_rule rule = { .scope = scope, .route = made[i], .method = sorted[i]->key.method };
        good = aws_rule_for_key(reader, &rule, &sorted[i]->key);
    }
    return good;
}

static bool compile_stage(struct aws_reader *reader, const struct aws_scope *scope)
{
    uint32_t count = scope->api->routes.count;
    struct aws_route **sorted = calloc(count + 1u, sizeof(*sorted));
    struct route **made = calloc(count + 1u, sizeof(*made));
    bool good = (sorted && made) || aws_fail_memory(reader);
    if (good && count) {
        memcpy(sorted, scope->api->routes.items, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), compare);
    }
    for (uint32_t i = 0; good && i < count; i++)
        good = (made[i] = make_route(reader, scope, sorted[i])) != NULL;
    good = good && add_rules(reader, scope, sorted, made);
    free(sorted);
    free(made);
    return good;
}

/* Nothing of another stage or API may take what this scope has no route for; only the last one for any host
 * leaves that to the gateway. */
static bool needs_not_found(const struct aws_scope *scope)
{
    for (uint32_t i = 0; scope->stage && i < scope->api->routes.count; i++) {
        const struct aws_route *route = scope->api->routes.items[i];
        if (route->key.is_default)
            return false;
    }
    return scope->host.data || scope->prefix.size;
}

void aws_compile(struct aws_reader *reader)
{
    struct aws_list scopes = { 0 };
    bool good = aws_scopes(reader, &scopes);
    for (uint32_t i = 0; good && i < scopes.count; i++) {
        const struct aws_scope *scope = scopes.items[i];
        good = scope->stage == NULL || compile_stage(reader, scope);
        if (good && needs_not_found(scope))
            good = add_not_found(reader, scope);
    }
}
