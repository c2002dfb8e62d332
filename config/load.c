/* SPDX-License-Identifier: Apache-2.0 */
#include "config/load.h"

#include "config/aws/aws.h"
#include "config/bundled.h"
#include "config/files.h"
#include "config/kong/kong.h"
#include "config/kubernetes/kubernetes.h"
#include "config/settings_conf.h"
#include "core/crypto/digest.h"

#include <sched.h>
#include <stdlib.h>

static const size_t text_limit_bytes = (size_t)8 * 1024 * 1024 * 1024;

/* What is read before it is known what it is. */
struct loading {
    const struct config_sources *sources;
    struct loaded *loaded;
    struct report *report;
    struct arena *arena; /* texts and nodes */
    unsigned cores;
    struct documents kong, kubernetes;
    struct aws_sources aws;
    struct slice digests; /* of the Kong files, one behind the other */
    uint32_t unchanged_count; /* of the Kong documents, those that come first in their place */
    bool instead; /* reading what takes the place of the files' Kong documents */
};

static void refuse(struct loading *loading, const struct node_position *position, const char *reason)
{
    report_add(loading->report, REPORT_ERROR, position, "", "%s", reason);
}

static bool add(struct loading *loading, struct documents *documents, struct node *document)
{
    /* Full at 0 and at each power of two: the array doubles. */
    if ((documents->count & (documents->count - 1)) == 0) {
        struct node **items = arena_array(loading->arena, documents->count * 2u + 1, sizeof(*items));
        if (items == NULL)
            return false;
        if (documents->count)
            memcpy(items, documents->items, documents->count * sizeof(*items));
        documents->items = items;
    }
    documents->items[documents->count++] = document;
    return true;
}

/* A document, or (NULL) the text of a Terraform file. */
static bool add_aws(struct loading *loading, const char *path, struct slice text, const struct node *document)
{
    struct aws_sources *aws = &loading->aws;
    struct slice name = arena_copy(loading->arena, slice_of(path));
    if ((aws->count & (aws->count - 1)) == 0) {
        struct aws_source *items = arena_array(loading->arena, aws->count * 2u + 1, sizeof(*items));
        if (items == NULL)
            return false;
        if (aws->count)
            memcpy(items, aws->items, aws->count * sizeof(*items));
        aws->items = items;
    }
    aws->items[aws->count++] = (struct aws_source){ name.data, text, document };
    return name.data != NULL;
}

static bool starts_with(const struct node *node, const char *prefix)
{
    return node != NULL && node->kind == NODE_STRING && slice_starts_with(node->text, slice_of(prefix));
}

/* The name of a dialect that has no front-end yet, or NULL. */
static const char *find_unsupported(const struct node *document)
{
    static const struct {
        const char *key, *prefix, *name;
    } rows[] = {
        { "AWSTemplateFormatVersion", "", "CloudFormation templates" },
        { "swagger", "", "Swagger definitions" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct node *value = node_find(document, rows[i].key);
        if (value != NULL && (rows[i].prefix[0] == '\0' || starts_with(value, rows[i].prefix)))
            return rows[i].name;
    }
    return NULL;
}

/* A Kong file that lacks its version: the error should say that. */
static bool resembles_kong(const struct node *document)
{
    static const char *const keys[] = { "services", "routes", "consumers", "plugins", "upstreams" };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (node_find(document, keys[i]))
            return true;
    return false;
}

/* Unless they are not to count. */
static bool add_kong(struct loading *loading, struct node *document)
{
    return (loading->sources->kong && !loading->instead) || add(loading, &loading->kong, document);
}

static bool sort_document(struct loading *loading, struct node *document)
{
    const char *unsupported = find_unsupported(document);
    struct slice none = { NULL, 0 };
    if (loading->instead || kong_recognise(document))
        return add_kong(loading, document);
    if (aws_recognise(document))
        return add_aws(loading, document->position.file, none, document);
    if (settings_recognise(document)) {
        settings_apply_node(&loading->loaded->settings, document, loading->cores, loading->report);
        return true;
    }
    if (kubernetes_recognise(document))
        return add(loading, &loading->kubernetes, document);
    if (unsupported) {
        report_add(loading->report, REPORT_ERROR, &document->position, "", "%s: not supported yet",
                   unsupported);
        return true;
    }
    if (resembles_kong(document) || loading->sources->dialect == CONFIG_KONG)
        return add_kong(loading, document);
    refuse(loading, &document->position,
           document->kind == NODE_MAPPING
               ? "expected a Kong configuration (with '_format_version'), Kubernetes objects "
                 "(with 'apiVersion') or settings (with 'sluice')"
               : "expected a record: a Kong configuration or settings");
    return true;
}

/* The hash users compare is that of the one file; of several it is the hash of their hashes. */
static bool add_digest(struct loading *loading, struct slice text)
{
    char hex[DIGEST_HEX_MAX];
    if (!digest_hex(DIGEST_MD5, text, hex))
        return false;
    struct slice before = loading->digests;
    loading->digests = arena_format(loading->arena, "%.*s%s", SLICE_FORMAT(before), hex);
    return loading->digests.data != NULL;
}

static bool read_text(struct loading *loading, struct slice text, const char *name)
{
    struct documents documents;
    struct node_position start = { name, 1, 1 };
    uint32_t kong_before = loading->kong.count;
    struct document_reading reading = { &document_default_limits, loading->arena, loading->report };
    if (!loading->instead && (files_has_ending(name, ".conf") || settings_conf_recognise(text))) {
        settings_conf_apply(&loading->loaded->settings, text, name, loading->report);
        return true;
    }
    if (!document_read_text(text, name, &reading, &documents))
        return true;
    if (documents.count == 0)
        refuse(loading, &start, "expected a Kong configuration or settings: the file is empty");
    for (uint32_t i = 0; i < documents.count; i++)
        if (!sort_document(loading, documents.items[i]))
            return false;
    return loading->kong.count == kong_before || add_digest(loading, text);
}

static bool read_terraform_json(struct loading *loading, struct slice text, const char *path)
{
    struct documents documents;
    struct slice none = { NULL, 0 };
    struct document_reading reading = { &document_default_limits, loading->arena, loading->report };
    if (!document_read_text(text, path, &reading, &documents))
        return true;
    return documents.count == 0 || add_aws(loading, path, none, documents.items[0]);
}

static bool read_file(void *pointer, const char *path)
{
    struct loading *loading = pointer;
    struct slice text;
    struct document_reading reading = { &document_default_limits, loading->arena, loading->report };
    if (files_has_ending(path, ".tfvars.json"))
        return true; /* read with the Terraform files beside it */
    if (!document_load(path, &reading, &text))
        return true;
    if (files_has_ending(path, ".tf"))
        return add_aws(loading, path, text, NULL);
    return files_has_ending(path, ".tf.json") ? read_terraform_json(loading, text, path)
                                              : read_text(loading, text, path);
}

static void apply_overrides(struct loading *loading)
{
    const struct config_sources *sources = loading->sources;
    struct settings *settings = &loading->loaded->settings;
    if (sources->environment)
        settings_apply_environment(settings, sources->environment, loading->report);
    for (const char *const *one = sources->overrides; one && *one; one++) {
        struct slice value;
        struct slice key = slice_split(slice_of(*one), '=', &value);
        if (value.data == NULL)
            report_add(loading->report, REPORT_ERROR, NULL, *one, "expected KEY=VALUE");
        else
            settings_apply_text(settings, key, value, "--set", loading->report);
    }
}

static bool read_all(struct loading *loading)
{
    const struct config_sources *sources = loading->sources;
    struct settings *settings = &loading->loaded->settings;
    bool good = true;
    for (const char *const *path = sources->paths; good && path && *path; path++)
        good = files_each(*path, loading->report, read_file, loading);
    if (good && sources->text.data)
        good = read_text(loading, sources->text, sources->text_name);
    apply_overrides(loading);
    if (good && settings->declarative_config.data)
        good = files_each(settings->declarative_config.data, loading->report, read_file, loading);
    if (good && settings->declarative_config_string.data)
        good = read_text(loading, settings->declarative_config_string, "declarative_config_string");
    settings_finish(settings, loading->report);
    loading->instead = true;
    for (uint32_t i = 0; good && sources->kong && i < sources->kong->count; i++) {
        good = read_text(loading, sources->kong->items[i].text, sources->kong->items[i].name);
        loading->unchanged_count = i == 0 ? loading->kong.count : loading->unchanged_count;
    }
    loading->instead = false;
    return good;
}

/* A catalog costs as much as the texts do: only for those who will be asked for it. */
static bool want_catalog(struct loading *loading)
{
    struct model *model = loading->loaded->model;
    const struct settings *settings = &loading->loaded->settings;
    bool stored = slice_starts_with(settings->store, SLICE("sqlite:"));
    if (!loading->sources->catalogued || (settings->admin_listeners.count == 0 && !stored))
        return true;
    model->catalog = arena_alloc(&model->arena, sizeof(*model->catalog));
    if (model->catalog == NULL)
        return false;
    catalog_init(model->catalog, &model->arena);
    model->catalog->source =
        (struct catalog_source){ loading->sources->unchanged, loading->unchanged_count, 0 };
    return true;
}

static bool build_kong(struct loading *loading)
{
    struct model *model = loading->loaded->model;
    struct slice digests = loading->digests;
    const struct settings *settings = &loading->loaded->settings;
    const struct plugin_kind *const *plugins =
        bundled_plugins(loading->sources->plugins, &settings->plugins, loading->arena, loading->report);
    if (loading->kong.count == 0)
        return true;
    if (plugins == NULL)
        return false;
    bundled_vaults(settings, &model->vaults);
    model->kong_flavor = (enum router_flavor)settings->router_flavor;
    kong_read_all(&loading->kong, plugins, model, loading->report);
    if (digests.size < sizeof(model->hash))
        memcpy(model->hash, digests.data, digests.size);
    else {
        char hex[DIGEST_HEX_MAX];
        if (!digest_hex(DIGEST_MD5, digests, hex))
            return false;
        memcpy(model->hash, hex, sizeof(model->hash));
    }
    return true;
}

static bool is_open(const struct listener_settings *listeners, uint16_t port)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        if (!listeners->items[i].udp && listeners->items[i].port == port)
            return true;
    return false;
}

/* The ports that the model wants beside proxy_listen become listeners like its own. */
static bool open_ports(struct settings *settings, const struct model *model)
{
    enum { BACKLOG = 16384 };
    struct listener_settings *listeners = &settings->proxy_listeners;
    uint32_t most = listeners->count + model->listen_ports.count;
    struct listener_setting *items = arena_array(&settings->arena, most + 1u, sizeof(*items));
    if (items == NULL)
        return false;
    if (listeners->count)
        memcpy(items, listeners->items, listeners->count * sizeof(*items));
    listeners->items = items;
    for (uint32_t i = 0; i < model->listen_ports.count; i++) {
        const struct listen_port *wanted = model->listen_ports.items[i];
        struct slice address = arena_copy(&settings->arena, wanted->address);
        if (address.data == NULL)
            return false;
        if (!is_open(listeners, wanted->port))
            items[listeners->count++] =
                (struct listener_setting){ .address = address, .port = wanted->port, .backlog = BACKLOG };
    }
    return true;
}

static bool build_model(struct loading *loading)
{
    struct report *report = loading->report;
    struct model *model = loading->loaded->model;
    struct settings *settings = &loading->loaded->settings;
    uint32_t before = report->error_count;
    struct kubernetes_sources sources = { .documents = &loading->kubernetes,
                                          .plugins = loading->sources->plugins,
                                          .namespace = settings->ambassador_namespace,
                                          .ambassador_id = settings->ambassador_id,
                                          .controller = settings->gateway_controller_name };
    if (!build_kong(loading))
        return false;
    kubernetes_read_all(&sources, model, report);
    if (loading->kong.count == 0 && loading->kubernetes.count)
        model->style = ANSWER_STYLE_ENVOY;
    const struct aws_reading aws = { &loading->aws, settings, loading->sources->plugins, model, report };
    if (loading->aws.count)
        aws_read_all(&aws);
    if (model->listen_ports.count && !open_ports(settings, model))
        return false;
    return report->error_count != before || model_link_upstreams(model, report);
}

static unsigned usable_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

bool config_load(const struct config_sources *sources, struct loaded *loaded, struct report *report)
{
    uint32_t before = report->error_count;
    struct loading loading = {
        .sources = sources,
        .loaded = loaded,
        .report = report,
        .cores = sources->cores ? sources->cores : usable_cores(),
    };
    struct arena own;
    arena_init(&own, NULL, 0, text_limit_bytes);
    loading.arena = sources->texts ? &sources->texts->arena : &own;
    bool good = settings_init(&loaded->settings);
    loaded->model = model_open();
    good = good && loaded->model != NULL && read_all(&loading) && want_catalog(&loading) &&
           build_model(&loading);
    if (!good)
        report_add(report, REPORT_ERROR, NULL, "", "out of memory");
    if (sources->texts)
        sources->texts->kong = loading.kong;
    arena_deinit(&own); /* gone when the model is built */
    report_sort(report);
    return report->error_count == before;
}

void config_unload(struct loaded *loaded)
{
    model_close(loaded->model);
    loaded->model = NULL;
    settings_deinit(&loaded->settings);
}
