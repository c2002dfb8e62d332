/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/config_setup.h"

#include <criterion/criterion.h>

static struct config_setup setup;

static void open_setup(void)
{
    config_setup_init(&setup);
}

static void close_setup(void)
{
    config_setup_deinit(&setup);
}

TestSuite(kong, .init = open_setup, .fini = close_setup);

static void read_good(const char *text)
{
    bool good = config_setup_kong(&setup, text);
    cr_assert(good, "%s", setup.report.count ? setup.report.entries[0].reason : "");
}

Test(kong, nested)
{
    read_good("_format_version: '3.0'\n"
              "services:\n"
              "- name: s1\n"
              "  url: http://h.test:8080/base\n"
              "  tags: [a, b c]\n"
              "  routes:\n"
              "  - name: r1\n"
              "    paths: [/a, ~/b$]\n"
              "    headers: {x-a: ['1']}\n"
              "    plugins:\n"
              "    - {name: guard, config: {strict: true}}\n"
              "  plugins:\n"
              "  - {name: count, config: {minute: 5}, enabled: false}\n"
              "consumers:\n"
              "- username: alice\n"
              "  custom_id: c-1\n"
              "  guard_keys: [{key: k, secret: s, tags: [x]}]\n"
              "  guard: [{}]\n"
              "  plugins: [{name: count, config: {minute: 7}}]\n");
    const struct model *model = setup.model;
    const struct service *service = model->services.items[0];
    cr_assert_str_eq(service->host.data, "h.test");
    cr_assert_eq(service->port, 8080);
    cr_assert_str_eq(service->path.data, "/base");
    cr_assert_eq(service->retries, 5);
    cr_assert_eq(service->read_timeout_ms, 60000);
    cr_assert_eq(service->entity.tags.count, 2);
    cr_assert_eq(service->entity.position.line, 3);

    const struct route *route = model->routes.items[0];
    cr_assert_eq(route->service, service);
    cr_assert_eq(route->protocols, PROTOCOL_BIT(PROTOCOL_HTTP) | PROTOCOL_BIT(PROTOCOL_HTTPS));
    cr_assert_str_eq(route->paths.items[1].data, "~/b$");
    cr_assert(route->strip_path && !route->preserve_host && route->created_at > 0);
    cr_assert_eq(route->https_redirect_status_code, 426);

    cr_assert_eq(model->plugins.count, 3);
    const struct plugin_instance *guard = model->plugins.items[0];
    cr_assert_eq(guard->route, route);
    cr_assert_null(guard->service);
    cr_assert(((const struct guard_config *)guard->config)->strict);
    cr_assert_not(model->plugins.items[1]->enabled);
    cr_assert_eq(model->plugins.items[2]->consumer, model->consumers.items[0]);
    cr_assert(model->kong_headers);
}

Test(kong, credentials)
{
    read_good("_format_version: '3.0'\n"
              "consumers:\n"
              "- username: alice\n"
              "  guard_keys: [{key: k, secret: s, tags: [x]}]\n"
              "- custom_id: c-2\n"
              "  guard: [{}]\n"
              "guard_keys:\n"
              "- {key: flat, consumer: alice}\n");
    cr_assert_eq(setup.model->credentials.count, 3);
    const struct guard_key *key = (const void *)model_credential(setup.model, &guard_keys, SLICE("k"));
    cr_assert_not_null(key);
    cr_assert_str_eq(key->secret.data, "s");
    cr_assert_str_eq(key->credential.entity.tags.items[0].data, "x");
    cr_assert_eq(key->credential.consumer, setup.model->consumers.items[0]);
    const struct credential *flat = model_credential(setup.model, &guard_keys, SLICE("flat"));
    cr_assert_eq(flat->consumer, setup.model->consumers.items[0]);
    cr_assert_null(model_credential(setup.model, &guard_keys, SLICE("x")));
    /* The third one has a drawn key. */
    for (uint32_t i = 0; i < setup.model->credentials.capacity; i++) {
        const struct map_entry *entry = &setup.model->credentials.entries[i];
        cr_assert(entry->value == NULL || entry->value == key || entry->value == flat ||
                  entry->key.size == sizeof(void *) + 32);
    }
}

Test(kong, flat_references)
{
    read_good("_format_version: '3.0'\n"
              "plugins:\n"
              "- {name: guard, route: {name: r1}}\n"
              "- {name: guard, route: r1, service: s1}\n"
              "- {name: count, consumer: {id: 11111111-2222-4333-8444-55555555555A}, config: {minute: 1}}\n"
              "routes:\n"
              "- {name: r1, paths: [/], service: s1}\n"
              "- {paths: [/x], service: 21111111-2222-4333-8444-555555555555}\n"
              "services:\n"
              "- {name: s1, id: 21111111-2222-4333-8444-555555555555, host: h.test}\n"
              "consumers:\n"
              "- {custom_id: c, id: 11111111-2222-4333-8444-55555555555a}\n");
    const struct model *model = setup.model;
    cr_assert_eq(model->plugins.items[0]->route, model->routes.items[0]);
    cr_assert_eq(model->plugins.items[1]->service, model->services.items[0]);
    cr_assert_eq(model->plugins.items[2]->consumer, model->consumers.items[0]);
    cr_assert_eq(model->routes.items[1]->service, model->services.items[0]);
    cr_assert_str_neq(model->routes.items[1]->entity.id, "");
}

/* As a Kong 3.9.3 derived them. */
Test(kong, derived_ids)
{
    read_good("_format_version: '3.0'\n"
              "services: [{name: s1, host: h, routes: [{name: r1, paths: [/]}]}, {name: a, host: h}]\n"
              "routes: [{name: r, paths: [/], service: a}]\n"
              "consumers: [{username: u}, {username: a}]\n");
    const struct model *model = setup.model;
    cr_assert_str_eq(model->services.items[0]->entity.id, "356ebaf8-b7af-5cba-99a1-f392e34730ab");
    cr_assert_str_eq(model->services.items[1]->entity.id, "72734e2a-702d-5711-b9ef-697178108ad8");
    cr_assert_str_eq(model->routes.items[0]->entity.id, "4726a05a-d550-537e-9fc3-a07c7a1188c7");
    cr_assert_str_eq(model->routes.items[1]->entity.id, "da7ba03a-f1be-52d4-8a7e-c8f32640689a");
    cr_assert_str_eq(model->consumers.items[0]->entity.id, "006a59a7-8eb1-5cc5-9890-db96d542fcca");
    cr_assert_str_eq(model->consumers.items[1]->entity.id, "0b2e2520-8980-505a-b7a2-769e8dde10c3");
}

static const struct schema no_fields = { "none", NULL, 0, 1 };
static struct plugin_kind renamed_kinds[4];

/* Kong's ids of plugins: the scopes are part of them, a reference as it was written. */
Test(kong, derived_ids_of_plugins)
{
    static const char *const names[] = { "jwt", "key-auth", "cors", "request-transformer" };
    const struct plugin_kind *kinds[5] = { NULL };
    for (size_t i = 0; i < COUNT_OF(renamed_kinds); i++) {
        renamed_kinds[i] = (struct plugin_kind){ .name = names[i], .config = no_fields };
        kinds[i] = &renamed_kinds[i];
    }
    const struct node *node = config_setup_node(
        &setup, "_format_version: '3.0'\n"
                "services: [{name: s1, host: h, plugins: [{name: jwt}]}]\n"
                "routes: [{name: r, paths: [/], service: s1}]\n"
                "consumers: [{username: u, plugins: [{name: key-auth}]}]\n"
                "plugins: [{name: cors, route: r}, {name: request-transformer}, {name: jwt}]\n");
    cr_assert(kong_read(node, kinds, setup.model, &setup.report));
    static const char *const ids[] = {
        "f17c49c9-5373-505e-ad77-f4b4a8a97976", "7e73acdd-e312-5686-ae1e-f1724a7455f3",
        "18b90e3b-2ae6-5243-a357-866f82b90e18", "9bf99182-5f8a-5970-84dd-67a81aa34a77",
        "06a4d1be-16a2-5a95-8614-d5c6c6cfc9ef",
    };
    cr_assert_eq(setup.model->plugins.count, COUNT_OF(ids));
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        cr_assert_str_eq(setup.model->plugins.items[i]->entity.id, ids[i]);
}

Test(kong, old_formats)
{
    read_good("_format_version: '1.1'\n"
              "services: [{name: s, host: h}]\n"
              "routes: [{name: r, service: s, paths: [/x, '/y/\\d+', /a b, /p%41/, '/v%2e%7b()']}]\n");
    const struct slices *paths = &setup.model->routes.items[0]->paths;
    static const char *const wanted[] = { "/x", "~/y/\\d+", "~/a b", "/pA/", "~/v\\.\\{()" };
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        cr_assert_str_eq(paths->items[i].data, wanted[i]);
}

static const struct {
    const char *url, *host, *path;
    int64_t port;
} urls[] = {
    { "http://h.test", "h.test", NULL, 80 },     { "http://h.test:8080/", "h.test", "/", 8080 },
    { "//h.test:81/a", "h.test", "/a", 81 },     { "http://[::1]:9/a/b", "::1", "/a/b", 9 },
    { "http://10.0.0.1", "10.0.0.1", NULL, 80 },
};

Test(kong, urls)
{
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct config_setup one;
        char text[256];
        config_setup_init(&one);
        snprintf(text, sizeof(text), "{_format_version: '3.0', services: [{url: '%s'}]}", urls[i].url);
        cr_assert(config_setup_kong(&one, text), "%s", urls[i].url);
        const struct service *service = one.model->services.items[0];
        cr_assert_str_eq(service->host.data ? service->host.data : "", urls[i].host);
        cr_assert_eq(service->port, urls[i].port);
        cr_assert(slice_equal(service->path, slice_of(urls[i].path)), "%s", urls[i].url);
        config_setup_deinit(&one);
    }
}

/* What Kong loads and its author hardly meant. */
static const struct {
    const char *text, *path, *reason;
} warned[] = {
    { "services: [{url: 'http://a.test', host: b.test}]", "services[0].host", "not used" },
    { "routes: [{paths: ['/a/\\d+']}]", "routes[0].paths[0]", "begin it with '~'" },
    { "routes: [{paths: [/a b]}]", "routes[0].paths[0]", "never matches" },
    { "routes: [{paths: ['~/a(?=b)']}]", "routes[0].paths[0]", "look-around: Kong has it with" },
    { "consumers: [{username: a, plugins: [{name: guard}]}]", "consumers[0].plugins[0]", "no effect" },
};

Test(kong, warnings)
{
    for (size_t i = 0; i < COUNT_OF(warned); i++) {
        char text[256];
        struct config_setup one;
        config_setup_init(&one);
        snprintf(text, sizeof(text), "_format_version: '3.0'\n%s\n", warned[i].text);
        cr_assert(config_setup_kong(&one, text), "%s", text);
        cr_assert(config_setup_reported(&one, 2, warned[i].path, warned[i].reason), "%s", text);
        cr_assert_eq(one.report.entries[0].kind, REPORT_WARNING);
        config_setup_deinit(&one);
    }
}

Test(kong, grpc)
{
    read_good("_format_version: '3.0'\n"
              "services:\n"
              "- {name: a, host: h, protocol: grpc, routes: [{paths: [/], protocols: [grpc]}]}\n"
              "- {name: b, url: 'grpcs://h:1', routes: [{snis: [s.test], protocols: [grpcs, grpc]}]}\n"
              "- {name: c, url: 'grpc://h:1', routes: [{paths: [/c]}]}\n");
    cr_assert_eq(setup.model->services.items[0]->protocol, PROTOCOL_GRPC);
    cr_assert_eq(setup.model->services.items[1]->protocol, PROTOCOL_GRPCS);
    cr_assert_not(setup.model->routes.items[0]->strip_path);
    cr_assert_eq(setup.model->routes.items[1]->protocols,
                 PROTOCOL_BIT(PROTOCOL_GRPC) | PROTOCOL_BIT(PROTOCOL_GRPCS));
}

Test(kong, several_documents_are_one_configuration)
{
    read_good("{_format_version: '3.0', services: [{name: s1, host: h}]}\n"
              "---\n{_format_version: '3.0', routes: [{paths: [/], service: s1}]}\n");
    cr_assert_eq(setup.model->routes.items[0]->service, setup.model->services.items[0]);
    struct config_setup twice;
    config_setup_init(&twice);
    cr_assert_not(config_setup_kong(&twice,
                                    "{_format_version: '3.0', services: [{name: s1, host: h}]}\n"
                                    "---\n{_format_version: '3.0', services: [{name: s1, host: h}]}\n"));
    cr_assert(config_setup_reported(&twice, 3, "services[0].name", "uniqueness violation"));
    config_setup_deinit(&twice);
}
