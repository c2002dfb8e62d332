/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAPI 3.0 with API Gateway's extensions, as it is imported into an HTTP API. */
#include "config/aws/resources.h"

#define EXTENSION "x-amazon-apigateway-"

struct import {
    struct aws_reader *reader;
    const struct node *document;
    struct aws_api *api;
    struct aws_object root; /* for messages about the document */
};

static struct slice text_of(const struct node *node, const char *key)
{
    const struct node *value = node_find(node, key);
    return value && value->kind == NODE_STRING ? value->text : (struct slice){ NULL, 0 };
}

static const char *join(const struct import *import, const char *path, const char *name)
{
    struct slice joined = report_join(&import->reader->scratch, path, name);
    if (joined.data == NULL)
        aws_fail_memory(import->reader);
    return joined.data ? joined.data : "";
}

static void refuse(const struct import *import, const struct node *node, const char *path, const char *reason)
{
    report_add(import->reader->report, REPORT_ERROR, &node->position, path, "%s", reason);
}

/* Extensions at a place that are none of the `known` ones (ends with NULL). */
static void check_extensions(const struct import *import, const struct node *node, const char *path,
                             const char *const *known)
{
    for (uint32_t i = 0; node->kind == NODE_MAPPING && i < node->count; i++) {
        const struct node_entry *entry = &node->entries[i];
        const char *const *one = known;
        while (*one && !slice_equal(entry->key, slice_of(*one)))
            one++;
        if (*one == NULL && slice_starts_with(entry->key, SLICE(EXTENSION)))
            refuse(import, entry->value, join(import, path, entry->key.data), "not supported yet");
    }
}

/* --- authorizers ---------------------------------------------------------------------------------------- */

static struct slice authorizer_id(const struct import *import, struct slice scheme)
{
    return aws_text(import->reader, "%.*s/%.*s", SLICE_FORMAT(import->api->object.id), SLICE_FORMAT(scheme));
}

static void add_authorizer(const struct import *import, const struct node_entry *scheme, const char *path)
{
    struct aws_reader *reader = import->reader;
    static const char *const known[] = { EXTENSION "authorizer", NULL };
    const struct node *node = node_find(scheme->value, known[0]);
    check_extensions(import, scheme->value, path, known);
    if (node == NULL)
        return;
    path = join(import, path, known[0]);
    struct aws_authorizer *authorizer = aws_take(reader, &reader->scratch, sizeof(*authorizer));
    struct slice *sources = aws_take(reader, &reader->scratch, sizeof(*sources));
    if (authorizer == NULL || sources == NULL)
        return;
    if (!slice_equal_nocase(text_of(node, "type"), SLICE("jwt"))) {
        refuse(import, node, path, "authorizers of other types than jwt: not supported yet");
        return;
    }
    *sources = text_of(node, "identitySource");
    *authorizer = (struct aws_authorizer){
        .object = { authorizer_id(import, scheme->key), path, node },
        .api_id = import->api->object.id,
        .name = scheme->key,
        .identity_sources = { sources, sources->data ? 1u : 0u },
        .api = import->api,
    };
    aws_read_jwt(reader, authorizer, "jwtConfiguration");
    aws_add(reader, &reader->authorizers, authorizer);
}

static void add_authorizers(const struct import *import)
{
    const struct node *schemes = node_find(node_find(import->document, "components"), "securitySchemes");
    for (uint32_t i = 0; schemes && schemes->kind == NODE_MAPPING && i < schemes->count; i++) {
        const struct node_entry *entry = &schemes->entries[i];
        add_authorizer(import, entry, join(import, "components.securitySchemes", entry->key.data));
    }
}

static struct aws_authorizer *find_authorizer(const struct import *import, struct slice scheme)
{
    struct slice id = authorizer_id(import, scheme);
    for (uint32_t i = 0; i < import->reader->authorizers.count; i++) {
        struct aws_authorizer *authorizer = import->reader->authorizers.items[i];
        if (slice_equal(authorizer->object.id, id))
            return authorizer;
    }
    return NULL;
}

/* One requirement of one scheme, of the operation or else of the document. */
static void read_security(const struct import *import, const struct node *operation, const char *path,
                          struct aws_route *route)
{
    struct aws_reader *reader = import->reader;
    const struct node *list = node_find(operation, "security");
    if (list == NULL)
        list = node_find(import->document, "security");
    if (list == NULL || list->count == 0)
        return;
    const struct node *one = list->kind == NODE_SEQUENCE && list->count == 1 ? list->entries[0].value : NULL;
    path = join(import, path, "security");
    if (one && one->kind == NODE_MAPPING && one->count == 0)
        return;
    if (one == NULL || one->kind != NODE_MAPPING || one->count != 1) {
        refuse(import, list, path, "exactly one requirement of one scheme is supported");
        return;
    }
    const struct node *scopes = one->entries[0].value;
    route->authorization = SLICE("JWT");
    route->authorizer = find_authorizer(import, one->entries[0].key);
    if (route->authorizer == NULL)
        refuse(import, one, path, "the scheme has no " EXTENSION "authorizer of type jwt");
    if (scopes->kind != NODE_SEQUENCE || scopes->count == 0)
        return;
    route->scopes.items = aws_take(reader, &reader->model->arena, scopes->count * sizeof(struct slice));
    for (uint32_t i = 0; route->scopes.items && i < scopes->count; i++)
        if (scopes->entries[i].value->kind == NODE_STRING)
            route->scopes.items[route->scopes.count++] =
                arena_copy(&reader->model->arena, scopes->entries[i].value->text);
}

/* --- integrations --------------------------------------------------------------------------------------- */

static const char *check_type(struct slice text)
{
    return slice_equal_nocase(text, SLICE("http_proxy")) ? NULL : "{} integrations: not supported yet";
}

static const char *check_connection(struct slice text)
{
    bool good = slice_equal_nocase(text, SLICE("INTERNET")) || slice_equal_nocase(text, SLICE("VPC_LINK"));
    return good ? NULL : "expected INTERNET or VPC_LINK";
}

#define AT(member) offsetof(struct aws_integration, member)
static const struct field fields[] = {
    { "type", FIELD_STRING, AT(type), FIELD_REQUIRED, .check = check_type },
    { "uri", FIELD_STRING, AT(uri), FIELD_REQUIRED },
    { "httpMethod", FIELD_STRING, AT(method), .fallback = "ANY" },
    { "connectionType", FIELD_STRING, AT(connection_type), .check = check_connection,
      .fallback = "INTERNET" },
    { "timeoutInMillis", FIELD_INTEGER, AT(timeout_ms), .min = 50, .max = 30000, .fallback = "30000" },
    { "credentials", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "integrationSubtype", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "responses", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "responseParameters", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "requestTemplates", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "contentHandling", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "cacheKeyParameters", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "cacheNamespace", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "tlsConfig", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
    { "responseTransferMode", FIELD_STRING, .flags = FIELD_UNSUPPORTED },
};
static const char *const others[] = { "payloadFormatVersion", "connectionId", "passthroughBehavior",
                                      "requestParameters", NULL };
static const struct schema schema = { EXTENSION "integration",        fields, COUNT_OF(fields),
                                      sizeof(struct aws_integration), NULL,   others };

/* The integration itself, or what its $ref names. */
static const struct node *find_integration(const struct import *import, const struct node *node,
                                           const char *path)
{
    static const struct slice start = { "#/components/" EXTENSION "integrations/", 46 };
    struct slice name = text_of(node, "$ref");
    if (name.data == NULL)
        return node;
    const struct node *all = node_find(node_find(import->document, "components"), EXTENSION "integrations");
    const struct node *found = slice_starts_with(name, start) ? node_find(all, name.data + start.size) : NULL;
    if (found == NULL)
        refuse(import, node, path, "$ref names no integration of components");
    return found;
}

static struct aws_integration *read_integration(const struct import *import, const struct node *operation,
                                                const char *path)
{
    struct aws_reader *reader = import->reader;
    const struct node *node = node_find(operation, EXTENSION "integration");
    path = join(import, path, EXTENSION "integration");
    node = node ? find_integration(import, node, path) : NULL;
    struct aws_integration *integration =
        node ? aws_take(reader, &reader->scratch, sizeof(*integration)) : NULL;
    if (integration == NULL)
        return NULL;
    struct aws_object object = { { NULL, 0 }, path, node };
    struct config_place place = aws_place(reader, &object);
    schema_read(&schema, node, &place, integration);
    integration->object = object;
    integration->api = import->api;
    if (slice_equal_nocase(integration->connection_type, SLICE("vpc_link")))
        integration->connection_type = SLICE("VPC_LINK");
    integration->request_parameters = aws_block(reader, &object, "requestParameters");
    return integration;
}

/* --- paths ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *key, *method;
} methods[] = {
    { "get", "GET" },     { "put", "PUT" },   { "post", "POST" },       { "delete", "DELETE" },
    { "patch", "PATCH" }, { "head", "HEAD" }, { "options", "OPTIONS" }, { EXTENSION "any-method", "ANY" },
};

static void check_auth(const struct import *import, const struct node *operation, const char *path)
{
    const struct node *auth = node_find(operation, EXTENSION "auth");
    if (auth && !slice_equal(text_of(auth, "type"), SLICE("NONE")))
        refuse(import, auth, join(import, path, EXTENSION "auth"), "not supported yet, but NONE");
}

static bool is_default_route(struct slice path, const struct node *operation)
{
    const struct node *flag = node_find(operation, "isDefaultRoute");
    return slice_equal(path, SLICE("/$default")) || slice_equal(path, SLICE("$default")) ||
           (flag && flag->kind == NODE_BOOLEAN && flag->boolean);
}

static void add_operation(const struct import *import, struct slice path, size_t method,
                          const struct node *operation)
{
    static const char *const known[] = { EXTENSION "integration", EXTENSION "auth", NULL };
    struct aws_reader *reader = import->reader;
    const char *place = join(import, join(import, "paths", path.data), methods[method].key);
    struct aws_route *route = aws_take(reader, &reader->scratch, sizeof(*route));
    if (route == NULL)
        return;
    check_extensions(import, operation, place, known);
    check_auth(import, operation, place);
    struct slice key =
        is_default_route(path, operation)
            ? SLICE("$default")
            : arena_format(&reader->model->arena, "%s %.*s", methods[method].method, SLICE_FORMAT(path));
    *route = (struct aws_route){
        .object = { { NULL, 0 }, place, operation },
        .api_id = import->api->object.id,
        .route_key = key,
        .authorization = SLICE("NONE"),
        .integration = read_integration(import, operation, place),
        .number = reader->routes.count,
    };
    read_security(import, operation, place, route);
    aws_add(reader, &reader->routes, route);
}

static void add_path(const struct import *import, const struct node_entry *entry)
{
    static const char *const known[] = { EXTENSION "any-method", NULL };
    const char *place = join(import, "paths", entry->key.data);
    if (entry->value->kind != NODE_MAPPING) {
        refuse(import, entry->value, place, "expected a record");
        return;
    }
    check_extensions(import, entry->value, place, known);
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        const struct node *operation = node_find(entry->value, methods[i].key);
        if (operation && operation->kind == NODE_MAPPING)
            add_operation(import, entry->key, i, operation);
        else if (operation)
            refuse(import, operation, join(import, place, methods[i].key), "expected a record");
    }
}

/* --- documents ------------------------------------------------------------------------------------------ */

static bool start(struct import *import, struct aws_api *into)
{
    struct aws_reader *reader = import->reader;
    struct slice title = text_of(node_find(import->document, "info"), "title");
    import->root = (struct aws_object){ { NULL, 0 }, "", import->document };
    import->api = into;
    if (into)
        return true;
    if (title.data == NULL) {
        aws_refuse(reader, &import->root, "info", "title: required field missing");
        return false;
    }
    struct aws_api *api = aws_take(reader, &reader->scratch, sizeof(*api));
    if (api == NULL)
        return false;
    api->object = import->root;
    api->object.address = title.data;
    api->object.id = aws_generated_id(reader, title, AWS_API_ID_SIZE);
    api->name = title;
    import->api = api;
    return aws_add(reader, &reader->apis, api);
}

void aws_read_openapi(struct aws_reader *reader, const struct node *document, struct aws_api *into)
{
    static const char *const known[] = { EXTENSION "cors", EXTENSION "importexport-version", NULL };
    struct import import = { .reader = reader, .document = document };
    const struct node *paths = node_find(document, "paths"), *cors = node_find(document, known[0]);
    if (!start(&import, into))
        return;
    if (!slice_starts_with(text_of(document, "openapi"), SLICE("3.0")))
        aws_refuse(reader, &import.root, "openapi", "only OpenAPI 3.0 can be imported into an HTTP API");
    check_extensions(&import, document, "", known);
    if (cors && cors->kind == NODE_MAPPING) {
        import.api->cors = cors;
        import.api->cors_path = known[0];
    } else if (cors) {
        refuse(&import, cors, known[0], "expected a record");
    }
    add_authorizers(&import);
    if (paths == NULL || paths->kind != NODE_MAPPING) {
        aws_refuse(reader, &import.root, "paths", "expected a record");
        return;
    }
    for (uint32_t i = 0; i < paths->count; i++)
        add_path(&import, &paths->entries[i]);
}
