/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/kube_setup.h"

#include "core/base/hash.h"
#include "net/proxy/plugin.h"

#include <stdio.h>

void kube_setup_init(struct kube_setup *setup)
{
    config_setup_init(&setup->config);
    arena_init(&setup->arena, NULL, 0, (size_t)1 << 30);
    CHECK(regex_scratch_init(&setup->scratch) == ERROR_OK);
}

void kube_setup_deinit(struct kube_setup *setup)
{
    regex_scratch_deinit(&setup->scratch);
    arena_deinit(&setup->arena);
    config_setup_deinit(&setup->config);
}

bool kube_setup_load(struct kube_setup *setup, const char *text)
{
    struct config_setup *config = &setup->config;
    const struct plugin_kind *kinds[128];
    size_t count = 0;
    for (const struct plugin *const *plugin = plugin_registry; *plugin; plugin++)
        kinds[count++] = &(*plugin)->kind;
    kinds[count] = NULL;
    model_close(config->model);
    config->model = model_open();
    CHECK(config->model != NULL);
    struct documents documents = config_setup_read(config, "test.yaml", text);
    struct kubernetes_sources sources = { .documents = &documents, .plugins = kinds };
    bool good = documents.count > 0 && kubernetes_read_all(&sources, config->model, &config->report) &&
                model_link_upstreams(config->model, &config->report);
    struct router_source source = { config->model->rules.items, config->model->rules.count, MATCH_HTTP };
    CHECK(router_build(&setup->router, &config->model->arena, &source) == ERROR_OK);
    return good;
}

static void add_headers(struct message *message, struct slice rest)
{
    while (rest.data) {
        struct slice line = slice_split(rest, '\n', &rest), value;
        struct slice name = slice_split(line, ':', &value);
        if (value.data)
            CHECK(message_add(message, name, slice_trim(value)));
    }
}

const struct route *kube_setup_ask(struct kube_setup *setup, const struct kube_question *question)
{
    struct message message;
    struct slice headers, host, target, query;
    struct slice line = slice_split(slice_of(question->text), '\n', &headers);
    struct slice method = slice_split(line, ' ', &host);
    host = slice_split(host, ' ', &target);
    struct slice path = slice_split(target, '?', &query);
    message_init(&message, &setup->arena);
    add_headers(&message, headers);
    struct router_request request = { .method = method,
                                      .host = host,
                                      .path = path,
                                      .query = query,
                                      .port = question->port ? question->port : 8000,
                                      .draw = question->draw,
                                      .tls = question->tls,
                                      .message = &message,
                                      .scratch = &setup->scratch,
                                      .arena = &setup->arena };
    return router_match(&setup->router, &request, &setup->match) ? setup->match.route : NULL;
}

const char *kube_setup_name(struct kube_setup *setup, const char *text)
{
    struct kube_question question = { .text = text };
    const struct route *route = kube_setup_ask(setup, &question);
    if (route == NULL)
        return "-";
    if (route->action && route->action->status == 404)
        return "404";
    struct slice name = arena_copy(&setup->arena, route->entity.name);
    return name.data ? name.data : "";
}

const char *kube_setup_backend(const struct route *route, uint32_t index)
{
    if (!route || !route->action || index >= route->action->backend_count ||
        !route->action->backends[index].service)
        return "";
    return route->action->backends[index].service->host.data;
}
