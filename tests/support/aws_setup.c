/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/aws_setup.h"

#include "core/base/hash.h"
#include "net/proxy/plugin.h"

#include <stdlib.h>

enum { KINDS_MAX = 64 };

static const struct plugin_kind *kinds[KINDS_MAX];

void aws_setup_init(struct aws_setup *setup)
{
    hash_start();
    *setup = (struct aws_setup){ .model = model_open() };
    arena_init(&setup->arena, NULL, 0, (size_t)1 << 30);
    report_init(&setup->report);
    CHECK(settings_init(&setup->settings) && regex_scratch_init(&setup->scratch) == ERROR_OK);
    for (size_t i = 0; plugin_registry[i]; i++) {
        CHECK(i + 1 < KINDS_MAX);
        kinds[i] = &plugin_registry[i]->kind;
    }
}

void aws_setup_deinit(struct aws_setup *setup)
{
    regex_scratch_deinit(&setup->scratch);
    model_close(setup->model);
    settings_deinit(&setup->settings);
    report_deinit(&setup->report);
    arena_deinit(&setup->arena);
}

void aws_setup_add(struct aws_setup *setup, const char *path, const char *text)
{
    struct aws_source *source = &setup->sources[setup->source_count++];
    struct document_reading reading = { &document_default_limits, &setup->arena, &setup->report };
    struct documents documents;
    CHECK(setup->source_count <= COUNT_OF(setup->sources));
    *source = (struct aws_source){ .path = path };
    if (slice_ends_with(slice_of(path), SLICE(".tf")))
        source->text = slice_of(text);
    else if (document_read_text(slice_of(text), path, &reading, &documents) && documents.count)
        source->document = documents.items[0];
}

bool aws_setup_read(struct aws_setup *setup)
{
    struct aws_sources sources = { setup->sources, setup->source_count };
    struct aws_reading reading = { &sources, &setup->settings, kinds, setup->model, &setup->report };
    if (!aws_read_all(&reading))
        return false;
    struct router_source rules = { setup->model->rules.items, setup->model->rules.count, MATCH_HTTP };
    CHECK(model_link_upstreams(setup->model, &setup->report));
    CHECK(router_build(&setup->router, &setup->arena, &rules) == ERROR_OK);
    return true;
}

static void add_headers(struct message *message, const char *headers)
{
    struct slice rest = headers ? slice_of(headers) : (struct slice){ NULL, 0 };
    while (rest.data) {
        struct slice value, line = slice_split(rest, '\n', &rest);
        struct slice name = slice_split(line, ':', &value);
        if (name.size)
            CHECK(message_add(message, name, slice_trim(value)));
    }
}

const struct route *aws_setup_match(struct aws_setup *setup, const char *host, const char *request,
                                    const char *headers)
{
    struct message message = { 0 };
    struct router_match match;
    struct slice path, method = slice_split(slice_of(request), ' ', &path);
    message_init(&message, &setup->arena);
    add_headers(&message, headers);
    struct router_request asked = {
        .method = method,
        .host = slice_of(host),
        .path = path,
        .port = 80,
        .message = &message,
        .scratch = &setup->scratch,
        .arena = &setup->arena,
    };
    return router_match(&setup->router, &asked, &match) ? match.route : NULL;
}

const char *aws_setup_key(const struct route *route)
{
    const char *space = route ? strchr(route->entity.name.data, ' ') : " none";
    return space + 1;
}

bool aws_setup_reported(const struct aws_setup *setup, enum report_kind kind, uint32_t line, const char *text)
{
    char all[2048];
    for (uint32_t i = 0; i < setup->report.count; i++) {
        const struct report_entry *entry = &setup->report.entries[i];
        snprintf(all, sizeof(all), "%s: %s", entry->path, entry->reason);
        if (entry->kind == kind && (line == 0 || entry->line == line) && strstr(all, text))
            return true;
    }
    return false;
}

const struct plugin_instance *aws_setup_plugin(const struct aws_setup *setup, const struct route *route,
                                               const char *kind)
{
    for (uint32_t i = 0; i < setup->model->plugins.count; i++) {
        const struct plugin_instance *instance = setup->model->plugins.items[i];
        if (instance->route == route && strcmp(instance->kind->name, kind) == 0)
            return instance;
    }
    return NULL;
}
